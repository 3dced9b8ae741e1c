"""Interval for one checkpoint: the score (Wilson) interval on the effective sample size, with a t quantile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import t_quantile
from harness.stats.variance import (
    Bools,
    Floats,
    Influence,
    PromptVariance,
    empty_categories,
    influence_values,
    kish_size,
    prompt_variance,
)

FEW_PROMPTS = 20
"""Below this many informative (or differing) prompts the plain t interval is too short and a rule takes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInterval:
    """A headline and its uncertainty over prompts and images; it says nothing about other training seeds."""

    theta: float | None
    """Unrounded headline; None if a weighted category has no valid prompt."""
    se: float | None
    """sqrt(V) over prompts."""
    df: float | None
    """Satterthwaite degrees of freedom of V."""
    n0: float
    """Kish size: equally weighted prompts worth the same."""
    n_prompts: int
    """Prompts with a valid score in weighted categories."""
    m: int
    """Prompts whose score differs from the bound nearest to theta."""
    few_informative: bool
    """True where m < 20, so that the interval uses at most n0 effective prompts."""
    low: float | None
    """Lower limit on the scale of scores."""
    high: float | None
    """Upper limit on the scale of scores."""
    level: float
    """Nominal coverage."""
    method: str
    """`score interval`, or `stratified t` where the scores have no bounds."""
    reason: str
    """Why there are no limits; empty otherwise."""


def score_interval(
    a: ArrayLike,
    cat: ArrayLike,
    weights: ArrayLike,
    *,
    den: ArrayLike | None = None,
    lo: float = 0.0,
    hi: float = 1.0,
    level: float = 0.95,
) -> ScoreInterval:
    """The `prompts`-level interval of one checkpoint's headline.

    Args:
        a: (P,) numerators; NaN marks a missing prompt.
        cat: (P,) int category in 0..G-1.
        weights: (G,) category weights summing to 1 over present categories.
        den: (P,) denominators, 0 for a missing prompt; None: the headline is a weighted mean of prompts.
        lo: smallest possible score a/den of a prompt.
        hi: largest possible score; infinite bounds give the stratified t interval.
        level: nominal coverage.

    Raises:
        ValueError: shapes or weights are wrong, or a score lies outside [lo, hi].

    Source: Korn and Graubard 1998 (effective-size proportion intervals) with the Wilson 1927 limits.
    """
    inf = influence_values(a, cat, weights, den)
    if inf.psi.ndim != 1:
        raise ValueError(f"a has shape {inf.psi.shape}, expected (P,): one checkpoint at a time")
    return interval_from_influence(inf, lo=lo, hi=hi, level=level)


def interval_from_influence(inf: Influence, *, lo: float, hi: float, level: float = 0.95) -> ScoreInterval:
    """`score_interval` for influence values computed elsewhere (a jackknife, prompts in several categories)."""
    used = inf.valid & (inf.weights[inf.cat] > 0)
    _check_range(inf.scores[used], lo, hi)
    kernel = prompt_variance(inf.psi, inf.valid, inf.cat, inf.weights)
    bounded = math.isfinite(lo) and math.isfinite(hi)
    m = _n_informative(inf.scores[used], float(inf.theta), lo, hi) if bounded else int(used.sum())
    n0 = kish_size(inf.valid, inf.cat, inf.weights)
    low, high, reason = _limits(inf, kernel, n0, m if bounded else None, lo, hi, level)
    return ScoreInterval(
        theta=None if np.isnan(inf.theta) else float(inf.theta),
        se=None if kernel.variance is None or np.isnan(inf.theta) else math.sqrt(kernel.variance),
        df=None if np.isnan(inf.theta) else kernel.df,
        n0=n0,
        n_prompts=int(used.sum()),
        m=m,
        few_informative=bounded and m < FEW_PROMPTS,
        low=low,
        high=high,
        level=level,
        method="score interval" if bounded else "stratified t",
        reason=reason,
    )


def _limits(
    inf: Influence, kernel: PromptVariance, n0: float, m: int | None, lo: float, hi: float, level: float
) -> tuple[float | None, float | None, str]:
    if np.isnan(inf.theta):
        return None, None, no_estimate_reason(inf.valid, inf)
    if kernel.variance is None or kernel.df is None:
        return None, None, kernel.reason
    theta, df = float(inf.theta), kernel.df
    if m is None:
        half = float(t_quantile(0.5 + level / 2, df)) * math.sqrt(kernel.variance)
        return theta - half, theta + half, ""
    q = min(1.0, max(0.0, (theta - lo) / (hi - lo)))  # rounding may leave a perfect score at 1 + 1e-16
    v = kernel.variance / (hi - lo) ** 2
    n_e = q * (1 - q) / v if v > 0 else math.inf
    if m < FEW_PROMPTS:
        n_e = n0 if v == 0 else min(n_e, n0)
        df = float(kernel.n.sum() - (kernel.n > 0).sum())
    centre, half = wilson(q, n_e, float(t_quantile(0.5 + level / 2, df)))
    # A score at a bound has that bound as its limit; the formula misses it by rounding only.
    lower, upper = 0.0 if q == 0 else max(0.0, centre - half), 1.0 if q == 1 else min(1.0, centre + half)
    return lo + (hi - lo) * lower, hi - (hi - lo) * (1.0 - upper), ""


def wilson(q: float, n: float, t: float) -> tuple[float, float]:
    """Centre and half-width of the score interval of a proportion q from n trials with quantile t.

    Source: Wilson 1927. n may be fractional; n = inf gives the point, n = 0 all of [0, 1].
    """
    if math.isinf(n):
        return q, 0.0
    if n == 0:
        return 0.5, 0.5
    shrink = 1 + t**2 / n
    half = t / shrink * math.sqrt(q * (1 - q) / n + t**2 / (4 * n**2))
    return (q + t**2 / (2 * n)) / shrink, half


def no_estimate_reason(valid: Bools, inf: Influence) -> str:
    """Names the weighted categories without a valid prompt, or says that nothing is valid."""
    if not valid.any():
        return "no valid prompt"
    empty = empty_categories(valid, inf.cat, inf.weights)
    return f"no valid prompt in categories {', '.join(map(str, empty))}"


def _n_informative(scores: Floats, theta: float, lo: float, hi: float) -> int:
    nearest = hi if theta > (lo + hi) / 2 else lo
    return int((np.abs(scores - nearest) > 1e-12 * (hi - lo)).sum())


def _check_range(scores: Floats, lo: float, hi: float) -> None:
    if not lo < hi:
        raise ValueError(f"range [{lo}, {hi}] is empty")
    slack = 1e-9 * (hi - lo) if math.isfinite(hi - lo) else 0.0
    if scores.size and (scores.min() < lo - slack or scores.max() > hi + slack):
        raise ValueError(f"scores reach from {scores.min()} to {scores.max()}, outside their range [{lo}, {hi}]")
