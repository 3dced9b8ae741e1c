"""Progress bars and result tables."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

_LINE_EVERY_S = 10.0


class _Rate(ProgressColumn):
    """Units per second of this start (what an earlier start did is not counted)."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s")


class ConsoleProgress:
    """Bars with rate and ETA on a terminal; elsewhere a line now and then. Writes to standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._counts: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> ConsoleProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Begins a bar."""
        with self._lock:
            self._tasks[stage] = self._bars.add_task(stage, total=total, completed=done)
            self._counts[stage] = [done, total, done, time.monotonic(), time.monotonic()]

    def advance(self, stage: str, n: int = 1) -> None:
        """Moves a bar."""
        with self._lock:
            counts = self._counts[stage]
            counts[0] += n
            now = time.monotonic()
            self._bars.advance(self._tasks[stage], n)
            if not self.console.is_terminal and (now - counts[4] > _LINE_EVERY_S or counts[0] == counts[1]):
                counts[4] = now
                rate = (counts[0] - counts[2]) / max(now - counts[3], 1e-9)
                left = (counts[1] - counts[0]) / rate if rate else 0.0
                self.console.print(f"{stage}: {counts[0]:.0f}/{counts[1]:.0f}, {rate:,.1f}/s, about {left:.0f} s left")

    def note(self, text: str) -> None:
        """Prints a line above the bars."""
        self.console.print(text, markup=False)


def result_table(summary: dict[str, Any], *, full: bool = False) -> list[Table]:
    """One table per benchmark: headline rows first, all rows with `full`."""
    return [_benchmark_table(name, block, summary, full) for name, block in summary["benchmarks"].items()]


def _benchmark_table(name: str, block: dict[str, Any], summary: dict[str, Any], full: bool) -> Table:
    wording = f" · judge_prompt: {block['judge_prompt']}" if block.get("judge_prompt") else ""
    table = Table(
        title=f"{block.get('title', name)} · {summary['profile']} · protocol {summary['protocol']}",
        caption=f"judge {block['judge']}{wording} · data {block['data']}",
        title_justify="left",
        caption_justify="left",
    )
    for column, justify in (
        ("", "left"),
        ("value", "right"),
        ("95 % interval", "right"),
        ("n", "right"),
        ("missing", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    values = block["values"]
    headline = [k for k in block.get("headline", []) if k in values]
    details = tuple(block.get("details", ()))
    rows = headline + [k for k in values if k not in headline and (full or not k.startswith(details))]
    for key in rows:
        table.add_row(key, *cells(values[key]), style="bold" if key in headline else None)
    return table


def cells(cell: dict[str, Any]) -> tuple[str, str, str, str]:
    """Value, interval, n, missing as text."""
    value = "—" if cell["value"] is None else f"{cell['value']:.4f}"
    if _is_number(cell.get("printed", "")):
        value = cell["printed"]  # as the official script rounds it
    interval = "—" if cell["ci_low"] is None else f"[{cell['ci_low']:.3f}, {cell['ci_high']:.3f}]"
    return value, interval, f"{cell['n']:,}", f"{cell['n_missing']:,}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def print_results(console: Console, summary: dict[str, Any], *, full: bool = False) -> None:
    """All tables of a summary."""
    for table in result_table(summary, full=full):
        console.print(table)
        console.print()
    for name, block in summary["benchmarks"].items():
        for reason, count in block.get("missing_reasons", {}).items():
            console.print(f"{name}: {count} missing: {reason.removeprefix('missing: ')}", style="yellow", markup=False)
        for note in block.get("notes", []):
            console.print(f"{name}: {note}", style="yellow", markup=False)
