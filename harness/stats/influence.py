"""Influence values of statistics that are not a weighted sum of category ratios.

Together with `interval_from_influence` and `difference_from_influence` they give any headline the same interval as an
ordinary one: the jackknife for an arbitrary function of the prompts, and a closed form for ratios in which one prompt
counts in several categories.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.variance import Bools, Floats, Influence


def jackknife_influence(statistic: Callable[[Bools], float], valid: ArrayLike, cat: ArrayLike) -> Floats:
    """Stratified delete-one jackknife: psi_p = -((n_g - 1)/n_g) (f_(-p) - mean over g of f_(-q)).

    Args:
        statistic: value of the headline on the prompts that are True in a (P,) mask.
        valid: (P,) bool, prompts with a score.
        cat: (P,) int category.

    Returns:
        (P,) influence values; 0 for missing prompts and for the only prompt of a category. Equal to the closed form
        for means.

    Source: Efron 1982, chapter 3.
    """
    ok, cat_ = np.asarray(valid, bool), np.asarray(cat, np.intp)
    n = np.bincount(cat_[ok], minlength=int(cat_.max(initial=0)) + 1)
    psi = np.zeros(len(ok))
    deletable = np.flatnonzero(ok & (n[cat_] >= 2))
    for p in deletable:
        keep = ok.copy()
        keep[p] = False
        psi[p] = statistic(keep)
    for g in np.unique(cat_[deletable]):
        members = deletable[cat_[deletable] == g]
        psi[members] = -(len(members) - 1) / len(members) * (psi[members] - psi[members].mean())
    return psi


def overlapping_influence(a: ArrayLike, den: ArrayLike, weights: ArrayLike) -> Influence:
    """Influence values where a prompt can count in several categories (questions of several kinds in one prompt).

    A prompt's value is the sum of its terms, and all prompts form one stratum.

    Args:
        a: (P, G) numerators by category.
        den: (P, G) denominators, 0 where the prompt has nothing in the category.
        weights: (G,) category weights summing to 1.

    Returns:
        Influence with one category; `ratios` holds the single headline, `scores` the pooled score of each prompt.

    Raises:
        ValueError: shapes disagree or a weighted category is empty.
    """
    b, w = np.asarray(den, float), np.asarray(weights, float)
    num = np.where(b > 0, np.asarray(a, float), 0.0)
    totals = b.sum(axis=0)
    if num.ndim != 2 or num.shape != b.shape or w.shape != totals.shape or (totals[w > 0] <= 0).any():
        raise ValueError(f"a {num.shape}, den {b.shape}, weights {w.shape} disagree or a weighted category is empty")
    safe = np.where(totals > 0, totals, 1.0)
    ratios = num.sum(axis=0) / safe
    theta = float(ratios @ w)
    valid: Bools = np.asarray((b[:, w > 0] > 0).any(axis=1))
    per_prompt = b.sum(axis=1)
    return Influence(
        theta=np.asarray(theta),
        psi=(num - ratios * b) @ (w / safe),
        valid=valid,
        scores=np.divide(num.sum(axis=1), per_prompt, out=np.zeros(len(b)), where=per_prompt > 0),
        ratios=np.array([theta]),
        cat=np.zeros(len(b), np.intp),
        weights=np.ones(1),
    )
