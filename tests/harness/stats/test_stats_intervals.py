"""One checkpoint's interval: recorded values, a literal second route, invariances and edge cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, W, close
from statsmodels.stats.proportion import proportion_confint

from harness.stats import influence_values, kish_size, prompt_variance, score_interval

GOLDEN = {
    "mean of prompts": (
        (A[0], CAT, W, None),
        (0.702777778, 0.0903098234, 4.20734936, 9.81818182, 8, 0.344230199, 0.914167846),
    ),
    "pooled ratio": (
        (CORRECT, CAT, W, QUESTIONS),
        (0.684343434, 0.0963829465, 5.12583806, 9.81818182, 7, 0.329604591, 0.905302723),
    ),
    "all right": ((np.ones(10), CAT, W, None), (1, 0, 7, 9.81818182, 0, 0.637145865, 1)),
    "a category of one prompt": (
        (A[0, :8], CAT[:8], W, None),
        (0.791666667, 0.088897569, 9.14288873, 5.68421053, 6, 0.298354732, 0.971394869),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_intervals(name):
    (a, cat, w, den), expected = GOLDEN[name]
    r = score_interval(a, cat, w, den=den)
    assert close((r.theta, r.se, r.df, r.n0, r.m, r.low, r.high), expected)
    assert r.few_informative
    assert r.reason == ""


def test_recorded_interval_on_a_scale_of_0_to_10():
    a = np.tile([0.0, 2, 5, 7, 9, 10], 10)
    r = score_interval(a, (np.arange(60) >= 24).astype(int), [0.5, 0.5], lo=0, hi=10)
    assert close(
        (r.theta, r.se, r.df, r.n0, r.m, r.low, r.high),
        (5.5, 0.482348894, 49.199157, 57.6, 50, 4.53020938, 6.43322369),
    )
    assert not r.few_informative


def slow_interval(a, cat, w, den, lo, hi):
    """The contract written out with loops; categories of one prompt excluded by the caller."""
    groups = [[p for p in range(len(a)) if cat[p] == g and den[p] > 0 and a[p] == a[p]] for g in range(len(w))]
    theta, v, v_sq, n_all = 0.0, 0.0, 0.0, 0
    for g, members in enumerate(groups):
        b = sum(den[p] for p in members)
        ratio = sum(a[p] for p in members) / b
        theta += w[g] * ratio
        psi = [w[g] * (a[p] - ratio * den[p]) / b for p in members]
        n = len(members)
        mean = sum(psi) / n
        v_g = n / (n - 1) * sum((x - mean) ** 2 for x in psi)
        v, v_sq, n_all = v + v_g, v_sq + v_g**2 / (n - 1), n_all + n
    q, v = (theta - lo) / (hi - lo), v / (hi - lo) ** 2
    df = v**2 / (v_sq / (hi - lo) ** 4)
    n_e = q * (1 - q) / v
    bound = hi if theta > (lo + hi) / 2 else lo
    if sum(a[p] / den[p] != bound for members in groups for p in members) < 20:
        n_e = min(n_e, 1 / sum(w[g] ** 2 / len(members) for g, members in enumerate(groups)))
        df = n_all - len(w)
    t = stats.t.ppf(0.975, df)
    centre = (q + t**2 / (2 * n_e)) / (1 + t**2 / n_e)
    half = t / (1 + t**2 / n_e) * math.sqrt(q * (1 - q) / n_e + t**2 / (4 * n_e**2))
    return theta, lo + (hi - lo) * (centre - half), lo + (hi - lo) * (centre + half)


@pytest.mark.parametrize("n_prompts", [14, 90])
def test_equals_the_literal_formulas(n_prompts):
    rng = np.random.default_rng(3)
    den = rng.integers(1, 6, n_prompts).astype(float)
    a = rng.binomial(den.astype(int), 0.6).astype(float)
    a[5], den[6] = np.nan, 0
    cat = np.arange(n_prompts) % 3
    w = [0.5, 0.3, 0.2]
    r = score_interval(a, cat, w, den=den)
    assert close((r.theta, r.low, r.high), slow_interval(a, cat, w, den, 0, 1), 1e-12)


def test_binary_verdicts_of_one_category_give_wilson_with_a_t_quantile():
    x = np.repeat([1.0, 0.0], [60, 40])
    r = score_interval(x, np.zeros(100, int), [1.0])
    n_e = 99.0  # q(1-q) / (s^2/n) with ddof 1
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, 99))
    assert close((r.low, r.high), proportion_confint(0.6 * n_e, n_e, alpha=alpha, method="wilson"), 1e-9)


def test_an_unbounded_scale_gives_the_t_interval_of_scipy():
    x = np.random.default_rng(0).normal(3, 2, 40)
    r = score_interval(x, np.zeros(40, int), [1.0], lo=-math.inf, hi=math.inf)
    assert close((r.low, r.high), stats.t.interval(0.95, 39, x.mean(), stats.sem(x)), 1e-9)
    assert r.method == "stratified t"


def test_a_perfect_score_on_553_prompts_has_a_lower_limit_near_0993():
    r = score_interval(np.ones(553), np.zeros(553, int), [1.0])
    assert 0.992 < r.low < 0.994
    assert r.high == 1


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_order_of_prompts_names_of_categories_and_scale_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    cat = rng.permutation(np.repeat([0, 1, 2], [5, 12, 20]))
    a = np.round(rng.random(37), 2)
    w = np.array([0.2, 0.3, 0.5])
    order, names = rng.permutation(37), np.array([2, 0, 1])
    base = score_interval(a, cat, w)
    shuffled = score_interval(a[order], names[cat[order]], w[np.argsort(names)])
    scaled = score_interval(7 * a, cat, w, hi=7)
    assert close(
        (shuffled.theta, shuffled.low, shuffled.high, shuffled.df), (base.theta, base.low, base.high, base.df), 1e-12
    )
    assert close((scaled.theta, scaled.low, scaled.high), 7 * np.array([base.theta, base.low, base.high]), 1e-11)
    assert 0 <= base.low <= base.theta <= base.high <= 1


def test_swapping_zero_and_one_mirrors_the_interval():
    a = np.random.default_rng(1).integers(0, 2, 50).astype(float)
    r, mirrored = score_interval(a, np.zeros(50, int), [1.0]), score_interval(1 - a, np.zeros(50, int), [1.0])
    assert close((mirrored.low, mirrored.high), (1 - r.high, 1 - r.low), 1e-12)


def test_missing_prompts_equal_removed_prompts():
    keep = np.isfinite(A_MISSING[0])
    r, removed = score_interval(A_MISSING[0], CAT, W), score_interval(A_MISSING[0][keep], CAT[keep], W)
    assert r == removed
    assert r.n_prompts == 9


def test_everything_missing_gives_a_reason_and_no_numbers():
    r = score_interval(np.full(10, np.nan), CAT, W)
    assert (r.theta, r.se, r.df, r.low, r.high, r.n_prompts) == (None, None, None, None, None, 0)
    assert r.reason == "no valid prompt"


def test_an_empty_category_with_weight_is_named():
    r = score_interval(A[0, :7], CAT[:7], W)
    assert r.theta is None
    assert r.reason == "no valid prompt in categories 2"
    renormalised = score_interval(A[0, :7], CAT[:7], [0.5, 0.5, 0.0])
    assert renormalised.low is not None


def test_one_prompt_per_category_has_an_estimate_without_limits():
    r = score_interval([0.2, 0.7], [0, 1], [0.5, 0.5])
    assert close(r.theta, 0.45)
    assert (r.se, r.low, r.high, r.reason) == (None, None, None, "one prompt per category")


def test_equal_middling_scores_leave_no_rounding_noise_in_the_variance():
    r = score_interval(np.full(30, 0.1), np.zeros(30, int), [1.0])
    assert r.se == 0
    assert close((r.low, r.high), (0.1, 0.1))
    at_bound = score_interval(np.full(30, 0.3), np.zeros(30, int), [1.0], hi=0.3)
    assert 0.2 < at_bound.low < 0.3
    assert close(at_bound.high, 0.3, 1e-12)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"a": [0.5, 1.5]}, "outside their range"),
        ({"weights": [0.7, 0.7]}, "sum to 1.4"),
        ({"cat": [0, 2]}, "0..1"),
        ({"den": [1, -1]}, "negative"),
        ({"a": [0.5]}, "expected"),
        ({"a": [[0.5, 0.5]]}, "one checkpoint"),
    ],
)
def test_wrong_input_is_named(kwargs, message):
    args = {"a": [0.5, 0.5], "cat": [0, 1], "weights": [0.5, 0.5]} | kwargs
    with pytest.raises(ValueError, match=message):
        score_interval(**args)


def test_a_stack_of_checkpoints_gives_each_ones_own_values():
    stack = influence_values(A_MISSING, CAT, W)
    for s in range(4):
        one = influence_values(A_MISSING[s], CAT, W)
        assert close(stack.psi[s], one.psi, 1e-15)
        assert close(stack.theta[s], one.theta, 1e-15)
    assert close(stack.psi.sum(axis=1), 0, 1e-15)
    assert stack.psi[0, 3] == 0


def test_influence_values_predict_the_effect_of_reweighting_a_prompt():
    eps, inf = 1e-6, influence_values(CORRECT, CAT, W, QUESTIONS)
    for p in range(10):
        bump = np.ones(10)
        bump[p] += eps
        moved = influence_values(CORRECT * bump, CAT, W, QUESTIONS * bump)
        assert close((moved.theta - inf.theta) / eps, inf.psi[p], 1e-6)


def test_kernel_of_one_category_of_means_is_the_squared_standard_error():
    x = np.random.default_rng(5).random(25)
    inf = influence_values(x, np.zeros(25, int), [1.0])
    k = prompt_variance(inf.psi, inf.valid, inf.cat, inf.weights)
    assert close((k.variance, k.df), (stats.sem(x) ** 2, 24), 1e-12)


def test_kish_size_of_equal_weights_is_the_number_of_prompts():
    assert close(kish_size(np.ones(12, bool), np.arange(12) % 3, W), 12, 1e-12)
    assert kish_size(np.zeros(3, bool), [0, 1, 2], W) == 0


def _coverage(n_runs, seed):
    """Share of intervals that contain the truth: 6 categories, 4 images per prompt, probit prompt effects."""
    rng = np.random.default_rng(seed)
    sizes = [80, 99, 80, 94, 100, 100]
    cat, w = np.repeat(np.arange(6), sizes), np.full(6, 1 / 6)
    base = np.array([1.6, 0.9, 0.3, 0.7, -0.7, -0.3])
    spread = 1.0
    truth = float(stats.norm.cdf(base / math.sqrt(1 + spread**2)).mean())
    hits = 0
    for _ in range(n_runs):
        prob = stats.norm.cdf(base[cat] + spread * rng.normal(size=len(cat)))
        r = score_interval(rng.binomial(4, prob) / 4, cat, w)
        hits += r.low <= truth <= r.high
    return hits / n_runs


def test_coverage_is_near_nominal_on_600_simulated_runs():
    assert 0.925 < _coverage(600, 7) < 0.975


@pytest.mark.slow
def test_coverage_is_nominal_on_10000_simulated_runs():
    assert 0.944 < _coverage(10_000, 8) < 0.958
