"""Forest plots: differences with intervals, one row each, grouped."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports.plots.style import (
    FAINT,
    INK,
    MUTED,
    OKABE_ITO,
    decimals,
    measured,
    new_figure,
    number,
    padded,
    save,
    shown,
    styled,
    text_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABEL_CHARS, _NOTE_CHARS = 44, 34
_LINE, _GAP = 0.155, 0.12
"""Inches: height of a line of text, and between rows."""
_PLOT_WIDTH, _MARGIN, _SPACE = 4.2, 0.15, 0.18


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One difference. None and NaN mean that there is no such number; an infinite limit is an unbounded interval."""

    label: str
    est: float | None
    low: float | None
    """Lower limit of the pointwise interval."""
    high: float | None
    group: str = ""
    """Rows of one group stand below its name; a group starts where the name changes."""
    note: str = ""
    """Printed at the right: method, p, number of prompts."""
    wide_low: float | None = None
    """Lower limit of the interval that holds for all rows at once."""
    wide_high: float | None = None
    mde: float | None = None
    """Smallest detectable effect: drawn as a band around zero behind the row."""


@dataclass(frozen=True, slots=True)
class _Look:
    """How a row is marked: by shape and filling first, by colour only in addition."""

    marker: str
    filled: bool
    colour: str
    meaning: str


def forest(
    rows: Sequence[ForestRow], out: Path, *, title: str = "", unit: str = "points", reference: str = ""
) -> list[Path]:
    """Draws the rows from top to bottom and returns the written paths.

    Thick lines are pointwise intervals, thin ones simultaneous; a filled marker says that an interval excludes zero (a
    diamond: every interval given; a disc: the pointwise one only), an open one that none does.

    Args:
        out: see `style.save`.
        title: above the plot.
        unit: of the differences.
        reference: what the rows are compared with; named on the axis.

    Raises:
        ValueError: no rows, an infinite estimate, or an estimate outside its interval.
    """
    with styled():
        return save(draw(rows, title=title, unit=unit, reference=reference), out)


def draw(rows: Sequence[ForestRow], *, title: str = "", unit: str = "points", reference: str = "") -> Figure:
    """The figure of `forest`, for callers that add to it; call it inside `style.styled`."""
    if not rows:
        raise ValueError("a forest plot of no rows: give at least one difference")
    rows = [_checked(r) for r in rows]
    figure = new_figure(6, 4)
    labels = [textwrap.wrap(r.label, _LABEL_CHARS, break_long_words=True) or [""] for r in rows]
    notes = [textwrap.wrap(r.note, _NOTE_CHARS, break_long_words=True) or [""] for r in rows]
    numbers = _numbers(rows)
    widths = [
        max(text_size(figure, "\n".join(t))[0] for t in labels),
        max(text_size(figure, n)[0] for n in numbers),
        max(text_size(figure, "\n".join(t))[0] for t in notes) if any(r.note for r in rows) else 0.0,
    ]
    groups = [r.group for r in rows]
    heads = {i: g for i, g in enumerate(groups) if g and (i == 0 or groups[i - 1] != g)}
    widths[0] = max([widths[0], *(text_size(figure, g, weight="bold")[0] for g in heads.values())])
    centres, heights, head_at, body = _places(labels, notes, heads)
    looks = [_look(r) for r in rows]
    top = _MARGIN + (0.3 if title else 0.0)
    legend = _LINE * 1.35 * len(_legend_lines(rows, looks))
    bottom = 0.55 + legend
    left = _MARGIN + widths[0] + _SPACE
    right = _SPACE + widths[1] + (_SPACE + widths[2] if widths[2] else 0) + _MARGIN
    width, height = left + _PLOT_WIDTH + right, top + body + bottom
    figure.set_size_inches(width, height)
    axes = figure.add_axes((left / width, bottom / height, _PLOT_WIDTH / width, body / height))
    axes.set_ylim(body, 0)
    axes.set_xlim(*_limits(rows))
    for row, look, y, h in zip(rows, looks, centres, heights, strict=True):
        _draw_row(axes, row, look, y, h)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1.5)
    _write(axes, labels, numbers, notes, centres, head_at, widths)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"difference from {reference} ({unit})" if reference else f"difference ({unit})")
    if title:
        figure.text(_MARGIN / width, 1 - _MARGIN / height, title, va="top", size=10.5, weight="bold")
    _legend(figure, rows, looks, width)
    return figure


