"""Conditions with training seeds: recorded values, a literal second route, Welch's test, invariances, coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, B, W, close
from stats_simulation import SETTINGS, coverage, simulated_arms

from harness.stats import (
    IntegratedError,
    SeedVariance,
    StudentError,
    condition_difference,
    influence_values,
    paired_difference,
    pooled_seed_variance,
)

# est, se, df, low, high, p, V_P, V_S, V_E, seed sds
GOLDEN = {
    "Satterthwaite t": (
        (A, B, {}),
        (0.134027778, 0.0214079701, 2, 0.0419167169, 0.226138839, 0.0245763647),
        (0.000280832047, 0.000928980195, 0.00075151106),
        (0.0431525193, 0),
    ),
    "Satterthwaite t, missing scores": (
        (A_MISSING, B, {}),
        (0.147222222, 0.0310564997, 2, 0.0135968891, 0.280847555, 0.0417338857),
        (0.00041087963, 0.00157278807, 0.00101916152),
        (0.0580238705, 0),
    ),
    "integrated t": (
        (A, B[:1], {}),
        (0.125694444, 0.0405304178, None, -0.0639204757, 0.315309365, 0.106283842),
        (0.00117717978, 0.000725790895, 0.000260255916),
        (0.0431525193,),
    ),
    "integrated t, paired seeds": (
        (A[:3], B, {"paired_seeds": True}),
        (0.150925926, 0.015072982, None, 0.0814541681, 0.220397684, 0.014680109),
        (0.000227194787, 0.000278635117, 0.000957647462),
        (0,),
    ),
    "prompts only": (
        (A[:1], B[:1], {}),
        (0.141666667, 0.0424009376, 2.49180704, -0.0102591974, 0.293592531, 0.0581248125),
        (0.00179783951, 0, 0),
        (),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_differences(name):
    (x, y, options), (est, se, df, low, high, p), moments, seed_sd = GOLDEN[name]
    r = condition_difference(x, y, CAT, W, **options)
    tol = 1e-5 if name.startswith("integrated") else 1e-6
    assert close((r.est, r.se, r.low, r.high, r.p), (est, se, low, high, p), tol)
    assert df is None if r.df is None else close(r.df, df)
    assert close((r.v_p, r.v_s, r.v_e), moments, 1e-9)
    assert close(r.seed_sd, seed_sd)
    assert r.method == name.split(",")[0]
    assert r.claim == ("these checkpoints" if name == "prompts only" else "new seeds, new prompts")
    assert r.reason == ""


def slow_moments(x, y, cat, w):
    """V_P, f_P, V_S, [f_c], V_E, [f_E,c] written out with loops; means of prompts, NaN for missing."""
    n, groups = len(cat), range(len(w))

    def seed_psi(row):
        theta, psi = 0.0, [0.0] * n
        for g in groups:
            members = [p for p in range(n) if cat[p] == g and row[p] == row[p]]
            mean = sum(row[p] for p in members) / len(members)
            theta += w[g] * mean
            for p in members:
                psi[p] = w[g] * (row[p] - mean) / len(members)
        return theta, psi

    def kernel(d, used):
        v = below = 0.0
        for g in groups:
            values = [d[p] for p in used if cat[p] == g]
            mean = sum(values) / len(values)
            v_g = len(values) / (len(values) - 1) * sum((z - mean) ** 2 for z in values)
            v, below = v + v_g, below + v_g**2 / (len(values) - 1)
        return v, v**2 / below

    arms = [[seed_psi(row) for row in arm] for arm in (x, y)]
    means = [[sum(psi[p] for _, psi in arm) / len(arm) for p in range(n)] for arm in arms]
    used = [p for p in range(n) if any(row[p] == row[p] for arm in (x, y) for row in arm)]
    v_p, f_p = kernel([means[0][p] - means[1][p] for p in range(n)], used)
    v_s, f_s, v_e, f_e = [], [], [], []
    for arm, mean, raw in zip(arms, means, (x, y), strict=True):
        s = len(arm)
        if s < 2:
            continue
        centre = sum(theta for theta, _ in arm) / s
        v_s.append(sum((theta - centre) ** 2 for theta, _ in arm) / (s - 1) / s)
        f_s.append(s - 1)
        total = below = 0.0
        for g in groups:
            members = [p for p in range(n) if cat[p] == g and any(row[p] == row[p] for row in raw)]
            ss = 0.0
            for _, psi in arm:
                r = [psi[p] - mean[p] for p in members]
                ss += sum((z - sum(r) / len(r)) ** 2 for z in r)
            v_g = len(members) / (len(members) - 1) * ss / (s * (s - 1))
            total, below = total + v_g, below + v_g**2 / ((s - 1) * (len(members) - 1))
        v_e.append(total)
        f_e.append(total**2 / below)
    return v_p, f_p, v_s, f_s, v_e, f_e


@pytest.mark.parametrize("n_seeds", [(3, 4), (5, 1)])
def test_equals_the_literal_formulas(n_seeds):
    rng = np.random.default_rng(17)
    cat, w = np.arange(40) % 3, np.array([0.5, 0.3, 0.2])
    prompt = rng.normal(0, 0.1, 40)
    x, y = (0.5 + prompt + rng.normal(0, 0.05, (s, 1)) + rng.normal(0, 0.1, (s, 40)) for s in n_seeds)
    x[0, 3] = x[:, 7] = np.nan
    r = condition_difference(x, y, cat, w)
    v_p, f_p, v_s, f_s, v_e, f_e = slow_moments(x.tolist(), y.tolist(), cat, w)
    v = max(v_p, v_p + sum(v_s) - sum(v_e))
    assert close((r.v_p, r.f_p, r.v_s, r.v_e, r.se**2), (v_p, f_p, sum(v_s), sum(v_e), v), 1e-12)
    if len(f_s) == 2:
        terms, dfs = [v_p, *v_s, *v_e], [f_p, *f_s, *f_e]
        df = max(min(f_p, *f_s), v**2 / sum(t**2 / f for t, f in zip(terms, dfs, strict=True)))
        assert close(r.df, df, 1e-10)
        assert close(r.p, 2 * stats.t.sf(abs(r.est) / math.sqrt(v), df), 1e-12)
    else:
        c = [stats.chi2.ppf((i + 0.5) / 4000, f_s[0]) / f_s[0] for i in range(0, 4000)]
        v_i = [v_p + max(0.0, v_s[0] / z - v_e[0]) for z in c]
        p = 2 * np.mean([stats.t.sf(abs(r.est) / math.sqrt(z), f_p) for z in v_i])
        assert close(r.p, p, 1e-10)


def test_fixed_prompts_give_welchs_test():
    theta = [influence_values(arm, CAT, W).theta for arm in (A, B)]
    r, ref = condition_difference(A, B, CAT, W, prompts="fixed"), stats.ttest_ind(*theta, equal_var=False)
    ci = ref.confidence_interval(0.95)
    assert close((r.p, r.df, r.low, r.high), (ref.pvalue, ref.df, ci.low, ci.high), 1e-9)
    assert (r.method, r.claim, r.v_p, r.seed_share) == ("Welch t", "new seeds, these prompts", None, 1.0)


def test_fixed_prompts_against_one_checkpoint_or_with_paired_seeds_give_the_one_sample_t_test():
    x, y = (influence_values(arm, CAT, W).theta for arm in (A, B))
    single = condition_difference(A, B[:1], CAT, W, prompts="fixed")
    assert close(single.p, stats.ttest_1samp(x, y[0]).pvalue, 1e-9)
    paired = condition_difference(A[:3], B, CAT, W, prompts="fixed", paired_seeds=True)
    assert close(paired.p, stats.ttest_rel(x[:3], y).pvalue, 1e-9)
    assert paired.method == "t over seeds"
    neither = condition_difference(A[:1], B[:1], CAT, W, prompts="fixed")
    assert (neither.p, neither.reason) == (None, "one seed in each arm")


def scenario(seed, n_x=3, n_y=4):
    rng = np.random.default_rng(seed)
    cat = rng.permutation(np.repeat([0, 1, 2], [4, 9, 14]))
    prompt = rng.random(27)
    x, y = (np.round(0.7 * prompt + 0.3 * rng.random((s, 27)), 2) for s in (n_x, n_y))
    return x, y, cat, np.array([0.2, 0.3, 0.5]), rng


def numbers(r):
    return (r.est, r.se, r.low, r.high, r.p, r.v_p, r.v_s, r.v_e)


@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
@settings(max_examples=15, deadline=None)
def test_order_names_and_scale_do_not_matter_and_swapping_negates(seed, n_y):
    x, y, cat, w, rng = scenario(seed, n_y=n_y)
    base = condition_difference(x, y, cat, w)
    order, names = rng.permutation(27), np.array([2, 0, 1])
    moved = condition_difference(x[::-1][:, order], y[:, order], names[cat[order]], w[np.argsort(names)])
    swapped = condition_difference(y, x, cat, w)
    scaled = condition_difference(10 * x, 10 * y, cat, w)
    assert close(numbers(moved), numbers(base), 1e-10)
    assert close((swapped.est, swapped.low, swapped.high, swapped.p), (-base.est, -base.high, -base.low, base.p), 1e-10)
    assert close((scaled.est, scaled.low, scaled.high), 10 * np.array([base.est, base.low, base.high]), 1e-9)
    assert close(scaled.p, base.p, 1e-9)


def test_ratio_headlines_use_each_seeds_own_denominators():
    right = np.stack([CORRECT, CORRECT * 0.5, CORRECT])
    asked = np.stack([QUESTIONS, QUESTIONS * 0.5, QUESTIONS])
    r = condition_difference(right, right, CAT, W, den_x=asked, den_y=asked)
    assert close(r.theta_x, 0.684343434)
    assert (r.est, r.v_s, r.v_e, r.p, r.no_variation) == (0, 0, 0, 1, True)


def test_without_any_variation_an_estimate_other_than_zero_has_no_p():
    x, y = np.full((3, 10), 0.75), np.full((4, 10), 0.5)
    for rows in (y, y[:1]):
        r = condition_difference(x, rows, CAT, W)
        assert (r.est, r.low, r.high, r.p, r.no_variation) == (0.25, 0.25, 0.25, None, True)
        assert r.reason == "no variation over seeds and prompts"
    assert condition_difference(x, x, CAT, W).p == 1


def test_equal_seeds_leave_only_the_prompt_variance():
    r = condition_difference(np.tile(A[:1], (4, 1)), np.tile(B[:1], (3, 1)), CAT, W)
    prompts_only = condition_difference(A[:1], B[:1], CAT, W)
    assert close((r.v_s, r.v_e, r.se, r.df), (0, 0, prompts_only.se, prompts_only.df), 1e-12)
    against_base = condition_difference(np.tile(A[:1], (4, 1)), B[:1], CAT, W)
    assert close((against_base.low, against_base.p), (prompts_only.low, prompts_only.p), 1e-10)


def test_two_single_checkpoints_agree_with_the_paired_difference_once_many_prompts_differ():
    x, y = np.random.default_rng(1).random((2, 1, 60))
    cat = np.arange(60) % 3
    r, ref = condition_difference(x, y, cat, W), paired_difference(x[0], y[0], cat, W)
    assert close((r.est, r.se, r.df, r.p), (ref.est, ref.se, ref.df, ref.p), 1e-12)


def test_a_borrowed_seed_variance_widens_the_interval_of_a_single_seed():
    pooled = pooled_seed_variance([[0.5, 0.56, 0.53], [0.6], [0.4, 0.44]])
    assert close(pooled.variance, (2 * np.var([0.5, 0.56, 0.53], ddof=1) + np.var([0.4, 0.44], ddof=1)) / 3, 1e-12)
    assert (pooled.df, pooled.n_arms) == (3, 2)
    plain = condition_difference(A[:1], B[:1], CAT, W)
    r = condition_difference(A[:1], B[:1], CAT, W, borrow_seed_sd=pooled)
    assert (r.method, r.claim, r.borrowed) == ("integrated t", "new seeds, new prompts", pooled)
    assert close(r.se**2, plain.se**2 + pooled.variance, 1e-12)
    assert r.high - r.low > plain.high - plain.low
    both = condition_difference(A[:1], B[:1], CAT, W, borrow_seed_sd=pooled, borrow_for="both")
    assert close(both.se**2, plain.se**2 + 2 * pooled.variance, 1e-12)
    beside_seeds = condition_difference(A[:1], B, CAT, W, borrow_seed_sd=pooled)
    assert beside_seeds.method == "Satterthwaite t"
    assert beside_seeds.f_s == (3, 2)


def test_no_arm_with_two_seeds_gives_no_pooled_variance():
    assert pooled_seed_variance([[0.5], [0.6]]) is None


def test_an_empty_category_in_one_seed_is_named():
    y = B.copy()
    y[1, 7:] = np.nan
    r = condition_difference(A, y, CAT, W)
    assert (r.est, r.p) == (None, None)
    assert r.reason == "y, row 1: no valid prompt in categories 2"
    assert condition_difference(A * np.nan, B, CAT, W).reason == "x, row 0: no valid prompt"


def test_categories_of_one_prompt():
    one_each = condition_difference(A[:, :2], B[:, :2], [0, 1], [0.5, 0.5])
    assert one_each.est is not None
    assert (one_each.p, one_each.reason) == (None, "one prompt per category")
    last = condition_difference(A[:, :8], B[:, :8], CAT[:8], W)
    first_two = [condition_difference(A[:, :7], B[:, :7], CAT[:7], [0.5, 0.5, 0])]
    assert close(last.v_e, first_two[0].v_e * (2 / 3) ** 2, 1e-12)  # the single prompt adds nothing to V_E


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((A[0], B), {}, "one row per training seed"),
        ((A, B), {"paired_seeds": True}, "as many rows"),
        ((B, B), {"paired_seeds": True, "borrow_seed_sd": SeedVariance(variance=0.1, df=2, n_arms=1)}, "borrow"),
    ],
)
def test_wrong_input_is_named(args, options, message):
    with pytest.raises(ValueError, match=message):
        condition_difference(*args, CAT, W, **options)


def test_quantile_inverts_the_integrated_distribution():
    error = IntegratedError(v_p=1e-4, f_p=40, v_s=3e-4, f_s=2, v_e=1e-4)
    for prob in (0.6, 0.95, 0.975, 0.999):
        assert close(error.cdf(error.quantile(prob)), prob, 1e-10)
        assert close(error.quantile(1 - prob), -error.quantile(prob), 1e-12)
    assert close(error.cdf(0), 0.5, 1e-15)


def test_integrated_t_with_many_seeds_is_the_satterthwaite_t():
    many = IntegratedError(v_p=1e-4, f_p=1e6, v_s=3e-4, f_s=1e5, v_e=1e-4)
    assert close(many.quantile(0.975), 1.959964 * math.sqrt(3e-4), 2e-6)


def test_an_error_without_spread_is_a_step():
    error = StudentError(se=0.0, df=3.0)
    assert [error.cdf(x) for x in (-1e-9, 0, 1e-9)] == [0, 0.5, 1]
    assert error.quantile(0.99) == 0


def test_coverage_is_near_nominal_on_simulated_conditions():
    assert 0.92 <= coverage(SETTINGS["06 geneval k4 S5 sd.1"], 400, 1) <= 0.98
    assert 0.94 <= coverage(SETTINGS["18 base vs S3 sd.03"], 300, 2) <= 0.995


def test_prompts_alone_would_not_cover():
    rng, w, hits = np.random.default_rng(3), np.full(6, 1 / 6), 0
    for _ in range(200):
        (x, y), _, cat, truth = simulated_arms(SETTINGS["06 geneval k4 S5 sd.1"], rng)
        r = paired_difference(x.mean(axis=0), y.mean(axis=0), cat, w)
        hits += r.low <= truth <= r.high
    assert hits / 200 < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_coverage_of_the_acceptance_settings(name):
    setting = SETTINGS[name]
    low, high = (0.94, 0.96) if setting.s_x >= 10 else (0.93, 0.98)
    assert low - 0.006 <= coverage(setting, 5000, 20) <= high + 0.006  # two standard errors of 5000 runs
