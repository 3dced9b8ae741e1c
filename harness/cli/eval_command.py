"""`run.py eval`: generate, judge, score, summarise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    json_option,
    load_plugins,
    parse_seeds,
    plugin_option,
    protocol_option,
    set_option,
    split_names,
    stop_on_sigterm,
)


@click.command(
    name="eval",
    epilog="Examples:  run.py eval   |   run.py eval micro -b geneval --limit 50   |   run.py eval images:DIR -b tiif "
    "--profile official --judge NAME",
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "-b",
    "--benchmarks",
    multiple=True,
    metavar="NAMES",
    help="Benchmarks, comma-separated; reward:NAME[,option=value] evaluates a reward.  [default: all of the profile]",
)
@click.option(
    "-c", "--config", "config_file", type=click.Path(path_type=Path), help="YAML file with any of the settings."
)
@click.option("--profile", type=click.Choice(["micro", "official"]), help="Which prompts and judge.  [default: micro]")
@protocol_option
@click.option("--judge", metavar="NAME[:ARG]", help="Judge to use.  [default: the benchmark's own]")
@click.option("--seeds", metavar="LIST", help="Generation seeds, e.g. 0,1,2 or 0-9.  [default: 0]")
@click.option("--limit", type=int, metavar="N", help="At most N prompts per benchmark, evenly spread.")
@click.option(
    "--samples-per-prompt", type=int, metavar="N", help="Images per prompt and seed.  [default: the benchmark's own]"
)
@click.option("--batch-size", type=int, metavar="N", help="Images per model call; never changes a result.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1.  [default: auto]")
@click.option("--data-dir", metavar="DIR", help="Folder with official data.  [default: ~/.cache/ummbench/data]")
@click.option(
    "--max-missing", type=float, metavar="SHARE", help="Missing share above which the exit code is 3.  [default: 0.01]"
)
@click.option(
    "--from",
    "from_run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Judge the images of a finished run again.",
)
@click.option(
    "--reflect",
    type=click.IntRange(min=1),
    metavar="ROUNDS",
    help="Let the model refine its images this often, and compare gates and a control.",
)
@click.option(
    "--gate",
    "gates",
    multiple=True,
    metavar="NAMES",
    help="With --reflect: all, self, verifier, oracle, comma-separated.  [default: all that apply]",
)
@click.option(
    "--gate-judge", metavar="NAME[:ARG]", help="Judge of gate verifier.  [default: micro-cnn for profile micro]"
)
@click.option("-o", "--out", metavar="DIR", help="Run directory.  [default: runs/MODEL-HASH]")
@click.option("--dry-run", is_flag=True, help="Only show what it takes: images, judge calls, tokens, hours, money.")
@click.option("--full", is_flag=True, help="Print every row of the tables.")
@set_option
@plugin_option
@json_option
def command(
    models: tuple[str, ...],
    config_file: Path | None,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
    full: bool,
    from_run: Path | None,
    **options: Any,
) -> int:
    """Evaluate MODELs (default: micro): generate images, judge them, score, summarise.

    MODEL is a name (`micro`), NAME:PATH (`images:FOLDER`), or a checkpoint folder. Repeating a command resumes it; a
    finished one costs nothing.
    """
    load_plugins(plugins)
    config = _configure(models, config_file, settings, from_run, options)
    if dry_run:
        return _dry_run(config, as_json)
    return _evaluate(config, as_json, full)


def _configure(
    models: tuple[str, ...],
    config_file: Path | None,
    settings: tuple[str, ...],
    from_run: Path | None,
    options: dict[str, Any],
) -> Any:
    from harness import config as configs
    from harness.errors import ConfigError
    from harness.evalconfig import EvalConfig, fold_benchmark_options
    from harness.evaluate import with_arguments
    from harness.registry import BENCHMARKS

    data, lines = configs.read_yaml(config_file) if config_file else ({}, {})
    if from_run is not None:
        if models:
            raise ConfigError("--from RUN takes the images of that run; name no MODEL beside it.")
        if options.get("reflect"):
            raise ConfigError(
                "--reflect makes new images, and --from RUN only judges stored ones; leave one of them out."
            )
        data = {**_config_of(from_run), **data, "models": [f"stored:{from_run}"]}
    where = str(config_file) if config_file else "options"
    data, lines = configs.set_by_option(data, lines, settings)
    given = {k: v for k, v in options.items() if v is not None and v != ()}
    if "benchmarks" in given:
        given["benchmarks"] = _benchmark_names(split_names(given["benchmarks"]))
    if "gates" in given:
        given["gates"] = _gates(split_names(given["gates"]))
    if "seeds" in given:
        given["seeds"] = parse_seeds(given["seeds"])
    if models:
        given["models"] = list(models)
    data = fold_benchmark_options({**data, **given}, BENCHMARKS.names())
    return with_arguments(configs.build(EvalConfig, data, where=where, lines=lines))


def _gates(names: list[str]) -> list[str]:
    from harness.errors import unknown_name
    from harness.refinement.gates import GATES

    for name in names:
        if name not in GATES:
            raise unknown_name("gate", name, GATES)
    return list(dict.fromkeys(names))


def _benchmark_names(parts: list[str]) -> list[str]:
    """`["reward:dvreward", "scoring=binary", "tiif"]` as `["reward:dvreward,scoring=binary", "tiif"]`."""
    names: list[str] = []
    for part in parts:
        if "=" in part and names and ":" in names[-1]:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def _config_of(run: Path) -> dict[str, Any]:
    """Settings of a finished run that decide which samples exist."""
    from harness.evalconfig import SAMPLES
    from harness.models.stored import run_manifest

    config = run_manifest(run)["config"]
    return {k: config[k] for k in SAMPLES if k in config}


def _evaluate(config: Any, as_json: bool, full: bool) -> int:
    from rich.console import Console

    from harness.cli.console import ConsoleProgress, print_results
    from harness.evaluate import evaluate
    from harness.registry import resolve

    stop_on_sigterm()
    results = []
    for spec in config.models:
        with ConsoleProgress() as progress:
            result = evaluate(config, spec, progress, several=len(config.models) > 1)
        files = resolve("reports.run_files:write")(result)
        results.append(result)
        if not as_json:
            console = Console(highlight=False)
            console.print()
            print_results(console, result.summary, full=full)
            _print_refinements(console, result.summary)
            made = f"{result.n_generated:,} images made, {result.n_asked:,} judge calls"
            click.echo(f"{spec}: {made}; the rest was stored before.")
            click.echo(f"Run directory: {result.path}")
            for file in files:
                click.echo(f"  {result.path / file}")
    if as_json:
        one = results[0].summary
        click.echo(
            json.dumps(one if len(results) == 1 else {"models": {r.summary["model"]: r.summary for r in results}})
        )
    incomplete = [r for r in results if not r.complete]
    for result in incomplete:
        click.echo(
            f"Incomplete: more than {config.max_missing:.1%} of the answers are missing in {result.path}. "
            "Repeat the command to fill them, or raise --max-missing.",
            err=True,
        )
    return 3 if incomplete else 0


def _print_refinements(console: Any, summary: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from harness.refinement.rows import COLUMNS, table_rows

    for name, block in summary["benchmarks"].items():
        refinement = block.get("refinement")
        if refinement is None:
            continue
        for metric in refinement["base"]:
            title = f"{block.get('title', name)} · {metric} · refinement"
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
            for i, column in enumerate(COLUMNS):
                # Differences break between their interval's limits where the terminal is narrow, not inside a number.
                width = 8 if column.startswith("minus") else None
                no_wrap = column in ("gate", "value")
                table.add_column(column, justify="right" if i else "left", no_wrap=no_wrap, min_width=width)
            for row in table_rows(refinement, metric):
                table.add_row(*row)
            console.print(table)
            console.print()
        if refinement["gate_judge"]:
            console.print(f"verifier: {refinement['gate_reward']} by {refinement['gate_judge']}", markup=False)
        for note in refinement["notes"]:
            console.print(f"{name}: {note}", style="yellow", markup=False)
        console.print()


def _refinement_plans(config: Any, policy: Any) -> dict[str, dict[str, Any]]:
    from harness.evaluate import plan_stages
    from harness.refinement.planning import planned_refinement

    return {s.benchmark.name: planned_refinement(config, policy, s) for s in plan_stages(config, policy)}


def _dry_run(config: Any, as_json: bool) -> int:
    from harness.evaluate import check_names, run_directory
    from harness.models.load import load_policy
    from harness.plancost import planned_cost

    check_names(config)
    plans: dict[str, dict[str, Any]] = {}
    for spec in config.models:
        policy = load_policy(spec, device="cpu")
        path = run_directory(config, spec, policy, several=len(config.models) > 1)
        plans[spec] = {
            "run": str(path),
            "benchmarks": [dataclasses.asdict(c) for c in planned_cost(config, policy, path)],
        }
        if config.reflect is not None:
            plans[spec]["refinement"] = _refinement_plans(config, policy)
    if as_json:
        click.echo(json.dumps(plans))
        return 0
    for spec, plan in plans.items():
        click.echo(f"{spec} -> {plan['run']}")
        for row in plan["benchmarks"]:
            stored = f"{row['n_images']:,} images ({row['n_images_stored']:,} stored)"
            calls = f"{row['n_calls']:,} judge calls with {row['n_questions']:,} questions to {row['judge']}"
            click.echo(f"  {row['benchmark']}: {row['n_prompts']:,} prompts, {stored}, {calls}")
            if row["n_requests"] is not None:
                click.echo(f"    {_judging(row)} ({row['rule']})")
            if "refinement" in plan:
                click.echo(f"    {_refining(plan['refinement'][row['benchmark']])}")
    return 0


def _refining(plan: dict[str, Any]) -> str:
    """What refinement adds to one planned benchmark, in words."""
    calls = f"{plan['n_calls']:,} more judge calls"
    gate = f", {plan['n_gate_calls']:,} calls of gate verifier to {plan['gate_judge']}" if plan["gate_judge"] else ""
    return f"refinement ({', '.join(plan['gates'])}): at most {plan['n_images']:,} more images, {calls}{gate}"


def _judging(row: dict[str, Any]) -> str:
    """Requests, tokens, time and money of one planned benchmark, in words."""
    hours = "time unknown (give calls_per_s=)" if row["hours"] is None else f"{row['hours']:.2f} h"
    usd = "no price" if row["usd"] is None else f"${row['usd']:.2f}"
    tokens = f"{row['tokens_in']:,} tokens in, {row['tokens_out']:,} out"
    return f"{row['n_requests']:,} requests, {tokens}, {hours}, {usd}"
