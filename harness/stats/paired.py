"""Two checkpoints on the same prompts: the paired stratified t interval, and McNemar's exact test beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import binomial_cdf, binomial_pmf
from harness.stats.error_distributions import ErrorDistribution, StudentError, two_sided_p
from harness.stats.intervals import FEW_PROMPTS, no_estimate_reason
from harness.stats.variance import Influence, influence_values, kish_size, prompt_variance, without_rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Difference of two checkpoints' headlines over prompts; a claim about these checkpoints only."""

    est: float | None
    """theta_x - theta_y, each over its own valid prompts; None where a weighted category is empty on a side."""
    se: float | None
    """Standard error, including the pseudo-prompts of `few_differences`."""
    df: float | None
    """Satterthwaite degrees of freedom."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    p: float | None
    """Two-sided p of no difference; None where it cannot be computed."""
    n_prompts: int
    """Prompts valid on both sides (weighted categories)."""
    n_better: int
    """Of those, prompts where x scores higher."""
    n_worse: int
    """Of those, prompts where x scores lower."""
    n_differing: int
    """n_better + n_worse."""
    few_differences: bool
    """True where n_differing < 20, so that two pseudo-prompts of opposite sign were added to the variance."""
    n0: float
    """Kish size of the prompts valid on both sides."""
    level: float
    """Nominal coverage."""
    method: str
    """Always `paired t`."""
    claim: str
    """Always `these checkpoints`: nothing is said about other training seeds."""
    error: ErrorDistribution | None
    """Distribution of the estimate's error, for gates and other levels."""
    reason: str
    """Why a field is None; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Exact test of one binary verdict per prompt."""

    b: int
    """Prompts right for x only."""
    c: int
    """Prompts right for y only."""
    p: float
    """Two-sided exact binomial p."""
    p_mid: float
    """Mid-p: p less half the probability of the outcomes as likely as the observed one."""


def paired_difference(
    a_x: ArrayLike,
    a_y: ArrayLike,
    cat: ArrayLike,
    weights: ArrayLike,
    *,
    den_x: ArrayLike | None = None,
    den_y: ArrayLike | None = None,
    step: float = 1.0,
    level: float = 0.95,
) -> PairedDifference:
    """Difference of two checkpoints, paired by prompt.

    Args:
        a_x: (P,) numerators of the first checkpoint; NaN marks a missing prompt.
        a_y: (P,) numerators of the second checkpoint.
        cat: (P,) int category in 0..G-1.
        weights: (G,) category weights summing to 1.
        den_x: (P,) denominators of the first checkpoint, 0 for a missing prompt; None: ones.
        den_y: (P,) denominators of the second.
        step: smallest possible difference of a prompt's score, used when no prompt differs (1/k for verdicts over
            k images).
        level: nominal coverage.

    Raises:
        ValueError: shapes or weights are wrong, or step is not positive.

    Source: Miller 2024 (arXiv 2411.00640) for pairing; pseudo-counts after Agresti and Min 2005.
    """
    if not step > 0:
        raise ValueError(f"step is {step}, expected the smallest positive difference of a prompt's score")
    x, y = influence_values(a_x, cat, weights, den_x), influence_values(a_y, cat, weights, den_y)
    if x.psi.ndim != 1 or x.psi.shape != y.psi.shape:
        raise ValueError(f"a_x has shape {x.psi.shape}, a_y {y.psi.shape}; expected (P,) for both")
    return difference_from_influence(x, y, step=step, level=level)


def difference_from_influence(x: Influence, y: Influence, *, step: float, level: float = 0.95) -> PairedDifference:
    """`paired_difference` for influence values computed elsewhere."""
    both = x.valid & y.valid & (x.weights[x.cat] > 0)
    d = (x.scores - y.scores)[both]
    scale = max(float(np.abs(x.scores[both]).max(initial=0)), float(np.abs(y.scores[both]).max(initial=0)))
    differs = np.abs(d) > 1e-12 * scale  # 0.1 + 0.2 and 0.3 are the same score
    few = int(differs.sum()) < FEW_PROMPTS
    n0 = kish_size(both, x.cat, x.weights)
    largest = float(np.abs(d).max()) if differs.any() else step
    est, se, df, reason = _moments(x, y, 2 * (largest / n0) ** 2 if few and n0 > 0 else 0.0, few and n0 == 0)
    low = high = p = error = None
    if est is not None and se is not None and df is not None:
        error = StudentError(se=se, df=df)
        half = error.quantile(0.5 + level / 2)
        low, high, p = est - half, est + half, two_sided_p(est, error)
    return PairedDifference(
        est=est,
        se=se,
        df=df,
        low=low,
        high=high,
        p=p,
        n_prompts=int(both.sum()),
        n_better=int((d[differs] > 0).sum()),
        n_worse=int((d[differs] < 0).sum()),
        n_differing=int(differs.sum()),
        few_differences=few,
        n0=n0,
        level=level,
        method="paired t",
        claim="these checkpoints",
        error=error,
        reason=reason or ("no variation over prompts" if p is None else ""),
    )


def _moments(
    x: Influence, y: Influence, extra: float, unpaired: bool
) -> tuple[float | None, float | None, float | None, str]:
    for side in (x, y):
        if np.isnan(side.theta):
            return None, None, None, no_estimate_reason(side.valid, side)
    est = float(x.theta - y.theta)
    kernel = prompt_variance(without_rounding(x.psi - y.psi, x.psi, y.psi), x.valid | y.valid, x.cat, x.weights)
    if kernel.variance is None:
        return est, None, None, kernel.reason
    if unpaired:
        return est, None, None, "a category has no prompt that is valid on both sides"
    return est, math.sqrt(kernel.variance + extra), kernel.df, ""


def mcnemar(b: int, c: int) -> McNemar:
    """McNemar's exact test from the two discordant counts.

    Raises:
        ValueError: a count is negative.

    Source: Fagerland, Lydersen and Laake 2013. With b = c the observed outcome has no mirror image, so mid-p is
    1 - P(X = b)/2; without discordant prompts both values are 1.
    """
    if b < 0 or c < 0:
        raise ValueError(f"discordant counts are {b} and {c}, expected counts >= 0")
    n, small = b + c, min(b, c)
    if n == 0:
        return McNemar(b=b, c=c, p=1.0, p_mid=1.0)
    p = min(1.0, 2 * binomial_cdf(small, n, 0.5))
    point = binomial_pmf(small, n, 0.5)
    return McNemar(b=b, c=c, p=p, p_mid=1.0 - point / 2 if b == c else p - point)
