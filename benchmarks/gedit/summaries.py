"""The result table: group means, and their unweighted mean over the groups, of SC, PQ and O, each 0..10."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.gedit.groups import GROUPS, N_ROWS, PAPER_INTERSECTION, ROWS, Subset
from benchmarks.gedit.tally import Group, Item, Missing
from harness.terms import Terms, make_terms
from harness.types import Summary
from harness.viescore.parsing import SCALE

COLUMNS: tuple[str, str, str] = ("SC", "PQ", "O")
MAX_IDS = 20
"""Missing prompts named in a row."""

STEPS = (1.0, 1.0, 9 - math.sqrt(80))
"""Smallest difference of two images' scores by column: SC and PQ are asked for as whole numbers, and no two roots of
their products lie closer than those of 9 x 9 and 8 x 10."""

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
    terms = None if value is None else _terms(names, scope, items, column)
    return Summary(
        metric=f"{key}/{COLUMNS[column]}",
        value=value,
        n=len({id_ for i in items for id_, _ in i}),
        n_missing=sum(len(g.missing) for g in scope),
        printed="" if value is None else f"{value:.3f}",
        extra=_extra(column, names, scope, missing=missing, subset=subset),
        terms=terms,
        **({"method": f"none: {_without_value(names, items)}"} if terms is None else _interval(terms)),
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


def _terms(names: Sequence[str], scope: Sequence[Group], items: Sequence[Items], column: int) -> Terms:
    """Groups weigh the same; samples of a prompt are pooled. Open-ended where a score lies outside the scale."""
    rows = []
    for name, group, own in zip(names, scope, items, strict=True):
        known: dict[str, list[float]] = {id_: [] for id_ in group.prompts}
        for id_, values in own:
            known[id_].append(values[column])
        n = Counter(id_ for id_, _ in group.filled(SCALE[0]))
        rows += [(id_, name, float(sum(v)), float(len(v)), float(n[id_])) for id_, v in known.items()]
    is_in_range = all(SCALE[0] * b <= a <= SCALE[1] * b for _, _, a, b, _ in rows)
    lo, hi = SCALE if is_in_range else (-math.inf, math.inf)
    step = STEPS[column] / max(n_samples for *_, n_samples in rows)
    return make_terms(rows, dict.fromkeys(names, 1 / len(names)), lo=lo, hi=hi, step=step)


def _interval(terms: Terms) -> dict[str, Any]:
    found = terms.interval()
    if math.isinf(terms.hi) and "ci_low" in found:
        found["method"] += "; scores outside 0..10"
    return found


def intersection_note(lang: str, n_rows: int) -> str:
    """How many rows of a language the flags select, beside the paper's count."""
    return f"intersection: {n_rows} of {N_ROWS} {lang} rows by their flags, {PAPER_INTERSECTION[lang]} in the paper"
