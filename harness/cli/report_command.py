"""`run.py report`: runs compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import json_option, split_names

if TYPE_CHECKING:
    from rich.console import Console

    from reports.groups import Design
    from reports.report import Report
    from reports.significance import Difference, Value
    from reports.tables import Table as ReportTable

FORMATS = ("md", "tex", "csv", "json", "html")


@click.command(
    name="report",
    epilog="Examples:  run.py report runs/base runs/trained --against base   |   "
    "run.py report --group dvreward=runs/d0,runs/d1,runs/d2 --group binary=runs/b0,runs/b1,runs/b2   |   "
    "run.py report sweeps/fpr   |   run.py report runs/base --table 1 --format tex",
)
@click.argument("folders", metavar="DIR...", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option("--against", metavar="NAME", help="Condition (or run directory) to compare with.  [default: the first]")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=DIR,DIR",
    help="Runs of one condition, one per training seed; repeatable.",
)
@click.option(
    "--table", "number", type=click.IntRange(1, 5), help="A table of the paper, published values beside ours."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAMES",
    help="Of tables: md,tex,csv,json,html.  [default: md]",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="OUT",
    help="Folder.  [default: DIR/report, of several runs ./report]",
)
@click.option("--page/--no-page", default=None, help="Write the page with every sample.  [default: up to 6 runs]")
@click.option("--plots/--no-plots", default=True, help="Draw figures.  [default: yes]")
@click.option("--embed", is_flag=True, help="The page as one file, images inside.")
@click.option(
    "--fixed-prompts", is_flag=True, help="Ask about new training seeds on these very prompts, not on new prompts."
)
@click.option(
    "--borrow-seed-sd",
    is_flag=True,
    help="Conditions with a single training seed take the seed variance of the others.",
)
@json_option
def command(
    folders: tuple[Path, ...],
    against: str | None,
    groups: tuple[str, ...],
    number: int | None,
    formats: tuple[str, ...],
    out: Path | None,
    page: bool | None,
    plots: bool,
    embed: bool,
    fixed_prompts: bool,
    borrow_seed_sd: bool,
    as_json: bool,
) -> int:
    """Compare finished runs: values, differences with intervals, the paper's tables, figures, a page.

    DIR is a run directory, or the directory of a sweep. One run: its values with intervals. Several: their differences
    from the first or from --against, paired by prompt, corrected over the benchmarks, with the smallest effect that
    would have been seen. Reads only; nothing is generated or judged.
    """
    from harness.errors import ConfigError, unknown_name

    kinds = split_names(formats) or ["md"]
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown_name("table format", kind, FORMATS)
    if not folders and not groups and number is None:
        raise ConfigError("Name at least one run directory, e.g. run.py report runs/micro-1a2b3c4d.")
    if number is not None:
        return _paper(number, folders, kinds, out, as_json)
    reports = [
        _make(design, where, kinds, page, plots, embed, fixed_prompts, borrow_seed_sd)
        for design, where in _designs(folders, groups, against, out)
    ]
    if as_json:
        found = [r.as_json() for r in reports]
        click.echo(json.dumps(found[0] if len(found) == 1 else {"reports": found}, allow_nan=False))
    else:
        _print(reports)
    return 0


def _designs(
    folders: tuple[Path, ...], groups: tuple[str, ...], against: str | None, out: Path | None
) -> list[tuple[Design, Path]]:
    """Designs and their output folders; a sweep's directory has one per evaluation."""
    from reports.groups import design_of, sweeps_below
    from reports.report import default_out

    if len(folders) == 1 and not groups and (below := sweeps_below(folders[0])):
        return [(design_of([f], (), against), f / "report" if out is None else out / f.name) for f in below]
    return [(design_of(folders, groups, against), out or default_out([] if groups else folders))]


def _make(
    design: Design,
    out: Path,
    formats: list[str],
    page: bool | None,
    plots: bool,
    embed: bool,
    fixed_prompts: bool,
    borrow_seed_sd: bool,
) -> Report:
    from reports.report import make_report

    return make_report(
        design,
        out,
        formats=formats,
        page=page,
        plots=plots,
        embed=embed,
        prompts="fixed" if fixed_prompts else "random",
        borrow_seed_sd=borrow_seed_sd,
    )


