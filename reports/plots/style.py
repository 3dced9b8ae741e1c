"""What all figures share: colours, fonts, sizes, and files that are equal byte for byte for equal data.

Figures are built on `matplotlib.figure.Figure` directly: no pyplot, no backend is chosen, and matplotlib's settings are
changed inside `styled` only.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.images import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Colours that colour-blind readers tell apart (Okabe and Ito 2008), the pale ones last."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One per colour: no figure tells arms apart by colour alone."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), "-", (0, (5, 2)), (0, (1, 1.5)), "-.")
"""One line style per colour."""
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oo", "--")
"""One per colour, for bars."""
INK, MUTED, FAINT = "#1a1a1a", "#5f6368", "#e4e6e9"
"""Text and axes, secondary text, bands and grids."""
DPI = 160

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "ummbench",
    "figure.dpi": 100.0,
    "savefig.dpi": DPI,
}


@contextmanager
def styled() -> Iterator[None]:
    """Inside: matplotlib's defaults and this style, whatever the machine's own configuration; afterwards as before."""
    import matplotlib

    with matplotlib.rc_context():
        settings: Any = matplotlib.rcParams
        settings.update({k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"})
        settings.update(_SETTINGS)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches with a canvas that can measure text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def text_size(figure: Figure, text: str, **font: Any) -> tuple[float, float]:
    """Width and height in inches that a text takes."""
    probe: Text = figure.text(0, 0, text, **font)
    box = probe.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    probe.remove()
    return box.width / figure.dpi, box.height / figure.dpi


def save(figure: Figure, out: Path) -> list[Path]:
    """Writes the figure and returns the paths.

    Args:
        out: path without suffix, to which `.svg` and `.png` are added; with one of the suffixes .svg, .png or .pdf that
            file alone is written.

    Equal figures give equal bytes: files hold no date, no version and no random ids.
    """
    one = out.suffix.lower() in (".svg", ".png", ".pdf")
    paths = [out] if one else [out.with_name(out.name + suffix) for suffix in (".svg", ".png")]
    for path in paths:
        kind = path.suffix.lower()[1:]
        metadata: dict[str, Any] = {
            "svg": {"Date": None, "Creator": None},
            "png": {"Software": None},
            "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        }[kind]
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        write_atomic(path, buffer.getvalue())
    return paths


def number(value: float | None) -> float | None:
    """`value` as a float; None for None and NaN, which are no values and are never drawn."""
    return None if value is None or math.isnan(value) else float(value)


def measured(value: float | None, what: str) -> float | None:
    """`number(value)` for something measured.

    Raises:
        ValueError: it is infinite.
    """
    found = number(value)
    if found is not None and math.isinf(found):
        raise ValueError(f"{what}: {found} cannot be drawn; expected a finite number, or None for no value")
    return found


def padded(values: list[float], *, share: float = 0.05) -> tuple[float, float]:
    """Axis limits that hold all values with a margin; also where all are equal or there is none."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = high - low or max(abs(high), 1.0) * 0.2
    return low - share * span, high + share * span


def decimals(values: list[float]) -> int:
    """Digits after the point with which the values' spread shows two significant digits (0 to 6)."""
    spread = max((abs(v) for v in values), default=0.0)
    return 2 if spread == 0 else int(min(6, max(0, 1 - math.floor(math.log10(spread)))))


def shown(value: float | None, digits: int, *, sign: bool = False) -> str:
    """A number as text, with a true minus sign; infinite ones as ∞, None as a dash."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "−∞" if value < 0 else "+∞" if sign else "∞"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def legend_grid(figure: Figure, labels: list[str], width: float) -> tuple[int, float]:
    """Columns of a legend that fits into `width` inches, and its height in inches (size 8.5, handles of 2.6)."""
    widest = max((text_size(figure, label, size=8.5)[0] for label in labels), default=0.0) + 0.65
    columns = max(1, min(len(labels), int(width / widest)))
    return columns, 0.19 * math.ceil(len(labels) / columns)
