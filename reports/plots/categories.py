"""Bars per category with intervals, conditions side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reports.plots.style import (
    FAINT,
    HATCHES,
    INK,
    MUTED,
    OKABE_ITO,
    legend_grid,
    measured,
    new_figure,
    save,
    styled,
    text_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = tuple[float | None, float | None, float | None]
"""Value and limits of its interval; None and NaN mean that there is no such number."""

_BAR, _GAP, _MARGIN, _PLOT_WIDTH, _LABEL_CHARS = 0.17, 0.14, 0.15, 4.6, 40


def category_bars(
    values: Mapping[str, Mapping[str, Cell]],
    out: Path,
    *,
    title: str = "",
    unit: str = "",
    limits: tuple[float, float] | None = None,
) -> list[Path]:
    """Draws horizontal bars from zero, one group per category, one bar per condition; returns the written paths.

    Categories stand in the order in which the conditions name them. A category that a condition lacks, or that has no
    value, is marked "no value".

    Args:
        values: (value, low, high) by condition and category.
        out: see `style.save`.
        title: above the plot.
        unit: name of the value axis.
        limits: ends of the value axis, widened where a value or limit lies outside.

    Raises:
        ValueError: no condition, no category, an infinite number, or a value outside its interval.
    """
    cells = {c: {k: _checked(f"{c}, {k}", v) for k, v in row.items()} for c, row in values.items()}
    categories = list(dict.fromkeys(k for row in cells.values() for k in row))
    if not categories:
        raise ValueError(f"bars of {len(cells)} conditions without any category: give at least one value")
    with styled():
        return save(_draw(cells, categories, title, unit, limits), out)


def _checked(where: str, cell: Cell) -> Cell:
    value, low, high = (measured(v, where) for v in cell)
    if (low is None) != (high is None):
        raise ValueError(f"{where}: interval from {low} to {high}; expected both limits or none")
    if value is None:
        return None, None, None
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{where}: the value {value} lies outside its interval, {low} to {high}")
    return value, low, high


def _draw(
    cells: Mapping[str, Mapping[str, Cell]],
    categories: list[str],
    title: str,
    unit: str,
    limits: tuple[float, float] | None,
) -> Figure:
    figure = new_figure(6, 4)
    labels = ["\n".join(textwrap.wrap(c, _LABEL_CHARS, break_long_words=True) or [""]) for c in categories]
    left = _MARGIN + 0.12 + max(text_size(figure, label)[0] for label in labels)
    width = left + _PLOT_WIDTH + 0.35
    columns, legend = legend_grid(figure, list(cells), width - 0.2) if len(cells) > 1 else (1, 0.0)
    heights = [max(_BAR * len(cells), 0.155 * (1 + label.count("\n"))) + _GAP for label in labels]
    body = sum(heights)
    top = _MARGIN + (0.3 if title else 0.0)
    bottom = 0.3 + (0.25 if unit else 0.0) + (legend + 0.12 if legend else 0.0)
    height = top + body + bottom
    figure.set_size_inches(width, height)
    axes = figure.add_axes((left / width, bottom / height, _PLOT_WIDTH / width, body / height))
    axes.set_xlim(*_limits(cells, limits))
    axes.set_ylim(body, 0)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    centres = [sum(heights[:i]) + h / 2 for i, h in enumerate(heights)]
    for j, row in enumerate(cells.values()):
        for category, centre in zip(categories, centres, strict=True):
            y = centre + (j - (len(cells) - 1) / 2) * _BAR
            _bar(axes, row.get(category, (None, None, None)), y, j)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(centres, labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)
    if legend:
        _legend(figure, list(cells), columns)
    if title:
        figure.text(_MARGIN / width, 1 - _MARGIN / height, title, va="top", size=10.5, weight="bold")
    return figure


def _bar(axes: Axes, cell: Cell, y: float, index: int) -> None:
    value, low, high = cell
    if value is None:
        at = max(0.0, axes.get_xlim()[0])
        axes.text(at, y, " no value", va="center", size=7.5, color=MUTED, gid="no value")
        return
    axes.barh(y, value, _BAR * 0.88, color=OKABE_ITO[index % 8], hatch=HATCHES[index % 8], edgecolor="white",
              linewidth=0.0, gid="bar")  # fmt: skip
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color="white", linewidth=2.6, solid_capstyle="butt")  # seen on dark bars too
        axes.plot([low, high], [y, y], color=INK, linewidth=1.2, marker="|", markersize=5, gid="interval")


def _limits(cells: Mapping[str, Mapping[str, Cell]], limits: tuple[float, float] | None) -> tuple[float, float]:
    numbers = [v for row in cells.values() for cell in row.values() for v in cell if v is not None]
    low, high = min([0.0, *numbers, *(limits or ())]), max([0.0, *numbers, *(limits or ())])
    if low == high:
        high = low + 1.0
    span = high - low
    return low - (0.03 * span if low < 0 else 0.0), high + (0.03 * span if limits is None or high > limits[1] else 0.0)


def _legend(figure: Figure, names: list[str], columns: int) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=OKABE_ITO[i % 8], hatch=HATCHES[i % 8], edgecolor="white", linewidth=0, label=name)
        for i, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="lower left", ncols=columns, bbox_to_anchor=(0, 0), handlelength=2.0,
                  columnspacing=1.4, labelspacing=0.3)  # fmt: skip
