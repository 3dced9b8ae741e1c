"""Learning curves: what a training run's metrics did, mean and range over seeds, one panel per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError
from reports.plots.style import DASHES, FAINT, MARKERS, MUTED, OKABE_ITO, new_figure, save, styled
from reports.plots.trainlog import Series, TrainLog, common, read_log, trailing_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SPARSE = 40
"""Series with at most this many points are drawn with markers and not smoothed, as evaluations inside training are."""
_PER_ROW = 3


def learning_curves(
    arms: Mapping[str, Sequence[Path]], keys: Mapping[str, str], out: Path, *, smooth: int = 10, title: str = ""
) -> list[Path]:
    """Draws one panel per metric, one line per arm, and returns the written paths.

    The line is the mean over the arm's seeds at the steps that all of them have, the band their range (smallest to
    largest seed; not an interval). What a seed has beyond those steps is drawn as a thin line.

    Args:
        arms: training directories (one per seed) by the arm's name.
        keys: panel titles by metric, e.g. `{"reward/mean": "reward", "held_out/geneval/overall": "GenEval"}`.
        out: see `style.save`.
        smooth: steps of the trailing mean of each seed; 1 for none. Evaluations inside training are never smoothed.
        title: above the panels.

    Raises:
        DataError: a directory without metrics, or a metric that none of the runs wrote.
        ValueError: no arm, an arm without runs, no metric, or a window below 1.
    """
    if not arms or not all(arms.values()) or not keys or smooth < 1:
        raise ValueError(
            f"learning curves of {len(arms)} arms, {len(keys)} metrics and a window of {smooth} steps: expected at "
            "least one arm with at least one run, one metric and a window of 1 or more"
        )
    logs = {name: [read_log(Path(p)) for p in paths] for name, paths in arms.items()}
    _check_keys(logs, keys)
    with styled():
        return save(_draw(logs, keys, smooth, title), out)


def _check_keys(logs: Mapping[str, Sequence[TrainLog]], keys: Mapping[str, str]) -> None:
    from harness.errors import near_misses

    known = sorted({k for arm in logs.values() for log in arm for k in log.keys()})  # noqa: SIM118 - a method
    for key in keys:
        if key not in known:
            close = ", ".join(near_misses(key, known)) or ", ".join(known[:8])
            raise DataError(f"metric {key!r}: none of the runs wrote it. Near: {close}.")


def _draw(logs: Mapping[str, Sequence[TrainLog]], keys: Mapping[str, str], smooth: int, title: str) -> Figure:
    n_columns = min(_PER_ROW, len(keys))
    n_rows = -(-len(keys) // n_columns)
    extra = 0.3 * (1 + (len(logs) - 1) // 4) + 0.25 + (0.3 if title else 0)
    height = 2.75 * n_rows + extra
    figure = new_figure(max(3.6 * n_columns, 5.6), height)
    figure.set_layout_engine(
        "constrained", rect=(0.01, (extra - (0.3 if title else 0)) / height, 0.98, 1 - extra / height - 0.01)
    )
    handles: dict[str, Line2D] = {}
    for i, (key, panel) in enumerate(keys.items()):
        axes = figure.add_subplot(n_rows, n_columns, i + 1)
        axes.set_title(panel, wrap=True)
        axes.set_xlabel("optimiser step")
        axes.grid(color=FAINT, linewidth=0.6)
        drawn = False
        for j, (name, runs) in enumerate(logs.items()):
            line = _arm(axes, [log.series(key) for log in runs], j, smooth)
            if line is not None:
                handles.setdefault(f"{name} ({len(runs)} seed{'s' if len(runs) > 1 else ''})", line)
                drawn = True
        if not drawn:
            axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color=MUTED)
        axes.margins(x=0.02)
    _notes(figure, handles, smooth, any(len(r) > 1 for r in logs.values()), height, title)
    return figure


def _arm(axes: Axes, series: list[Series], index: int, smooth: int) -> Line2D | None:
    """One arm of one panel; None where no seed has a value."""
    series = [s for s in series if len(s[0])]
    if not series:
        return None
    colour, dash = OKABE_ITO[index % 8], DASHES[index % 8]
    sparse = max(len(s[0]) for s in series) <= _SPARSE
    if not sparse:
        series = [trailing_mean(s, min(smooth, len(s[0]))) for s in series]
    marker = MARKERS[index % 8] if sparse else ""
    steps, values = common(series)
    last = int(steps[-1]) if len(steps) else -1
    for own_steps, own in series:
        rest = own_steps >= last
        if rest.sum() > 1 or not len(steps):
            axes.plot(own_steps[rest], own[rest], color=colour, linewidth=0.6, alpha=0.7, gid="one seed")
    if len(values) > 1 and len(steps):
        axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0, gid="range")
    mean = values.mean(0) if len(steps) else values.reshape(-1)
    return axes.plot(steps, mean, color=colour, linestyle=dash, marker=marker, markersize=4, gid="mean")[0]


def _notes(
    figure: Figure, handles: Mapping[str, Line2D], smooth: int, has_bands: bool, height: float, title: str
) -> None:
    said = []
    if has_bands:
        said.append("Line: mean over seeds; band: smallest to largest seed, not an interval.")
    if smooth > 1:
        said.append(f"Each seed is the mean of the last {smooth} steps; points are not smoothed.")
    figure.text(0.01, 0.06 / height, " ".join(said), color=MUTED, size=8, va="bottom")
    figure.legend(
        handles=list(handles.values()), labels=list(handles), loc="lower left", ncols=4,
        bbox_to_anchor=(0.0, 0.22 / height), handlelength=2.6, columnspacing=1.6,
    )  # fmt: skip
    if title:
        figure.text(0.01, 1 - 0.08 / height, title, va="top", size=10.5, weight="bold")
