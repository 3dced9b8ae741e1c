"""`run.py decompose`: the yes/no questions of DVReward for new prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option, stop_on_sigterm


@click.command(
    name="decompose",
    epilog="Examples:  run.py decompose prompts.txt -o questions   |   run.py decompose prompts.jsonl -o questions "
    "--via openai:Qwen/Qwen3-235B-A22B@http://127.0.0.1:8000/v1,concurrency=32   |   "
    "run.py eval -b reward:dvreward --set reward.prompts=questions/records.jsonl",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, metavar="OUT", type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--via",
    default="micro",
    show_default=True,
    metavar="WHO",
    help="`micro`: the grammar of the micro world, exact. `openai:MODEL@URL[,key_env=NAME,concurrency=N,...]`: a "
    "language model; the key stands in the environment variable NAME.",
)
@click.option(
    "--attempts", type=click.IntRange(1), default=5, show_default=True, help="Tries of a prompt before it is rejected."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling after a prompt's first try.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most the first N prompts.")
@click.option("--dry-run", is_flag=True, help="Only show how many prompts and calls it would take.")
@json_option
def command(
    files: tuple[Path, ...],
    out: Path,
    via: str,
    attempts: int,
    seed: int,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write the yes/no questions of DVReward for the prompts in FILEs.

    A .txt file has one prompt a line, a .jsonl file objects with `prompt`, whose other fields are carried over.
    OUT/records.jsonl holds the prompts with their questions in the order of the input, OUT/rejected.jsonl every prompt
    that has none, with the reason. Repeating the command goes on where it stopped and tries failed calls again.

    Exit codes: 0 every prompt has questions, 1 failed, 3 some were rejected or failed.
    """
    from harness.cli.console import ConsoleProgress
    from harness.decompose.job import Job, read_items

    stop_on_sigterm()
    decomposer = _decomposer(via, attempts, seed)
    try:
        job = Job(out, decomposer, read_items(files, limit))
        if dry_run:
            return _dry_run(job, as_json)
        with ConsoleProgress() as progress:
            manifest = job.run(progress)
    finally:
        decomposer.close()
    if as_json:
        click.echo(json.dumps({"out": str(out), **manifest}))
    else:
        _print(out, manifest)
    return 0 if manifest["complete"] else 3


def _decomposer(via: str, attempts: int, seed: int) -> Any:
    if via == "micro":
        from harness.decompose.exact import MicroDecomposer

        return MicroDecomposer()
    from harness.decompose.chat import parse_via
    from harness.decompose.model import ModelDecomposer

    return ModelDecomposer(parse_via(via), attempts=attempts, seed=seed)


def _dry_run(job: Any, as_json: bool) -> int:
    todo = job.todo
    plan = {
        "out": str(job.out),
        "decomposer": job.decomposer.fingerprint,
        "n_prompts": len(job.items),
        "n_to_do": len(todo),
        **job.decomposer.plan(len(todo)),
    }
    if as_json:
        click.echo(json.dumps(plan))
        return 0
    click.echo(f"{plan['decomposer']} -> {job.out}")
    calls = f"about {plan['n_calls']:,} calls" if plan["n_calls"] else "no calls"
    assumed = plan.get("assumed_questions_per_prompt")
    reason = f" (with {assumed} questions a prompt and no second try)" if assumed and todo else ""
    click.echo(f"  {plan['n_prompts']:,} prompts, {plan['n_to_do']:,} different ones to do: {calls}{reason}")
    return 0


def _print(out: Path, manifest: dict[str, Any]) -> None:
    m = manifest
    click.echo(f"{m['n_records']:,} of {m['n_prompts']:,} prompts have questions, {m['n_questions']:,} in all")
    click.echo(f"  {m['decomposer']} -> {out / 'records.jsonl'}")
    if m["n_calls"]:
        tokens = f"{m['tokens_in']:,} tokens in, {m['tokens_out']:,} out"
        click.echo(f"  {m['n_calls']:,} calls, {tokens}, {m['cost_usd']:.2f} USD")
    if not m["complete"]:
        counts = f"{m['n_rejected']:,} rejected, {m['n_errors']:,} failed"
        click.echo(f"  {counts}; reasons in {out / 'rejected.jsonl'}", err=True)
