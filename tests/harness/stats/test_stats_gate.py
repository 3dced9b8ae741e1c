"""The gate: recorded decisions, exit codes, its error rates, and what more prompts or images would do."""

import math

import numpy as np
import pytest
from scipy import stats
from stats_golden import close

from harness.stats import (
    IntegratedError,
    StudentError,
    gate_decision,
    gate_family,
    generation_variance,
    images_needed,
    paired_difference,
    prompts_needed,
)

# est, se, df: low, high, label, loss beyond margin, p_noninferior, p_tost
GOLDEN = [
    (-0.030, 0.01, 399, -0.0464868153, -0.0135131847, "regression", False, 0.841041715, 0.841041715),
    (-0.005, 0.008, 399, -0.0181894523, 0.00818945227, "equivalent", False, 0.0307614674, 0.0307614674),
    (0.000, 0.02, 399, -0.0329736307, 0.0329736307, "inconclusive", False, 0.158958285, 0.158958285),
    (0.030, 0.01, 399, 0.0135131847, 0.0464868153, "improvement", False, 4.30160561e-07, 0.841041715),
    (0.004, 0.005, 399, -0.00424340767, 0.0122434077, "equivalent", False, 1.12346892e-06, 0.000742083249),
    (-0.060, 0.01, 12.5, -0.0777636622, -0.0422363378, "regression", True, 0.999185469, 0.999185469),
]


def decide(est, se=0.01, df=399.0, margin=0.02, **options):
    return gate_decision(est, StudentError(se=se, df=df), margin, **options)


@pytest.mark.parametrize("row", GOLDEN)
def test_recorded_decisions(row):
    est, se, df, low, high, label, beyond, p_noninferior, p_tost = row
    r = decide(est, se, df)
    assert close((r.low, r.high), (low, high))
    assert close((r.p_noninferior, r.p_tost), (p_noninferior, p_tost), 1e-9 if p_tost < 1e-3 else 1e-6)
    assert (r.label, r.is_loss_beyond_margin) == (label, beyond)


def test_labels_have_exit_codes_and_inconclusive_can_be_overridden():
    codes = {r.label: r.exit_code() for r in (decide(e) for e in (0.03, 0.0, 0.014, -0.03, -0.012))}
    assert codes == {"improvement": 0, "equivalent": 0, "non-inferior": 0, "regression": 1, "inconclusive": 3}
    unclear = decide(-0.012)
    assert (unclear.exit_code("pass"), unclear.exit_code("fail")) == (0, 1)
    assert decide(-0.03).exit_code("pass") == 1


def test_strict_needs_a_loss_larger_than_the_margin():
    assert decide(-0.030, strict=True).label == "inconclusive"
    assert decide(-0.060, strict=True).label == "regression"
    assert close(decide(-0.030, strict=True).p_regression, stats.t.cdf(-1, 399), 1e-9)


def test_a_proven_but_small_loss_passes_and_says_so():
    r = decide(-0.010, se=0.002)
    assert (r.label, r.is_small_loss, r.is_pass) == ("equivalent", True, True)
    assert not decide(-0.03).is_small_loss


@pytest.mark.parametrize(
    ("est", "label"), [(0.01, "improvement"), (0.0, "equivalent"), (-0.01, "equivalent"), (-0.03, "regression")]
)
def test_without_spread_the_estimate_decides(est, label):
    assert decide(est, se=0.0).label == label


def test_the_integrated_t_can_decide_too():
    error = IntegratedError(v_p=1e-5, f_p=300, v_s=2e-5, f_s=2, v_e=5e-6)
    r = gate_decision(-0.1, error, 0.02)
    assert close(error.cdf(r.high - r.est), 0.95, 1e-9)
    assert r.label == "regression"


def test_a_family_passes_if_all_pass_and_calls_regressions_after_holm():
    good, clear, weak = decide(0.0, se=0.005), decide(-0.06), decide(-0.018, se=0.0105)
    assert gate_family([good, good]).label == "pass"
    one = gate_family([good, clear, weak])
    assert (one.label, one.regressions, one.exit_code()) == ("regression", (1,), 1)
    assert weak.label == "regression"
    alone_weak = gate_family([good, weak])
    assert (alone_weak.label, alone_weak.exit_code()) == ("inconclusive", 3)
    with pytest.raises(ValueError, match="no decisions"):
        gate_family([])


def test_margin_must_be_positive():
    with pytest.raises(ValueError, match="margin"):
        decide(0.1, margin=0)


def test_recorded_numbers_of_prompts():
    assert prompts_needed(0.02, 400, 0.02) == 2474
    assert prompts_needed(0.02, 400, 0.02, delta=-0.005) == 4397
    assert prompts_needed(0.02, 400, 0.02, delta=-0.02) is None


def test_more_images_help_only_with_the_image_part_of_the_variance():
    variance, v_gen, k = 4e-4, 3e-4, 2
    r = images_needed(variance, v_gen, k, 0.03)
    se = [math.sqrt(variance - (1 - k / n) * v_gen) for n in (r.n_images - 1, r.n_images)]
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    assert z * se[1] <= 0.03 < z * se[0]
    assert close(r.smallest_margin, 0.01 * z, 1e-12)
    assert images_needed(variance, v_gen, k, 0.02).n_images is None


def test_generation_variance_is_the_mean_variance_over_images():
    y = np.random.default_rng(0).random((50, 4))
    expected = sum(y[p].var(ddof=1) / 4 / 50**2 for p in range(50))
    assert close(generation_variance(y, np.zeros(50, int), [1.0]), expected, 1e-15)
    y[0, 1:] = np.nan
    assert generation_variance(y, np.zeros(50, int), [1.0]) > 0
    assert generation_variance(y[:, :1], np.zeros(50, int), [1.0]) is None


def rates(loss, n, k, n_runs, seed):
    """Shares of (regression, pass) for verdicts with a candidate that is `loss` worse, margin .02."""
    rng, labels = np.random.default_rng(seed), []
    for _ in range(n_runs):
        base = np.clip(rng.beta(0.8, 0.6, n), 0, 1)
        x, y = rng.binomial(k, np.clip(base * (1 - loss / 0.571), 0, 1)) / k, rng.binomial(k, base) / k
        d = paired_difference(x, y, np.zeros(n, int), [1.0], step=1 / k)
        labels.append(gate_decision(d.est, d.error, 0.02))
    return np.mean([r.label == "regression" for r in labels]), np.mean([r.is_pass for r in labels])


def test_error_rates_are_bounded():
    assert rates(0.0, 400, 4, 500, 1)[0] < 0.08
    assert rates(0.02, 400, 4, 500, 2)[1] < 0.08
    assert rates(0.05, 400, 4, 200, 3)[0] > 0.9
