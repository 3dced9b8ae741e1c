"""`run.py train`: a training run from a shipped or own configuration."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import json_option, load_plugins, plugin_option, set_option, stop_on_sigterm


@click.command(
    name="train",
    epilog="Examples:  run.py train micro-pretrain -o runs/base   |   run.py train my.yaml --set lr=1e-3 --steps 200",
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
@set_option
@plugin_option
@json_option
def command(
    config: str, steps: int | None, out: Path | None, settings: tuple[str, ...], plugins: tuple[str, ...], as_json: bool
) -> int:
    """Train from CONFIG: a shipped name (see `run.py list configs`) or a YAML file.

    Resumes from its own directory. The checkpoints are MODELs for `run.py eval`.
    """
    from harness import config as configs
    from harness.cli.console import ConsoleProgress
    from harness.registry import resolve

    load_plugins(plugins)
    path = _find(config)
    data, lines = configs.read_yaml(path)
    data = configs.apply_settings(data, settings)
    if steps is not None:
        data["steps"] = steps
    trainer = _trainer_of(path, data.pop("trainer", None))
    stop_on_sigterm()
    out = out or Path("runs") / f"train-{path.stem}"
    module = resolve(f"{trainer}:Trainer")
    with ConsoleProgress() as progress:
        settings_object = configs.build(module.config_type, data, where=str(path), lines=lines)
        result = module.run(settings_object, out, progress)
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"Training directory: {out}")
        click.echo(f"Evaluate it with: python run.py eval {result.get('checkpoint', out)}")
    return 0


def _find(config: str) -> Path:
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


def _trainer_of(path: Path, name: object) -> str:
    from harness.errors import ConfigError

    if not isinstance(name, str):
        raise ConfigError(f"{path}: key 'trainer' is missing; expected the name of a trainer, e.g. trainer: pretrain.")
    return f"trainers.{name}"
