"""`run.py sweep`: an ablation grid over training seeds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from harness.cli.console import ConsoleProgress
from harness.cli.options import json_option, load_plugins, plugin_option, split_names, stop_on_sigterm


@click.command(
    name="sweep",
    epilog="Examples:  run.py sweep fpr --dry-run   |   run.py sweep recipes -j 2 -o runs/recipes   |   "
    "run.py sweep reward-ablation --cell $SLURM_ARRAY_TASK_ID/40   |   run.py sweep table3 --dry-run",
)
@click.argument("name", metavar="SWEEP")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="[default: runs/sweep-NAME]")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, metavar="N", help="Cells at a time.  [default: 1]")
@click.option("--cell", metavar="I/N", help="Only part I of N of the grid, for a job scheduler; writes no report.")
@click.option("--only", multiple=True, metavar="NAMES", help="Only these conditions, comma-separated.")
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Processes of this machine, or Ray (RAY_ADDRESS, or a local one).  [default: local]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="ROW=MODEL",
    help="With table1 to table5: a checkpoint for rows whose model is not public; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only show the cells, what is finished, and what the rest takes.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the sweep, e.g. --set seeds=[0,1] or --set set.steps=20.",
)
@plugin_option
@json_option
def command(
    name: str,
    out: Path | None,
    jobs: int,
    cell: str | None,
    only: tuple[str, ...],
    executor: str,
    models: tuple[str, ...],
    dry_run: bool,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Train and evaluate every condition of SWEEP with every seed, then report what differs.

    SWEEP is a shipped name (`run.py list sweeps`), a YAML file, or a table of the paper (table1 to table5). Every cell
    is an ordinary training run with ordinary evaluations; repeating the command runs what is unfinished.
    """
    load_plugins(plugins)
    if name.removeprefix("table").isdigit():
        if settings or only:
            raise click.UsageError("--set and --only change grids; a table's rows are given by the paper.")
        return _table(name, out or Path("runs") / f"sweep-{name}", models, cell, jobs, executor, dry_run, as_json)
    if models:
        raise click.UsageError("--model fills rows of the paper's tables (table1 to table5).")
    from harness.sweep.cells import expand, part
    from harness.sweep.config import load_sweep

    config, short = load_sweep(name, settings)
    out = out or Path("runs") / f"sweep-{short}"
    everything = expand(config, out)
    chosen = part(everything, cell) if cell else list(everything)
    if only:
        chosen = _only(chosen, split_names(only), list(config.conditions))
    if dry_run:
        return _show(config, short, chosen, out, as_json)
    stop_on_sigterm()
    outcomes = _run(chosen, jobs, executor)
    folders = [] if cell else _report(config, short, everything, out)
    return _finish(chosen, outcomes, out, folders, as_json)


def _table(
    name: str,
    out: Path,
    models: tuple[str, ...],
    cell: str | None,
    jobs: int,
    executor: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    from harness.sweep.cells import part
    from reports.paper.sweep import show, table_sweep, write_report

    sweep = table_sweep(name, out, models)
    if dry_run:
        show(sweep, as_json)
        return 0
    stop_on_sigterm()
    chosen = part(sweep.cells, cell) if cell else list(sweep.cells)
    outcomes = _run(chosen, jobs, executor)
    for key, reason in sweep.left_out.items():
        click.echo(f"{key}: left empty: {reason}", err=True)
    return _finish(chosen, outcomes, out, [] if cell else write_report(sweep, out), as_json)


def _finish(chosen: list[Any], outcomes: list[Any], out: Path, files: list[Path], as_json: bool) -> int:
    unfinished = [o for o in outcomes if o.state != "done"]
    if as_json:
        found = {
            "sweep": str(out),
            "cells": len(chosen),
            "reports": [str(f) for f in files],
            "unfinished": {o.label: o.message or o.state for o in unfinished},
        }
        click.echo(json.dumps(found))
    else:
        for outcome in unfinished:
            click.echo(f"{outcome.label}: {outcome.state}. {outcome.message}", err=True)
        click.echo(f"{len(chosen) - len(unfinished)} of {len(chosen)} cells are finished. Sweep directory: {out}")
        for file in files:
            click.echo(f"  {file}")
    if unfinished:
        click.echo("Repeat the command to run the rest.", err=True)
    return 3 if unfinished else 0


def _only(cells: list[Any], names: list[str], known: list[str]) -> list[Any]:
    from harness.errors import unknown_name
    from harness.sweep.cells import BASE

    for name in names:
        if name not in (*known, BASE):
            raise unknown_name("condition", name, [*known, BASE])
    return [c for c in cells if c.condition in names]


def _run(cells: list[Any], jobs: int, executor: str) -> list[Any]:
    from harness.sweep.cells import is_finished
    from harness.sweep.executors import EXECUTORS

    open_cells = [c for c in cells if not all(is_finished(c, s) for s in c.steps)]
    outcomes = []
    with ConsoleProgress() as progress:
        progress.start("cells", len(cells), len(cells) - len(open_cells))
        for outcome in EXECUTORS[executor](open_cells, jobs) if open_cells else ():
            outcomes.append(outcome)
            progress.advance("cells")
            progress.note(f"{outcome.label}: {outcome.state} after {outcome.seconds:.0f} s")
    return outcomes


def _report(config: Any, name: str, cells: list[Any], out: Path) -> list[Path]:
    """Reports of all evaluations; returns the files to look at first."""
    from harness.registry import resolve
    from harness.sweep.index import write_index

    folders = write_index(config, name, cells, out)
    for folder in folders:
        design = resolve("reports.groups:read_sweep")(folder)
        resolve("reports.report:make_report")(design, folder / "report", formats=("md", "csv", "tex"))
    agreement = resolve("reports.judges:write_agreement")(folders, out / "results") if len(folders) > 1 else None
    return [*(f / "report" / "report.md" for f in folders), *([agreement] if agreement else [])]


def _show(config: Any, name: str, cells: list[Any], out: Path, as_json: bool) -> int:
    from harness.sweep.cells import is_finished
    from harness.sweep.costs import training_hours

    rows = []
    untrained = []
    for cell in cells:
        finished = [is_finished(cell, s) for s in cell.steps]
        state = "finished" if all(finished) else "begun" if any(finished) or cell.folder.exists() else "new"
        rows.append({"cell": cell.label, "state": state, "steps": [s.name for s in cell.steps]})
        if cell.steps[0].name == "train" and not finished[0]:
            untrained.append(cell)
    each = training_hours(untrained[0]) if untrained else {}
    hours = {machine: h * len(untrained) for machine, h in each.items()}
    if as_json:
        click.echo(json.dumps({"sweep": name, "directory": str(out), "cells": rows, "training_hours": hours}))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{config.title}\n{len(cells)} cells in {out}", title_justify="left")
    for column in ("cell", "state", "commands"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["cell"], row["state"], ", ".join(row["steps"]))
    Console(highlight=False).print(table)
    click.echo(", ".join(f"{n} {state}" for state, n in Counter(r["state"] for r in rows).items()))
    for machine, total in hours.items():
        click.echo(
            f"Training, {machine}: {total:.2f} h for {len(untrained)} cells of {each[machine]:.3f} h "
            f"(planned for {untrained[0].label}), divided by -j; evaluations come on top."
        )
    return 0
