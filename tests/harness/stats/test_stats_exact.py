"""Sign-flip and permutation tests: recorded values, literal enumeration, level under the null, edge cases."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from stats_golden import close

from harness.stats import (
    paired_seeds_needed,
    permutation_test,
    sign_flip,
    sign_flip_interval,
    smallest_permutation_p,
    smallest_sign_flip_p,
)

D = [0.031, 0.012, -0.004, 0.025, 0.018, 0.04, 0.007, 0.022]
ARMS = ([0.61, 0.63, 0.66, 0.64], [0.58, 0.60, 0.62])


def test_recorded_sign_flip():
    r, ci = sign_flip(D), sign_flip_interval(D)
    assert close((r.p, ci.low, ci.high), (0.015625, 0.007, 0.031))
    assert close(ci.exact_level, 1 - 12 / 256, 1e-12)
    assert r.n_draws is None


def test_three_seeds_cannot_reach_significance_and_have_no_limits():
    r, ci = sign_flip(D[:3]), sign_flip_interval(D[:3])
    assert r.p == 0.5
    assert not r.reaches()
    assert (ci.low, ci.high, ci.exact_level) == (-math.inf, math.inf, 1)


def test_recorded_permutation():
    assert close(permutation_test(*ARMS).p, 0.114285714)
    assert close(permutation_test([0.7, 0.71, 0.72], [0.6, 0.61, 0.62]).p, 0.1)
    assert permutation_test([0.5] * 4, [0.5] * 3).p == 1


def test_sign_flip_equals_literal_enumeration():
    d = np.random.default_rng(1).normal(0.3, 1, 9)
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product([1, -1], repeat=9)]
    assert close(sign_flip(d).p, np.mean(np.array(sums) >= abs(d.sum()) - 1e-12), 1e-12)


def test_interval_is_the_inverted_test():
    d = np.random.default_rng(2).normal(0.3, 1, 8)
    ci = sign_flip_interval(d)
    for value, inside in (
        (ci.low - 1e-6, False),
        (ci.low + 1e-6, True),
        (ci.high - 1e-6, True),
        (ci.high + 1e-6, False),
    ):
        assert (sign_flip(d - value).p > 1 - ci.exact_level) == inside


def test_permutation_agrees_with_scipy():
    x, y = np.random.default_rng(3).normal(0.4, 1, (2, 6))
    ref = stats.permutation_test(
        (x, y[:5]), lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=np.inf
    )
    assert close(permutation_test(x, y[:5]).p, ref.pvalue, 1e-9)


def test_swapping_arms_and_signs_and_order_of_seeds_do_not_change_p():
    assert permutation_test(*ARMS).p == permutation_test(*ARMS[::-1]).p
    assert sign_flip(D).p == sign_flip([-x for x in D]).p == sign_flip(D[::-1]).p


def test_all_zero_differences_give_p_one():
    assert sign_flip(np.zeros(7)).p == 1


@pytest.mark.parametrize(
    ("n", "p"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (8, 0.0078125), (10, 0.001953125)]
)
def test_smallest_sign_flip_p_is_reached_by_equal_signs(n, p):
    assert smallest_sign_flip_p(n) == p == sign_flip(np.arange(1, n + 1) / 100).p


@pytest.mark.parametrize(("n", "p"), [(3, 0.1), (4, 0.0285714), (5, 0.0079365), (10, 1.0825e-5)])
def test_smallest_permutation_p_is_reached_by_separated_arms(n, p):
    assert close(smallest_permutation_p(n, n), p, 1e-6)
    assert close(permutation_test(np.arange(n) + 100.0, np.arange(n)).p, smallest_permutation_p(n, n), 1e-12)


def test_holm_over_30_tests_needs_11_paired_seeds():
    assert paired_seeds_needed() == 6
    assert paired_seeds_needed(n_tests=30) == 11
    assert sign_flip(np.ones(11)).reaches(n_tests=30)
    assert not sign_flip(np.ones(10)).reaches(n_tests=30)


def test_above_20_seeds_a_generator_is_needed_and_the_p_value_is_close_to_the_t_test():
    d = np.random.default_rng(4).normal(0.35, 1, 24)
    with pytest.raises(ValueError, match="rng"):
        sign_flip(d)
    with pytest.raises(ValueError, match="rng"):
        sign_flip_interval(d)
    r = sign_flip(d, rng=np.random.default_rng(0), n_draws=20_000)
    assert r == sign_flip(d, rng=np.random.default_rng(0), n_draws=20_000)
    assert r.n_draws == 20_000
    assert abs(r.p - stats.ttest_1samp(d, 0).pvalue) < 0.02
    ci = sign_flip_interval(d, rng=np.random.default_rng(0), n_draws=20_000)
    ref = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert abs(ci.low - ref.low) < 0.1
    assert abs(ci.high - ref.high) < 0.1


def test_many_splits_are_drawn_and_never_give_p_zero():
    x, y = np.arange(13) + 100.0, np.arange(13.0)
    r = permutation_test(x, y, rng=np.random.default_rng(0), n_draws=999)
    assert (r.p, r.n_draws) == (0.001, 999)
    with pytest.raises(ValueError, match="rng"):
        permutation_test(x, y)


@pytest.mark.parametrize("bad", [[], [0.1, math.nan]])
def test_a_seed_without_a_number_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        sign_flip(bad)
    with pytest.raises(ValueError, match="y has"):
        permutation_test([0.1], bad)


def test_level_under_the_null_is_at_most_nominal():
    rng = np.random.default_rng(5)
    flips = np.mean([sign_flip(rng.normal(size=7)).p <= 0.05 for _ in range(1500)])
    splits = np.mean([permutation_test(rng.normal(size=4), rng.normal(size=4)).p <= 0.05 for _ in range(1500)])
    assert 0.02 < flips < 0.062
    assert 0.01 < splits < 0.045
