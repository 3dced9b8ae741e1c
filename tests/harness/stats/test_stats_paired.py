"""Two checkpoints: recorded values, agreement with scipy, invariances, edge cases and McNemar's test."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, B, W, close
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from harness.stats import mcnemar, paired_difference


def numbers(r):
    return (r.est, r.se, r.df, r.low, r.high, r.p, r.n_differing)


def test_recorded_difference():
    r = paired_difference(A[0], B[0], CAT, W)
    assert close(numbers(r), (0.141666667, 0.0605402631, 2.49180704, -0.0752538147, 0.358587148, 0.118936353, 10))
    assert r.few_differences


def test_recorded_difference_of_identical_checkpoints():
    r = paired_difference(A[0], A[0], CAT, W, step=1)
    assert close(numbers(r), (0, 0.14404027, 7, -0.340601116, 0.340601116, 1, 0))
    assert r.few_differences


def test_recorded_difference_of_verdicts():
    i = np.arange(60)
    x, y = (i <= 24).astype(float), (((i >= 12) & (i <= 29)) | (i >= 55)).astype(float)
    r = paired_difference(x, y, np.zeros(60, int), [1.0])
    assert close(numbers(r), (0.0333333333, 0.0787137655, 59, -0.124172548, 0.190839214, 0.673488338, 22 + 0))
    assert not r.few_differences
    assert (r.n_better, r.n_worse, r.n_prompts) == (12, 10, 60)


def test_many_differing_prompts_of_one_category_give_the_paired_t_test():
    rng = np.random.default_rng(2)
    x, y = rng.random(80), rng.random(80)
    r, ref = paired_difference(x, y, np.zeros(80, int), [1.0]), stats.ttest_rel(x, y)
    ci = ref.confidence_interval(0.95)
    assert close((r.p, r.low, r.high, r.df), (ref.pvalue, ci.low, ci.high, ref.df), 1e-9)
    assert r.reason == ""


def slow_difference(x, y, den_x, den_y, cat, w, step):
    """The contract written out with loops."""
    n = len(x)

    def parts(a, b):
        ok = [b[p] > 0 and a[p] == a[p] for p in range(n)]
        theta, psi = 0.0, [0.0] * n
        for g in range(len(w)):
            members = [p for p in range(n) if cat[p] == g and ok[p]]
            total = sum(b[p] for p in members)
            ratio = sum(a[p] for p in members) / total
            theta += w[g] * ratio
            for p in members:
                psi[p] = w[g] * (a[p] - ratio * b[p]) / total
        return ok, theta, psi

    ok_x, theta_x, psi_x = parts(x, den_x)
    ok_y, theta_y, psi_y = parts(y, den_y)
    v, below = 0.0, 0.0
    for g in range(len(w)):
        d = [psi_x[p] - psi_y[p] for p in range(n) if cat[p] == g and (ok_x[p] or ok_y[p])]
        mean = sum(d) / len(d)
        v_g = len(d) / (len(d) - 1) * sum((z - mean) ** 2 for z in d)
        v, below = v + v_g, below + v_g**2 / (len(d) - 1)
    df = v**2 / below
    both = [p for p in range(n) if ok_x[p] and ok_y[p]]
    diffs = [abs(x[p] / den_x[p] - y[p] / den_y[p]) for p in both]
    if sum(z > 0 for z in diffs) < 20:
        n0 = 1 / sum(w[g] ** 2 / sum(cat[p] == g for p in both) for g in range(len(w)))
        v += 2 * ((max(diffs) or step) / n0) ** 2
    half = stats.t.ppf(0.975, df) * math.sqrt(v)
    est = theta_x - theta_y
    return est, math.sqrt(v), est - half, est + half


@pytest.mark.parametrize("n_prompts", [18, 120])
def test_equals_the_literal_formulas(n_prompts):
    rng = np.random.default_rng(11)
    den_x, den_y = (rng.integers(1, 5, n_prompts).astype(float) for _ in range(2))
    x, y = (rng.binomial(d.astype(int), p).astype(float) for d, p in ((den_x, 0.7), (den_y, 0.5)))
    x[0], y[1], den_x[2], den_y[2] = np.nan, np.nan, 0, 0
    cat = np.arange(n_prompts) % 3
    w = [0.5, 0.3, 0.2]
    r = paired_difference(x, y, cat, w, den_x=den_x, den_y=den_y)
    assert close((r.est, r.se, r.low, r.high), slow_difference(x, y, den_x, den_y, cat, w, 1.0), 1e-12)


@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.9]))
@settings(max_examples=30, deadline=None)
def test_swapping_negates_and_order_names_and_scale_do_not_matter(seed, change):
    rng = np.random.default_rng(seed)
    cat = rng.permutation(np.repeat([0, 1, 2], [5, 12, 20]))
    x = np.round(rng.random(37), 2)
    y = np.where(rng.random(37) < change, np.round(rng.random(37), 2), x)
    w, order, names = np.array([0.2, 0.3, 0.5]), rng.permutation(37), np.array([2, 0, 1])
    base = paired_difference(x, y, cat, w)
    swapped = paired_difference(y, x, cat, w)
    moved = paired_difference(x[order], y[order], names[cat[order]], w[np.argsort(names)])
    scaled = paired_difference(5 * x, 5 * y, cat, w, step=5)
    assert close((swapped.est, swapped.low, swapped.high, swapped.p), (-base.est, -base.high, -base.low, base.p), 1e-12)
    assert close(numbers(moved), numbers(base), 1e-12)
    assert close((scaled.est, scaled.low, scaled.high), 5 * np.array([base.est, base.low, base.high]), 1e-11)


def test_the_estimate_is_the_difference_of_the_headlines_with_missing_prompts_too():
    r = paired_difference(A_MISSING[0], B[0], CAT, W)
    theta_x = np.mean([np.nanmean(A_MISSING[0][g == CAT]) for g in range(3)])
    theta_y = np.mean([B[0][g == CAT].mean() for g in range(3)])
    assert close(r.est, theta_x - theta_y, 1e-12)
    assert r.n_prompts == 9


def test_a_ratio_divides_by_each_sides_own_denominators():
    r = paired_difference(CORRECT, 2 * CORRECT, CAT, W, den_x=QUESTIONS, den_y=2 * QUESTIONS)
    assert (r.est, r.n_differing, r.p) == (0, 0, 1)


def test_scores_that_differ_only_by_rounding_do_not_count_as_different():
    x = np.full(30, 0.1 + 0.2)
    assert paired_difference(x, np.full(30, 0.3), np.zeros(30, int), [1.0]).n_differing == 0


def test_a_shift_of_every_prompt_by_the_same_amount_has_no_p_value():
    x = np.linspace(0.1, 0.5, 30)
    r = paired_difference(x + 0.3, x, np.zeros(30, int), [1.0])
    assert (r.se, r.p, r.reason) == (0, None, "no variation over prompts")
    assert close((r.low, r.high), (0.3, 0.3))


def test_empty_and_unpaired_categories_give_reasons():
    nothing = paired_difference(np.full(10, np.nan), B[0], CAT, W)
    assert (nothing.est, nothing.p, nothing.reason) == (None, None, "no valid prompt")
    x, y = A[0].copy(), B[0].copy()
    x[[7]], y[[8, 9]] = np.nan, np.nan
    r = paired_difference(x, y, CAT, W)
    assert r.est is not None
    assert (r.low, r.reason) == (None, "a category has no prompt that is valid on both sides")
    single = paired_difference([0.2, 0.7], [0.1, 0.7], [0, 1], [0.5, 0.5])
    assert close(single.est, 0.05)
    assert (single.low, single.p, single.reason) == (None, None, "one prompt per category")


def test_a_step_must_be_positive():
    with pytest.raises(ValueError, match="step"):
        paired_difference(A[0], B[0], CAT, W, step=0)


def test_recorded_mcnemar():
    r = mcnemar(13, 5)
    assert close((r.p, r.p_mid), (0.0962524414, 0.0635681152))


@pytest.mark.parametrize(("b", "c"), [(0, 1), (0, 9), (7, 7), (30, 12), (400, 350)])
def test_mcnemar_agrees_with_statsmodels(b, c):
    assert close(mcnemar(b, c).p, sm_mcnemar([[0, b], [c, 0]], exact=True).pvalue, 1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 30])
def test_mid_p_averages_one_half_under_the_null(n):
    mean = sum(stats.binom.pmf(b, n, 0.5) * mcnemar(b, n - b).p_mid for b in range(n + 1))
    assert close(mean, 0.5, 1e-12)


def test_mcnemar_without_discordant_prompts_is_one():
    assert (mcnemar(0, 0).p, mcnemar(0, 0).p_mid) == (1, 1)
    with pytest.raises(ValueError, match="counts"):
        mcnemar(-1, 2)


def _coverage(n_runs, n, p_x, p_y, seed):
    rng, truth, hits = np.random.default_rng(seed), p_x - p_y, 0
    for _ in range(n_runs):
        u = rng.random(n)
        x, y = (u < p_x).astype(float), ((u >= p_x) & (u < p_x + p_y)).astype(float)
        r = paired_difference(x, y, np.zeros(n, int), [1.0])
        hits += r.low <= truth <= r.high
    return hits / n_runs


def test_coverage_is_near_nominal_on_800_simulated_pairs():
    assert 0.93 < _coverage(800, 550, 0.10, 0.10, 3) < 0.975
    assert _coverage(800, 550, 0.01, 0.0, 4) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "p_x", "p_y", "expected"), [(550, 0.10, 0.10, 0.955), (550, 0.01, 0.0, 0.973), (60, 0.15, 0.05, 0.967)]
)
def test_coverage_equals_the_tabulated_one(n, p_x, p_y, expected):
    assert abs(_coverage(10_000, n, p_x, p_y, 5) - expected) < 0.01
