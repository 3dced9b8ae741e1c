"""`run.py audit`: how good a judge is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import json_option, load_plugins, plugin_option, split_names

if TYPE_CHECKING:
    from harness.audit.table import Audit, Row


@click.command(
    name="audit",
    epilog="Examples:  run.py audit micro:flip=0.1   |   run.py audit micro-cnn -o runs/audit-cnn   |   "
    "run.py audit recorded:viescore --source DIR   |   run.py audit recorded:geneval --source DIR",
)
@click.argument("judge", metavar="JUDGE")
@click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of the published recordings, for recorded:NAME.",
)
@click.option(
    "--verdicts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A judge's GenEval results.jsonl about the annotated images, for recorded:geneval.",
)
@click.option("-n", "--prompts", type=click.IntRange(2), default=100, show_default=True, help="Prompts of the probes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of prompts and pictures.")
@click.option(
    "--repeats", type=click.IntRange(2), default=3, show_default=True, help="Times the same is asked (noise floor)."
)
@click.option(
    "-r",
    "--reward",
    "rewards",
    multiple=True,
    metavar="NAME",
    help="Reward to try on pairs, NAME or NAME:KEY=VALUE; repeatable.  [default: those of the micro world]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PARTS",
    help="Some of calibration,noise,bias,rewards,reassurance.  [default: all]",
)
@click.option("--policy", metavar="MODEL", help="Try this model's own reflection on the same pictures too.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write audit.json and figures.")
@plugin_option
@json_option
def command(
    judge: str,
    source: Path | None,
    verdicts: Path | None,
    prompts: int,
    seed: int,
    repeats: int,
    rewards: tuple[str, ...],
    only: tuple[str, ...],
    policy: str | None,
    out: Path | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Measure a judge: agreement with people, calibration, noise floor, biases, rewards on pairs.

    JUDGE is NAME or NAME:ARGUMENT (see `run.py list judges`), or recorded answers: recorded:viescore,
    recorded:viescore/gpt4o_0shot, recorded:geneval. Probes use drawn pictures of the micro world, whose truth is known.
    """
    from harness.audit.recorded import is_recorded, run_recorded
    from harness.errors import ConfigError

    load_plugins(plugins)
    if is_recorded(judge):
        audit = run_recorded(judge, source, verdicts)
    elif source is not None or verdicts is not None:
        raise ConfigError("--source and --verdicts: only with recorded:viescore or recorded:geneval.")
    else:
        audit = _of_judge(judge, prompts, seed, repeats, rewards, tuple(split_names(only)), policy)
    if out is not None:
        _write(audit, out)
    if as_json:
        click.echo(json.dumps(audit.as_dict()))
    else:
        _print(audit, out)
    return 0 if audit.is_complete else 3


def _of_judge(
    spec: str,
    n: int,
    seed: int,
    repeats: int,
    rewards: tuple[str, ...],
    only: tuple[str, ...],
    policy: str | None,
) -> Audit:
    from harness.audit.runner import run_audit
    from harness.models.load import load_policy
    from harness.registry import JUDGES

    name, _, argument = spec.partition(":")
    judge = JUDGES.get(name)(argument)
    try:
        return run_audit(
            spec,
            judge,
            n=n,
            seed=seed,
            repeats=repeats,
            rewards=rewards,
            only=only,
            policy=None if policy is None else load_policy(policy),  # type: ignore[arg-type]
            on_part=lambda part: click.echo(f"{part} ...", err=True),
        )
    finally:
        judge.close()


def _write(audit: Audit, out: Path) -> None:
    from harness.audit.figure import draw
    from harness.images import write_atomic

    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "audit.json", (json.dumps(audit.as_dict(), indent=2) + "\n").encode())
    draw(audit, out)


def _print(audit: Audit, out: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"Audit of judge {audit.judge}", caption=audit.fingerprint, title_justify="left")
    for name, justify in (("", "left"), ("value", "right"), ("95 % interval", "right"), ("n", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("missing", justify="right")
    table.add_column("", style="dim", max_width=44)
    section = ""
    for row in audit.rows:
        if row.section != section:
            table.add_section()
            table.add_row(row.section, style="bold")
            section = row.section
        table.add_row(f"  {row.measure}", *_cells(row), row.note)
    console.print(table)
    for name, part in audit.sections.items():
        if part.skipped:
            console.print(f"{name}: left out: {part.skipped}", style="yellow", markup=False)
    for reason, count in audit.settings.get("unanswered", {}).items():
        console.print(f"unanswered: {count} x {reason}", style="yellow", markup=False)
    if out is not None:
        console.print(f"Written to {out}", markup=False)


def _cells(row: Row) -> tuple[str, str, str, str]:
    value = "—" if row.value is None else f"{row.value:.4f}"
    interval = "—" if row.low is None or row.high is None else f"[{row.low:.3f}, {row.high:.3f}]"
    return value, interval, f"{row.n:,}", f"{row.n_missing:,}"
