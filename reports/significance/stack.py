"""Values of several runs on the same prompts, as arrays with one row per training seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.terms import Terms

Floats = NDArray[np.float64]
_TOLERANCE = 1e-9


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
        return Stack(
            num=self.num[chosen], den=self.den[chosen], planned=self.planned[chosen], cat=self.cat,
            categories=self.categories, weights=self.weights, lo=self.lo, hi=self.hi, step=self.step,
        )  # fmt: skip


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
        _stack_arm(arm, [_order(t, first, (labels[0][0], name)) for t, name in zip(arm, own, strict=True)], first)
        for arm, own in zip(arms, labels, strict=True)
    ]


def _stack_arm(arm: Sequence[Terms], orders: Sequence[NDArray[np.intp] | None], first: Terms) -> Stack:
    def rows(name: str) -> Floats:
        values = [getattr(t, name) for t in arm]
        return np.stack([v if o is None else v[o] for v, o in zip(values, orders, strict=True)])

    return Stack(
        num=rows("num"), den=rows("den"), planned=rows("planned"), cat=first.cat, categories=first.categories,
        weights=first.weights, lo=first.lo, hi=first.hi, step=max(t.step for t in arm),
    )  # fmt: skip


def _order(terms: Terms, first: Terms, names: tuple[str, str]) -> NDArray[np.intp] | None:
    """Where each prompt of `first` stands in `terms`; None where all stand at the same places."""
    order = None
    if terms.prompts != first.prompts:
        place = {p: i for i, p in enumerate(terms.prompts)}
        _check_prompts(terms, first, place, names)
        order = np.array([place[p] for p in first.prompts], np.intp)
    _check_categories(terms, first, order, names)
    if (terms.lo, terms.hi) != (first.lo, first.hi):
        raise DataError(
            f"scores range from {first.lo:g} to {first.hi:g} in {names[0]}, from {terms.lo:g} to {terms.hi:g} in "
            f"{names[1]}; only values of one scale are compared."
        )
    return order


def _check_prompts(terms: Terms, first: Terms, place: dict[str, int], names: tuple[str, str]) -> None:
    known = set(first.prompts)
    absent = [p for p in first.prompts if p not in place]
    extra = [p for p in terms.prompts if p not in known]
    if absent or extra:
        holder, example = (names[0], absent[0]) if absent else (names[1], extra[0])
        raise DataError(
            f"the prompts differ: {example} is in {holder} only ({len(first.prompts)} prompts in {names[0]}, "
            f"{len(terms.prompts)} in {names[1]}, {len(absent) + len(extra)} in one of them only); evaluate both on "
            "the same prompts."
        )


def _check_categories(terms: Terms, first: Terms, order: NDArray[np.intp] | None, names: tuple[str, str]) -> None:
    cat = terms.cat if order is None else terms.cat[order]
    if terms.categories == first.categories:
        differ = cat != first.cat
    else:
        own, theirs = np.array(terms.categories), np.array(first.categories)
        differ = own[cat] != theirs[first.cat]
    if differ.any():
        p = int(np.flatnonzero(differ)[0])
        raise DataError(
            f"{first.prompts[p]} is of category {first.categories[first.cat[p]]!r} in {names[0]} and of "
            f"{terms.categories[cat[p]]!r} in {names[1]}; the runs rest on different data."
        )
    left, right = (dict(zip(t.categories, t.weights.tolist(), strict=True)) for t in (first, terms))
    for name in dict.fromkeys([*left, *right]):
        a, b = left.get(name, 0.0), right.get(name, 0.0)
        if abs(a - b) > _TOLERANCE:
            raise DataError(
                f"category {name!r} weighs {a:.4g} in {names[0]} and {b:.4g} in {names[1]}: it has no valid score in "
                "one of them, so the two values are averages of different categories."
            )
