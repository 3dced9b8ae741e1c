"""`run.py synthesize`: training prompts and their questions from primitives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, load_plugins, plugin_option, split_names, stop_on_sigterm


@click.command(
    name="synthesize",
    epilog="Examples:  run.py synthesize   |   run.py synthesize --train 2000 --tasks text,style -o prompts   "
    "|   run.py synthesize --near-duplicates drop-and-refill --against my-test-prompts.txt",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, other prompts; test pairs stay held out.")
@click.option("--train", default=19_500, show_default=True, help="Number of training prompts.")
@click.option("--test", default=1_024, show_default=True, help="Number of test prompts.")
@click.option("--tasks", multiple=True, metavar="NAMES", help="Only these of the 39 tasks, e.g. text,color+2d.")
@click.option(
    "--near-duplicates",
    type=click.Choice(["report", "drop-and-refill"]),
    default="report",
    show_default=True,
    help="List prompts that are close to a benchmark's or to each other, or replace them as well.",
)
@click.option(
    "--threshold", default=0.7, show_default=True, metavar="SHARE", help="Similarity from which two prompts are close."
)
@click.option("--data-dir", metavar="DIR", help="Folder with official data.  [default: ~/.cache/ummbench/data]")
@click.option(
    "--against",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Compare with the prompts of a .txt, .jsonl or .json file too; repeatable.",
)
@click.option(
    "-o", "--out", metavar="DIR", type=click.Path(path_type=Path), help="[default: runs/VERSION-seedS-TRAIN+TEST]"
)
@click.option("--dry-run", is_flag=True, help="Print the counts per task and difficulty and stop.")
@plugin_option
@json_option
def command(
    seed: int,
    train: int,
    test: int,
    tasks: tuple[str, ...],
    near_duplicates: Any,
    threshold: float,
    data_dir: str | None,
    against: tuple[Path, ...],
    out: Path | None,
    dry_run: bool,
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make training and test prompts with yes/no questions, from primitives and templates.

    The output is in the record format that DVReward trains on: train.jsonl and test.jsonl, with near_duplicates.jsonl,
    rejected.jsonl and manifest.json beside them. Prompts are compared with every benchmark whose data are there.
    """
    from harness.cli.console import ConsoleProgress
    from harness.synthesis import VERSION, output, sources
    from harness.synthesis.generate import Settings, Synthesis
    from harness.synthesis.pool import load_pool

    stop_on_sigterm()
    load_plugins(plugins)
    settings = Settings(
        seed=seed,
        train=train,
        test=test,
        tasks=_known_tasks(split_names(tasks)),
        near_duplicates=near_duplicates,
        threshold=threshold,
    )
    if dry_run:
        _print_counts(settings, as_json)
        return 0
    folder = out or Path("runs") / f"{VERSION}-seed{seed}-{train}+{test}"
    pool = load_pool()
    compared = [*sources.benchmark_sources(data_dir), *(sources.file_source(path) for path in against)]
    manifest = output.existing(folder, output.made_with(pool, settings, compared))
    is_new = manifest is None
    if manifest is None:
        with ConsoleProgress() as progress:
            result = Synthesis(pool, settings, sources.distinct(compared), progress).run()
        manifest = output.write(folder, pool, settings, compared, result)
    if as_json:
        click.echo(json.dumps({"out": str(folder), "new": is_new, **manifest}))
    else:
        _print_manifest(folder, manifest, is_new=is_new)
    return 0


def _known_tasks(names: list[str]) -> tuple[str, ...]:
    """All tasks, or those named, in table order.

    Raises:
        ConfigError: an unknown name; near misses are offered.
    """
    from harness.errors import unknown_name
    from harness.synthesis.tasks import TASKS

    for name in names:
        if name not in TASKS:
            raise unknown_name("task", name, TASKS)
    return tuple(task for task in TASKS if not names or task in names)


def _print_counts(settings: Any, as_json: bool) -> None:
    counts = {split: settings.counts(split) for split in ("train", "test")}
    if as_json:
        click.echo(json.dumps(counts))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"seed {settings.seed}", title_justify="left")
    columns = [(split, difficulty) for split in counts for difficulty in ("easy", "medium", "hard")]
    for name in ("", *(f"{split}\n{difficulty}" for split, difficulty in columns)):
        table.add_column(name, justify="right" if name else "left")
    for task in settings.tasks:
        table.add_row(task, *(f"{counts[split][task][d]:,}" for split, d in columns))
    sums = (sum(counts[split][task][d] for task in settings.tasks) for split, d in columns)
    table.add_row("all", *(f"{n:,}" for n in sums), style="bold")
    Console(highlight=False).print(table)


def _print_manifest(folder: Path, manifest: dict[str, Any], *, is_new: bool) -> None:
    if not is_new:
        click.echo("Made before with these settings; nothing to do.")
    for split, found in manifest["splits"].items():
        numbers = ", ".join(f"{n:,} {difficulty}" for difficulty, n in found["difficulty"].items())
        questions = sum(found["semantic_questions"].values()) + sum(found["quality_questions"].values())
        click.echo(
            f"{split}: {found['prompts']:,} prompts of {len(found['task'])} tasks ({numbers}), {questions:,} questions"
        )
    compared = manifest["made_with"]["compared_with"]
    near, threshold = manifest["near_duplicates"], manifest["made_with"]["threshold"]
    click.echo(
        f"compared with {sum(c['prompts'] for c in compared):,} prompts: {', '.join(c['name'] for c in compared)}"
    )
    missing = [source["name"] for source in manifest["not_compared_with"]]
    if missing:
        click.echo(f"not compared with, since the data are not prepared: {', '.join(missing)}")
    click.echo(
        f"pairs of similarity {threshold} or more: {near['benchmark']:,} with a benchmark prompt, {near['output']:,} "
        f"within the output ({near['replaced']:,} replaced)"
    )
    click.echo(f"rejected and replaced by checks: {manifest['rejected']:,}")
    click.echo(f"{folder}")
