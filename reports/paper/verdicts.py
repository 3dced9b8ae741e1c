"""What may be said of one's own value beside a published one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.paper.matching import Match
from reports.reference import Column, Published

INSIDE = "published inside our interval"
OUTSIDE = "published outside our interval"
NOT_PUBLISHED = "no published value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """One's own value in the unit of the published column."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_missing: int

    @property
    def interval(self) -> str | None:
        """`[low, high]`, or None."""
        return None if self.low is None or self.high is None else f"[{self.low:.4g}, {self.high:.4g}]"


def own_value(cell: dict[str, Any], scale: float) -> Own:
    """A cell of a summary, scaled."""
    value, low, high = (None if cell[k] is None else cell[k] * scale for k in ("value", "ci_low", "ci_high"))
    return Own(value=value, low=low, high=high, n=cell["n"], n_missing=cell["n_missing"])


def verdict(published: Published | None, column: Column, match: Match, own: Own) -> tuple[float | None, str]:
    """Ours minus published, where they compare, and what can be said of it.

    Published values have no interval, so nothing is tested: the words say where the printed value, within its rounding,
    lies with regard to our interval (which covers another draw of prompts and images, not other training seeds).
    """
    differing = list(match.differences)
    if published is not None:
        differing += _against_published(published, match)
    if differing:
        return None, "; ".join(dict.fromkeys(differing))
    if own.value is None:
        return None, "no value: every answer is missing" if own.n == 0 else "no value"
    if published is None:
        return None, NOT_PUBLISHED + _tail(None, column, match, own)
    difference = own.value - published.number
    return difference, _placed(published, own) + _tail(published, column, match, own)


def _placed(published: Published, own: Own) -> str:
    if own.low is None or own.high is None:
        return "our value has no interval"
    if published.number + published.half_unit < own.low:
        return f"{OUTSIDE}, ours higher"
    if published.number - published.half_unit > own.high:
        return f"{OUTSIDE}, ours lower"
    return INSIDE


def _against_published(published: Published, match: Match) -> list[str]:
    """Conditions of the printed value that the row's specification does not share."""
    row = match.row
    size = row.eval["generation"].get("size_px")
    found = []
    if published.resolution_px is not None and size is not None and published.resolution_px != size:
        found.append(f"other resolution: {size}, published {published.resolution_px}")
    if published.protocol is not None and published.protocol != match.run.summary["protocol"]:
        found.append(f"other protocol: {match.run.summary['protocol']}, published {published.protocol}")
    return found


def _tail(published: Published | None, column: Column, match: Match, own: Own) -> str:
    parts = []
    if published is not None:
        stated = {"judge": published.judge, "prompt set": published.prompt_set, "protocol": published.protocol}
        if column.resolution_px is not None:
            stated["resolution"] = str(published.resolution_px or "")
        unstated = [name for name, value in stated.items() if not value]
        parts += [f"its {', '.join(unstated)} not stated"] if unstated else []
    parts += [f"{own.n_missing} missing"] if own.n_missing else []
    parts += [] if match.run.summary["complete"] else ["incomplete run"]
    return f" ({'; '.join(parts)})" if parts else ""
