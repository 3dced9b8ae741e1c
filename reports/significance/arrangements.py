"""Exact tests of many values with the same numbers of seeds: the arrangements are listed once.

The numbers are those of `harness.stats.permutation_test` and `sign_flip`.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.seeds import numpy_generator
from harness.stats import permutation_test, sign_flip, smallest_permutation_p, smallest_sign_flip_p
from reports.significance.results import Exact

ALPHA = 0.05
_MAX_LISTED = 2**18
"""Splits whose index table is kept: 10 + 10 seeds are 184,756."""


def sign_flip_beside(d: ArrayLike, n_tests: int) -> Exact:
    """Exact test of per-seed differences, with its text for a family of `n_tests`."""
    rng = numpy_generator(0, "sign-flip")
    p = sign_flip(d, rng=rng).p
    return _exact("sign-flip", p, smallest_sign_flip_p(len(np.asarray(d))), n_tests)


def permutation_beside(x: ArrayLike, y: ArrayLike, n_tests: int) -> Exact:
    """Exact test of two independent arms' per-seed values."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    p = _permutation_p(a, b)
    return _exact("permutation", p, smallest_permutation_p(len(a), len(b)), n_tests)


def _permutation_p(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    n = math.comb(len(a) + len(b), len(a))
    if n > _MAX_LISTED:
        return permutation_test(a, b, rng=numpy_generator(0, "permutation")).p
    pooled = np.concatenate([a, b])
    centred = pooled - pooled.mean()
    total = centred.sum()
    sums = centred[_splits(len(pooled), len(a))].sum(axis=1)
    observed = abs(float(_mean_difference(centred[: len(a)].sum(), total, len(a), len(b))))
    limit = observed - 1e-12 * max(1.0, observed)
    return int((np.abs(_mean_difference(sums, total, len(a), len(b))) >= limit).sum()) / n


def _mean_difference(sum_x: NDArray[np.float64] | float, total: float, n_x: int, n_y: int) -> NDArray[np.float64]:
    return np.asarray(sum_x / n_x - (total - sum_x) / n_y)


@lru_cache(maxsize=4)
def _splits(n: int, k: int) -> NDArray[np.int8]:
    """(C(n, k), k) int8: which seeds form the first arm, in every way."""
    flat = itertools.chain.from_iterable(itertools.combinations(range(n), k))
    return np.fromiter(flat, np.int8, math.comb(n, k) * k).reshape(-1, k)


def _exact(test: str, p: float, smallest: float, n_tests: int) -> Exact:
    if smallest >= ALPHA:
        text = f"cannot reach {ALPHA:g}"
    elif smallest >= ALPHA / n_tests:
        text = f"{p:.4f} (cannot reach {ALPHA:g} after Holm over {n_tests})"
    else:
        text = f"{p:.2g}" if p < 1e-3 else f"{p:.4f}"
    return Exact(test=test, p=p, smallest_p=smallest, text=text)
