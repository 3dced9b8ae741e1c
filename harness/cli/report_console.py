"""What `run.py report` prints: values or differences, what they rest on, and the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from reports.human import HumanScore
    from reports.report import Report
    from reports.significance import Difference, Needed, Value
    from reports.tables import Table


def print_reports(reports: list[Report]) -> None:
    """The screen of every report."""
    from rich.console import Console

    console = Console(highlight=False)
    for report in reports:
        analysis = report.analysis
        console.print(analysis.title, style="bold", markup=False)
        if analysis.family is None:
            _print_values(console, list(analysis.values), report)
        else:
            size = analysis.family.size
            _print_differences(console, analysis.differences, f"Differences from {analysis.reference}", size)
            if analysis.against_base:
                title = f"Differences from {analysis.against_base[0].y}, the model before training"
                _print_differences(console, analysis.against_base, title, len(analysis.against_base))
        if report.needed:
            _print_needed(console, report.needed)
        if report.human:
            _print_human(console, report.human)
        if analysis.family is None:
            for text in analysis.refused:
                console.print(f"Not compared: {text}", style="yellow", markup=False)
        for text in (*analysis.notes, *report.notes):
            console.print(text, style="yellow", markup=False)
        _print_files(console, report.files)


def _print_differences(console: Console, rows: tuple[Difference, ...], title: str, n_planned: int) -> None:
    """A line per condition, of any length, and below it a line per benchmark.

    The columns are set here, not by a table of rich: that one shares its width with the longest condition and folds or
    drops names where the terminal is narrow. Lines longer than the terminal are left to it.
    """
    console.print(title, style="italic", markup=False)
    has_missing = any(d.n_missing_x + d.n_missing_y for d in rows)
    head = ["", "difference", "95 % interval", "p", "MDE", "n", *(["missing"] if has_missing else []), "shown"]
    cells = {id(d): _difference_cells(d, has_missing) for d in rows}
    widths = [max(len(row[i]) for row in (head, *cells.values())) for i in range(len(head))]

    def line(row: list[str]) -> str:
        middle = (text.rjust(width) for text, width in zip(row[1:-1], widths[1:-1], strict=True))
        return "  ".join((row[0].ljust(widths[0]), *middle, row[-1])).rstrip()

    console.print(line(head), style="bold", markup=False, soft_wrap=True)
    for condition in dict.fromkeys(d.x for d in rows):
        console.print(condition, style="bold", markup=False, soft_wrap=True)
        for d in (d for d in rows if d.x == condition):
            console.print(line(cells[id(d)]), markup=False, soft_wrap=True)
    for text in dict.fromkeys(_remarks(rows, n_planned)):
        console.print(text, style="dim", markup=False)


def _difference_cells(d: Difference, has_missing: bool) -> list[str]:
    from reports.significance.wording import effect_size, is_significant

    est = "—" if d.est is None else _signed(d.est, d)
    interval = "—" if d.low is None or d.high is None else f"[{_signed(d.low, d)}, {_signed(d.high, d)}]"
    mde = d.mde if d.mde_family is None else d.mde_family
    p = d.p if d.p_adjusted is None else d.p_adjusted
    shown = "—" if p is None else "<0.0001" if p < 1e-4 else f"{p:.4f}"
    answer = "—" if p is None else ("higher" if (d.est or 0) > 0 else "lower") if is_significant(d) else "no"
    missing = [f"{d.n_missing_x + d.n_missing_y:,}"] if has_missing else []
    size = "—" if mde is None else effect_size(mde, d.scale)
    return [f"  {d.benchmark}", est, interval, shown, size, f"{d.n_prompts:,}", *missing, answer]


def _remarks(rows: tuple[Difference, ...], n_planned: int) -> Iterator[str]:
    """What the table's reader must know: what was compared, about what the intervals speak, what is wrong."""
    named = dict.fromkeys(f"{d.benchmark} {d.metric}" for d in rows if d.metric not in ("", "overall"))
    if named:
        yield f"values: {', '.join(named)}{'; elsewhere overall' if any(d.metric == 'overall' for d in rows) else ''}"
    for level in dict.fromkeys(d.level for d in rows if d.level):
        of = [d for d in rows if d.level == level]
        tests = ", ".join(dict.fromkeys(d.test for d in of))
        seeds = ", ".join(dict.fromkeys(f"{d.seeds_x} + {d.seeds_y}" for d in of))
        only = level == "these checkpoints"
        yield f"about {level}{' only' if only else ''} ({tests}{'' if only else f'; training seeds {seeds}'})"
    if any(d.p is not None for d in rows):
        if n_planned > 1:
            yield f"p: adjusted by Holm over {n_planned} planned tests; intervals: 95 %, each for its own row"
        else:
            yield "p: one planned test; 95 % interval"
        yield "MDE: smallest true difference that such a comparison finds with 80 % power, after the correction"
    for d in rows:
        if d.p is None:
            yield f"{d.x}, {d.benchmark}: {d.verdict}"
        elif d.distrust:
            yield f"{d.x}, {d.benchmark}: do not rely on it: {d.distrust}"
        elif d.bound_low is not None and d.bound_high is not None:
            yield (
                f"{d.x}, {d.benchmark}: missing scores leave differences from {_signed(d.bound_low, d)} to "
                f"{_signed(d.bound_high, d)} possible"
            )
        if d.exact is not None:
            # Where too few seeds are the reason, it is the same for every row.
            whose = "" if d.exact.smallest_p > 0.05 else f"{d.x}, {d.benchmark}: "
            yield f"{whose}{d.exact.test} test on these prompts: p {d.exact.text}"


