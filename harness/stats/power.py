"""Smallest detectable effect of a comparison, and planning of seeds, prompts and images from a pilot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats.conditions import ConditionDifference
from harness.stats.distributions import t_quantile
from harness.stats.paired import PairedDifference

MAX_SEEDS = 100
"""Largest number of seeds that `seeds_needed` considers."""
MAX_PROMPTS = 10**7
"""Largest number of prompts that `prompts_for_effect` considers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Standard deviations on the headline's scale, for one prompt, seed, cell and image."""

    prompt: float
    """Prompt-wise difference of the two conditions."""
    seed: float
    """Training seed's effect on the headline."""
    cell: float
    """Seed x prompt interaction."""
    generation: float
    """One image of one prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Precision expected from a design."""

    se: float
    """Expected standard error of the difference."""
    df: float
    """Expected degrees of freedom."""
    v_p: float
    """Variance over prompts and cells."""
    v_s: float
    """Variance over seeds and cells."""
    v_e: float
    """Variance of the cells."""

    def mde(self, *, alpha: float = 0.05, power: float = 0.8, n_tests: int = 1) -> float:
        """Smallest detectable effect of the design."""
        return smallest_detectable_effect(self.se, self.df, alpha=alpha, power=power, n_tests=n_tests)


def smallest_detectable_effect(
    se: float, df: float, *, alpha: float = 0.05, power: float = 0.8, n_tests: int = 1
) -> float:
    """True difference that a two-sided test at alpha / n_tests finds with the given power: se (t_{1-a/2} + t_power)."""
    return se * float(t_quantile(1 - alpha / n_tests / 2, df) + t_quantile(power, df))


def difference_mde(
    difference: PairedDifference | ConditionDifference, *, alpha: float = 0.05, power: float = 0.8, n_tests: int = 1
) -> float | None:
    """Smallest detectable effect of a difference that was computed, from its own standard error.

    The integrated t has no degrees of freedom of its own: it takes those of the larger of seed and prompt variance.
    With three seeds per arm the effect found with 80 % power is about 1.1 times larger (simulated power 71-76 % at the
    value returned, 78-83 % at 1.1 times it).
    None where the difference has no standard error.
    """
    if difference.se is None:
        return None
    df = difference.df
    if df is None and isinstance(difference, ConditionDifference) and difference.f_p is not None:
        seeds_dominate = difference.v_s > (difference.v_p or 0.0)
        df = min(difference.f_s) if seeds_dominate else difference.f_p
    if df is None:
        return None
    return smallest_detectable_effect(difference.se, df, alpha=alpha, power=power, n_tests=n_tests)


def plan_design(spread: Spread, *, n: float, n_seeds: int, k: int, arms: int = 2) -> Plan:
    """Expected precision of a design.

    Args:
        spread: standard deviations, for example from `pilot_spread`.
        n: prompts (Kish size for weighted categories), > 1.
        n_seeds: training seeds per random arm, >= 2.
        k: images per prompt.
        arms: 2 for two conditions with seeds, 1 for a condition against a fixed checkpoint.

    Raises:
        ValueError: the design is impossible.
    """
    if arms not in (1, 2) or n_seeds < 2 or k < 1 or not n > 1:
        raise ValueError(
            f"arms={arms}, n_seeds={n_seeds}, k={k}, n={n}; expected 1 or 2 arms, 2 or more seeds, 1 image, 2 prompts"
        )
    e2 = spread.cell**2 + spread.generation**2 / k
    v_e = arms * e2 / (n * n_seeds)
    v_p = spread.prompt**2 / n + v_e + (2 - arms) * e2 / n
    v_s = arms * spread.seed**2 / n_seeds + v_e
    v = v_p + v_s - v_e
    f_s = arms * (n_seeds - 1)
    df = f_s if v == 0 else v**2 / (v_p**2 / (n - 1) + v_s**2 / f_s + v_e**2 / (f_s * (n - 1)))
    return Plan(se=math.sqrt(v), df=df, v_p=v_p, v_s=v_s, v_e=v_e)


def pilot_spread(
    *, v_p: float, v_s: float, v_e: float, n: float, n_seeds: float, k: int = 1, arms: int = 2, sd_generation: float = 0
) -> Spread:
    """Standard deviations for planning, from the three variance moments of a pilot, floored at 0.

    Args:
        v_p: variance of the pilot's difference over prompts and cells (`ConditionDifference.v_p`).
        v_s: over seeds and cells.
        v_e: of the cells, contained in both.
        n: its prompts (Kish size where the plan is one, too).
        n_seeds: its seeds per random arm; of two unlike numbers the harmonic mean.
        k: its images per prompt.
        arms: 2 for two conditions with seeds, 1 against a fixed checkpoint whose images are noisy, too (the plan gives
            it cells of its own; paired seeds have none: `reports.significance.planning` scales their moments instead).
        sd_generation: sd of one image around its prompt, 0 to leave it inside the cells (then plan with the same k).

    Raises:
        ValueError: fewer than two seeds, or not one or two arms.
    """
    if arms not in (1, 2) or n_seeds < 2:
        raise ValueError(f"arms={arms}, n_seeds={n_seeds}; a pilot needs two seeds or more in one arm or in both")
    e2 = v_e * n * n_seeds / arms
    seed = n_seeds * (v_s - v_e) / arms
    prompt = n * (v_p - v_e) - (2 - arms) * e2
    return Spread(
        prompt=math.sqrt(max(0.0, prompt)),
        seed=math.sqrt(max(0.0, seed)),
        cell=math.sqrt(max(0.0, e2 - sd_generation**2 / k)),
        generation=sd_generation,
    )


def seeds_needed(
    target: float, spread: Spread, *, n: float, k: int, arms: int = 2, power: float = 0.8, n_tests: int = 1
) -> int | None:
    """Fewest seeds per arm whose smallest detectable effect is at most `target`; None if 100 are too few."""
    for n_seeds in range(2, MAX_SEEDS + 1):
        if plan_design(spread, n=n, n_seeds=n_seeds, k=k, arms=arms).mde(power=power, n_tests=n_tests) <= target:
            return n_seeds
    return None


def prompts_for_effect(
    target: float, spread: Spread, *, n_seeds: int, k: int, arms: int = 2, power: float = 0.8, n_tests: int = 1
) -> int | None:
    """Fewest prompts whose smallest detectable effect is at most `target`.

    None where the seeds alone exceed the target, so that more prompts never help, or 10^7 prompts are too few.
    """

    def reached(n: int) -> bool:
        return plan_design(spread, n=n, n_seeds=n_seeds, k=k, arms=arms).mde(power=power, n_tests=n_tests) <= target

    if not reached(MAX_PROMPTS):
        return None
    low, high = 1, MAX_PROMPTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
