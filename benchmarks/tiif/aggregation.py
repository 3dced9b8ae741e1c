"""The arithmetic from type accuracies to the overall score: pure functions on numbers.

The official pipeline hands type accuracies on as text with 4 decimals and averages those. `mean_chain` does the
averaging and does not care whether its input was rounded: rounded input gives the official numbers, unrounded input
the corrected ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tiif.taxonomy import GROUPS, LEVELS, types_of_level


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Scores of one length, each in [0, 1] or None where nothing is available."""

    types: dict[str, float | None]
    groups: dict[str, float | None]
    """By `LEVEL/GROUP`, in table order."""
    levels: dict[str, float | None]
    overall: float | None


def accuracy(correct: float, total: float) -> float | None:
    """Share of right answers, or None without questions."""
    return correct / total if total else None


def round_text(value: float) -> float:
    """`value` after being printed with 4 decimals (correctly rounded from the binary float) and read again."""
    return float(f"{value:.4f}")


def round_half_even(value: float) -> float:
    """`value` with 4 decimals as numpy rounds: times 10,000, half to even, divided by 10,000."""
    return round(value * 10_000) / 10_000


def mean_in_order(values: Iterable[float | None]) -> float | None:
    """Plain mean of the values that are there, added left to right; None when none is."""
    total, n = 0.0, 0
    for value in values:
        if value is not None:
            total, n = total + value, n + 1
    return total / n if n else None


def mean_of_nine(values: Sequence[float | None]) -> float | None:
    """Mean of the available ones of nine group scores, added in the order of numpy's pairwise sum."""
    if len(values) != len(GROUPS):
        raise ValueError(f"got {len(values)} group scores, expected {len(GROUPS)}")
    n = sum(v is not None for v in values)
    g = [0.0 if v is None else v for v in values]
    total = ((g[0] + g[1]) + (g[2] + g[3])) + ((g[4] + g[5]) + (g[6] + g[7])) + g[8]
    return total / n if n else None


def mean_chain(types: Mapping[str, float | None]) -> Chain:
    """Group, level and overall means of type values; types and groups that are absent or None leave both sums.

    Groups are means over their types, levels are means over their *types*, overall is the mean of the nine groups.

    Source: TIIF-Bench's two summary scripts (2025-06-30).
    """
    groups = {g.key: mean_in_order(types.get(t) for t in g.types) for g in GROUPS}
    levels = {level: mean_in_order(types.get(t) for t in types_of_level(level)) for level in LEVELS}
    return Chain(types=dict(types), groups=groups, levels=levels, overall=mean_of_nine(list(groups.values())))


def official_chain(types: Mapping[str, float | None]) -> Chain:
    """`mean_chain` of the accuracies rounded to 4 decimals; `types` itself stays unrounded."""
    rounded = {t: None if v is None else round_text(v) for t, v in types.items()}
    chain = mean_chain(rounded)
    return Chain(types=dict(types), groups=chain.groups, levels=chain.levels, overall=chain.overall)


def corrected_chain(types: Mapping[str, float | None]) -> Chain:
    """`mean_chain` without rounding, where a mean is None as soon as one of the given types has no value.

    Types that are not keys of `types` were not asked for and are left out, as officially.
    """
    chain = mean_chain(types)
    lost = {t for t, v in types.items() if v is None}
    groups = {g.key: None if lost & set(g.types) else chain.groups[g.key] for g in GROUPS}
    levels = {v: None if lost & set(types_of_level(v)) else chain.levels[v] for v in LEVELS}
    return Chain(types=dict(types), groups=groups, levels=levels, overall=None if lost else chain.overall)


def leaf_weights(scope: Iterable[str], available: Iterable[str], *, by_group: bool) -> dict[str, float]:
    """Weight of each available type of `scope` in a mean; sums to 1.

    Args:
        scope: the types that the mean runs over.
        available: types that have a value.
        by_group: equal groups of equal types (overall) instead of equal types (group and level means).
    """
    wanted, there = set(scope), set(available)
    members = [[t for t in g.types if t in wanted and t in there] for g in GROUPS]
    members = [m for m in members if m]
    if not by_group:
        flat = [t for m in members for t in m]
        return {t: 1 / len(flat) for t in flat}
    return {t: 1 / len(members) / len(m) for m in members for t in m}
