"""`run.py labels`: a sheet of images for people to label."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from harness.cli.options import json_option, split_names

EPILOG = (
    "Examples:  run.py labels runs/micro-1a2b3c4d -b geneval -n 60 -o labels.csv   |   "
    "run.py report runs/micro-1a2b3c4d --human labels.csv"
)


@click.command(name="labels", epilog=EPILOG)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
@click.option("-b", "--benchmarks", multiple=True, metavar="NAMES", help="Comma-separated.  [default: all of the run]")
@click.option(
    "-n",
    "--prompts",
    type=click.IntRange(min=4),
    default=100,
    show_default=True,
    help="Prompts per benchmark, all of their images; at least five of each category.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="[default: RUN-labels.csv]"
)
@json_option
def command(folder: Path, benchmarks: tuple[str, ...], prompts: int, seed: int, out: Path | None, as_json: bool) -> int:
    """Draw images at random for people to label, as a CSV sheet with an empty column `value`.

    The judge's answers are left out. Fill `value` in on the scale of the benchmark's headline, save as CSV, and give
    the sheet to `report --human`: it corrects the judge's scores of all images by the few that people gave.
    """
    from harness.errors import DataError, unknown_name
    from reports.human import draw_prompts, write_sheet
    from reports.runs import load_run
    from reports.significance import primary_metric

    run = load_run(folder)
    names = split_names(benchmarks) or run.benchmarks
    drawn, scales = {}, {}
    for name in names:
        if name not in run.benchmarks:
            raise unknown_name("benchmark of this run", name, run.benchmarks)
        metric = primary_metric(run, name)
        if metric is None or metric not in run.terms(name):
            raise DataError(f"{folder}: {name} has no headline that is made of prompts' parts; choose others with -b.")
        terms = run.terms(name)[metric]
        drawn[name] = draw_prompts(terms, prompts, seed, name)
        scales[name] = (metric, terms.lo, terms.hi)
    file = out or Path(f"{folder.name}-labels.csv")
    n = write_sheet(run, drawn, file)
    if as_json:
        counts = {name: len(p) for name, p in drawn.items()}
        click.echo(json.dumps({"file": str(file), "images": n, "prompts": counts}))
        return 0
    click.echo(f"{file}: {n:,} images of {sum(map(len, drawn.values())):,} prompts, drawn at random (seed {seed}).")
    for name, (metric, low, high) in scales.items():
        click.echo(f"  {name}: value is what one image deserves of {metric}, {low:g} to {high:g}")
    for name, ids in drawn.items():
        terms = run.terms(name)[scales[name][0]]
        if len(ids) < prompts - len(terms.categories):  # closer is the rounding of the categories' shares
            click.echo(
                f"  {name}: {len(ids)} prompts instead of {prompts}: of {int((terms.den > 0).sum())} scored ones "
                "at least two of each category stay without a label"
            )
    again = shlex.join(["run.py", "report", str(folder), "--human", str(file)])
    click.echo(f"Fill in the column 'value', then:  {again}")
    return 0
