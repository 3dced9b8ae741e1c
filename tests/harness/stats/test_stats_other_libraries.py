"""Where a problem coincides with one that scipy or statsmodels solves, the numbers are theirs."""

import numpy as np
import pytest
from scipy import stats
from stats_golden import close
from statsmodels.stats.inter_rater import cohens_kappa as sm_kappa
from statsmodels.stats.weightstats import ttost_paired

from harness.stats import (
    cohens_kappa,
    condition_difference,
    gate_decision,
    imbens_manski,
    paired_difference,
    pooled_seed_variance,
    score_interval,
    sign_flip,
    smallest_detectable_effect,
    spearman,
)

ONE = np.zeros(60, int)


@pytest.fixture
def pair():
    rng = np.random.default_rng(21)
    shared = rng.random(60)
    return 0.6 * shared + 0.4 * rng.random(60), 0.6 * shared + 0.4 * rng.random(60)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_paired_difference_at_any_level_is_the_paired_t_test(pair, level):
    r, ref = paired_difference(*pair, ONE, [1.0], level=level), stats.ttest_rel(*pair)
    ci = ref.confidence_interval(level)
    assert close((r.est, r.p, r.df, r.low, r.high), (np.mean(pair[0] - pair[1]), ref.pvalue, 59, ci.low, ci.high), 1e-9)


def test_the_gate_is_the_two_one_sided_tests_of_statsmodels(pair):
    d = paired_difference(*pair, ONE, [1.0])
    r = gate_decision(d.est, d.error, 0.06)
    p, (_, p_lower, _), (_, p_upper, _) = ttost_paired(*pair, -0.06, 0.06)
    assert close((r.p_tost, r.p_noninferior, max(p_lower, p_upper)), (p, p_lower, p), 1e-9)
    assert close(r.p_regression, stats.ttest_rel(*pair, alternative="less").pvalue, 1e-9)


def test_the_90_percent_interval_of_the_gate_is_the_one_of_scipy(pair):
    d = paired_difference(*pair, ONE, [1.0])
    r, ci = gate_decision(d.est, d.error, 0.02), stats.ttest_rel(*pair).confidence_interval(0.9)
    assert close((r.low, r.high), (ci.low, ci.high), 1e-9)


def test_two_single_seeds_are_the_paired_t_test(pair):
    r = condition_difference(pair[0][None], pair[1][None], ONE, [1.0])
    assert close(r.p, stats.ttest_rel(*pair).pvalue, 1e-9)


@pytest.mark.parametrize("sizes", [(3, 3), (5, 10), (10, 4)])
def test_fixed_prompts_of_one_category_are_welchs_test_of_seed_means(sizes):
    rng = np.random.default_rng(22)
    x, y = (rng.random((s, 60)) + 0.1 * rng.normal(size=(s, 1)) for s in sizes)
    r = condition_difference(x, y, ONE, [1.0], prompts="fixed")
    ref = stats.ttest_ind(x.mean(axis=1), y.mean(axis=1), equal_var=False)
    ci = ref.confidence_interval(0.95)
    assert close((r.p, r.df, r.low, r.high), (ref.pvalue, ref.df, ci.low, ci.high), 1e-9)


def test_pooled_seed_variance_is_the_within_groups_mean_square():
    rng = np.random.default_rng(23)
    arms = [rng.normal(size=n) for n in (3, 5, 4)]
    pooled = pooled_seed_variance(arms)
    between = sum(len(a) * (a.mean() - np.concatenate(arms).mean()) ** 2 for a in arms) / 2
    assert close(between / pooled.variance, stats.f_oneway(*arms).statistic, 1e-9)


def test_sign_flip_is_the_paired_permutation_test_of_scipy():
    d = np.random.default_rng(24).normal(0.4, 1, 9)
    ref = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert close(sign_flip(d).p, ref.pvalue, 1e-9)


def test_unweighted_kappa_is_that_of_statsmodels():
    table = np.array([[30, 4, 0], [5, 12, 3], [1, 2, 9]])
    r, ref = cohens_kappa(table, level=0.95), sm_kappa(table)
    assert close((r.value, r.se, r.low, r.high), (ref.kappa, ref.std_kappa, ref.kappa_low, ref.kappa_upp), 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_spearman_without_ties_is_that_of_scipy(seed):
    x, y = np.random.default_rng(seed).random((2, 25))
    assert close(spearman(x, y).value, stats.spearmanr(x, y).statistic, 1e-12)


def test_stratified_estimate_of_equal_categories_is_the_plain_mean():
    x = np.random.default_rng(25).random(60)
    r = score_interval(x, np.arange(60) % 3, np.full(3, 1 / 3))
    within = np.mean([stats.tvar(x[g::3]) for g in range(3)])
    assert close((r.theta, r.se), (x.mean(), np.sqrt(within / 60)), 1e-12)


def test_bounds_that_meet_give_the_normal_interval():
    low, high = imbens_manski(0.4, 0.4, 0.03, 0.03)
    assert close((low, high), stats.norm.interval(0.95, 0.4, 0.03), 1e-9)


def test_power_at_the_smallest_detectable_effect_is_close_to_the_noncentral_t():
    effect, df = smallest_detectable_effect(0.01, 40) / 0.01, 40
    power = stats.nct.sf(stats.t.ppf(0.975, df), df, effect)
    assert abs(power - 0.8) < 0.005
