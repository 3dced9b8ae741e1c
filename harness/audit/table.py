"""The audit's one table: rows with a value, an interval and counts, and how a share gets its interval."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from harness.stats import score_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured number."""

    section: str
    measure: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """What was counted: questions, pictures, pairs; `note` says which where it is not plain."""
    n_missing: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of an audit."""

    rows: tuple[Row, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """More numbers; JSON values."""
    skipped: str = ""
    """Why there is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All parts of one judge's audit."""

    judge: str
    """How the judge was asked for."""
    fingerprint: str
    settings: dict[str, Any]
    sections: dict[str, Section]

    @property
    def rows(self) -> list[Row]:
        """The table."""
        return [row for section in self.sections.values() for row in section.rows]

    @property
    def is_complete(self) -> bool:
        """Whether every question that was asked has an answer."""
        return all(row.n_missing == 0 for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """JSON values: judge, settings, rows, details and reasons by section."""
        return {
            "judge": self.judge,
            "fingerprint": self.fingerprint,
            "settings": self.settings,
            "complete": self.is_complete,
            "rows": [asdict(row) for row in self.rows],
            "details": {name: s.details for name, s in self.sections.items() if s.details},
            "skipped": {name: s.skipped for name, s in self.sections.items() if s.skipped},
        }


def share_row(
    section: str, measure: str, values: Sequence[float | None], clusters: Sequence[Hashable], note: str = ""
) -> Row:
    """The mean of values in 0..1, missing ones left out and counted, with a score interval over clusters.

    Args:
        values: what was found, one per item.
        clusters: what the items belong to (prompts): items of one cluster are not independent.
    """
    known = [(v, c) for v, c in zip(values, clusters, strict=True) if v is not None]
    n_missing = len(values) - len(known)
    if not known:
        return Row(section=section, measure=measure, value=None, n_missing=n_missing, note=note or "no answer")
    index = {c: i for i, c in enumerate(dict.fromkeys(c for _, c in known))}
    sums, counts = np.zeros(len(index)), np.zeros(len(index))
    for value, cluster in known:
        sums[index[cluster]] += value
        counts[index[cluster]] += 1
    found = score_interval(sums, np.zeros(len(index), np.int64), [1.0], den=counts)
    return Row(
        section=section,
        measure=measure,
        value=found.theta,
        low=found.low,
        high=found.high,
        n=len(known),
        n_missing=n_missing,
        note=note,
    )
