"""All that a table says of a comparison: interval, exact tests, spreads, power and missing data as one record."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from harness.stats import (
    ConditionDifference,
    PairedDifference,
    ScoreBounds,
    distrust_reason,
    mcnemar,
    score_bounds,
    simultaneous_level,
)
from reports.significance.arrangements import permutation_beside, sign_flip_beside
from reports.significance.compare import Comparison, detectable, no_variation, scale_of, seed_sds
from reports.significance.results import Difference, Discordant, Exact
from reports.significance.stack import Floats, Stack
from reports.significance.wording import verdict


def describe(
    c: Comparison,
    *,
    benchmark: str,
    metric: str,
    x: str,
    y: str,
    n_tests: int = 1,
    p_adjusted: float | None = None,
    correction: str = "",
    is_planned: bool = True,
) -> Difference:
    """The record of a comparison within its family.

    Args:
        c: from `compare_value`.
        benchmark: names for the record.
        metric: see above.
        x: see above.
        y: see above.
        n_tests: size of the family.
        p_adjusted: by the family's correction.
        correction: its name.
        is_planned: exploratory values get no simultaneous interval and no exact test.
    """
    found, seeds = c.found, isinstance(c.found, ConditionDifference)
    low, high = _simultaneous(c, n_tests) if is_planned else (None, None)
    better, worse, equal = _per_prompt(c)
    sd = _seed_sd(c)
    bounds = _bounds(c)
    base = Difference(
        benchmark=benchmark,
        metric=metric,
        x=x,
        y=y,
        est=found.est,
        low=found.low,
        high=found.high,
        simultaneous_low=low,
        simultaneous_high=high,
        se=found.se,
        df=found.df,
        p=found.p,
        p_adjusted=p_adjusted,
        correction=correction,
        test="paired t" if found.method == "prompts only" else found.method,
        level=found.claim,
        n_prompts=found.n_prompts,
        seeds_x=c.x.n_seeds,
        seeds_y=c.y.n_seeds,
        seeds_paired=c.seeds_paired,
        value_x=_mean(c.official[0]),
        value_y=_mean(c.official[1]),
        per_seed_x=_per_seed(c.official[0]),
        per_seed_y=_per_seed(c.official[1]),
        seed_sd=sd,
        seed_share=found.seed_share if isinstance(found, ConditionDifference) and found.f_s else None,
        variances=_variances(found),
        effect=found.est / sd if found.est is not None and sd else None,
        mde=detectable(c.found),
        mde_family=detectable(c.found, n_tests=n_tests) if is_planned else None,
        n_better=better,
        n_worse=worse,
        n_equal=equal,
        win_rate=(better + equal / 2) / (better + worse + equal) if better + worse + equal else None,
        exact=_exact(c, n_tests) if seeds and is_planned else None,
        mcnemar=None if seeds else _mcnemar(c),
        n_missing_x=round(c.x.n_missing()),
        n_missing_y=round(c.y.n_missing()),
        n_planned_x=round(c.x.n_planned()),
        n_planned_y=round(c.y.n_planned()),
        bound_low=None if bounds is None else bounds[0],
        bound_high=None if bounds is None else bounds[1],
        is_robust=None if bounds is None else bounds[0] > 0 or bounds[1] < 0,
        distrust=_distrust(c),
        few_differences=isinstance(found, PairedDifference) and found.few_differences,
        no_variation=no_variation(found),
        borrowed=_borrowed(found),
        reason=found.reason,
        scale=scale_of(c.x),
        higher_is_better=c.x.higher_is_better,
    )
    return replace(base, verdict=verdict(base, is_planned=is_planned))


def seed_bounds(side: Stack) -> list[ScoreBounds]:
    """Per seed the value with every missing score at its worst and best.

    Empty where nothing is missing or scores have no bounds.
    """
    if not side.is_bounded or side.n_missing() <= 0:
        return []
    planned = np.maximum(side.planned, side.den)
    return [
        score_bounds(np.where(den > 0, num, 0.0), side.cat, side.weights, den=den, planned=full, lo=side.lo, hi=side.hi)
        for num, den, full in zip(side.num, side.den, planned, strict=True)
    ]


def _simultaneous(c: Comparison, n_tests: int) -> tuple[float | None, float | None]:
    if c.found.error is None or c.found.est is None:
        return None, None
    if n_tests == 1:
        return c.found.low, c.found.high
    half = c.found.error.quantile(0.5 + simultaneous_level(n_tests) / 2)
    return c.found.est - half, c.found.est + half


def _per_prompt(c: Comparison) -> tuple[int, int, int]:
    """Prompts on which x is better, worse and equal, on the mean over each side's seeds."""
    sign = 1 if c.x.higher_is_better else -1
    if isinstance(c.found, PairedDifference):
        better, worse = (c.found.n_better, c.found.n_worse)[::sign]
        return better, worse, c.found.n_prompts - c.found.n_differing
    (a, has_a), (b, has_b) = c.x.prompt_means(), c.y.prompt_means()
    both = has_a & has_b & (c.x.weights[c.x.cat] > 0)
    d = sign * (a - b)[both]
    slack = 1e-12 * max(float(np.abs(a[both]).max(initial=0)), float(np.abs(b[both]).max(initial=0)))
    better, worse = int((d > slack).sum()), int((d < -slack).sum())
    return better, worse, int(both.sum()) - better - worse


