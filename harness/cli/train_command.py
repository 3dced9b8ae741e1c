"""`run.py train`: a training run from a shipped or own configuration."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import typing
from pathlib import Path
from typing import Any

import click

from harness.cli.console import ConsoleProgress
from harness.cli.options import json_option, load_plugins, plugin_option, set_option, stop_on_sigterm


@click.command(
    name="train",
    epilog="Examples:  run.py train micro-pretrain -o runs/base   |   "
    "run.py train my.yaml --set optim.lr=1e-4 --steps 200   |   run.py train sd35-medium-8gpu --dry-run --processes 7",
)
@click.argument("config", metavar="CONFIG")
@click.option("--steps", type=int, metavar="N", help="Optimiser steps, instead of the configuration's.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Training directory.  [default: runs/train-NAME]",
)
@click.option(
    "--dry-run", is_flag=True, help="Print what the run will take (work, questions, hours, memory); write nothing."
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="With --dry-run: training processes of the run.  [default: 1]",
)
@set_option
@plugin_option
@json_option
def command(
    config: str,
    steps: int | None,
    out: Path | None,
    dry_run: bool,
    processes: int,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    as_json: bool,
) -> int:
    """Train from CONFIG: a shipped name (see `run.py list configs`) or a YAML file.

    Resumes from its own directory. The checkpoints are MODELs for `run.py eval`.
    """
    load_plugins(plugins)
    run, settings_object, name = _prepare(config, steps, settings)
    if dry_run:
        return _show_plan(run, settings_object, processes, as_json)
    if processes != 1:
        raise click.UsageError("--processes goes with --dry-run; a run takes its processes from torchrun.")
    stop_on_sigterm()
    out = out or Path("runs") / f"train-{name}"
    with ConsoleProgress() as progress:
        result = run(settings_object, out, _StepReport(progress, getattr(settings_object, "steps", 0)))
    if os.environ.get("RANK", "0") != "0":  # one of several processes under torchrun: the first one reports
        return 0
    if as_json:
        click.echo(json.dumps(result))
    else:
        for key, value in result.items():
            if not isinstance(value, dict):
                click.echo(f"{key}: {value}")
        click.echo(f"Training directory: {out}")
        click.echo(f"Evaluate it with: python run.py eval {result['checkpoint']}")
    return 0


def _show_plan(run: Any, settings: Any, processes: int, as_json: bool) -> int:
    """Prints the plan that the module `plan` beside the trainer makes.

    Raises:
        ConfigError: the trainer has none.
    """
    from harness.errors import ConfigError

    name = f"{run.__module__}.plan"
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"--dry-run: trainer {settings.kind!r} makes no plan. docs/performance.md tells how long it takes."
        )
    planner = importlib.import_module(name)
    plan = planner.make(settings, processes=processes)
    click.echo(json.dumps(plan) if as_json else "\n".join(planner.lines(plan)))
    return 0


def _prepare(config: str, steps: int | None, settings: tuple[str, ...]) -> tuple[Any, Any, str]:
    """The trainer, its typed settings, and a name for the output directory."""
    from harness import config as configs
    from harness.errors import ConfigError
    from harness.registry import TRAINERS

    path = find_config(config)
    data, lines = configs.read_yaml(path)
    data, lines = configs.set_by_option(data, lines, settings)
    if steps is not None:
        data["steps"] = steps
    if not isinstance(data.get("kind"), str):
        raise ConfigError(f"{path}: key 'kind' is missing; expected one of {', '.join(TRAINERS.names())}.")
    run = TRAINERS.get(data["kind"])
    prepare = getattr(run, "prepare", None)  # presets that the data names, e.g. a recipe
    if prepare is not None:
        data = prepare(data)
    settings_type = typing.get_type_hints(run)["config"]
    return run, configs.build(settings_type, data, where=str(path), lines=lines), path.stem


class _StepReport:
    """Turns a trainer's metric lines into a progress bar over its steps."""

    def __init__(self, progress: ConsoleProgress, total: int) -> None:
        self._progress, self._total, self._step = progress, total, 0

    def __call__(self, line: dict[str, Any]) -> None:
        step = line.get("step")
        if not isinstance(step, int):
            return
        if self._step == 0:
            self._progress.start("training steps", self._total, min(step, self._total))
        elif step > self._step:
            self._progress.advance("training steps", step - self._step)
        self._step = step


def find_config(config: str) -> Path:
    """The file of a shipped name or a path.

    Raises:
        ConfigError: neither.
    """
    from harness.cli.list_command import shipped_configs
    from harness.errors import unknown_name

    names = shipped_configs()
    if config in names:
        from importlib.resources import as_file, files

        with as_file(files("trainers") / "configs" / f"{config}.yaml") as path:
            return path
    if config.endswith((".yaml", ".yml")) or "/" in config:
        return Path(config)
    raise unknown_name("training configuration", config, names)
