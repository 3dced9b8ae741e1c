"""Missing scores: recorded bounds, the width of the bounds, Imbens-Manski limits, and when to distrust."""

import numpy as np
import pytest
from stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, B, W, close
from statsmodels.stats.proportion import proportions_ztest

from harness.stats import (
    difference_bounds,
    distrust_reason,
    equal_rates_p,
    imbens_manski,
    score_bounds,
    score_interval,
)


def test_recorded_bounds():
    r = score_bounds(A_MISSING[0], CAT, W)
    assert close((r.low, r.high, r.se_low, r.se_high), (0.644444444, 0.727777778, 0.111941343, 0.0914559869))
    assert close((r.interval_low, r.interval_high), (0.452333498, 0.884732266))


def test_recorded_interval_of_a_bounded_value():
    assert close(imbens_manski(0.60, 0.64, 0.010, 0.012), (0.583551433, 0.659738281))


def test_width_of_the_bounds_is_the_missing_weight_times_the_range():
    r = score_bounds(10 * A_MISSING[0], CAT, W, lo=0, hi=10)
    assert close(r.high - r.low, 10 * (1 / 3) * (1 / 4), 1e-12)
    assert r.low <= 10 * score_interval(A[0], CAT, W).theta <= r.high


def test_without_missing_scores_the_bounds_meet_at_the_headline():
    r, interval = score_bounds(A[0], CAT, W), score_interval(A[0], CAT, W)
    assert close((r.low, r.high, r.se_low), (interval.theta, interval.theta, interval.se), 1e-12)
    assert close((r.interval_high - r.high) / r.se_high, 1.959964, 1e-5)


def test_bounds_far_apart_use_the_one_sided_quantile():
    low, high = imbens_manski(0.2, 0.9, 0.01, 0.01)
    assert close(((0.2 - low) / 0.01, (high - 0.9) / 0.01), (1.644854, 1.644854), 1e-5)
    assert imbens_manski(0.2, 0.3, 0.0, 0.0) == (0.2, 0.3)


def test_a_prompt_with_some_images_is_filled_by_its_missing_share():
    share = np.ones(10)
    share[3] = 0.25
    r = score_bounds(A[0], CAT, W, share=share)
    filled = A[0].copy()
    filled[3] = 0.25 * A[0, 3]
    assert close(r.low, score_interval(filled, CAT, W).theta, 1e-12)
    assert close(r.high - r.low, 0.75 / 12, 1e-12)


def test_missing_questions_count_in_the_pooled_denominator():
    den, right = QUESTIONS.copy(), CORRECT.copy()
    den[0], den[4], right[4] = 0, 3, 2
    r = score_bounds(right, CAT, W, den=den, planned=QUESTIONS)
    low, high = right.copy(), right + (QUESTIONS - den)
    low[0], high[0] = 0, QUESTIONS[0]
    assert close(r.low, score_interval(low, CAT, W, den=QUESTIONS).theta, 1e-12)
    assert close(r.high, score_interval(high, CAT, W, den=QUESTIONS).theta, 1e-12)


def test_bounds_of_a_difference_cross_the_sides():
    x, y = score_bounds(A_MISSING[0], CAT, W), score_bounds(B[0], CAT, W)
    d = difference_bounds(x, y)
    assert (d.low, d.high) == (x.low - y.high, x.high - y.low)
    assert d.is_robust
    assert not difference_bounds(x, score_bounds(A_MISSING[2], CAT, W)).is_robust


def test_everything_missing_leaves_the_whole_range():
    r = score_bounds(np.full(10, np.nan), CAT, W)
    assert close((r.low, r.high, r.interval_low, r.interval_high), (0, 1, 0, 1), 1e-12)


def test_one_prompt_per_category_has_bounds_without_interval():
    r = score_bounds([0.5, np.nan], [0, 1], [0.5, 0.5])
    assert close((r.low, r.high), (0.25, 0.75))
    assert (r.se_low, r.interval_low, r.interval_high) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"den": QUESTIONS}, "together"),
        ({"share": np.full(10, 1.2)}, "more scored"),
        ({"den": QUESTIONS, "planned": QUESTIONS - 1}, "more scored"),
    ],
)
def test_wrong_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        score_bounds(CORRECT / 5, CAT, W, **options)


def test_much_missing_and_unequal_missing_are_reasons_for_distrust():
    assert distrust_reason([1, 0], [100, 100]) == ""
    assert distrust_reason([6, 0], [100, 100]).startswith("6.0 %")
    assert distrust_reason([40, 0], [1000, 1000], [5, 0], [1000, 1000]).startswith("missing rates differ")
    assert distrust_reason([4, 0], [1000, 1000], [5, 0], [1000, 1000]) == ""


def test_equal_rates_agree_with_statsmodels():
    assert close(equal_rates_p(40, 1000, 18, 900), proportions_ztest([40, 18], [1000, 900])[1], 1e-9)
    assert equal_rates_p(0, 10, 0, 20) == 1
    assert equal_rates_p(0, 0, 1, 20) is None
