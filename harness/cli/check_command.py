"""`run.py check`: the regression gate."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, split_names
from harness.errors import ConfigError, HarnessError

EPILOG = (
    "Exit codes: 0 no regression, 1 regression, 2 wrong usage or not comparable, 3 inconclusive or incomplete.  "
    "Examples:  run.py check runs/new --save-baseline baselines/micro.json   |   "
    "run.py check runs/new --against baselines/micro.json --summary $GITHUB_STEP_SUMMARY --junit check.xml"
)


@click.command(name="check", epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--against",
    multiple=True,
    metavar="BASELINE",
    type=click.Path(path_type=Path),
    help="A run directory or a file of --save-baseline; repeat for training seeds.",
)
@click.option(
    "--save-baseline", metavar="FILE", type=click.Path(path_type=Path), help="Store RUN as a baseline file instead."
)
@click.option("-b", "--benchmarks", multiple=True, metavar="NAMES", help="Those to check.  [default: the baseline's]")
@click.option(
    "--margin",
    type=float,
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="Largest accepted loss, as a share of the headline's range (0.02: 0.2 of GEdit's 10, 2 of DPG's 100).",
)
@click.option("--margin-for", multiple=True, metavar="NAME=SHARE", help="Another margin for one benchmark; repeatable.")
@click.option("--strict", is_flag=True, help="Only a loss proven larger than the margin is a regression.")
@click.option(
    "--inconclusive",
    type=click.Choice(["report", "pass", "fail"]),
    default="report",
    show_default=True,
    help="What neither proven nor excluded means: exit code 3, 0 or 1.",
)
@click.option(
    "--max-missing", type=float, default=0.01, show_default=True, metavar="SHARE", help="Above it: exit code 3."
)
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML, a case per benchmark.")
@click.option("--summary", metavar="FILE", type=click.Path(path_type=Path), help="Append a Markdown summary to FILE.")
@json_option
def command(
    runs: tuple[Path, ...],
    against: tuple[Path, ...],
    save_baseline: Path | None,
    benchmarks: tuple[str, ...],
    junit: Path | None,
    summary: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Guard a model: fail when RUN got worse than its BASELINE.

    Prompts are compared one by one. A benchmark passes when a loss as large as the margin is excluded, fails when a
    loss is proven, and is inconclusive otherwise: then it says how many prompts or images would decide. Several RUNs
    are training seeds of one method.
    """
    if not 0 <= options["max_missing"] <= 1:
        raise ConfigError(f"--max-missing {options['max_missing']}: expected a share between 0 and 1.")
    names = split_names(benchmarks)
    for paths in (runs, against):
        if twice := [p for i, p in enumerate(paths) if p.resolve() in [q.resolve() for q in paths[:i]]]:
            raise ConfigError(f"{twice[0]} is given twice; one run is one training seed.")
    if (save_baseline is None) == (not against):
        raise ConfigError("give either --against BASELINE, to compare, or --save-baseline FILE, to store one.")
    try:
        if save_baseline is not None:
            return _save(runs, save_baseline, names, options["max_missing"])
        found = _check(runs, against, names, options)
    except HarnessError as error:
        if as_json:
            click.echo(json.dumps({"answer": _refusal(error), "exit_code": _code(error), "error": str(error)}))
        click.echo(f"{_refusal(error).capitalize()}: {error}", err=True)
        _write_refusal(error, junit, summary)
        return _code(error)
    _write(found, junit, summary)
    if as_json:
        click.echo(json.dumps(_object(found)))
    else:
        _print(found)
    return int(found.exit_code)


def _code(error: HarnessError) -> int:
    """2 for everything that kept the gate from an answer: 1 is said of regressions only."""
    return 3 if error.exit_code == 3 else 2


def _refusal(error: HarnessError) -> str:
    return "incomplete" if error.exit_code == 3 else "not compared"


def _check(runs: tuple[Path, ...], against: tuple[Path, ...], names: list[str], options: dict[str, Any]) -> Any:
    from harness.registry import resolve

    parse, check = resolve("reports.check.margins:parse_margins"), resolve("reports.check.decide:check")
    read = resolve("reports.check.baseline:read_sides")
    margin_for = parse(options.pop("margin_for"))
    baselines = [side for path in against for side in read(path, names or None)]
    wanted = names or list(baselines[0].values)
    candidates = [side for path in runs for side in read(path, wanted)]
    return check(candidates, baselines, benchmarks=names, margin_for=margin_for, **options)


def _save(runs: tuple[Path, ...], file: Path, names: list[str], max_missing: float) -> int:
    from harness.registry import resolve

    read, write = (resolve(f"reports.check.baseline:{n}") for n in ("read_sides", "write_baseline"))
    sides = [side for path in runs for side in read(path, names or None)]
    resolve("reports.check.comparability:check_seeds")(sides, names)
    write(file, sides, max_missing)
    stored = ", ".join(f"{name} {value.metric} {value.official:.4g}" for name, value in sides[0].values.items())
    click.echo(f"Baseline of {len(sides)} run(s) written to {file}: {stored}.")
    return 0


def _write(found: Any, junit: Path | None, summary: Path | None) -> None:
    from harness.registry import resolve

    if junit is not None:
        _put(junit, resolve("reports.check.junit:junit_xml")(found), append=False)
    if summary is not None:
        _put(summary, resolve("reports.check.tables:markdown")(found).encode(), append=True)


def _write_refusal(error: HarnessError, junit: Path | None, summary: Path | None) -> None:
    from harness.registry import resolve

    if junit is not None:
        _put(junit, resolve("reports.check.junit:refusal_xml")(str(error)), append=False)
    if summary is not None:
        _put(summary, resolve("reports.check.tables:refusal_markdown")(str(error)).encode(), append=True)


def _put(file: Path, data: bytes, *, append: bool) -> None:
    """Job summaries are shared by all steps of a job, so that they are appended to."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab" if append else "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}).") from None


def _print(found: Any) -> None:
    from rich.console import Console

    from harness.registry import resolve

    tables = {
        n: resolve(f"reports.check.tables:{n}") for n in ("console_table", "explanation", "verdict_line", "family_line")
    }
    console = Console(highlight=False)
    console.print(tables["console_table"](found))
    console.print(tables["family_line"](found), markup=False)
    for row in found.rows:
        console.print()
        for line in tables["explanation"](row):
            console.print(line, markup=False)
        if row.losses and row.verdict in ("regression", "inconclusive", "non-inferior"):
            worst = ", ".join(f"{x.id} ({x.baseline:.3g} -> {x.candidate:.3g})" for x in row.losses[:5])
            console.print(f"Lost most: {worst}", markup=False)
    for note in found.notes:
        console.print(f"\nNote: {note}", style="yellow", markup=False)
    style = {"pass": "bold green", "regression": "bold red"}.get(found.answer, "bold yellow")
    console.print(f"\n{tables['verdict_line'](found)}", style=style, markup=False)


def _object(found: Any) -> dict[str, Any]:
    """The answer as JSON: the check's fields, with each benchmark's decision flattened into its row."""
    data = {"answer": found.answer, "exit_code": found.exit_code, **dataclasses.asdict(found)}
    rows = data.pop("rows")
    for row in rows:
        row["scale"] = [v if math.isfinite(v) else None for v in row["scale"]]
    data["benchmarks"] = {row.pop("benchmark"): row for row in rows}
    return data
