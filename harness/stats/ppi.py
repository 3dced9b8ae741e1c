"""Few human labels and many judge labels: the prediction-powered estimate of a human-rated headline.

The judge's mean over all images is corrected by its error on the labelled ones, weighted by `lam`, which is estimated
so that a useless judge costs nothing (PPI++). Labelled images must be drawn at random within a category.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import t_quantile
from harness.stats.intervals import FEW_PROMPTS
from harness.stats.variance import Bools, Floats, Ints, kish_size, satterthwaite_df


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPowered:
    """A human-rated headline estimated with a judge's help."""

    est: float | None
    """Estimate on the human scale."""
    se: float | None
    """Standard error, including the pseudo-labels of `few_errors`."""
    df: float | None
    """Satterthwaite degrees of freedom."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    lam: float | None
    """Weight of the judge: 0 ignores it, 1 is plain PPI."""
    few_errors: bool
    """True where fewer than 20 labelled images have a judge error, so that two pseudo-labels were added."""
    correlation: float | None
    """Weighted within-category correlation of human and judge; None if one of them is constant."""
    label_factor: float | None
    """Each label is worth this many without a judge (at the best lam)."""
    n_labelled: int
    """Labelled images."""
    n_unlabelled: int
    """Images with a judge score only."""
    level: float
    """Nominal coverage."""
    reason: str
    """Why there is no estimate; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Per used category, shape (G',)."""

    w: Floats
    n: Floats
    n_unlab: Floats
    mean_y: Floats
    mean_f: Floats
    mean_unlab: Floats
    cov_yf: Floats
    var_y: Floats
    var_f: Floats
    var_f_lab: Floats
    var_unlab: Floats


def prediction_powered(
    y: ArrayLike,
    f_labelled: ArrayLike,
    f_unlabelled: ArrayLike,
    *,
    cat_labelled: ArrayLike | None = None,
    cat_unlabelled: ArrayLike | None = None,
    weights: ArrayLike = (1.0,),
    lam: float | None = None,
    value_range: float = 1.0,
    level: float = 0.95,
) -> PredictionPowered:
    """Human-rated headline from few labels and many judge scores.

    Average several images of one prompt to the prompt first, and label whole prompts. For two checkpoints pass the
    differences of their human and judge scores.

    Args:
        y: (n,) human scores.
        f_labelled: (n,) judge scores of the same images.
        f_unlabelled: (N,) judge scores of the other images.
        cat_labelled: (n,) int category; None: one category.
        cat_unlabelled: (N,) int category.
        weights: (G,) category weights summing to 1.
        lam: weight of the judge; None: estimated (PPI++), 1: plain PPI.
        value_range: largest possible |y - f|, used where the judge was never wrong.
        level: nominal coverage.

    Raises:
        ValueError: lengths differ, a value is not finite, or weights do not sum to 1.

    Source: Angelopoulos et al. 2023 (arXiv 2301.09633, 2311.01453); strata after Fisch et al. 2024 (arXiv 2406.04291).
    """
    human, judge, other = (np.asarray(v, float) for v in (y, f_labelled, f_unlabelled))
    w = np.asarray(weights, float)
    cats = [
        np.zeros(len(v), np.intp) if c is None else np.asarray(c, np.intp)
        for v, c in ((human, cat_labelled), (other, cat_unlabelled))
    ]
    _check(human, judge, other, cats, w)
    reason = _too_few(cats[0], cats[1], w)
    if reason:
        return PredictionPowered(
            est=None, se=None, df=None, low=None, high=None, lam=None, few_errors=False, correlation=None,
            label_factor=None, n_labelled=len(human), n_unlabelled=len(other), level=level, reason=reason,
        )  # fmt: skip
    m = _moments(human, judge, other, cats[0], cats[1], w)
    weight = _best_lam(m) if lam is None else lam
    used: Bools = w[cats[0]] > 0
    error = np.abs(human - judge)[used]
    few = weight > 0 and int((error > 1e-12 * max(1.0, float(np.abs(human).max()))).sum()) < FEW_PROMPTS
    terms = np.concatenate([m.w**2 * weight**2 * m.var_unlab / m.n_unlab, m.w**2 * _residual_variance(m, weight) / m.n])
    variance = float(terms.sum())
    df = satterthwaite_df(terms, np.concatenate([m.n_unlab - 1, m.n - 1]), int((m.n - 1).sum()))
    if few:
        largest = float(error.max()) if error.max() > 0 else value_range
        variance += 2 * weight * (largest / kish_size(used, cats[0], w)) ** 2
    est = float((m.w * (m.mean_y + weight * (m.mean_unlab - m.mean_f))).sum())
    half = float(t_quantile(0.5 + level / 2, df)) * math.sqrt(variance)
    rho = _correlation(m)
    share = float(m.n_unlab.sum() / (m.n.sum() + m.n_unlab.sum()))
    return PredictionPowered(
        est=est,
        se=math.sqrt(variance),
        df=df,
        low=est - half,
        high=est + half,
        lam=weight,
        few_errors=few,
        correlation=rho,
        label_factor=None if rho is None or rho**2 * share >= 1 else 1 / (1 - rho**2 * share),
        n_labelled=len(human),
        n_unlabelled=len(other),
        level=level,
        reason="",
    )


def _moments(human: Floats, judge: Floats, other: Floats, cat: Ints, cat_other: Ints, w: Floats) -> _Moments:
    rows = []
    for g in np.flatnonzero(w > 0):
        y, f, u = human[cat == g], judge[cat == g], other[cat_other == g]
        joint = np.cov(y, f)
        every = np.concatenate([f, u])
        rows.append(
            (w[g], len(y), len(u), y.mean(), f.mean(), u.mean(), joint[0, 1], joint[0, 0], every.var(ddof=1),
             joint[1, 1], u.var(ddof=1))
        )  # fmt: skip
    return _Moments(**dict(zip(_Moments.__slots__, np.array(rows, float).T, strict=True)))


def _best_lam(m: _Moments) -> float:
    """The lam of least variance, from all judge scores for its variance and the labelled ones for the covariance."""
    below = float((m.w**2 * m.var_f * (1 / m.n + 1 / m.n_unlab)).sum())
    if below == 0:
        return 0.0
    return float(np.clip((m.w**2 * m.cov_yf / m.n).sum() / below, 0.0, 1.0))


def _residual_variance(m: _Moments, lam: float) -> Floats:
    """Sample variance of y - lam f over the labelled images of each category."""
    return np.asarray(np.maximum(0.0, m.var_y - 2 * lam * m.cov_yf + lam**2 * m.var_f_lab))


def _correlation(m: _Moments) -> float | None:
    share = m.w**2 / m.n
    norm = math.sqrt(float((share * m.var_y).sum()) * float((share * m.var_f_lab).sum()))
    return None if norm == 0 else float((share * m.cov_yf).sum()) / norm


def _too_few(cat: Ints, cat_other: Ints, w: Floats) -> str:
    for name, c in (("labelled", cat), ("unlabelled", cat_other)):
        n = np.bincount(c, minlength=len(w))
        short = np.flatnonzero((w > 0) & (n < 2))
        if len(short):
            return f"fewer than 2 {name} images in category {short[0]}"
    return ""


def _check(human: Floats, judge: Floats, other: Floats, cats: list[Ints], w: Floats) -> None:
    if human.ndim != 1 or human.shape != judge.shape or len(cats[0]) != len(human) or len(cats[1]) != len(other):
        raise ValueError(
            f"y {human.shape}, f_labelled {judge.shape}, f_unlabelled {other.shape} or categories disagree"
        )
    if not all(np.isfinite(v).all() for v in (human, judge, other)):
        raise ValueError("human and judge scores must be finite; leave missing images out")
    if any(c.size and (c.min() < 0 or c.max() >= len(w)) for c in cats) or abs(float(w.sum()) - 1) > 1e-9:
        raise ValueError(f"categories must lie in 0..{len(w) - 1} and weights sum to 1, got a sum of {w.sum()}")
