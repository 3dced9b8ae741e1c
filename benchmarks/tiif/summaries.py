"""The result table: every official number with its interval, its counts, and a flag where the set is incomplete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.tiif.aggregation import (
    Chain,
    accuracy,
    corrected_chain,
    leaf_weights,
    mean_chain,
    mean_in_order,
    official_chain,
    round_half_even,
)
from benchmarks.tiif.tally import Cell, Tally
from benchmarks.tiif.taxonomy import GROUPS, LEVELS, TYPES, types_of_level
from harness.terms import Terms, make_terms, observed_step
from harness.types import Prompt, Protocol, Score, Summary

TEXT_METRICS = ("text/gned", "text/recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the table before its numbers."""

    key: str
    scope: tuple[str, ...]
    by_group: bool = False

    def pick(self, chain: Chain) -> float | None:
        """The line's value in a chain."""
        first, _, rest = self.key.partition("/")
        if self.key == "overall":
            return chain.overall
        if first == "type":
            return chain.types.get(rest)
        return chain.levels[first] if rest == "avg" else chain.groups[self.key]


_ROWS = (
    _Row(key="overall", scope=TYPES, by_group=True),
    *(
        row
        for level in LEVELS
        for row in (
            _Row(key=f"{level}/avg", scope=types_of_level(level)),
            *(_Row(key=g.key, scope=g.types) for g in GROUPS if g.level == level),
        )
    ),
    *(_Row(key=f"type/{t}", scope=(t,)) for t in TYPES),
)


def summarise(tally: Tally, protocol: Protocol) -> list[Summary]:
    """Overall of each length first, then levels, groups and types of each length, then the mean accuracy.

    Lines without prompts are left out. `value` is the protocol's number before its last rounding, `printed` has the
    4 decimals of the official report. `extra` holds counts, `unrounded` (the same chain without any rounding),
    `complete`, `note` (where the set is incomplete), and, where answers are missing, `bounds` (all of them wrong, all
    right).
    """
    tables = {length: _of_length(tally, length, protocol) for length in tally.lengths()}
    overall = [table.pop(0) for table in tables.values()]
    mean = [_mean_accuracy(tally)] if tally.cells else []
    return [*overall, *(s for table in tables.values() for s in table), *mean]


def _of_length(tally: Tally, length: str, protocol: Protocol) -> list[Summary]:
    cells = {t: tally.cells[t, length] for t in tally.types(length)}
    accuracies = {t: accuracy(c.correct, c.total) for t, c in cells.items()}
    chain = official_chain(accuracies) if protocol == "official" else corrected_chain(accuracies)
    plain, bounds = mean_chain(accuracies), _bounds(cells)
    rows = [row for row in _ROWS if any(t in cells for t in row.scope)]
    return [_summary(row, length, tally, cells, chain, plain, bounds) for row in rows]


def _summary(
    row: _Row,
    length: str,
    tally: Tally,
    cells: Mapping[str, Cell],
    chain: Chain,
    plain: Chain,
    bounds: list[Chain] | None,
) -> Summary:
    value = row.pick(chain)
    scope = {t: cells[t] for t in row.scope if t in cells}
    counts = completeness(tally, length, row.scope)
    extra: dict[str, Any] = {**counts, "unrounded": row.pick(plain)}
    if bounds is not None and counts["questions_missing"]:
        extra["bounds"] = [row.pick(b) for b in bounds]
    if row.key.startswith("type/"):
        cell = scope[row.scope[0]]
        extra |= {"correct": _whole(cell.correct), "total": cell.total}
    terms = None if value is None else _terms(scope, by_group=row.by_group)
    return Summary(
        metric=f"{row.key}/{length}",
        value=value,
        n=sum(p.answered > 0 for c in scope.values() for p in c.prompts.values()),
        n_missing=counts["images_missing"],
        printed="" if value is None else f"{round_half_even(value):.4f}",
        extra=extra,
        terms=terms,
        **({"method": "none: no value"} if terms is None else terms.interval()),
    )


