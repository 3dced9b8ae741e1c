"""The result table: the total over prompts, and categories over pooled questions. All values are percentages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.dpg.graph import l1_of
from benchmarks.dpg.scoring import Grid
from harness.terms import Terms, make_terms
from harness.types import Protocol, Summary

CATEGORIES: tuple[str, ...] = (
    "entity - whole",
    "entity - part",
    "entity - state",
    "attribute - color",
    "attribute - other",
    "attribute - shape",
    "attribute - size",
    "attribute - texture",
    "relation - spatial",
    "relation - non-spatial",
    "global -",
    "other - count",
    "other - text",
)
"""The L2 categories of the official table, by L1 category; others follow in alphabetical order."""

Pairs = list[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the run was to be."""

    n_expected: int
    """Prompts of the complete set."""
    pic_num: int
    resolution: int | None


def summarise(grids: Mapping[str, Sequence[Grid]], protocol: Protocol, setup: Setup) -> list[Summary]:
    """The table: `overall` first, then `L1/...` and `L2/...`; under `corrected` also `raw/L1/...`, `raw/L2/...`.

    `n` is the number of prompts for totals, of answers for categories (their official denominator). `n_missing` counts
    prompts without a score for lack of images or answers (answers of such prompts, for categories); prompts that the
    official arithmetic drops are listed in `extra["prompts_failed"]` instead. A prompt with several seeds counts once,
    with the mean of its scored pictures. `corrected` has no `overall` unless every picture is scored; what there is
    then comes as `partial_overall`.
    """
    table = _totals(grids, protocol, setup)
    views: list[tuple[str, Callable[[Grid], Pairs]]] = [("", lambda g: g.raw)]
    if protocol == "corrected":
        views = [("", lambda g: g.filtered), ("raw/", lambda g: g.raw)]
    for prefix, view in views:
        table += _categories(grids, prefix, view)
    return table


def _totals(grids: Mapping[str, Sequence[Grid]], protocol: Protocol, setup: Setup) -> list[Summary]:
    scores = {p: [g.score for g in own if g.score is not None] for p, own in grids.items()}
    means = [sum(own) / len(own) for own in scores.values() if own]
    missing = {p: g.missing for p, own in grids.items() for g in own if g.missing}
    failed = {p: g.failed for p, own in grids.items() for g in own if g.failed}
    n_lost = sum(not scores[p] for p in missing)
    extra: dict[str, Any] = {
        "prompts_expected": setup.n_expected,
        "prompts_scored": len(means),
        "prompts_failed": failed,
        "pic_num": setup.pic_num,
        "resolution": setup.resolution,
        "complete": not missing and len(grids) >= setup.n_expected,
    }
    if not extra["complete"]:
        extra["note"] = f"incomplete: {len(means)} of {setup.n_expected} prompts are scored"
    if missing:
        extra["pictures_missing"] = sum(bool(g.missing) for own in grids.values() for g in own)
        extra["bounds"] = _bounds(scores, grids)
    terms = _total_terms(scores, grids)
    if protocol == "official" or not missing:
        return [_total("overall", means, n_lost, extra, terms)]
    why = f"not computed: pictures of {len(missing)} prompts are missing, e.g. {next(iter(missing))}"
    none = Summary(metric="overall", value=None, n=len(means), n_missing=n_lost, method=why, extra=extra)
    return [none, _total("partial_overall", means, n_lost, extra, terms)]


def _total(metric: str, means: Sequence[float], n_missing: int, extra: dict[str, Any], terms: Terms) -> Summary:
    if not means:
        return Summary(metric=metric, value=None, n_missing=n_missing, method="no prompt has a score", extra=extra)
    return Summary(
        metric=metric,
        value=float(np.mean(means)) * 100,
        n=len(means),
        n_missing=n_missing,
        extra=extra,
        terms=terms,
        **terms.interval(),
    )


def _total_terms(scores: Mapping[str, Sequence[float]], grids: Mapping[str, Sequence[Grid]]) -> Terms:
    """The mean over prompts, in percent. A prompt of which nothing is missing but which upstream drops is not planned.

    One answer moves a prompt's score by 1/(questions x crops x pictures); with crop scores alone, where the questions
    are not known, by a whole crop at most.
    """
    rows = [
        (id_, "all", 100 * (sum(own) / len(own)) if own else 0.0, float(bool(own)), float(_is_planned(own, grids[id_])))
        for id_, own in scores.items()
    ]
    parts = [len(own) * max(len(g.crops) * g.n_questions for g in own) for own in grids.values()]
    return make_terms(rows, {"all": 1.0}, hi=100.0, step=100 / max([1, *parts]))


def _is_planned(scores: Sequence[float], grids: Sequence[Grid]) -> bool:
    return bool(scores) or any(g.missing for g in grids)


def _bounds(scores: Mapping[str, Sequence[float]], grids: Mapping[str, Sequence[Grid]]) -> list[float]:
    """The total if every missing picture had score 0, and 1."""
    ends = []
    for fill in (0.0, 1.0):
        filled = [[*own, *(fill for g in grids[p] if g.missing)] for p, own in scores.items()]
        ends.append(100 * float(np.mean([sum(own) / len(own) for own in filled if own])))
    return ends


def _categories(grids: Mapping[str, Sequence[Grid]], prefix: str, view: Callable[[Grid], Pairs]) -> list[Summary]:
    pairs = {p: [pair for g in own for pair in view(g)] for p, own in grids.items()}
    lost = {p: [category for g in own for category in g.lost] for p, own in grids.items()}
    names = {c for own in pairs.values() for c, _ in own} | {c for own in lost.values() for c in own}
    ordered = [c for c in CATEGORIES if c in names] + sorted(names - set(CATEGORIES) - {""})
    groups = list(dict.fromkeys(map(l1_of, ordered)))
    asked = {p: {*(c for c, _ in pairs[p]), *lost[p], *(c for g in own for c in g.dropped)} for p, own in grids.items()}
    rows = [_category(f"{prefix}L1/{g}", pairs, lost, asked, [c for c in ordered if l1_of(c) == g]) for g in groups]
    return rows + [_category(f"{prefix}L2/{c}", pairs, lost, asked, [c]) for c in ordered]


def _category(
    metric: str,
    pairs: Mapping[str, Pairs],
    lost: Mapping[str, Sequence[str]],
    asked: Mapping[str, set[str]],
    members: Sequence[str],
) -> Summary:
    values = {p: [v for c, v in own if c in members] for p, own in pairs.items()}
    n_lost = {p: sum(c in members for c in own) for p, own in lost.items()}
    n, n_missing = sum(map(len, values.values())), sum(n_lost.values())
    if not n:
        return Summary(metric=metric, value=None, n_missing=n_missing, method="no answer")
    correct = sum(map(sum, values.values()))
    rows = [
        (p, "all", 100 * sum(own), float(len(own)), float(len(own) + n_lost[p]))
        for p, own in values.items()
        if not asked[p].isdisjoint(members)
    ]
    terms = make_terms(rows, {"all": 1.0}, hi=100.0, step=100 / max(planned for *_, planned in rows))
    return Summary(
        metric=metric,
        value=correct / n * 100,
        n=n,
        n_missing=n_missing,
        extra={"correct": int(correct), "total": n},
        terms=terms,
        **terms.interval(),
    )