def _checked(row: ForestRow) -> ForestRow:
    est = measured(row.est, f"{row.label}: estimate")
    limits = [number(x) for x in (row.low, row.high, row.wide_low, row.wide_high)]
    for low, high in (limits[:2], limits[2:]):
        if (low is None) != (high is None):
            raise ValueError(f"{row.label}: interval from {low} to {high}; expected both limits or none")
        if est is not None and low is not None and high is not None and not low <= est <= high:
            raise ValueError(f"{row.label}: the estimate {est} lies outside its interval, {low} to {high}")
    if est is None:
        limits = [None] * 4
    return ForestRow(row.label, est, limits[0], limits[1], row.group, row.note, limits[2], limits[3],
                     measured(row.mde, f"{row.label}: smallest detectable effect"))  # fmt: skip


def _excludes_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and (low > 0 or high < 0)


def _look(row: ForestRow) -> _Look:
    if row.est is None:
        return _Look("", False, MUTED, "")
    if row.low is None and row.wide_low is None:
        return _Look("x", True, MUTED, "no interval")
    colour = OKABE_ITO[0] if row.est > 0 else OKABE_ITO[1]
    pointwise, wide = _excludes_zero(row.low, row.high), _excludes_zero(row.wide_low, row.wide_high)
    if wide or (pointwise and row.wide_low is None):
        return _Look("D", True, colour, "interval excludes 0" + (", also the simultaneous one" if wide else ""))
    if pointwise:
        return _Look("o", True, colour, "pointwise interval excludes 0, the simultaneous one does not")
    return _Look("o", False, MUTED, "interval contains 0")


