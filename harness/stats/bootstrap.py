"""Bootstrap by prompt weights, for pictures and for statistics without an influence value; no default uses it.

Prompts are drawn within categories. The same weights serve every checkpoint and condition, which keeps the pairing;
draw them once per benchmark.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.variance import Floats


def bootstrap_weights(
    cat: ArrayLike, n_draws: int, rng: np.random.Generator, *, valid: ArrayLike | None = None
) -> NDArray[np.float32]:
    """How often each prompt was drawn: (n_draws, P) float32, summing to n_g in each category.

    Args:
        cat: (P,) int category.
        n_draws: bootstrap draws; memory is 4 n_draws P bytes.
        rng: generator of the draws.
        valid: (P,) bool; other prompts are never drawn.
    """
    cat_ = np.asarray(cat, np.intp)
    ok = np.ones(len(cat_), bool) if valid is None else np.asarray(valid, bool)
    weights = np.zeros((n_draws, len(cat_)), np.float32)
    for g in np.unique(cat_[ok]):
        members = np.flatnonzero(ok & (cat_ == g))
        n = len(members)
        # one bincount over (draw, prompt) pairs is several times faster than drawing multinomials
        picks = rng.integers(0, n, (n_draws, n)) + n * np.arange(n_draws)[:, None]
        weights[:, members] = np.bincount(picks.ravel(), minlength=n_draws * n).reshape(n_draws, n)
    return weights


def bootstrap_headlines(
    draws: ArrayLike, a: ArrayLike, cat: ArrayLike, weights: ArrayLike, *, den: ArrayLike | None = None
) -> Floats:
    """Headline of one checkpoint under each draw: (n_draws,), exact for pooled ratios.

    Args:
        draws: (B, P) from `bootstrap_weights`.
        a: (P,) numerators; NaN marks a missing prompt.
        cat: (P,) int category.
        weights: (G,) category weights.
        den: (P,) denominators; None: ones.

    Returns:
        NaN for a draw without a valid prompt in a weighted category.
    """
    num, w = np.asarray(a, float), np.asarray(weights, float)
    b = np.ones_like(num) if den is None else np.asarray(den, float)
    ok = np.isfinite(num) & np.isfinite(b) & (b > 0)
    one_hot = np.asarray((np.asarray(cat)[:, None] == np.arange(len(w))) & ok[:, None], float)[:, w > 0]
    counts = np.asarray(draws, float)
    below = counts @ (one_hot * np.where(ok, b, 0.0)[:, None])
    above = counts @ (one_hot * np.where(ok, num, 0.0)[:, None])
    ratios = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return np.asarray(ratios @ w[w > 0])
