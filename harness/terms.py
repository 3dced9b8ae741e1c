"""What a value of the result table is made of, prompt by prompt: the input of every interval, test and decision.

Every official aggregate is `theta = sum_g W_g (sum_p a_p / sum_p b_p)` over prompts p of categories g: a mean of
prompts (b = 1), a mean over images (b images scored) or pooled questions (b questions answered). Adapters attach these
terms to the summaries they make; a run directory stores them (`terms.json`), so that two runs are compared without the
benchmark's data, its judge or its code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import DataError

_SLACK = 1e-9


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Terms:
    """One table value, P prompts in G categories.

    Prompts are listed once each, also those without any valid score (`den` 0), so that missing ones can be counted.
    """

    prompts: tuple[str, ...]
    """(P,) prompt ids, all different."""
    num: NDArray[np.float64]
    """(P,) numerators a_p: sum of scores, correct images, correct questions; 0 where `den` is 0."""
    den: NDArray[np.float64]
    """(P,) denominators b_p >= 0: 1, images or questions scored; 0 for a prompt without a valid score."""
    planned: NDArray[np.float64]
    """(P,) what `den` would be had nothing been missing; >= `den`."""
    cat: NDArray[np.intp]
    """(P,) index into `categories`."""
    categories: tuple[str, ...]
    """(G,) names of the strata."""
    weights: NDArray[np.float64]
    """(G,) their weights in the value, summing to 1; 0 for a category without any valid prompt that the aggregate
    leaves out."""
    lo: float = 0.0
    """Smallest possible score a/b of a prompt, in the unit of the value; -inf where unbounded."""
    hi: float = 1.0
    """Largest possible score."""
    step: float = 1.0
    """Smallest possible difference of a prompt's score, in the same unit (1/k for verdicts over k images)."""
    higher_is_better: bool = True
    """False for errors and costs, such as bits per byte."""

    def __post_init__(self) -> None:
        n = len(self.prompts)
        if len(set(self.prompts)) != n or any(len(x) != n for x in (self.num, self.den, self.planned, self.cat)):
            raise ValueError(f"terms: {n} prompts, {len(set(self.prompts))} of them different, and arrays of "
                             f"{[len(x) for x in (self.num, self.den, self.planned, self.cat)]}")  # fmt: skip

    def negated(self) -> Terms:
        """The terms of minus the value: a lower-is-better value as one of which more is better, and back."""
        return replace(
            self, num=0.0 - self.num, lo=0.0 - self.hi, hi=0.0 - self.lo, higher_is_better=not self.higher_is_better
        )

    def interval(self) -> dict[str, Any]:
        """`ci_low`, `ci_high` and `method` of a `Summary`; without limits, `method` says why.

        Prompts are random within categories (`harness.stats.score_interval`).
        """
        from harness.stats import score_interval

        if not np.any(self.den):
            return {"method": "none: no valid score"}
        ratio = self.num[self.den > 0] / self.den[self.den > 0]
        slack = _SLACK * (self.hi - self.lo) if math.isfinite(self.hi - self.lo) else 0.0
        if (ratio < self.lo - slack).any() or (ratio > self.hi + slack).any():
            return {"method": f"none: a score lies outside {self.lo:g} to {self.hi:g}"}
        closed = math.isfinite(self.lo) and math.isfinite(self.hi)
        found = score_interval(
            self.num,
            self.cat,
            self.weights,
            den=self.den,
            lo=self.lo if closed else -math.inf,
            hi=self.hi if closed else math.inf,
        )
        if found.low is None or found.high is None:
            return {"method": f"none: {found.reason}"}
        return {"ci_low": found.low, "ci_high": found.high, "method": found.method}


def make_terms(
    rows: Sequence[tuple[str, str, float, float]] | Sequence[tuple[str, str, float, float, float]],
    weights: Mapping[str, float],
    *,
    lo: float = 0.0,
    hi: float = 1.0,
    step: float = 1.0,
    higher_is_better: bool = True,
) -> Terms:
    """Terms from rows (prompt id, category, numerator, denominator[, planned denominator]).

    Args:
        rows: one per prompt; without a planned denominator nothing is missing but prompts of denominator 0, which then
            count 1.
        weights: by category, summing to 1; categories that no row has are left out (their weight must be 0).
        lo: see `Terms`.
        hi: see `Terms`.
        step: see `Terms`.
        higher_is_better: see `Terms`.
    """
    names = tuple(c for c in weights if weights[c] or any(r[1] == c for r in rows))
    place = {c: i for i, c in enumerate(names)}
    den = np.array([r[3] for r in rows], float)
    planned = np.array([r[4] if len(r) > 4 else max(r[3], 1.0) for r in rows], float)
    return Terms(
        prompts=tuple(r[0] for r in rows),
        num=np.array([r[2] if r[3] else 0.0 for r in rows], float),
        den=den,
        planned=np.maximum(planned, den),
        cat=np.array([place[r[1]] for r in rows], np.intp),
        categories=names,
        weights=np.array([weights[c] for c in names], float),
        lo=lo,
        hi=hi,
        step=step,
        higher_is_better=higher_is_better,
    )


