"""What a training directory's `metrics.jsonl` says, as series over steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

HELD_OUT = "held_out/"
"""Keys of evaluations inside the training start so; they are written every so many steps."""

Series = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Steps (n,), increasing, and values (n,), all finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainLog:
    """The metrics of one training run, one row per step."""

    path: Path
    rows: Mapping[int, Mapping[str, Any]]
    """By step, increasing; a step's evaluation stands in the same row."""

    def series(self, key: str) -> Series:
        """Steps that have a number for `key`, and the numbers."""
        found = [(s, float(row[key])) for s, row in self.rows.items() if _is_number(row.get(key))]
        return np.array([s for s, _ in found], np.intp), np.array([v for _, v in found], np.float64)

    @property
    def metrics(self) -> list[str]:
        """Every metric, sorted."""
        return sorted({k for row in self.rows.values() for k in row} - {"step"})


def read_log(path: Path) -> TrainLog:
    """The log of a training directory (or of the file itself). Where a step occurs twice, the later line counts.

    Raises:
        DataError: no such file, or a line that is not a metrics record.
    """
    file = path if path.is_file() else path / "metrics.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}). Expected a directory of `run.py train`.") from None
    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            step = int(row["step"])
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                break  # a run that is being written, or was killed while it wrote
            raise DataError(f"{file}, line {number}: not a metrics record with a `step`: {line[:80]!r}") from None
        rows[step] = rows.get(step, {}) | row
    return TrainLog(path=path, rows=dict(sorted(rows.items())))


def trailing_mean(series: Series, window: int) -> Series:
    """At each step the mean of the values of the last `window` steps; from the first full window on.

    Steps without a value are left out of a window's mean, never counted as zero.
    """
    steps, values = series
    if window <= 1 or not len(steps):
        return series
    sums = np.concatenate([[0.0], np.cumsum(values)])
    start = np.searchsorted(steps, steps - window, side="right")
    means = (sums[1:] - sums[start]) / (np.arange(len(steps)) + 1 - start)
    full = steps >= steps[0] + window - 1
    return steps[full], means[full]


def common(series: list[Series]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Steps (n,) that every series has, and the values (len(series), n) there."""
    steps = series[0][0]
    for other, _ in series[1:]:
        steps = np.intersect1d(steps, other)
    return steps, np.array([v[np.searchsorted(s, steps)] for s, v in series])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