def _places(
    labels: list[list[str]], notes: list[list[str]], heads: dict[int, str]
) -> tuple[list[float], list[float], list[tuple[float, str]], float]:
    """Centres and heights of rows, places of group names, height of everything; inches from the top."""
    y, centres, heights, head_at = 0.06, [], [], []
    for i, (label, note) in enumerate(zip(labels, notes, strict=True)):
        if i in heads:
            y += _GAP * 0.6 if i else 0
            head_at.append((y + _LINE / 2 + _GAP / 2, heads[i]))
            y += _LINE + _GAP
        h = _LINE * max(len(label), len(note)) + _GAP
        centres.append(y + h / 2)
        heights.append(h)
        y += h
    return centres, heights, head_at, y + 0.06


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Of the axis: all that is drawn, but for intervals so long that they would squeeze the rest to a line.

    What reaches farther than six times what half of the rows reach is cut at the edge, where an arrow says so.
    """
    values = [0.0]
    for r in rows:
        values += [v for v in (r.est, r.low, r.high, r.wide_low, r.wide_high) if v is not None and math.isfinite(v)]
        values += [] if r.mde is None else [-r.mde, r.mde]
    reach = [max(abs(v) for v in _pointwise(r)) for r in rows if _pointwise(r)]
    if not reach:
        return padded(values)
    estimates = [abs(r.est) for r in rows if r.est is not None]
    cap = max(6 * statistics.median(reach), 1.5 * max(estimates, default=0.0))
    return padded([min(max(v, -cap), cap) for v in values])


def _pointwise(row: ForestRow) -> list[float]:
    return [v for v in (row.est, row.low, row.high) if v is not None and math.isfinite(v)]


def _cut(rows: Sequence[ForestRow]) -> bool:
    """Whether some interval ends in an arrow."""
    low, high = _limits(rows)
    ends = [v for r in rows for v in (r.low, r.high, r.wide_low, r.wide_high) if v is not None]
    return any(not low <= v <= high for v in ends)


def _draw_row(axes: Axes, row: ForestRow, look: _Look, y: float, height: float) -> None:
    if row.mde is not None:
        axes.fill_between([-row.mde, row.mde], y - height / 2, y + height / 2, color=FAINT, linewidth=0, zorder=0)
    if row.est is None:
        return
    for low, high, width in ((row.wide_low, row.wide_high, 1.0), (row.low, row.high, 3.2)):
        if low is not None and high is not None:
            _interval(axes, low, high, y, width, look.colour)
    axes.plot([row.est], [y], look.marker, markersize=5, color=look.colour, zorder=3, clip_on=False, gid="estimate",
              markerfacecolor=look.colour if look.filled else "white", markeredgewidth=1.3)  # fmt: skip


def _interval(axes: Axes, low: float, high: float, y: float, width: float, colour: str) -> None:
    """A line; a side without a limit, or with one beyond the edge, ends there in an arrow."""
    edges = axes.get_xlim()
    ends = [min(max(v, edges[0]), edges[1]) for v in (low, high)]
    axes.plot(ends, [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=2, gid="interval")
    for value, edge, arrow in ((low, edges[0], "<"), (high, edges[1], ">")):
        if value != min(max(value, edges[0]), edges[1]):
            axes.plot([edge], [y], arrow, color=colour, markersize=5, zorder=2, clip_on=False, gid="unbounded")


def _numbers(rows: Sequence[ForestRow]) -> list[str]:
    halves = [(r.high - r.low) / 2 for r in rows if r.low is not None and r.high is not None]
    finite = [h for h in halves if math.isfinite(h) and h > 0]
    digits = decimals([min(finite)] if finite else [r.est for r in rows if r.est is not None])
    digits = min(digits, 4)
    found = []
    for r in rows:
        if r.est is None:
            found.append("no value")
        elif r.low is None:
            found.append(f"{shown(r.est, digits, sign=True)}  no interval")
        else:
            limits = f"[{shown(r.low, digits, sign=True)}, {shown(r.high, digits, sign=True)}]"
            found.append(f"{shown(r.est, digits, sign=True)}  {limits}")
    return found


def _write(
    axes: Axes,
    labels: list[list[str]],
    numbers: list[str],
    notes: list[list[str]],
    centres: list[float],
    head_at: list[tuple[float, str]],
    widths: list[float],
) -> None:
    """Text beside the plot, in axis fractions horizontally and inches vertically."""
    place = axes.get_yaxis_transform()
    unit = 1 / _PLOT_WIDTH
    left, right = -(_SPACE + widths[0]) * unit, 1 + _SPACE * unit
    for label, text, note, y in zip(labels, numbers, notes, centres, strict=True):
        axes.text(left, y, "\n".join(label), transform=place, va="center", gid="label")
        axes.text(right + widths[1] * unit, y, text, transform=place, va="center", ha="right", gid="number")
        if note != [""]:
            at = right + (widths[1] + _SPACE) * unit
            axes.text(at, y, "\n".join(note), transform=place, va="center", color=MUTED, gid="note")
    for y, name in head_at:
        axes.text(left, y, name, transform=place, va="center", weight="bold", gid="group")


def _legend_lines(rows: Sequence[ForestRow], looks: Sequence[_Look]) -> list[str]:
    found = list(dict.fromkeys(k.meaning for k in looks if k.meaning))
    if any(r.wide_low is not None for r in rows):
        found.append("lines")
    if any(r.mde is not None for r in rows):
        found.append("mde")
    if _cut(rows):
        found.append("cut")
    return found


def _legend(figure: Figure, rows: Sequence[ForestRow], looks: Sequence[_Look], width: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = []
    for meaning in dict.fromkeys(k.meaning for k in looks if k.meaning):
        k = next(k for k in looks if k.meaning == meaning)
        handles.append(Line2D([], [], linestyle="", marker=k.marker, markersize=5, color=INK, label=meaning,
                              markerfacecolor=INK if k.filled else "white"))  # fmt: skip
    if any(r.wide_low is not None for r in rows):
        handles.append(Line2D([], [], color=INK, linewidth=3.2, label="thick: pointwise; thin: simultaneous interval"))
    if any(r.mde is not None for r in rows):
        handles.append(Patch(color=FAINT, label="below the smallest detectable effect"))
    if _cut(rows):
        handles.append(Line2D([], [], color=INK, marker=">", markersize=5, label="arrow: goes on beyond the edge"))
    if handles:
        corner = ((_MARGIN - 0.06) / width, 0)
        figure.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=corner,
            borderaxespad=0.6,
            handlelength=1.6,
            labelspacing=0.35,
        )
