"""The first view of the page, as HTML: the runs, every benchmark's values with intervals, refinement, given tables."""

from __future__ import annotations

import datetime
import string
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from reports.runs import Run, differences_in_identity

if TYPE_CHECKING:
    from reports.tables import Table

_PLOT_PX = 104
_NONE = "–"


def letters(n: int) -> list[str]:
    """Short names of runs: A, B, ..., Z, A2, B2, ..."""
    return [string.ascii_uppercase[i % 26] + (str(i // 26 + 1) if i >= 26 else "") for i in range(n)]


def overview_html(runs: Sequence[Run], tables: Sequence[Table], notes: Sequence[str]) -> str:
    """The overview's inside; every text from data is escaped.

    Args:
        runs: in the order of their letters.
        tables: further tables, drawn behind the values.
        notes: remarks about the page itself.
    """
    names = list(dict.fromkeys(b for run in runs for b in run.benchmarks))
    parts = [_runs_table(runs)]
    parts += [f'<p class="note">{escape(n)}</p>' for n in notes]
    n_first = 1 if len(runs) > 1 else 0  # a comparison's differences are read before anything else
    parts += [_tables(tables[:n_first], is_open=True)] if tables[:n_first] else []
    parts.append(f'<div class="benchmarks">{"".join(_benchmark(runs, name) for name in names)}</div>')
    parts += [_tables(tables[n_first:], is_open=False)] if tables[n_first:] else []
    return "\n".join(parts)


def _runs_table(runs: Sequence[Run]) -> str:
    head = ("", "run", "model", "profile", "protocol", "status", "made", "code")
    rows = []
    for i, (letter, run) in enumerate(zip(letters(len(runs)), runs, strict=True)):
        made = run.manifest.get("created")
        day = datetime.datetime.fromtimestamp(made, datetime.UTC).strftime("%Y-%m-%d") if made else _NONE
        code = str(run.manifest.get("environment", {}).get("code_revision") or _NONE)
        done = "complete" if run.summary.get("complete") else "incomplete: answers are missing"
        cells = [run.name, run.summary.get("model", _NONE), run.summary["profile"], run.summary["protocol"], done, day]
        short = code[:10] + ("+dirty" if code.endswith("+dirty") else "")
        rows.append(
            f'<tr><th scope="row"><span class="badge run{i % 6}">{letter}</span></th>'
            + "".join(f"<td>{escape(str(c))}</td>" for c in cells)
            + f'<td><code title="{escape(code)}">{escape(short)}</code></td></tr>'
        )
    header = "".join(f'<th scope="col">{h}</th>' for h in head)
    return (
        '<section aria-labelledby="runs-title"><h2 id="runs-title">Runs</h2><div class="scroll">'
        f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _tables(tables: Sequence[Table], *, is_open: bool) -> str:
    """Each table under its title, folded away or not."""
    from reports.tables import render

    parts = [
        f"<details{' open' if is_open else ''}><summary>{escape(t.title or t.name)}</summary>"
        f'<div class="scroll">{render(t, "html")}</div></details>'
        for t in tables
    ]
    heading = "" if is_open else "<h2>Further tables</h2>"
    return f'<section class="given">{heading}{"".join(parts)}</section>'


def _benchmark(runs: Sequence[Run], name: str) -> str:
    having = [(i, run) for i, run in enumerate(runs) if name in run.benchmarks]
    title = str(having[0][1].block(name).get("title", name))
    parts = [f'<section class="benchmark"><h2>{escape(title)}</h2>', _identity(having, name)]
    metrics = list(dict.fromkeys(m for _, run in having for m in run.block(name)["values"]))
    details = tuple(str(d) for d in having[0][1].block(name).get("details", ()))
    headline = {str(h) for h in having[0][1].block(name).get("headline", ())}
    main = [m for m in metrics if not (details and m.startswith(details))]
    parts.append(_values(having, name, main, headline))
    rest = [m for m in metrics if m not in set(main)]
    if rest:
        parts.append(
            f"<details><summary>{len(rest)} further values</summary>{_values(having, name, rest, headline)}</details>"
        )
    for i, run in having:
        parts.append(_remarks(letters(i + 1)[i], run.block(name)))
    return "\n".join([*parts, "</section>"])


def _identity(having: Sequence[tuple[int, Run]], name: str) -> str:
    first = having[0][1]
    blocks = [run.block(name) for _, run in having]
    judges = " · ".join(dict.fromkeys(str(b["judge"]) for b in blocks))
    wording = " · ".join(dict.fromkeys(str(b["judge_prompt"]) for b in blocks if b.get("judge_prompt")))
    data = " · ".join(dict.fromkeys(str(b["data"]) for b in blocks))
    facts = [f"judge <code>{escape(judges)}</code>"]
    facts += [f"judge prompt <code>{escape(wording)}</code>"] if wording else []
    facts += [f"data <code>{escape(data)}</code>"]
    lines = [f'<p class="facts">{" · ".join(facts)}</p>']
    for i, run in having[1:]:
        different = differences_in_identity(first, run, name)
        if different:
            a, b = letters(having[0][0] + 1)[-1], letters(i + 1)[-1]
            lines.append(
                f'<p class="warning">Values of {a} and {b} do not compare: {escape("; ".join(different))}.</p>'
            )
    return "".join(lines)


def _values(having: Sequence[tuple[int, Run]], name: str, metrics: Sequence[str], headline: set[str]) -> str:
    several = len(having) > 1
    head = ["metric", *(["run"] if several else []), "value", "95 % interval", "", "n", "missing"]
    classes = {"value": "num", "95 % interval": "num", "n": "num", "missing": "num"}
    header = "".join(f'<th scope="col" class="{classes.get(h, "")}">{h}</th>' for h in head)
    body = []
    for metric in metrics:
        cells = [(i, run.block(name)["values"].get(metric)) for i, run in having]
        low, high = _axis([c for _, c in cells if c is not None])
        label = f"<strong>{escape(metric)}</strong>" if metric in headline else escape(metric)
        link = f'<a href="#samples" data-benchmark="{escape(name)}" data-metric="{escape(metric)}">{label}</a>'
        for k, (i, cell) in enumerate(cells):
            first = f'<th scope="row" rowspan="{len(cells)}">{link}</th>' if k == 0 else ""
            badge = f'<td><span class="badge run{i % 6}">{letters(i + 1)[i]}</span></td>' if several else ""
            group = ' class="group"' if k == 0 else ""
            body.append(f"<tr{group}>{first}{badge}{_value_cells(cell, low, high, i)}</tr>")
    return (
        f'<div class="scroll"><table class="values"><thead><tr>{header}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _value_cells(cell: dict[str, Any] | None, low: float, high: float, run: int) -> str:
    if cell is None:
        return f'<td class="num">{_NONE}</td><td class="num">{_NONE}</td><td></td><td></td><td class="num"></td>'
    value = _NONE if cell["value"] is None else f"{cell['value']:.4f}"
    has_limits = cell.get("ci_low") is not None and cell.get("ci_high") is not None
    interval = f"{cell['ci_low']:.3f} – {cell['ci_high']:.3f}" if has_limits else _NONE
    missing = cell["n_missing"]
    marked = f'<span class="some">{missing:,}</span>' if missing else "0"
    method = escape(str(cell.get("method", "")))
    return (
        f'<td class="num">{value}</td><td class="num" title="{method}">{interval}</td>'
        f'<td>{_plot(cell, low, high, run)}</td><td class="num">{cell["n"]:,}</td><td class="num">{marked}</td>'
    )


def _axis(cells: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """0 to 1 where everything lies there, else 0 to the next of 10 and 100, else what the values span."""
    known = [c[k] for c in cells for k in ("value", "ci_low", "ci_high") if c.get(k) is not None]
    if not known:
        return 0.0, 1.0
    for top in (1.0, 10.0, 100.0):
        if min(known) >= 0 and max(known) <= top:
            return 0.0, top
    return min(known), max(known)


def _plot(cell: dict[str, Any], low: float, high: float, run: int) -> str:
    """Point and interval on the metric's axis; decoration, as the numbers stand beside it."""
    if cell["value"] is None or high <= low:
        return ""

    def x(value: float) -> str:
        return f"{4 + (_PLOT_PX - 8) * (min(max(value, low), high) - low) / (high - low):.1f}"

    line = ""
    if cell.get("ci_low") is not None and cell.get("ci_high") is not None:
        line = f'<line class="whisker" x1="{x(cell["ci_low"])}" x2="{x(cell["ci_high"])}" y1="8" y2="8"/>'
    return (
        f'<svg class="forest run{run % 6}" width="{_PLOT_PX}" height="16" aria-hidden="true">'
        f'<line class="axis" x1="4" x2="{_PLOT_PX - 4}" y1="8" y2="8"/>{line}'
        f'<circle cx="{x(cell["value"])}" cy="8" r="3.5"/></svg>'
    )


def _remarks(letter: str, block: dict[str, Any]) -> str:
    lines = []
    for reason, count in block.get("missing_reasons", {}).items():
        lines.append(f"{letter}: {count:,} missing: {reason.removeprefix('missing: ')}")
    lines += [f"{letter}: {note}" for note in block.get("notes", ())]
    out = "".join(f'<p class="note">{escape(line)}</p>' for line in lines)
    if "refinement" in block:
        out += _refinement(letter, block["refinement"])
    return out


def _refinement(letter: str, block: dict[str, Any]) -> str:
    from harness.refinement.rows import COLUMNS, table_rows

    parts = []
    for metric in block["base"]:
        header = "".join(
            f'<th scope="col" class="{"num" if i else ""}">{escape(c)}</th>' for i, c in enumerate(COLUMNS)
        )
        rows = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f'<td class="num">{escape(c)}</td>' for c in row[1:])
            + "</tr>"
            for row in table_rows(block, metric)
        )
        parts.append(
            f"<h3>{letter}: refinement, {escape(metric)}</h3>"
            f'<div class="scroll"><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>'
        )
    parts += [f'<p class="note">{escape(n)}</p>' for n in block["notes"]]
    return "".join(parts)
