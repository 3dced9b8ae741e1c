"""`run.py eval-text`: a policy's language ability by lm-eval tasks."""

from __future__ import annotations

import json
from typing import Any

import click

from harness.cli.options import json_option, load_plugins, plugin_option, split_names


@click.command(
    name="eval-text",
    epilog="Examples:  run.py eval-text micro -o runs/text-base   |   run.py eval-text runs/rt2i -o runs/text-rt2i   "
    "|   run.py report runs/text-base runs/text-rt2i   |   run.py eval-text MODEL --tasks hellaswag --limit 200",
)
@click.argument("model", default="micro")
@click.option("-t", "--tasks", multiple=True, metavar="NAMES", help="lm-eval tasks.  [default: the shipped micro ones]")
@click.option("--task-dir", "task_dirs", multiple=True, metavar="DIR", help="Folder with own task files; repeatable.")
@click.option("-o", "--out", metavar="DIR", help="Run directory.  [default: runs/text-MODEL-HASH]")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="First N documents of each task.")
@click.option("--num-fewshot", type=click.IntRange(min=0), metavar="N", help="Examples.  [default: the task's own]")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Does not change results.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="Torch device.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of sampled text and of the examples' choice.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.  [default: half of the cores]")
@plugin_option
@json_option
def command(
    model: str,
    tasks: tuple[str, ...],
    task_dirs: tuple[str, ...],
    out: str | None,
    limit: int | None,
    num_fewshot: int | None,
    batch_size: int | None,
    device: str,
    seed: int,
    threads: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Measure what a model can do with text alone, by lm-eval tasks.

    MODEL is a registered name or a checkpoint, as `eval` takes it. Training with rewards on images may cost language
    ability: evaluate the base and the trained model on the same tasks and compare the two runs with `report`.
    """
    import os

    from harness.lmeval.evaluate import DEFAULT, TextConfig, evaluate_text
    from harness.lmeval.results import lm_eval_version

    load_plugins(plugins)
    lm_eval_version()
    import torch

    torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) // 2))
    config = TextConfig(
        model=model,
        tasks=split_names(tasks) or list(DEFAULT),
        task_dirs=list(task_dirs),
        limit=limit,
        num_fewshot=num_fewshot,
        batch_size=batch_size,
        device=("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device,
        seed=seed,
        out=out,
    )
    summary = evaluate_text(config)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _print(summary)
    return 0


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console

    from harness.cli.console import print_results

    console = Console(highlight=False)
    print_results(console, summary)
    console.print(f"Run directory: {summary['run']}", markup=False)