def completeness(tally: Tally, length: str, scope: Iterable[str]) -> dict[str, Any]:
    """Expected, judged, missing and unparsed counts over the types `scope`, with `complete` and, if not, a `note`."""
    types = list(scope)
    cells = [tally.cells[t, length] for t in types if (t, length) in tally.cells]
    expected = [c.questions_expected for c in cells]
    images, questions = tally.complete_size(length, types)
    judged, answered = sum(c.images_judged for c in cells), sum(c.total for c in cells)
    n_images = sum(c.images_expected for c in cells)
    n_questions = None if None in expected else sum(e or 0 for e in expected)
    n_lost = None if n_questions is None else n_questions - answered
    is_complete = questions is not None and answered >= questions and judged == n_images >= images and not n_lost
    counts: dict[str, Any] = {
        "images_expected": n_images,
        "images_judged": judged,
        "images_missing": n_images - judged,
        "images_unparsed": sum(c.images_unparsed for c in cells),
        "questions_expected": n_questions,
        "questions_answered": answered,
        "questions_missing": n_lost,
        "complete": is_complete,
    }
    if not is_complete:
        of_set = f" of the {tally.official_set} set" if tally.official_set else ""
        counts["note"] = (
            f"incomplete: {judged} of {max(images, n_images)} images and {answered} of "
            f"{'?' if questions is None else questions} {length} questions{of_set} are scored"
        )
    return counts


def _bounds(cells: Mapping[str, Cell]) -> list[Chain] | None:
    """Unrounded chains with every missing answer wrong, and right; None where the number of questions is unknown."""
    low, high = {}, {}
    for type_, cell in cells.items():
        if cell.questions_missing is None:
            return None
        size = cell.total + cell.questions_missing
        low[type_] = accuracy(cell.correct, size)
        high[type_] = accuracy(cell.correct + cell.questions_missing, size)
    return [mean_chain(low), mean_chain(high)]


def _terms(cells: Mapping[str, Cell], *, by_group: bool) -> Terms:
    """Questions of a type pooled; a type without any answer weighs nothing."""
    leaves = leaf_weights(cells, [t for t, c in cells.items() if c.total], by_group=by_group)
    weights = {t: leaves.get(t, 0.0) for t in cells}
    rows = [
        (id_, t, p.correct, float(p.answered), float(p.asked)) for t in weights for id_, p in cells[t].prompts.items()
    ]
    # Answers to repeated questions have finer steps; an answer is asked once unless a user wants more.
    return make_terms(rows, weights, step=1 / max(asked for *_, asked in rows))


def _mean_accuracy(tally: Tally) -> Summary:
    """Mean over all type-and-length cells; the official workbook sorts its table by it and it is not the overall."""
    value = mean_in_order(accuracy(c.correct, c.total) for c in tally.cells.values())
    return Summary(
        metric="mean_accuracy",
        value=value,
        n=sum(p.answered > 0 for c in tally.cells.values() for p in c.prompts.values()),
        n_missing=sum(c.images_missing for c in tally.cells.values()),
        printed="" if value is None else f"{round_half_even(value):.4f}",
        method="none: short and long of a case are not independent",
        extra={"unrounded": value, "cells": sum(c.total > 0 for c in tally.cells.values())},
    )


def summarise_text(prompts: Mapping[str, Prompt], scores: Sequence[Score], lengths: Sequence[str]) -> list[Summary]:
    """GNED and word recall: plain means over images; nothing where no image has such a score."""
    found = []
    for metric in TEXT_METRICS:
        for length in lengths:
            mine = [s for s in scores if s.metric == metric and prompts[s.key.prompt_id].meta.get("length") == length]
            if mine:
                found.append(_text_summary(f"{metric}/{length}", mine))
    return found


def _text_summary(key: str, scores: Sequence[Score]) -> Summary:
    by_prompt: dict[str, list[float | None]] = {}
    for s in scores:
        by_prompt.setdefault(s.key.prompt_id, []).append(s.value)
    known = {id_: [v for v in own if v is not None] for id_, own in by_prompt.items()}
    values = [v for own in known.values() for v in own]
    n_missing = len(scores) - len(values)
    if not values:
        return Summary(metric=key, value=None, n_missing=n_missing, method="none: no value")
    terms = make_terms(
        [(id_, "text", sum(known[id_]), len(known[id_]), len(own)) for id_, own in by_prompt.items()],
        {"text": 1.0},
        step=observed_step(values),
    )
    return Summary(
        metric=key,
        value=sum(values) / len(values),
        n=sum(bool(own) for own in known.values()),
        n_missing=n_missing,
        terms=terms,
        **terms.interval(),
    )


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