def aligned(first: Terms, other: Terms, names: tuple[str, str] = ("the first", "the second")) -> Terms:
    """`other` with the prompts and categories of `first`, in their order, ready to be paired.

    Raises:
        DataError: prompts, their categories, the weights or the range differ, so that the values do not compare;
            `names` call the two, and an example is given.
    """
    order = _order(first, other, names)
    cat = other.cat if order is None else other.cat[order]
    if first.categories == other.categories:
        differ = np.flatnonzero(cat != first.cat)
    else:
        differ = np.flatnonzero(np.array(first.categories)[first.cat] != np.array(other.categories)[cat])
    if differ.size:
        i = int(differ[0])
        raise DataError(
            f"Prompt {first.prompts[i]} is of category {first.categories[first.cat[i]]!r} in {names[0]} and "
            f"{other.categories[cat[i]]!r} in {names[1]}: the data differ."
        )
    weights = dict(zip(other.categories, other.weights.tolist(), strict=True))
    for category, weight in zip(first.categories, first.weights.tolist(), strict=True):
        if abs(weights.get(category, 0.0) - weight) > _SLACK:
            raise DataError(
                f"Category {category!r} weighs {weight:.4g} in {names[0]} and {weights.get(category, 0.0):.4g} in "
                f"{names[1]}: one of them has no valid score in some category, so they are means of different ones."
            )
    if (first.lo, first.hi, first.higher_is_better) != (other.lo, other.hi, other.higher_is_better):
        raise DataError(
            f"Scores range from {_scale(first)} in {names[0]}, from {_scale(other)} in {names[1]}; only values on one "
            "scale compare."
        )
    num, den, planned = ((v if order is None else v[order]) for v in (other.num, other.den, other.planned))
    return replace(
        other,
        prompts=first.prompts,
        num=num,
        den=den,
        planned=planned,
        cat=first.cat,
        categories=first.categories,
        weights=first.weights,
    )


def _scale(terms: Terms) -> str:
    return f"{terms.lo:g} to {terms.hi:g}{'' if terms.higher_is_better else ' (lower is better)'}"


def _order(first: Terms, other: Terms, names: tuple[str, str]) -> NDArray[np.intp] | None:
    """Where each prompt of `first` stands in `other`; None where all stand at the same places."""
    if first.prompts == other.prompts:
        return None
    place = {p: i for i, p in enumerate(other.prompts)}
    absent, extra = [p for p in first.prompts if p not in place], sorted(set(place) - set(first.prompts))
    if absent or extra:
        example, holder = (absent[0], names[0]) if absent else (extra[0], names[1])
        raise DataError(
            f"The prompts differ: {example} is in {holder} only ({len(first.prompts):,} prompts in {names[0]}, "
            f"{len(other.prompts):,} in {names[1]}, {len(absent) + len(extra):,} in one only). Evaluate both on the "
            "same prompts."
        )
    return np.array([place[p] for p in first.prompts], np.intp)


def observed_step(scores: ArrayLike, lo: float = 0.0, hi: float = 1.0) -> float:
    """`Terms.step` of scores whose values nobody prescribes (rewards, similarities): the smallest gap between two.

    Where all are the same it is the whole range, 1 where that is open: nothing shows that a smaller one is possible.
    """
    values = np.unique(np.asarray(scores, float))
    gaps = np.diff(values)
    real = gaps[gaps > _SLACK * float(np.abs(values).max(initial=0.0))]
    if real.size:
        return float(real.min())
    return hi - lo if math.isfinite(hi - lo) else 1.0


def to_json(terms: Mapping[str, Terms]) -> dict[str, Any]:
    """Terms of one benchmark by metric, as JSON values: prompt ids once, columns by metric."""
    ids = list(dict.fromkeys(p for t in terms.values() for p in t.prompts))
    place = {p: i for i, p in enumerate(ids)}
    return {
        "prompts": ids,
        "metrics": {
            metric: {
                "prompt": [place[p] for p in t.prompts],
                "num": t.num.tolist(),
                "den": t.den.tolist(),
                "planned": t.planned.tolist(),
                "category": t.cat.tolist(),
                "categories": list(t.categories),
                "weights": t.weights.tolist(),
                "range": [v if math.isfinite(v) else None for v in (t.lo, t.hi)],
                "step": t.step,
                **({} if t.higher_is_better else {"higher_is_better": False}),
            }
            for metric, t in terms.items()
        },
    }


def from_json(value: Any, where: str) -> dict[str, Terms]:
    """The inverse of `to_json`.

    Raises:
        DataError: not of that form; `where` and the metric are named.
    """
    found: dict[str, Terms] = {}
    metric = ""
    try:
        ids = [str(p) for p in value["prompts"]]
        for metric, t in value["metrics"].items():
            lo, hi = t["range"]
            found[metric] = Terms(
                prompts=tuple(ids[i] for i in t["prompt"]),
                num=_column(t["num"]),
                den=_column(t["den"]),
                planned=_column(t["planned"]),
                cat=np.asarray(t["category"], np.intp),
                categories=tuple(map(str, t["categories"])),
                weights=_column(t["weights"]),
                lo=-math.inf if lo is None else float(lo),
                hi=math.inf if hi is None else float(hi),
                step=float(t["step"]),
                higher_is_better=bool(t.get("higher_is_better", True)),
            )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        at = f", metric {metric!r}" if metric else ""
        raise DataError(
            f"{where}{at}: damaged ({type(error).__name__}: {error}). The file is derived: repeat the `eval` command "
            "of its run, which writes it anew."
        ) from None
    return found


def _column(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
