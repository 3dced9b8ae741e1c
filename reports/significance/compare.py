"""Two conditions in one value: the statistic that fits their seeds.

One checkpoint on each side: the paired t. Training seeds on a side: three variance moments with seeds and prompts as
random factors. The estimate is the difference of the official numbers; the prompts' parts give its uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.errors import DataError
from harness.stats import (
    ConditionDifference,
    PairedDifference,
    SeedVariance,
    condition_difference,
    difference_mde,
    paired_difference,
    two_sided_p,
)
from harness.terms import Terms
from reports.significance.stack import Floats, Stack, stack

FEW_SEEDS = 3
FEW_SEEDS_FACTOR = 1.1
"""At three seeds the plain formula's effect is found with 71-76 % power, 1.1 times it with about 80 %."""
OFFICIAL_TOLERANCE = 2e-4
"""Of the range of scores: official scripts round on the way (TIIF averages accuracies of four decimals)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Two conditions in one value before any correction: what the statistics found, and the arrays behind it."""

    found: PairedDifference | ConditionDifference
    x: Stack
    y: Stack
    official: tuple[Floats, Floats]
    """Per-seed official values."""
    seeds_paired: bool


def compare_value(
    x: Sequence[Terms],
    y: Sequence[Terms],
    *,
    seeds_paired: bool = False,
    prompts: Literal["random", "fixed"] = "random",
    official: tuple[Sequence[float], Sequence[float]] | None = None,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    borrowed: SeedVariance | None = None,
    borrow_for: Literal["x", "y", "both"] = "x",
) -> Comparison:
    """The statistics of one value of two conditions.

    Args:
        x: terms of one training seed each.
        y: of the other condition; one for a single base checkpoint.
        seeds_paired: seed s of both shares data order and initial noise, as declared before looking.
        prompts: `fixed` for a claim about new seeds on these prompts only; needs several seeds.
        official: per-seed official values; None takes the values of the terms.
        names: what messages call the runs.
        borrowed: seed variance of a sweep, for a condition with a single seed.
        borrow_for: which sides take it.

    Raises:
        DataError: the two are not values of the same prompts, categories and scale, or the terms do not give the
            official value.
    """
    a, b = stack([x, y], names)
    if len(a.num) == len(b.num) == 1 and borrowed is None and prompts == "random":
        found: PairedDifference | ConditionDifference = paired_difference(
            a.num[0], b.num[0], a.cat, a.weights, den_x=a.den[0], den_y=b.den[0], step=max(a.step, b.step)
        )
    else:
        found = condition_difference(
            a.num,
            b.num,
            a.cat,
            a.weights,
            den_x=a.den,
            den_y=b.den,
            paired_seeds=seeds_paired and a.n_seeds > 1,
            prompts=prompts,
            borrow_seed_sd=borrowed,
            borrow_for=borrow_for,
        )
    thetas = (thetas_of(a), thetas_of(b))
    values = thetas if official is None else (np.asarray(official[0], float), np.asarray(official[1], float))
    for own, given, side in zip(thetas, values, (a, b), strict=True):
        check_official(own, given, side)
    return Comparison(
        found=_with_estimate(found, mean_difference(*values)),
        x=a,
        y=b,
        official=values,
        seeds_paired=seeds_paired and a.n_seeds > 1,
    )


def thetas_of(side: Stack) -> Floats:
    """(S,) values that the terms give; NaN where a weighted category has no valid prompt."""
    one_hot = np.asarray(side.cat[:, None] == np.arange(len(side.weights)), float)
    den, num = side.den @ one_hot, np.where(side.den > 0, side.num, 0.0) @ one_hot
    ratios = np.divide(num, den, out=np.full_like(num, np.nan), where=den > 0)
    used = side.weights > 0
    return np.asarray(ratios[:, used] @ side.weights[used])


def check_official(thetas: Floats, official: Floats, side: Stack) -> None:
    """Raises DataError where the prompts' parts do not add up to the printed number."""
    slack = OFFICIAL_TOLERANCE * (side.hi - side.lo if side.is_bounded else max(1.0, float(np.abs(official).max())))
    off = np.abs(thetas - official) > slack
    if off.any():
        s = int(np.flatnonzero(off)[0])
        raise DataError(
            f"the stored prompts' parts give {thetas[s]:.6g}, the summary says {official[s]:.6g}; the two files are of "
            "different times. Repeat the `eval` command of the run, which writes both anew."
        )


def mean_difference(x: Floats, y: Floats) -> float:
    """Difference of two means; 0 where only rounding tells them apart (three equal seeds need not average to one)."""
    a, b = float(x.mean()), float(y.mean())
    return 0.0 if abs(a - b) <= 1e-12 * max(abs(a), abs(b)) else a - b


def _with_estimate(found: PairedDifference | ConditionDifference, est: float) -> PairedDifference | ConditionDifference:
    """The same uncertainty around the official estimate (official rounding moves it by less than its error)."""
    if found.est is None or found.error is None or found.low is None or found.high is None:
        return found
    if est == found.est or math.isnan(est):
        return found
    half, p = (found.high - found.low) / 2, two_sided_p(est, found.error)
    return replace(found, est=est, low=est - half, high=est + half, p=p, reason="" if p is not None else found.reason)


def scale_of(side: Stack) -> tuple[float | None, float | None]:
    """Smallest and largest possible score, None where there is none."""
    return (side.lo if math.isfinite(side.lo) else None, side.hi if math.isfinite(side.hi) else None)


def seed_sds(found: ConditionDifference) -> tuple[float, ...]:
    """Seed standard deviations, 0 where V_S - V_E is the rounding error of two equal numbers."""
    return tuple(sd if sd > 1e-6 * math.sqrt(found.v_s) else 0.0 for sd in found.seed_sd)


def detectable(found: PairedDifference | ConditionDifference, *, alpha: float = 0.05, n_tests: int = 1) -> float | None:
    """`harness.stats.difference_mde`, raised where three seeds or fewer make the plain formula optimistic.

    None without a standard error, and where nothing varies: data that are all alike show no power.
    """
    mde = difference_mde(found, alpha=alpha, n_tests=n_tests)
    if not mde:
        return None
    random = isinstance(found, ConditionDifference) and [n for n in (len(found.theta_x), len(found.theta_y)) if n > 1]
    return mde * (FEW_SEEDS_FACTOR if random and min(random) <= FEW_SEEDS else 1.0)


def no_variation(found: PairedDifference | ConditionDifference) -> str:
    """Over what nothing varies, where the interval is a point; empty otherwise."""
    if found.se != 0:
        return ""
    return f"no variation over {'prompts' if isinstance(found, PairedDifference) else 'seeds and prompts'}"