def _seed_sd(c: Comparison) -> float | None:
    """Root of the arms' seed variances, weighted by their degrees of freedom."""
    if not isinstance(c.found, ConditionDifference) or not c.found.f_s:
        return None
    f = np.array(c.found.f_s)
    return float(np.sqrt((f * np.array(seed_sds(c.found)) ** 2).sum() / f.sum()))


def _variances(found: PairedDifference | ConditionDifference) -> dict[str, float]:
    if isinstance(found, ConditionDifference):
        prompts = {} if found.v_p is None else {"prompts": found.v_p}
        return {**prompts, "seeds": found.v_s, "cells": found.v_e}
    return {} if found.se is None else {"prompts": found.se**2}


def _exact(c: Comparison, n_tests: int) -> Exact | None:
    a, b = c.official
    if np.isnan(a).any() or np.isnan(b).any() or max(len(a), len(b)) < 2:
        return None
    if c.seeds_paired:
        return sign_flip_beside(a - b, n_tests)
    borrowed = isinstance(c.found, ConditionDifference) and c.found.borrowed is not None
    if (len(b) == 1 or len(a) == 1) and not borrowed:  # with a borrowed seed sd no side is a fixed value
        return sign_flip_beside(a - b[0] if len(b) == 1 else a[0] - b, n_tests)
    return permutation_beside(a, b, n_tests)


def _mcnemar(c: Comparison) -> Discordant | None:
    """Where every prompt has one right-or-wrong verdict."""
    if not c.x.is_bounded:
        return None
    sides = []
    for side in (c.x, c.y):
        valid = side.den[0] > 0
        num = side.num[0][valid]
        if (side.planned[0] != 1).any() or not np.isin(num, (side.lo, side.hi)).all():
            return None
        sides.append((valid, side.num[0] == (side.hi if side.higher_is_better else side.lo)))
    (has_a, a), (has_b, b) = sides
    both = has_a & has_b & (c.x.weights[c.x.cat] > 0)
    found = mcnemar(int((both & a & ~b).sum()), int((both & ~a & b).sum()))
    return Discordant(only_x=found.b, only_y=found.c, p=found.p, p_mid=found.p_mid)


def _bounds(c: Comparison) -> tuple[float, float] | None:
    """Smallest and largest difference compatible with the scores that exist; None where nothing is missing."""
    if not c.x.is_bounded or c.x.n_missing() + c.y.n_missing() <= 0:
        return None
    ends = []
    for side, official in zip((c.x, c.y), c.official, strict=True):
        bounds = seed_bounds(side)
        mean = float(official.mean())
        ends.append((float(np.mean([b.low for b in bounds])), float(np.mean([b.high for b in bounds]))) if bounds
                    else (mean, mean))  # fmt: skip
    (low_x, high_x), (low_y, high_y) = ends
    return low_x - high_y, high_x - low_y


def _distrust(c: Comparison) -> str:
    counts = [
        side.by_category(values)
        for side in (c.x, c.y)
        for values in (np.maximum(side.planned - side.den, 0.0), side.planned)
    ]
    return distrust_reason(*counts)


def _borrowed(found: PairedDifference | ConditionDifference) -> str:
    if not isinstance(found, ConditionDifference) or found.borrowed is None:
        return ""
    return f"seed variance pooled over {found.borrowed.n_arms} conditions of the sweep, {found.borrowed.df} df"


def _mean(values: Floats) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def _per_seed(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values if not math.isnan(v))
