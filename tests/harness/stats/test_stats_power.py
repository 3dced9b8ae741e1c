"""Power and planning: recorded values, the reference table, recovery of a pilot's spread, simulated power."""

import numpy as np
import pytest
from stats_golden import CAT, A, B, W, close

from harness.stats import (
    Spread,
    condition_difference,
    difference_mde,
    paired_difference,
    pilot_spread,
    plan_design,
    prompts_for_effect,
    seeds_needed,
    smallest_detectable_effect,
)

SPREAD = Spread(prompt=0.3, seed=0.03, cell=0.2, generation=0.4)


def test_recorded_values():
    assert close(smallest_detectable_effect(0.0159, 81.8), 0.0450833188)
    two, one = (plan_design(SPREAD, n=500, n_seeds=5, k=4, arms=arms) for arms in (2, 1))
    assert close((two.se, two.df), (0.0245764115, 16.1477764))
    assert close((one.se, one.df), (0.0234946802, 26.4641609))


@pytest.mark.parametrize(
    ("sd_seed", "row"),
    [
        (0.0, (0.049, 0.044, 0.042, 0.041, 0.039)),
        (0.01, (0.056, 0.048, 0.044, 0.043, 0.040)),
        (0.03, (0.099, 0.073, 0.061, 0.056, 0.048)),
        (0.1, (0.305, 0.206, 0.156, 0.138, 0.099)),
    ],
)
def test_reference_table(sd_seed, row):
    spread = Spread(prompt=0.3, seed=sd_seed, cell=0.2, generation=0.4)
    assert close([plan_design(spread, n=500, n_seeds=s, k=4).mde() for s in (3, 5, 8, 10, 20)], row, 5.1e-4)


def test_a_larger_family_needs_a_larger_effect():
    assert smallest_detectable_effect(0.01, 20, n_tests=10) > smallest_detectable_effect(0.01, 20)


def test_seeds_and_prompts_found_are_the_fewest_that_reach_the_target():
    n_seeds = seeds_needed(0.05, SPREAD, n=500, k=4)
    reached = [plan_design(SPREAD, n=500, n_seeds=s, k=4).mde() for s in (n_seeds - 1, n_seeds)]
    assert reached[1] <= 0.05 < reached[0]
    n = prompts_for_effect(0.08, SPREAD, n_seeds=5, k=4)
    reached = [plan_design(SPREAD, n=m, n_seeds=5, k=4).mde() for m in (n - 1, n)]
    assert reached[1] <= 0.08 < reached[0]


def test_prompts_cannot_make_up_for_few_seeds():
    assert prompts_for_effect(0.05, SPREAD, n_seeds=3, k=4) is None
    assert seeds_needed(0.001, SPREAD, n=500, k=4) is None


def test_a_computed_difference_reports_its_smallest_detectable_effect():
    two_arms = condition_difference(A, B, CAT, W)
    assert close(difference_mde(two_arms), smallest_detectable_effect(two_arms.se, two_arms.df), 1e-15)
    integrated = condition_difference(A, B[:1], CAT, W)
    assert integrated.v_s < integrated.v_p
    assert close(difference_mde(integrated), smallest_detectable_effect(integrated.se, integrated.f_p), 1e-15)
    seeds_dominate = condition_difference(A + np.array([[0.0], [-0.2], [0.0], [-0.2]]), B[:1], CAT, W)
    assert close(difference_mde(seeds_dominate), smallest_detectable_effect(seeds_dominate.se, 3), 1e-15)
    assert difference_mde(paired_difference(A[0] * np.nan, B[0], CAT, W)) is None


@pytest.mark.parametrize("options", [{"n_seeds": 1}, {"arms": 3}, {"k": 0}, {"n": 1}])
def test_impossible_designs_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        plan_design(SPREAD, **({"n": 100, "n_seeds": 3, "k": 1} | options))


def simulated(spread, n, n_seeds, k, arms, effect, rng):
    """Gaussian scores of both arms with the given spread; prompt effects enter as halves of the difference."""
    e = np.sqrt(spread.cell**2 + spread.generation**2 / k)
    prompt, cat = rng.normal(0, spread.prompt / 2, n), np.zeros(n, int)
    sizes = (n_seeds, n_seeds if arms == 2 else 1)
    x, y = (
        sign * prompt + (rng.normal(0, spread.seed, (s, 1)) if s > 1 else 0) + rng.normal(0, e, (s, n))
        for sign, s in zip((1, -1), sizes, strict=True)
    )
    return condition_difference(x + effect, y, cat, [1.0])


@pytest.mark.parametrize("arms", [1, 2])
def test_a_large_pilot_recovers_its_spread(arms):
    rng = np.random.default_rng(arms)
    r = simulated(SPREAD, 4000, 40, 4, arms, 0.0, rng)
    moments = {"v_p": r.v_p, "v_s": r.v_s, "v_e": r.v_e}
    found = pilot_spread(**moments, n=4000, n_seeds=40, k=4, arms=arms, sd_generation=0.4)
    assert close((found.prompt, found.seed, found.cell, found.generation), (0.3, 0.03, 0.2, 0.4), 0.012)
    assert close(plan_design(found, n=4000, n_seeds=40, k=4, arms=arms).se, r.se, 1e-9)


@pytest.mark.parametrize("change", [{"n_seeds": 1}, {"arms": 3}])
def test_a_pilot_without_seeds_is_refused(change):
    with pytest.raises(ValueError, match="two seeds or more"):
        pilot_spread(**{"v_p": 1.0, "v_s": 1.0, "v_e": 0.0, "n": 10, "n_seeds": 2, **change})


def test_simulated_power_at_the_planned_effect_is_near_eighty_percent():
    rng = np.random.default_rng(7)
    effect = plan_design(SPREAD, n=200, n_seeds=10, k=4).mde()
    found = [simulated(SPREAD, 200, 10, 4, 2, effect, rng).p < 0.05 for _ in range(600)]
    assert 0.74 < np.mean(found) < 0.86
