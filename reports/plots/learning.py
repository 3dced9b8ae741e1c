"""Learning curves: what a training run's metrics did, mean and range over seeds, one panel per metric."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError
from reports.plots.style import DASHES, FAINT, MARKERS, MUTED, OKABE_ITO, legend_grid, new_figure, save, styled
from reports.plots.trainlog import Series, TrainLog, common, read_log, trailing_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SPARSE = 40
"""Series with at most this many points are drawn with markers and not smoothed, as evaluations inside training are."""
_PER_ROW, _TITLE_CHARS = 3, 42
_PANEL = (3.6, 2.75)
"""Inches."""


def learning_curves(
    arms: Mapping[str, Sequence[Path]],
    keys: Mapping[str, str],
    out: Path,
    *,
    smooth: int = 10,
    title: str = "",
    scales: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Path]:
    """Draws one panel per metric (and scale), one line per arm, and returns the written paths.

    The line is the mean over the arm's seeds at the steps that all of them have, the band their range (smallest to
    largest seed; not an interval). What a seed has beyond those steps is drawn as a thin line.

    Args:
        arms: training directories (one per seed) by the arm's name.
        keys: panel titles by metric, e.g. `{"reward/mean": "reward", "held_out/geneval/overall": "GenEval"}`.
        out: see `style.save`.
        smooth: steps of the trailing mean of each seed; 1 for none. Evaluations inside training are never smoothed.
        title: above the panels.
        scales: metric -> arm -> name of the scale on which this arm has it. Arms of different scales do not compare
            and get panels of their own.

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
        return save(_draw(logs, _panels(list(logs), keys, scales or {}), smooth, title), out)


def _check_keys(logs: Mapping[str, Sequence[TrainLog]], keys: Mapping[str, str]) -> None:
    from harness.errors import near_misses

    known = sorted({k for arm in logs.values() for log in arm for k in log.metrics})
    for key in keys:
        if key not in known:
            close = ", ".join(near_misses(key, known)) or ", ".join(known[:8])
            raise DataError(f"metric {key!r}: none of the runs wrote it. Near: {close}.")


def _panels(
    arms: list[str], keys: Mapping[str, str], scales: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str, set[str]]]:
    """Metric, title and arms of every panel."""
    panels = []
    for key, title in keys.items():
        of = {arm: scales.get(key, {}).get(arm, "") for arm in arms}
        names = list(dict.fromkeys(of.values()))
        for name in names:
            shown = f"{title}: {name or 'others'}" if len(names) > 1 else title
            panels.append((key, shown, {arm for arm in arms if of[arm] == name}))
    return panels


def _draw(
    logs: Mapping[str, Sequence[TrainLog]], panels: list[tuple[str, str, set[str]]], smooth: int, title: str
) -> Figure:
    n_columns = 2 if len(panels) == 4 else min(_PER_ROW, len(panels))
    n_rows = -(-len(panels) // n_columns)
    labels = [f"{name} ({len(runs)} seed{'s' if len(runs) > 1 else ''})" for name, runs in logs.items()]
    width = max(_PANEL[0] * n_columns, 6.6)
    figure = new_figure(width, 4)
    columns, legend = legend_grid(figure, labels, width - 0.2)
    head, foot = 0.32 if title else 0.05, legend + 0.35
    height = _PANEL[1] * n_rows + head + foot
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained", rect=(0.01, foot / height, 0.98, 1 - (head + foot) / height))
    handles: dict[int, Line2D] = {}
    smoothed = False
    for i, (key, panel, shown) in enumerate(panels):
        axes = figure.add_subplot(n_rows, n_columns, i + 1)
        axes.set_title("\n".join(textwrap.wrap(panel, _TITLE_CHARS)))
        axes.set_xlabel("optimiser step")
        axes.grid(color=FAINT, linewidth=0.6)
        axes.margins(x=0.02)
        for j, (arm, runs) in enumerate(logs.items()):
            if arm not in shown:
                continue
            series = [s for s in (log.series(key) for log in runs) if len(s[0])]
            dense = any(len(s[0]) > _SPARSE for s in series)
            smoothed |= dense and smooth > 1
            line = _arm(axes, series, j, smooth if dense else 1)
            if line is not None:
                handles.setdefault(j, line)
    said = ["Line: mean over seeds; band: smallest to largest seed, not an interval."] if _has_bands(logs) else []
    said += [f"Lines without markers: mean of the last {smooth} steps."] if smoothed else []
    figure.text(0.1 / width, 0.08 / height, " ".join(said), color=MUTED, size=8, va="bottom", gid="note")
    figure.legend(
        handles=[handles[j] for j in sorted(handles)], labels=[labels[j] for j in sorted(handles)], ncols=columns,
        loc="lower left", bbox_to_anchor=(0.02 / width, 0.2 / height), handlelength=2.6, columnspacing=1.4,
        labelspacing=0.3,
    )  # fmt: skip
    if title:
        figure.text(0.1 / width, 1 - 0.08 / height, title, va="top", size=10.5, weight="bold")
    return figure


def _has_bands(logs: Mapping[str, Sequence[TrainLog]]) -> bool:
    return any(len(runs) > 1 for runs in logs.values())


def _arm(axes: Axes, series: list[Series], index: int, window: int) -> Line2D | None:
    """One arm of one panel; None where no seed has a value."""
    if not series:
        return None
    colour = OKABE_ITO[index % 8]
    marker = MARKERS[index % 8] if max(len(s[0]) for s in series) <= _SPARSE else ""
    series = [trailing_mean(s, min(window, len(s[0]))) for s in series]
    steps, values = common(series)
    for own_steps, own in series:
        rest = own_steps >= steps[-1] if len(steps) else own_steps >= 0
        if rest.sum() > 1 or not len(steps):
            axes.plot(own_steps[rest], own[rest], color=colour, linewidth=0.7, alpha=0.8, gid="one seed")
    if len(values) > 1 and len(steps):
        axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0, gid="range")
    mean = values.mean(0) if len(steps) else []
    style = {"linestyle": DASHES[index % 8], "marker": marker, "markersize": 4}
    return axes.plot(steps, mean, color=colour, gid="mean", **style)[0]