def _print_needed(console: Console, rows: tuple[Needed, ...]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title="Seeds or prompts that would show the effect", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("", overflow="fold", min_width=16)
    for name in ("effect", "MDE", "seeds, prompts now", "seeds", "or prompts"):
        table.add_column(name, justify="right", overflow="fold")
    for r in rows:
        seeds, prompts = ("—" if v is None else f"{v:,}" for v in (r.seeds, r.prompts))
        mde = "—" if r.mde is None else f"{r.mde:.4g}"
        now = f"{r.seeds_x} + {r.seeds_y}, {r.n_prompts:,}"
        table.add_row(_plain(f"{r.x} {r.benchmark}"), f"{r.effect:g}", mde, now, seeds, prompts)
    console.print(table)
    for text in dict.fromkeys(f"{r.x}, {r.benchmark}: {r.remark}" for r in rows if r.remark):
        console.print(text, style="dim", markup=False)
    console.print("seeds: per condition, on these prompts; prompts: with these seeds; 80 % power", style="dim")


def _print_human(console: Console, rows: tuple[HumanScore, ...]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        title="As people would rate it: labels and judge together", title_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    table.add_column("", overflow="fold", min_width=16)
    for name in ("judge", "labels", "both", "95 % interval", "worth", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for r in rows:
        sign = "" if r.reference is None else "+"
        est, judge, labels, low, high = (
            "—" if v is None else f"{v:{sign}.3f}" for v in (r.est, r.judge, r.labels, r.low, r.high)
        )
        name = f"{r.condition} {r.benchmark}" if r.reference is None else f"{r.condition} - {r.reference} {r.benchmark}"
        worth = "—" if r.label_factor is None else f"{r.label_factor:.1f}"
        cells = (name, judge, labels, est, f"[{low}, {high}]", worth, f"{r.n_labelled:,}")
        table.add_row(*map(_plain, cells))
    console.print(table)
    for r in rows:
        if r.remark:
            console.print(f"{r.condition}, {r.benchmark}: {r.remark}", style="yellow", markup=False)
    console.print(
        "judge, labels: each alone; worth: labels that one label with the judge replaces; n: labelled prompts; valid "
        "for prompts drawn at random within categories, as `run.py labels` does",
        style="dim",
    )


def _signed(value: float, d: Difference) -> str:
    from reports.significance.wording import decimals

    return f"{value:+.{decimals(d.scale)}f}"


def _print_values(console: Console, values: list[Value], report: Report) -> None:
    from rich.table import Table

    from reports.significance.wording import decimals

    analysis = report.analysis
    for identity in analysis.identities:
        table = Table(title=identity["title"], caption=f"judge {identity['judge']} · data {identity['data']}")
        table.title_justify = table.caption_justify = "left"
        for name, justify in (("", "left"), ("condition", "left"), ("value", "right"), ("95 % interval", "right")):
            table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for name in ("n", "missing"):
            table.add_column(name, justify="right")
        rows = [v for v in values if v.benchmark == identity["benchmark"] and v.condition in identity["conditions"]]
        for v in rows if len(rows) < 12 else [v for v in rows if v.metric.startswith("overall")] or rows[:12]:
            k = decimals(v.scale)
            value = "—" if v.value is None else f"{v.value:.{k}f}"
            interval = "—" if v.low is None or v.high is None else f"[{v.low:.{k}f}, {v.high:.{k}f}]"
            cells = (v.metric, v.condition, value, interval, f"{v.n:,}", f"{v.n_missing:,}")
            table.add_row(*map(_plain, cells))
        console.print(table)


def print_tables(tables: Sequence[Table], files: Sequence[Any]) -> None:
    """Finished tables with their notes, and the files."""
    from rich.console import Console

    console = Console(highlight=False)
    for table in tables:
        _print_table(console, table)
    _print_files(console, files)


def _print_table(console: Console, table: Table) -> None:
    from rich.table import Table as Grid

    shown = Grid(title=_plain(table.title), title_justify="left")
    for name, side in zip(table.columns, table.alignment, strict=True):
        shown.add_column(_plain(name), justify="right" if side == "r" else "left", overflow="fold")
    for row in table.shown():
        shown.add_row(*map(_plain, row))
    console.print(shown)
    for note in table.notes:
        console.print(f"Note: {note}", style="dim", markup=False)


def _print_files(console: Console, files: Any) -> None:
    console.print("Written:", style="dim")
    for file in files:
        console.print(f"  {file}", markup=False, soft_wrap=True)


def _plain(text: str) -> str:
    """Text from data as literal console text."""
    from rich.markup import escape

    return escape(text)
