"""One row of a coverage table: what was recorded, and the function that measures it again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Figure = float | tuple[float, float]
"""A recorded figure, or the range that was recorded."""

TOLERANCE = 1.5
"""Percentage points from which a difference is marked."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A simulated setting.

    `run(n, rng)` returns figures by column, percent for shares. `recorded` holds the figures to compare with. The row
    takes `times` the requested number of simulations. Columns in `units` are no percentages and are never marked.
    """

    name: str
    recorded: dict[str, Figure]
    run: Callable[[int, np.random.Generator], dict[str, float]]
    times: float = 1.0
    units: frozenset[str] = frozenset()

    def difference(self, column: str, value: float) -> float | None:
        """Measured less recorded (less the nearer end of a range); None where nothing was recorded."""
        known = self.recorded.get(column)
        if known is None:
            return None
        low, high = known if isinstance(known, tuple) else (known, known)
        return value - min(max(value, low), high)

    def is_marked(self, column: str, value: float) -> bool:
        """Whether a percentage is further than the tolerance from the recorded one."""
        d = self.difference(column, value)
        return d is not None and column not in self.units and abs(d) > TOLERANCE


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that answer one question."""

    key: str
    title: str
    note: str
    rows: tuple[Row, ...]


def shares(hits: dict[str, int], n: int) -> dict[str, float]:
    """Percentages of counts."""
    return {k: 100.0 * float(v) / n for k, v in hits.items()}
