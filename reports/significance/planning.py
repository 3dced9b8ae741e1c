"""What the next experiment needs: seeds or prompts that would show an effect of a given size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.stats import Plan
from harness.stats.power import MAX_PROMPTS, MAX_SEEDS
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
        remark = d.reason or d.no_variation or "no interval, so no plan"
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
    arms = (d.seeds_x,) if d.seeds_paired else tuple(s for s in (d.seeds_x, d.seeds_y) if s > 1)
    v = d.variances
    moments = _Moments(v_p=v["prompts"], v_s=v["seeds"], v_e=v["cells"], n=d.n_prompts, arms=arms)

    def shown(n: float, seeds: tuple[int, ...]) -> bool:
        factor = FEW_SEEDS_FACTOR if min(seeds) <= FEW_SEEDS else 1.0
        return factor * moments.plan(n, seeds).mde(n_tests=n_tests) <= effect

    seeds = next((s for s in range(2, MAX_SEEDS + 1) if shown(d.n_prompts, (s,) * len(arms))), None)
    prompts = _fewest(lambda n: shown(n, arms))
    if prompts is None and seeds is None:
        remark = "neither more prompts nor more seeds alone show it: take more of both"
    elif prompts is None:
        remark = "more prompts never show it with these seeds"
    else:
        remark = "a hundred seeds do not show it on these prompts" if seeds is None else ""
    return prompts, seeds, remark


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """A pilot's variances, and what becomes of them with other numbers of prompts and seeds.

    Cells (seed x prompt, images) shrink with both numbers, what prompts hold besides with prompts alone, what seeds
    hold besides with seeds alone. At the pilot's own numbers the sum is its V = max(V_P, V_P + V_S - V_E).
    """

    v_p: float
    v_s: float
    v_e: float
    n: int
    arms: tuple[int, ...]
    """Seeds of each random arm; one entry for paired seeds or a single checkpoint on the other side."""

    def plan(self, n: float, arms: tuple[int, ...]) -> Plan:
        """Precision with n prompts and these seeds.

        Degrees of freedom: Satterthwaite, seed variances taken as equal in both arms (`harness.stats.plan_design`).
        """
        inverse = math.fsum(1 / s for s in arms)
        per_seed, per_prompt = inverse / math.fsum(1 / s for s in self.arms), self.n / n
        shared = min(self.v_e, self.v_p)
        cells = shared * per_seed * per_prompt
        prompts, seeds = (self.v_p - shared) * per_prompt, max(0.0, self.v_s - self.v_e) * per_seed
        f_s = inverse**2 / math.fsum(1 / (s * s * (s - 1)) for s in arms)
        v, v_p, v_s = prompts + seeds + cells, prompts + cells, seeds + cells
        below = v_p**2 / (n - 1) + v_s**2 / f_s + cells**2 / (f_s * (n - 1))
        return Plan(se=math.sqrt(v), df=v**2 / below if below > 0 else f_s, v_p=v_p, v_s=v_s, v_e=cells)


def _fewest(reached: Callable[[int], bool]) -> int | None:
    """Fewest prompts, by bisection; None where `MAX_PROMPTS` are too few."""
    if not reached(MAX_PROMPTS):
        return None
    low, high = 1, MAX_PROMPTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
