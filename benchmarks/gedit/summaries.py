"""The result table: group means, and their unweighted mean over the groups, of SC, PQ and O, each 0..10."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.gedit.groups import GROUPS, N_ROWS, PAPER_INTERSECTION, ROWS, Subset
from benchmarks.gedit.tally import Group, Item, Missing
from harness.stats import score_interval
from harness.types import Summary
from harness.viescore.parsing import SCALE

COLUMNS: tuple[str, str, str] = ("SC", "PQ", "O")
MAX_IDS = 20
"""Missing prompts named in a row."""

Items = Sequence[tuple[str, Item]]


def summarise(
    groups: Mapping[str, Group], *, expected: Sequence[str], missing: Missing, subset: Subset | None, prefix: str = ""
) -> list[Summary]:
    """`overall/SC|PQ|O` first, then `group/NAME/SC|PQ|O`, in official order.

    Args:
        groups: by name, from `tally`.
        expected: the groups that the overall needs; without items of one of them it has no value.
        missing: whether missing items leave the means (official) or count as zero (lmms-eval).
        subset: which rows of an official set these are; None for the micro edition.
        prefix: goes before every key.
    """
    scopes = [("overall", list(expected)), *((f"group/{name}", [name]) for name in groups)]
    return [
        _cell(f"{prefix}{key}", column, names, groups, missing=missing, subset=subset)
        for key, names in scopes
        for column in range(len(COLUMNS))
    ]


def group_mean(items: Items, column: int) -> float | None:
    """Mean over items in their order; None without items."""
    return float(np.mean([values[column] for _, values in items])) if items else None


def overall_mean(means: Sequence[float | None]) -> float | None:
    """Unweighted mean of group means; None where one is absent (NaN officially)."""
    known = [m for m in means if m is not None]
    return float(np.mean(known)) if known and len(known) == len(means) else None


def _cell(
    key: str, column: int, names: Sequence[str], groups: Mapping[str, Group], *, missing: Missing, subset: Subset | None
) -> Summary:
    scope = [groups.get(name, Group()) for name in names]
    items = [g.filled(SCALE[0]) if missing == "zero" else g.items for g in scope]
    value = overall_mean([group_mean(i, column) for i in items])
    low, high, method = None, None, f"none: {_without_value(names, items)}"
    if value is not None:
        low, high, method = _interval(items, column)
    return Summary(
        metric=f"{key}/{COLUMNS[column]}",
        value=value,
        ci_low=low,
        ci_high=high,
        n=len({id_ for i in items for id_, _ in i}),
        n_missing=sum(len(g.missing) for g in scope),
        printed="" if value is None else f"{value:.3f}",
        method=method,
        extra=_extra(column, names, scope, missing=missing, subset=subset),
    )


def _without_value(names: Sequence[str], items: Sequence[Items]) -> str:
    empty = [name for name, i in zip(names, items, strict=True) if not i]
    if not names:
        return "no group has rows"
    return f"no scored item in {', '.join(empty)} ({len(empty)} of {len(names)} groups)"


def _extra(
    column: int, names: Sequence[str], scope: Sequence[Group], *, missing: Missing, subset: Subset | None
) -> dict[str, Any]:
    absent = [id_ for g in scope for id_ in g.missing]
    counts: dict[str, Any] = {
        "items": sum(g.n_samples for g in scope),
        "groups": len(names),
        "complete": not absent and not _gaps(names, scope, subset),
    }
    if absent:
        counts["missing_as"] = missing
        counts["missing_prompts"] = absent[:MAX_IDS]
        counts["bounds"] = [overall_mean([group_mean(g.filled(end), column) for g in scope]) for end in SCALE]
    n_guessed = sum(g.n_guessed for g in scope)
    if n_guessed:
        counts["guessed"] = n_guessed
    note = _note(names, scope, subset, n_absent=len(absent), n_guessed=n_guessed)
    return {**counts, "note": note} if note else counts


def _gaps(names: Sequence[str], scope: Sequence[Group], subset: Subset | None) -> list[str]:
    """Groups with fewer rows than the official set has; of the intersection, those without any."""
    if subset is None:
        return []
    needed = {name: ROWS[name] if subset == "full" else 1 for name in names}
    return [name for name, g in zip(names, scope, strict=True) if len(g.prompts) < needed[name]]


def _note(names: Sequence[str], scope: Sequence[Group], subset: Subset | None, *, n_absent: int, n_guessed: int) -> str:
    notes = []
    n_prompts = sum(len(g.prompts) for g in scope)
    if n_absent or _gaps(names, scope, subset):
        whole = f" of {sum(ROWS[n] for n in names)}" if subset == "full" else f" of {n_prompts}"
        notes.append(f"incomplete: {len({id_ for g in scope for id_, _ in g.items})}{whole} rows are scored")
    if subset is None and 1 < len(names) < len(GROUPS):
        notes.append(f"mean over {len(names)} of the {len(GROUPS)} groups: {', '.join(names)}")
    if n_guessed:
        notes.append(f"{n_guessed} items rest on guessed scores")
    return "; ".join(notes)


def _interval(items: Sequence[Items], column: int) -> tuple[float | None, float | None, str]:
    """(low, high, method): prompts random within groups, groups weigh the same; samples of a prompt pooled."""
    sums: list[dict[str, list[float]]] = []
    for group in items:
        by_prompt: dict[str, list[float]] = {}
        for id_, values in group:
            by_prompt.setdefault(id_, []).append(values[column])
        sums.append(by_prompt)
    a = np.array([sum(v) for g in sums for v in g.values()])
    den = np.array([len(v) for g in sums for v in g.values()], dtype=float)
    is_in_range = bool(np.all((a >= SCALE[0] * den) & (a <= SCALE[1] * den)))
    lo, hi = SCALE if is_in_range else (-math.inf, math.inf)
    result = score_interval(
        a,
        np.repeat(np.arange(len(sums)), [len(g) for g in sums]),
        np.full(len(sums), 1 / len(sums)),
        den=den,
        lo=lo,
        hi=hi,
    )
    if result.low is None:
        return None, None, f"none: {result.reason}"
    return result.low, result.high, result.method if is_in_range else f"{result.method}; scores outside 0..10"


def intersection_note(lang: str, n_rows: int) -> str:
    """How many rows of a language the flags select, beside the paper's count."""
    return f"intersection: {n_rows} of {N_ROWS} {lang} rows by their flags, {PAPER_INTERSECTION[lang]} in the paper"
