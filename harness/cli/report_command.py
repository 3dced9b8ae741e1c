"""`run.py report`: runs compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import json_option, split_names
from harness.cli.report_console import print_reports, print_tables

if TYPE_CHECKING:
    from reports.groups import Design
    from reports.human import Labels

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
    help="Of tables: md,tex,csv,json,html.  [default: md; of a sweep md,csv,tex]",
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
@click.option(
    "--detect",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Also say how many seeds or prompts would show this effect (0.01: one point of 100).",
)
@click.option(
    "--human",
    multiple=True,
    metavar="[NAME=]FILE",
    help="A sheet of `run.py labels` that people filled in, of one condition; repeatable.",
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
    detect: float | None,
    human: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare finished runs: values, differences with intervals, the paper's tables, figures, a page.

    DIR is a run directory, or the directory of a sweep. One run: its values with intervals. Several: their differences
    from the first or from --against, paired by prompt, corrected over the benchmarks, with the smallest effect that
    would have been seen. Reads only; nothing is generated or judged.
    """
    from harness.errors import ConfigError, unknown_name

    kinds = split_names(formats)
    for kind in kinds:
        if kind not in FORMATS:
            raise unknown_name("table format", kind, FORMATS)
    if not folders and not groups and number is None:
        raise ConfigError("Name at least one run directory, e.g. run.py report runs/micro-1a2b3c4d.")
    if number is not None and (human or detect is not None):
        raise ConfigError("--human and --detect go with a comparison of runs, not with --table.")
    if number is not None:
        return _paper(number, folders, kinds or ["md"], out, as_json)
    from reports.groups import sweeps_below
    from reports.judges import write_agreement
    from reports.report import make_report

    labels = _labels(human)
    sweep = sweeps_below(folders[0]) if len(folders) == 1 and not groups else []
    kinds = kinds or (["md", "csv", "tex"] if sweep else ["md"])
    reports = [
        make_report(
            design,
            where,
            formats=kinds,
            page=page,
            plots=plots,
            embed=embed,
            prompts="fixed" if fixed_prompts else "random",
            borrow_seed_sd=borrow_seed_sd,
            human=labels,
            detect=detect,
        )
        for design, where in _designs(folders, sweep, groups, against, out)
    ]
    agreement = write_agreement(sweep, out or folders[0] / "results") if len(sweep) > 1 else None
    if as_json:
        found = [r.as_json() for r in reports]
        judges = {"judges": str(agreement)} if agreement else {}
        click.echo(json.dumps(found[0] if len(found) == 1 else {"reports": found, **judges}, allow_nan=False))
    else:
        print_reports(reports)
        if agreement:
            click.echo(f"Do the judges agree?  {agreement}")
    return 0


def _designs(
    folders: tuple[Path, ...], sweep: list[Path], groups: tuple[str, ...], against: str | None, out: Path | None
) -> list[tuple[Design, Path]]:
    """Designs and their output folders; a sweep's directory has one per evaluation."""
    from reports.groups import design_of
    from reports.report import default_out

    if sweep:
        return [(design_of([f], (), against), f / "report" if out is None else out / f.name) for f in sweep]
    return [(design_of(folders, groups, against), out or default_out([] if groups else folders))]


def _labels(human: tuple[str, ...]) -> dict[str, Labels]:
    """Sheets by condition; "" for one without a name."""
    from harness.errors import ConfigError
    from reports.human import read_sheet

    found: dict[str, Labels] = {}
    for text in human:
        name, _, file = text.rpartition("=") if not Path(text).is_file() else ("", "", text)
        if name in found:
            raise ConfigError(
                f"--human {text}: a second sheet of {name or 'the same condition'}; join them in one file."
            )
        found[name] = read_sheet(Path(file))
    return found


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
    print_tables(tables, files)
    return 0
