"""Values of several runs on the same prompts, as arrays with one row per training seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.terms import Terms, aligned

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """One table value of S training seeds of a condition: rows on P prompts in G categories."""

    num: Floats
    """(S, P) numerators."""
    den: Floats
    """(S, P) denominators, 0 for a prompt without a valid score."""
    planned: Floats
    """(S, P) denominators had nothing been missing."""
    cat: NDArray[np.intp]
    """(P,) index into `categories`."""
    categories: tuple[str, ...]
    weights: Floats
    """(G,) summing to 1."""
    lo: float
    hi: float
    step: float
    """Largest of the runs' smallest possible differences: the cautious one where they differ."""
    higher_is_better: bool = True

    @property
    def n_seeds(self) -> int:
        """S."""
        return len(self.num)

    @property
    def is_bounded(self) -> bool:
        """Whether scores have a smallest and a largest value."""
        return bool(np.isfinite(self.lo) and np.isfinite(self.hi))

    def n_missing(self) -> float:
        """Planned scores (images, questions or prompts) that are not there, over all seeds."""
        return float((self.planned - self.den).sum())

    def n_planned(self) -> float:
        """Planned scores over all seeds."""
        return float(self.planned.sum())

    def by_category(self, values: Floats) -> Floats:
        """(G,) sums of an (S, P) array."""
        return np.bincount(self.cat, values.sum(axis=0), minlength=len(self.categories)).astype(float)

    def prompt_means(self) -> tuple[Floats, NDArray[np.bool_]]:
        """(P,) mean over seeds of each prompt's own score, and whether any seed has one."""
        valid = self.den > 0
        scores = np.divide(self.num, self.den, out=np.zeros_like(self.num), where=valid)
        counts = valid.sum(axis=0)
        return scores.sum(axis=0) / np.maximum(counts, 1), counts > 0

    def rows(self, index: Sequence[int]) -> Stack:
        """Some of the seeds."""
        chosen = list(index)
        return replace(self, num=self.num[chosen], den=self.den[chosen], planned=self.planned[chosen])


def stack(arms: Sequence[Sequence[Terms]], names: Sequence[Sequence[str]] | None = None) -> list[Stack]:
    """One `Stack` per arm, all with the prompts and categories of the very first terms, in their order.

    Args:
        arms: per condition the terms of one value, one per training seed.
        names: what messages call each run.

    Raises:
        DataError: prompts, categories, weights or ranges differ; an example is named.
    """
    first = arms[0][0]
    labels = names or [[f"arm {i + 1}, seed {j + 1}" for j in range(len(arm))] for i, arm in enumerate(arms)]
    return [
        _stack_arm([aligned(first, t, (labels[0][0], name)) for t, name in zip(arm, own, strict=True)])
        for arm, own in zip(arms, labels, strict=True)
    ]


def _stack_arm(arm: Sequence[Terms]) -> Stack:
    first = arm[0]
    num, den, planned = (np.stack([getattr(t, name) for t in arm]) for name in ("num", "den", "planned"))
    return Stack(
        num=num, den=den, planned=planned, cat=first.cat, categories=first.categories, weights=first.weights,
        lo=first.lo, hi=first.hi, step=max(t.step for t in arm), higher_is_better=first.higher_is_better,
    )  # fmt: skip
