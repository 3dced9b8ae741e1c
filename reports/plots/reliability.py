"""The reliability diagram: how often answers given with some confidence are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.plots.style import (
    DASHES,
    FAINT,
    INK,
    MARKERS,
    MUTED,
    OKABE_ITO,
    legend_grid,
    new_figure,
    save,
    styled,
    text_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.stats.calibration import CalibrationBin

_SIDE, _MARGIN, _COUNT_ROW = 3.6, 0.15, 0.24
_CALIBRATED = "perfectly calibrated"


def reliability_diagram(
    bins: Sequence[CalibrationBin] | Mapping[str, Sequence[CalibrationBin]],
    out: Path,
    *,
    title: str = "",
    note: str = "",
    outcome: str = "share right",
) -> list[Path]:
    """Draws accuracy against confidence with each bin's Wilson interval, and the number of answers of each bin.

    Args:
        bins: of `harness.stats.calibration_error`; several judges as a mapping by name.
        out: see `style.save`.
        title: above the plot.
        note: below it, e.g. the calibration error with its interval.
        outcome: name of the vertical axis.

    Raises:
        ValueError: no bins.
    """
    judges = dict(bins) if isinstance(bins, Mapping) else {"": bins}
    if not any(judges.values()):
        raise ValueError("a reliability diagram without bins: give at least one")
    with styled():
        return save(_draw(judges, title, note, outcome), out)


def _draw(judges: Mapping[str, Sequence[CalibrationBin]], title: str, note: str, outcome: str) -> Figure:
    figure = new_figure(5, 5)
    left = 0.62
    names = [n for n in judges if n]
    width = left + _SIDE + 0.3
    for text, size in ((title, 10.5), (note, 8)):
        width = max(width, text_size(figure, text, size=size, weight="bold" if size > 10 else "normal")[0] + 0.3)
    columns, legend = legend_grid(figure, [*names, _CALIBRATED], width - 0.2)
    counts = _COUNT_ROW * len(judges)
    bottom = 0.62 + (legend + 0.08) + (0.2 if note else 0.0)
    top = _MARGIN + (0.3 if title else 0.0)
    height = bottom + counts + 0.1 + _SIDE + top
    figure.set_size_inches(width, height)
    axes = figure.add_axes((left / width, (bottom + counts + 0.1) / height, _SIDE / width, _SIDE / height))
    diagonal = axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)[0]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=outcome)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(labelbottom=False)
    below = figure.add_axes((left / width, bottom / height, _SIDE / width, counts / height), sharex=axes)
    below.set(ylim=(len(judges) - 0.4, -0.6), yticks=[], xlabel="confidence")
    below.spines["left"].set_visible(False)
    handles = [_judge(axes, row, i) for i, row in enumerate(judges.values())]
    for i, row in enumerate(judges.values()):
        _counts(below, row, i)
    figure.text((left - 0.08) / width, (bottom + counts / 2) / height, "n", ha="right", va="center", color=MUTED)
    handles = [*(handles if names else []), diagonal]
    figure.legend(handles=handles, labels=[*names, _CALIBRATED], loc="lower left", ncols=columns, columnspacing=1.4,
                  bbox_to_anchor=(0, (0.18 if note else 0) / height), labelspacing=0.3)  # fmt: skip
    if note:
        figure.text(_MARGIN / width, 0.08 / height, note, size=8, color=MUTED, va="bottom")
    if title:
        figure.text(_MARGIN / width, 1 - _MARGIN / height, title, va="top", size=10.5, weight="bold")
    return figure


def _judge(axes: Axes, bins: Sequence[CalibrationBin], index: int) -> object:
    colour = OKABE_ITO[index % 8]
    for b in bins:
        axes.plot([b.confidence, b.confidence], [b.low, b.high], color=colour, linewidth=1.3, gid="interval", zorder=2)
    x, y = [b.confidence for b in bins], [b.accuracy for b in bins]
    return axes.plot(x, y, color=colour, linestyle=DASHES[index % 8], linewidth=0.9, marker=MARKERS[index % 8],
                     markersize=5, markeredgecolor="white", markeredgewidth=0.6, gid="bins", zorder=3,
                     clip_on=False)[0]  # fmt: skip


def _counts(axes: Axes, bins: Sequence[CalibrationBin], index: int) -> None:
    """Numbers of answers below their bins; those of bins too close to be written apart are summed in one label."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    groups: list[list[CalibrationBin]] = []
    for b in sorted(bins, key=lambda b: b.confidence):
        if groups and _overlap(figure, groups[-1], [b]):
            groups[-1].append(b)
            while len(groups) > 1 and _overlap(figure, groups[-2], groups[-1]):
                groups[-2:] = [groups[-2] + groups[-1]]
        else:
            groups.append([b])
    for group in groups:
        start = _span(figure, group)[0] * 1.04 / _SIDE - 0.02
        axes.text(start, index, _count(group), va="center", size=7.5, color=INK, gid="count")


def _count(group: Sequence[CalibrationBin]) -> str:
    n = sum(b.n for b in group)
    return f"{n}" if len(group) == 1 else f"{n} ({len(group)} bins)"


def _centre(group: Sequence[CalibrationBin]) -> float:
    return (group[0].confidence + group[-1].confidence) / 2


def _span(figure: Figure, group: Sequence[CalibrationBin]) -> tuple[float, float]:
    """Where the group's label begins and ends, inches; it never leaves the axis."""
    width = text_size(figure, _count(group), size=7.5)[0]
    start = (_centre(group) + 0.02) * _SIDE / 1.04 - width / 2
    start = min(max(start, 0.0), _SIDE - width)
    return start, start + width


def _overlap(figure: Figure, a: Sequence[CalibrationBin], b: Sequence[CalibrationBin]) -> bool:
    return _span(figure, b)[0] - _span(figure, a)[1] < 0.06
