"""Corrections over a planned family of tests: Holm for claims, Benjamini-Hochberg for exploratory tables.

A test that was planned but could not be computed (`None`) counts as p = 1 and stays `None`: the family never shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.stats.variance import Floats


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm-adjusted p-values, in the order given; they control the family-wise error rate.

    Raises:
        ValueError: a p-value is outside [0, 1].

    Source: Holm 1979.
    """
    return _adjusted(p, lambda q, m: np.maximum.accumulate(np.minimum(1.0, (m - np.arange(m)) * q)))


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """Benjamini-Hochberg adjusted p-values, in the order given; label them `false discovery rate`.

    Raises:
        ValueError: a p-value is outside [0, 1].

    Source: Benjamini and Hochberg 1995.
    """
    return _adjusted(p, lambda q, m: np.minimum.accumulate(np.minimum(1.0, m * q / np.arange(1, m + 1))[::-1])[::-1])


def simultaneous_level(n_tests: int, alpha: float = 0.05) -> float:
    """Level of the Bonferroni interval to print beside Holm decisions over `n_tests`: 1 - alpha / n_tests."""
    if n_tests < 1:
        raise ValueError(f"n_tests is {n_tests}, expected at least 1")
    return 1.0 - alpha / n_tests


def _adjusted(p: Sequence[float | None], rule: Callable[[Floats, int], Floats]) -> list[float | None]:
    values = np.array([1.0 if v is None else v for v in p], dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values {values.tolist()} reach outside [0, 1]")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = rule(values[order], len(values))
    return [None if v is None else float(a) for v, a in zip(p, adjusted, strict=True)]
