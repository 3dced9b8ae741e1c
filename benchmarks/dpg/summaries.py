"""The result table: the total over prompts, and categories over pooled questions. All values are percentages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.dpg.graph import l1_of
from benchmarks.dpg.scoring import Grid
from harness.stats import score_interval
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
    whole = _total("overall", means, n_lost, extra)
    if protocol == "official" or not missing:
        return [whole]
    why = f"not computed: pictures of {len(missing)} prompts are missing, e.g. {next(iter(missing))}"
    none = Summary(metric="overall", value=None, n=len(means), n_missing=n_lost, method=why, extra=extra)
    return [none, _total("partial_overall", means, n_lost, extra)]


def _total(metric: str, means: Sequence[float], n_missing: int, extra: dict[str, Any]) -> Summary:
    if not means:
        return Summary(metric=metric, value=None, n_missing=n_missing, method="no prompt has a score", extra=extra)
    return Summary(
        metric=metric,
        value=float(np.mean(means)) * 100,
        n=len(means),
        n_missing=n_missing,
        extra=extra,
        **_interval([100 * m for m in means], [1.0] * len(means)),
    )


def _bounds(scores: Mapping[str, Sequence[float]], grids: Mapping[str, Sequence[Grid]]) -> list[float]:
    """The total if every missing picture had score 0, and 1."""
    ends = []
    for fill in (0.0, 1.0):
        filled = [[*own, *(fill for g in grids[p] if g.missing)] for p, own in scores.items()]
        ends.append(100 * float(np.mean([sum(own) / len(own) for own in filled if own])))
    return ends


def _categories(grids: Mapping[str, Sequence[Grid]], prefix: str, view: Callable[[Grid], Pairs]) -> list[Summary]:
    pairs = {p: [pair for g in own for pair in view(g)] for p, own in grids.items()}
    lost = [category for own in grids.values() for g in own for category in g.lost]
    names = {c for own in pairs.values() for c, _ in own} | set(lost)
    ordered = [c for c in CATEGORIES if c in names] + sorted(names - set(CATEGORIES) - {""})
    groups = list(dict.fromkeys(map(l1_of, ordered)))
    rows = [_category(f"{prefix}L1/{g}", pairs, lost, [c for c in ordered if l1_of(c) == g]) for g in groups]
    return rows + [_category(f"{prefix}L2/{c}", pairs, lost, [c]) for c in ordered]


def _category(metric: str, pairs: Mapping[str, Pairs], lost: Sequence[str], members: Sequence[str]) -> Summary:
    values = [[v for c, v in own if c in members] for own in pairs.values()]
    values = [own for own in values if own]
    n, n_missing = sum(map(len, values)), sum(c in members for c in lost)
    if not n:
        return Summary(metric=metric, value=None, n_missing=n_missing, method="no answer")
    correct = sum(map(sum, values))
    return Summary(
        metric=metric,
        value=correct / n * 100,
        n=n,
        n_missing=n_missing,
        extra={"correct": int(correct), "total": n},
        **_interval([100 * sum(own) for own in values], [float(len(own)) for own in values]),
    )


def _interval(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, Any]:
    """`ci_low`, `ci_high` and `method`: prompts random, all in one stratum."""
    result = score_interval(
        numerators, np.zeros(len(numerators), dtype=np.int64), [1.0], den=denominators, lo=0, hi=100
    )
    if result.low is None:
        return {"method": f"none: {result.reason}"}
    return {"ci_low": result.low, "ci_high": result.high, "method": result.method}
