"""One table model, rendered as Markdown, LaTeX (booktabs), CSV, JSON and HTML.

Whoever makes a table states values and text; escaping, alignment and rounding for display happen here and nowhere else.
CSV and JSON keep numbers as they are, the others round floats for display.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, StoreError, unknown_name
from harness.images import write_atomic
from reports.markdown import escape as escape_markdown

Cell = str | float | int | None

_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_NUMBER = re.compile(r"[+\-−]?\d[\d,]*(\.\d+)?%?")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its title and notes; rows are checked on creation."""

    name: str
    """File stem."""
    title: str
    columns: tuple[str, ...]
    """All different: JSON rows are objects."""
    rows: tuple[tuple[Cell, ...], ...]
    """Text is literal, never markup; None is an empty cell."""
    notes: tuple[str, ...] = ()
    """Printed below the table; CSV has no place for them."""
    align: str = ""
    """`l` or `r` per column; empty: right for columns of numbers, left for others."""
    formats: tuple[str, ...] = ()
    """Per column how floats are displayed, e.g. `+.3f`; empty: at most four decimals."""

    def __post_init__(self) -> None:
        n = len(self.columns)
        if not _STEM.fullmatch(self.name):
            raise ValueError(f"table {self.name!r}: the name is a file stem of letters, digits and . _ + -")
        if not n or len(set(self.columns)) != n:
            raise ValueError(f"table {self.name!r}: columns must be named differently, got {self.columns}")
        if self.align and (len(self.align) != n or set(self.align) - set("lr")):
            raise ValueError(f"table {self.name!r}: align {self.align!r} is not one of l, r for each of {n} columns")
        if self.formats and len(self.formats) != n:
            raise ValueError(f"table {self.name!r}: {len(self.formats)} formats for {n} columns")
        for i, row in enumerate(self.rows):
            if len(row) != n:
                raise ValueError(f"table {self.name!r}, row {i}: {len(row)} cells in {n} columns")
            for column, cell in zip(self.columns, row, strict=True):
                self._check(cell, f"table {self.name!r}, row {i}, column {column!r}")

    @staticmethod
    def _check(cell: Cell, where: str) -> None:
        if isinstance(cell, bool) or not (cell is None or isinstance(cell, (str, int, float))):
            raise ValueError(f"{where}: {cell!r} is {type(cell).__name__}, expected text, a number or None")
        if isinstance(cell, float) and not math.isfinite(cell):
            raise ValueError(f"{where}: {cell} is no value; None is the only spelling of none")

    @property
    def alignment(self) -> str:
        """`align`, or what the columns hold."""
        if self.align:
            return self.align
        return "".join("r" if _is_numeric([row[j] for row in self.rows]) else "l" for j in range(len(self.columns)))

    def shown(self) -> list[list[str]]:
        """All rows as unescaped display text."""
        formats = self.formats or ("",) * len(self.columns)
        return [[_text(cell, form) for cell, form in zip(row, formats, strict=True)] for row in self.rows]


def render(table: Table, format: str) -> str:
    """The table as text that ends with a newline.

    Args:
        table: what to render.
        format: `md`, `tex` (needs the packages booktabs and, for its letters, inputenc or a Unicode engine), `csv`
            (header and rows; numbers unrounded; no notes), `json` (an object with `rows`, one object per row),
            `html` (a fragment: one `<table>` and its notes).

    Raises:
        ConfigError: unknown format.
    """
    if format not in FORMATS:
        raise unknown_name("table format", format, FORMATS)
    return FORMATS[format](table)


def write_tables(tables: Sequence[Table], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Writes `folder/NAME.FORMAT` for every table and format; returns the files in that order.

    Raises:
        ConfigError: unknown format, or two tables of one name (nothing is written then).
        StoreError: a file cannot be written.
    """
    names = [t.name for t in tables]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ConfigError(f"Two tables are named {twice!r} and would overwrite each other in {folder}.")
    rendered = [(folder / f"{t.name}.{f}", render(t, f)) for t in tables for f in dict.fromkeys(formats)]
    for path, text in rendered:
        try:
            write_atomic(path, text.encode())
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror or error}. Choose another folder with -o DIR.") from error
    return [path for path, _ in rendered]


def _is_numeric(cells: Sequence[Cell]) -> bool:
    given = [c for c in cells if c is not None and c not in ("", "–")]
    return bool(given) and all(not isinstance(c, str) or _NUMBER.fullmatch(c) for c in given)


def _text(cell: Cell, form: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return format(cell, form) if form else _short(cell)
    return str(cell)


def _short(value: float) -> str:
    if value and abs(value) < 5e-5:
        return f"{value:.1e}"  # four decimals would print a small p-value as 0.0
    return repr(round(float(value), 4) + 0.0)  # + 0.0: no minus before a rounded zero


def _markdown(table: Table) -> str:
    rule = ["---:" if a == "r" else "---" for a in table.alignment]
    lines = [f"### {escape_markdown(table.title)}", ""] if table.title else []
    for cells in ([escape_markdown(c) for c in table.columns], rule):
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["| " + " | ".join(map(escape_markdown, row)) + " |" for row in table.shown()]
    for note in table.notes:
        lines += ["", f"Note: {escape_markdown(note)}"]
    return "\n".join(lines) + "\n"


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "–": "--", "—": "---", "±": r"$\pm$", "×": r"$\times$",
    "·": r"\textperiodcentered{}", "≤": r"$\le$", "≥": r"$\ge$", "≈": r"$\approx$", "→": r"$\to$", "Δ": r"$\Delta$",
    "…": r"\ldots{}", "[": "{[}", "]": "{]}",
}  # fmt: skip
"""Characters that LaTeX would not print as themselves; a bracket in a first cell would be read as the `\\\\` option."""


def escape_tex(text: str) -> str:
    """`text` as literal LaTeX on one line."""
    return "".join(_TEX.get(c, c) for c in " ".join(text.split()))


def _latex(table: Table) -> str:
    def row(cells: Sequence[str]) -> str:
        return " & ".join(map(escape_tex, cells)) + r" \\"

    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escape_tex(table.title)}}}"] if table.title else []
    lines += [rf"\begin{{tabular}}{{{table.alignment}}}", r"\toprule", row(table.columns), r"\midrule"]
    lines += [row(cells) for cells in table.shown()]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines += ["", r"\vspace{0.5ex}", r"\begin{minipage}{\linewidth}\footnotesize"]
        lines += [rf"{escape_tex(note)}\par" for note in table.notes]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if c is None else repr(float(c)) if isinstance(c, float) else c for c in r]
                      for r in table.rows])  # fmt: skip
    return out.getvalue()


def _json(table: Table) -> str:
    value = {
        "name": table.name,
        "title": table.title,
        "columns": list(table.columns),
        "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
        "notes": list(table.notes),
    }
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _html(table: Table) -> str:
    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="{"number" if a == "r" else "text"}">{html.escape(t)}</{tag}>'
            for t, a in zip(texts, table.alignment, strict=True)
        )

    lines = [f'<table id="{html.escape(table.name)}">']
    lines += [f"<caption>{html.escape(table.title)}</caption>"] if table.title else []
    lines += [f"<thead><tr>{cells('th', table.columns)}</tr></thead>", "<tbody>"]
    lines += [f"<tr>{cells('td', row)}</tr>" for row in table.shown()]
    lines += ["</tbody>", "</table>"]
    if table.notes:
        lines += ['<ul class="notes">', *(f"<li>{html.escape(note)}</li>" for note in table.notes), "</ul>"]
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "md": _markdown,
    "tex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}
"""Renderers by file suffix."""
