"""What the next experiment needs: seeds or prompts that would show an effect of a given size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats import pilot_spread, prompts_for_effect, seeds_needed
from reports.significance.compare import FEW_SEEDS, FEW_SEEDS_FACTOR
from reports.significance.results import Analysis, Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """One planned difference as a pilot of the next experiment."""

    benchmark: str
    metric: str
    x: str
    y: str
    effect: float
    """In the unit of the value."""
    mde: float | None
    """What this design would have shown, corrected for the family."""
    n_prompts: int
    seeds_x: int
    seeds_y: int
    prompts: int | None
    """That show it with these seeds; None where none do."""
    seeds: int | None
    """Per arm, that show it on these prompts; None where none do or seeds play no part."""
    remark: str


def what_would_show(analysis: Analysis, share: float) -> list[Needed]:
    """For every planned difference the seeds, or else the prompts, with which the effect is found in 80 % of cases.

    The spreads are those that the runs at hand have shown: with few seeds the numbers are rough.

    Args:
        analysis: with differences.
        share: effect as a share of the value's range, 0.01 is one point of 100; in its unit where it has no range.
    """
    n_tests = 1 if analysis.family is None else analysis.family.size
    return [_needed(d, share, n_tests) for d in analysis.differences]


def _needed(d: Difference, share: float, n_tests: int) -> Needed:
    low, high = d.scale
    effect = share * (high - low if low is not None and high is not None else 1.0)
    prompts = seeds = None
    if d.mde_family is None:
        remark = d.reason or "no interval, so no plan"
    elif d.mde_family <= effect:
        prompts, remark = d.n_prompts, "enough as it is"
        seeds = max(d.seeds_x, d.seeds_y) if d.level.startswith("new seeds") else None
    elif d.borrowed or d.level == "new seeds, these prompts":
        remark = "planned for new prompts and seeds of its own only"
    elif d.level == "these checkpoints":
        prompts = math.ceil(d.n_prompts * (d.mde_family / effect) ** 2)
        remark = "two checkpoints: training seeds play no part"
    else:
        prompts, seeds, remark = _with_seeds(d, effect, n_tests)
    return Needed(
        benchmark=d.benchmark,
        metric=d.metric,
        x=d.x,
        y=d.y,
        effect=effect,
        mde=d.mde_family,
        n_prompts=d.n_prompts,
        seeds_x=d.seeds_x,
        seeds_y=d.seeds_y,
        prompts=prompts,
        seeds=seeds,
        remark=remark,
    )


def _with_seeds(d: Difference, effect: float, n_tests: int) -> tuple[int | None, int | None, str]:
    random = [s for s in (d.seeds_x, d.seeds_y) if s > 1]
    arms = 1 if d.seeds_paired else len(random)
    n_seeds = len(random) / sum(1 / s for s in random)
    v = d.variances
    spread = pilot_spread(v_p=v["prompts"], v_s=v["seeds"], v_e=v["cells"], n=d.n_prompts, n_seeds=n_seeds, arms=arms)
    plan = {"k": 1, "arms": arms, "n_tests": n_tests}
    seeds = seeds_needed(effect, spread, n=d.n_prompts, **plan)
    if seeds is not None and seeds <= FEW_SEEDS:
        seeds = seeds_needed(effect / FEW_SEEDS_FACTOR, spread, n=d.n_prompts, **plan)
    prompts = prompts_for_effect(effect, spread, n_seeds=max(2, round(n_seeds)), **plan)
    if prompts is None and seeds is None:
        remark = "neither more prompts nor more seeds alone show it: take more of both"
    elif prompts is None:
        remark = "more prompts never show it with these seeds"
    else:
        remark = "a hundred seeds do not show it on these prompts" if seeds is None else ""
    return prompts, seeds, remark
