"""Influence values of an official aggregate and the variance over prompts that follows from them.

A headline is `theta = sum_g W_g R_g` with `R_g = sum_p a_p / sum_p b_p` over the prompts of category g: means of
prompts (b = 1), means over images and pooled question ratios are all of this form. The influence value of a prompt is
its share in theta's linearised error; images, questions and judge repeats of one prompt are inside it, so that the
prompt is the unit of every variance in this package.

Shape legend: P prompts, G categories, `...` any leading axes (checkpoints, training seeds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

ONE_PROMPT_PER_CATEGORY = "one prompt per category"
"""Reason given where no category has the two prompts that a variance needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """Estimates and influence values of one or many checkpoints on the same prompts.

    `theta` is NaN where a weighted category has no valid prompt (inside this package only; results print `None`).
    """

    theta: Floats
    """(...,) the unrounded headline."""
    psi: Floats
    """(..., P) influence values; they sum to 0 in each category and are 0 for a missing prompt."""
    valid: Bools
    """(..., P) whether the prompt has a score."""
    scores: Floats
    """(..., P) the prompt's own score a/b; 0 where missing."""
    ratios: Floats
    """(..., G) category values R_g; NaN where the category has no valid prompt."""
    cat: Ints
    """(P,) category of each prompt."""
    weights: Floats
    """(G,) category weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVariance:
    """Variance over prompts of a sum of per-prompt values."""

    variance: float | None
    """V; None where it cannot be estimated."""
    df: float | None
    """Satterthwaite degrees of freedom of V."""
    n: Ints
    """(G,) prompts counted in each category."""
    reason: str
    """Why there is no variance; empty otherwise."""


def influence_values(a: ArrayLike, cat: ArrayLike, weights: ArrayLike, den: ArrayLike | None = None) -> Influence:
    """Headline and influence value of every prompt, for one checkpoint or for a stack of them.

    Args:
        a: (..., P) numerators (a score, correct images, correct questions); NaN marks a missing prompt.
        cat: (P,) int category in 0..G-1.
        weights: (G,) category weights, non-negative, summing to 1; 0 for a category that is not part of the headline.
        den: (..., P) denominators >= 0 (images or questions scored), broadcast against `a`; 0 or NaN marks a missing
            prompt. None: ones, which makes R_g the mean of prompts.

    Raises:
        ValueError: shapes disagree, a category is outside 0..G-1, weights do not sum to 1 or a denominator is negative.

    Source: Taylor linearisation of a ratio of totals (Särndal, Swensson and Wretman 1992, section 5.5).
    """
    num, den_, cat_, w = _checked(a, cat, weights, den)
    valid = np.isfinite(num) & np.isfinite(den_) & (den_ > 0)
    num, den_ = np.where(valid, num, 0.0), np.where(valid, den_, 0.0)
    one_hot = _one_hot(cat_, len(w))
    totals = den_ @ one_hot
    present = totals > 0
    safe = np.where(present, totals, 1.0)
    ratios = (num @ one_hot) / safe
    residual = without_rounding(num - ratios[..., cat_] * den_, num)
    psi = residual * (w / safe)[..., cat_]
    empty = (~present & (w > 0)).any(axis=-1)
    return Influence(
        theta=np.where(empty, np.nan, np.where(present, ratios, 0.0) @ w),
        psi=psi,
        valid=valid,
        scores=np.divide(num, den_, out=np.zeros_like(num), where=valid),
        ratios=np.where(present, ratios, np.nan),
        cat=cat_,
        weights=w,
    )


def prompt_variance(values: ArrayLike, valid: ArrayLike, cat: ArrayLike, weights: ArrayLike) -> PromptVariance:
    """Variance kernel: V = sum_g n_g/(n_g - 1) SS_g of per-prompt values, with Satterthwaite degrees of freedom.

    A category with a single prompt borrows the prompt variance pooled over the other categories, on the scale of
    scores; all such categories enter the degrees of freedom as one term. Categories of weight 0 are left out.

    Args:
        values: (P,) influence values, differences of them, or means of them over seeds.
        valid: (P,) bool, whether the prompt counts.
        cat: (P,) int category in 0..G-1.
        weights: (G,) category weights.
    """
    d, ok, cat_ = np.asarray(values, float), np.asarray(valid, bool), np.asarray(cat, np.intp)
    w = np.asarray(weights, float)
    ok = ok & (w[cat_] > 0)
    n = np.bincount(cat_[ok], minlength=len(w))
    means = np.bincount(cat_[ok], d[ok], minlength=len(w)) / np.maximum(n, 1)
    ss = np.bincount(cat_[ok], (d[ok] - means[cat_[ok]]) ** 2, minlength=len(w))
    several, single = n >= 2, n == 1
    if not several.any():
        reason = ONE_PROMPT_PER_CATEGORY if single.any() else "no valid prompt"
        return PromptVariance(variance=None, df=None, n=n, reason=reason)
    terms, dfs = (n * ss)[several] / (n[several] - 1), (n[several] - 1).astype(float)
    if single.any():
        pooled = float(((n / np.where(several, w, 1.0)) ** 2 * ss)[several].sum() / dfs.sum())
        terms = np.append(terms, float((w[single] ** 2).sum()) * pooled)
        dfs = np.append(dfs, dfs.sum())
    variance = float(terms.sum())
    return PromptVariance(
        variance=variance, df=satterthwaite_df(terms, dfs, int((n - 1)[several].sum())), n=n, reason=""
    )


def satterthwaite_df(terms: ArrayLike, dfs: ArrayLike, df_if_zero: float) -> float:
    """Degrees of freedom of a sum of independent variance terms: (sum V)^2 / sum (V^2 / f).

    Where all terms are 0 the result is `df_if_zero`. Source: Satterthwaite 1946.
    """
    v, f = np.asarray(terms, float), np.asarray(dfs, float)
    total = float(v.sum())
    if total <= 0:
        return float(df_if_zero)
    share = v / total  # dividing first keeps tiny variances from underflowing when squared
    return float(1.0 / (share**2 / f).sum())


def kish_size(valid: ArrayLike, cat: ArrayLike, weights: ArrayLike) -> float:
    """Number of equally weighted prompts worth the same as these: 1 / sum_g W_g^2 / n_g.

    Returns 0 where a weighted category has no valid prompt. Source: Kish 1965, section 11.7.
    """
    w = np.asarray(weights, float)
    n = np.bincount(np.asarray(cat, np.intp)[np.asarray(valid, bool)], minlength=len(w))
    used = w > 0
    if (n[used] == 0).any():
        return 0.0
    return float(1.0 / (w[used] ** 2 / n[used]).sum())


def empty_categories(valid: ArrayLike, cat: ArrayLike, weights: ArrayLike) -> list[int]:
    """Categories that carry weight and have no valid prompt."""
    w = np.asarray(weights, float)
    n = np.bincount(np.asarray(cat, np.intp)[np.asarray(valid, bool)], minlength=len(w))
    return [int(g) for g in np.flatnonzero((w > 0) & (n == 0))]


def without_rounding(values: Floats, *sources: Floats) -> Floats:
    """`values` with entries at the rounding level of the `sources` they were computed from set to exactly 0.

    Without this, equal scores would leave a variance of 1e-34 instead of 0, and a p-value of 0 instead of none.
    """
    scale = max((float(np.abs(s).max(initial=0.0)) for s in sources), default=0.0)
    return np.where(np.abs(values) <= 1e-13 * scale, 0.0, values)


def _one_hot(cat: Ints, n_categories: int) -> Floats:
    return np.asarray(cat[:, None] == np.arange(n_categories), dtype=float)


def _checked(a: ArrayLike, cat: ArrayLike, weights: ArrayLike, den: ArrayLike | None) -> Any:
    num, cat_, w = np.asarray(a, float), np.asarray(cat), np.asarray(weights, float)
    if num.ndim == 0 or cat_.ndim != 1 or w.ndim != 1 or num.shape[-1] != len(cat_):
        raise ValueError(f"a has shape {num.shape}, cat {cat_.shape}, weights {w.shape}; expected (..., P), (P,), (G,)")
    if cat_.size and (not np.issubdtype(cat_.dtype, np.integer) or cat_.min() < 0 or cat_.max() >= len(w)):
        raise ValueError(f"cat must be integers in 0..{len(w) - 1} (one weight per category), got {np.unique(cat_)}")
    if not np.isfinite(w).all() or (w < 0).any() or abs(float(w.sum()) - 1.0) > 1e-9:
        raise ValueError(
            f"weights {w} sum to {w.sum()}, expected non-negative weights summing to 1; "
            "renormalise over the categories that are present"
        )
    den_ = np.ones_like(num) if den is None else np.broadcast_to(np.asarray(den, float), num.shape)
    if (den_ < 0).any():
        raise ValueError("den has negative entries; expected counts, 0 for a missing prompt")
    return num, den_, cat_.astype(np.intp), w