def _paper(number: int, folders: tuple[Path, ...], formats: list[str], out: Path | None, as_json: bool) -> int:
    from reports.report import default_out, paper_tables, write_formats
    from reports.tables import render

    tables = paper_tables(number, folders)
    if as_json:
        click.echo(json.dumps([json.loads(render(t, "json")) for t in tables]))
        return 0
    if out is None and not folders:
        click.echo("\n".join(render(t, f) for f in formats for t in tables), nl=False)
        return 0
    where = (out or default_out(folders)) / f"table-{number}"
    files = write_formats(tables, where, formats)
    from rich.console import Console

    console = Console(highlight=False)
    for table in tables:
        _print_table(console, table)
    _print_files(console, files)
    return 0


def _print(reports: list[Report]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for report in reports:
        analysis = report.analysis
        console.print(analysis.title, style="bold", markup=False)
        if analysis.family is None:
            _print_values(console, list(analysis.values), report)
        else:
            _print_differences(console, analysis.differences, f"Differences from {analysis.reference}")
            if analysis.against_base:
                base = analysis.against_base[0].y
                _print_differences(
                    console, analysis.against_base, f"Differences from {base}, the model before training"
                )
            n = analysis.family.size
            console.print(
                f"p: adjusted by Holm over {n} planned tests; intervals: 95 %, each for its own row."
                if n > 1
                else "One planned test; 95 % interval.",
                style="dim",
            )
        for text in analysis.refused:
            console.print(f"Not compared: {text}", style="yellow", markup=False)
        for text in (*analysis.notes, *report.notes):
            console.print(text, style="yellow", markup=False)
        _print_files(console, report.files)


def _print_differences(console: Console, rows: tuple[Difference, ...], title: str) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=_plain(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in ("difference", "95 % interval", "p", "MDE", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    has_missing = any(d.n_missing_x + d.n_missing_y for d in rows)
    if has_missing:
        table.add_column("missing", justify="right")
    table.add_column("shown")
    for condition in dict.fromkeys(d.x for d in rows):
        table.add_row(_plain(condition), style="bold")
        for d in (d for d in rows if d.x == condition):
            table.add_row(*map(_plain, _difference_cells(d, has_missing)))
    console.print(table)
    for text in dict.fromkeys(_remarks(rows)):
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


def _remarks(rows: tuple[Difference, ...]) -> Iterator[str]:
    """What the table's reader must know: what was compared, about what the intervals speak, what is wrong."""
    named = dict.fromkeys(f"{d.benchmark} {d.metric}" for d in rows if d.metric != "overall")
    if named:
        yield f"values: {', '.join(named)}; elsewhere overall"
    for level in dict.fromkeys(d.level for d in rows if d.level):
        of = [d for d in rows if d.level == level]
        tests = ", ".join(dict.fromkeys(d.test for d in of))
        seeds = ", ".join(dict.fromkeys(f"{d.seeds_x} + {d.seeds_y}" for d in of))
        only = level == "these checkpoints"
        yield f"about {level}{' only' if only else ''} ({tests}{'' if only else f'; training seeds {seeds}'})"
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
            yield f"{d.x}, {d.benchmark}: {d.exact.test} test on these prompts: p {d.exact.text}"


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
        for v in [v for v in rows if v.metric.startswith("overall") or len(rows) < 12]:
            k = decimals(v.scale)
            value = "—" if v.value is None else f"{v.value:.{k}f}"
            interval = "—" if v.low is None or v.high is None else f"[{v.low:.{k}f}, {v.high:.{k}f}]"
            cells = (v.metric, v.condition, value, interval, f"{v.n:,}", f"{v.n_missing:,}")
            table.add_row(*map(_plain, cells))
        console.print(table)


def _print_table(console: Console, table: ReportTable) -> None:
    from rich.table import Table

    shown = Table(title=_plain(table.title), title_justify="left")
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
