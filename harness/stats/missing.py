"""Missing scores: bounds without assumptions, an interval for the bounded value, and when to distrust the plain one.

The estimate uses the scores that exist, which is right if they are missing at random within a category. The bounds
set every missing score to the ends of its range, so that they hold whatever the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import normal_cdf, normal_quantile
from harness.stats.variance import Floats, influence_values, prompt_variance

NOTABLE_SHARE = 0.05
"""Share of missing scores in a category above which the plain interval is not to be trusted."""
NOTABLE_P = 0.01
"""p of equal missing rates below which the plain interval of a difference is not to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBounds:
    """Headline with every missing score at the ends of its range."""

    low: float
    """Headline with every missing score set to the smallest value."""
    high: float
    """Headline with every missing score set to the largest value."""
    se_low: float | None
    """Standard error of `low` over prompts; None with one prompt per category."""
    se_high: float | None
    """Standard error of `high`."""
    interval_low: float | None
    """Lower Imbens-Manski limit, inside the range of scores."""
    interval_high: float | None
    """Upper Imbens-Manski limit."""
    level: float
    """Nominal coverage of the interval for the true headline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceBounds:
    """Bounds of a difference of two headlines."""

    low: float
    """Smallest difference compatible with the observed scores."""
    high: float
    """Largest difference compatible with the observed scores."""

    @property
    def is_robust(self) -> bool:
        """Whether the sign of the difference does not depend on the missing scores."""
        return self.low > 0 or self.high < 0


def score_bounds(
    a: ArrayLike,
    cat: ArrayLike,
    weights: ArrayLike,
    *,
    share: ArrayLike | None = None,
    den: ArrayLike | None = None,
    planned: ArrayLike | None = None,
    lo: float = 0.0,
    hi: float = 1.0,
    level: float = 0.95,
) -> ScoreBounds:
    """Bounds of a headline under missing scores.

    Args:
        a: (P,) numerators; NaN marks a missing prompt.
        cat: (P,) int category; every planned prompt is listed.
        weights: (G,) category weights of the complete benchmark.
        share: (P,) share of a prompt's planned images that its score rests on, for means of prompts; None: all of them
            where there is a score.
        den: (P,) denominators for pooled headlines, 0 for a missing prompt.
        planned: (P,) denominators had nothing been missing; needed with `den`.
        lo: smallest possible score.
        hi: largest possible score.
        level: nominal coverage of the interval.

    Raises:
        ValueError: shapes are wrong, `den` comes without `planned`, or more was scored than planned.

    Source: Manski bounds; interval of Imbens and Manski 2004, equation 7.
    """
    if (den is None) != (planned is None) or (den is not None and share is not None):
        raise ValueError("pooled headlines need den and planned together; share is for means of prompts")
    observed = influence_values(a, np.zeros_like(np.asarray(cat)), [1.0], den)
    full = np.ones_like(observed.scores) if planned is None else np.asarray(planned, float)
    if planned is not None:
        share_ = np.divide(np.nan_to_num(np.asarray(den, float)), full, out=np.zeros_like(full), where=full > 0)
    else:
        share_ = np.ones_like(full) if share is None else np.asarray(share, float)
    share_ = np.where(observed.valid, share_, 0.0)
    if (share_ < 0).any() or (share_ > 1 + 1e-12).any():
        raise ValueError("a prompt has more scored images or questions than planned")
    ends = [_filled(observed.scores, share_, full, bound, cat, weights) for bound in (lo, hi)]
    (low, se_low), (high, se_high) = ends
    limits: tuple[float | None, float | None] = (None, None)
    if se_low is not None and se_high is not None:
        im_low, im_high = imbens_manski(low, high, se_low, se_high, level=level)
        limits = max(lo, im_low), min(hi, im_high)
    return ScoreBounds(
        low=low,
        high=high,
        se_low=se_low,
        se_high=se_high,
        interval_low=limits[0],
        interval_high=limits[1],
        level=level,
    )


def difference_bounds(x: ScoreBounds, y: ScoreBounds) -> DifferenceBounds:
    """Bounds of x - y: each side's missing scores are set against the other's."""
    return DifferenceBounds(low=x.low - y.high, high=x.high - y.low)


def imbens_manski(
    low: float, high: float, se_low: float, se_high: float, *, level: float = 0.95
) -> tuple[float, float]:
    """Interval that covers a value known to lie between two estimated bounds.

    The quantile c solves Phi(c + (high - low)/max(se)) - Phi(-c) = level: 1.960 where the bounds meet, 1.645 (at 95 %)
    where they are far apart. Source: Imbens and Manski 2004, equation 7.
    """
    if max(se_low, se_high) == 0:
        return low, high
    gap = (high - low) / max(se_low, se_high)
    a, b = float(normal_quantile(level)), float(normal_quantile(0.5 + level / 2))
    while b - a > 1e-14:
        c = (a + b) / 2
        if c in (a, b):
            break
        a, b = (c, b) if float(normal_cdf(c + gap) - normal_cdf(-c)) < level else (a, c)
    c = (a + b) / 2
    return low - c * se_low, high + c * se_high


def distrust_reason(
    missing_x: ArrayLike, planned_x: ArrayLike, missing_y: ArrayLike | None = None, planned_y: ArrayLike | None = None
) -> str:
    """Why the plain interval should be greyed; empty if it need not be.

    Args:
        missing_x: (G,) missing scores per category.
        planned_x: (G,) planned scores per category.
        missing_y: (G,) of the other checkpoint of a difference.
        planned_y: (G,) of the other checkpoint.
    """
    sides = [(np.asarray(missing_x, float), np.asarray(planned_x, float))]
    if missing_y is not None and planned_y is not None:
        sides.append((np.asarray(missing_y, float), np.asarray(planned_y, float)))
    worst = max(float((m[n > 0] / n[n > 0]).max(initial=0.0)) for m, n in sides)
    if worst > NOTABLE_SHARE:
        return f"{100 * worst:.1f} % of a category's scores are missing"
    if len(sides) == 2:
        p = equal_rates_p(*(float(v.sum()) for side in sides for v in side))
        if p is not None and p < NOTABLE_P:
            return f"missing rates differ between the two sides (p = {p:.2g})"
    return ""


def equal_rates_p(count_x: float, n_x: float, count_y: float, n_y: float) -> float | None:
    """Two-sided p of equal proportions (pooled z test); None without trials, 1 where all or none are counted."""
    if n_x == 0 or n_y == 0:
        return None
    pooled = (count_x + count_y) / (n_x + n_y)
    variance = pooled * (1 - pooled) * (1 / n_x + 1 / n_y)
    if variance == 0:
        return 1.0
    return 2.0 * float(normal_cdf(-abs(count_x / n_x - count_y / n_y) / math.sqrt(variance)))


def _filled(
    scores: Floats, share: Floats, full: Floats, bound: float, cat: ArrayLike, weights: ArrayLike
) -> tuple[float, float | None]:
    inf = influence_values((share * scores + (1 - share) * bound) * full, cat, weights, full)
    kernel = prompt_variance(inf.psi, inf.valid, inf.cat, inf.weights)
    if np.isnan(inf.theta):
        raise ValueError("a weighted category has no planned prompt; list every planned prompt of the benchmark")
    return float(inf.theta), None if kernel.variance is None else math.sqrt(kernel.variance)
