"""The grid as cells: which folder, which commands, and how to see that a step is finished."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.errors import ConfigError, DataError
from harness.evalconfig import SAMPLES, EvalConfig, fold_benchmark_options
from harness.sweep.config import SweepConfig

BASE = "base"
"""Folder of the model before training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a cell."""

    name: str
    """`train`, or `eval-NAME`; also the folder of its results."""
    settings: dict[str, Any]
    """The configuration file that it is given."""
    model: str = ""
    """Of an evaluation; empty for the checkpoint that the cell trained."""
    images_of: str = ""
    """Step whose pictures are judged again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One condition with one training seed, or the base."""

    condition: str
    seed: int | None
    folder: Path
    """Of the cell: `train/`, `eval-NAME/`, the configuration files and a log."""
    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """For messages."""
        return self.condition if self.seed is None else f"{self.condition}/seed-{self.seed}"


def expand(config: SweepConfig, out: Path) -> list[Cell]:
    """All cells, seeds in the outer order: an early stop leaves few complete seeds instead of few conditions.

    Raises:
        ConfigError: a setting of a cell is wrong; all are built and checked here, before anything runs.
    """
    evaluations = [_evaluation(name, config) for name in config.evaluate]
    evaluations.sort(key=lambda s: bool(s.images_of))
    cells: list[Cell] = []
    if config.base is not None:
        steps = tuple(_of_model(e, config.base) for e in evaluations)
        cells.append(Cell(condition=BASE, seed=None, folder=out / BASE, steps=steps))
    if config.train is None:
        return cells + [
            Cell(condition=c, seed=None, folder=out / c, steps=tuple(_of_model(e, m) for e in evaluations))
            for c, m in config.models.items()
        ]
    for seed in config.seeds:
        for name, settings in config.conditions.items():
            train = Step(name="train", settings=_training(config, name, settings, seed))
            cells.append(
                Cell(condition=name, seed=seed, folder=out / name / f"seed-{seed}", steps=(train, *evaluations))
            )
    return cells


def part(cells: Sequence[Cell], text: str) -> list[Cell]:
    """The cells of member i of n, for a job scheduler's array.

    Raises:
        ConfigError: not of the form `i/n` with 1 <= i <= n.
    """
    i, slash, n = text.partition("/")
    if not (slash and i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise ConfigError(f"--cell {text!r}: expected i/n, e.g. 3/40 for the third of 40 parts.")
    return list(cells)[int(i) - 1 :: int(n)]


def is_finished(cell: Cell, step: Step) -> bool:
    """Whether the step's results are there and were made with these settings.

    Raises:
        ConfigError: they were made with others; nothing is overwritten.
        DataError: the record of the settings is damaged.
    """
    folder, own = cell.folder / step.name, cell.folder / f"{step.name}.json"
    try:
        before = json.loads(own.read_bytes()) if own.is_file() else None
    except ValueError as error:
        raise DataError(
            f"{own}: damaged ({error}), so that nothing tells with which settings {step.name} was made. Restore it, or "
            f"remove it together with {folder} to run the step again."
        ) from None
    if before is not None and before != _recorded(step):
        raise ConfigError(
            f"{cell.folder}: {step.name} was made with other settings ({_changes(before, step)}). "
            "Choose another directory with -o, or remove this folder."
        )
    if step.name == "train":
        steps = step.settings.get("steps")
        return before is not None and (folder / "checkpoints" / f"step-{steps:06d}" / "manifest.json").is_file()
    return before is not None and _is_complete(folder / "summary.json")


def _is_complete(summary: Path) -> bool:
    """A damaged summary is an unfinished one: `eval` derives it anew from the run's records."""
    try:
        return bool(json.loads(summary.read_bytes()).get("complete"))
    except (OSError, ValueError, AttributeError):
        return False


def record_settings(cell: Cell, step: Step) -> Path:
    """Writes the step's configuration beside its folder; the file is what the command is given."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    file = cell.folder / f"{step.name}.json"
    temporary = file.with_suffix(".part")
    temporary.write_text(json.dumps(_recorded(step), indent=2) + "\n")
    temporary.replace(file)
    config = cell.folder / f"{step.name}.yaml"
    config.write_text(json.dumps(step.settings, indent=2) + "\n")  # JSON is YAML
    return config


def _recorded(step: Step) -> dict[str, Any]:
    return {"settings": step.settings, "model": step.model, "images_of": step.images_of}


def _changes(old: dict[str, Any], step: Step) -> str:
    before, now = _flat(old), _flat(_recorded(step))
    names = [k for k in {**before, **now} if before.get(k) != now.get(k)]
    return "; ".join(f"{k}: there {before.get(k)!r}, now {now.get(k)!r}" for k in names[:4])


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}.{key}" if prefix else key).items()}


def _training(config: SweepConfig, name: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    from harness.cli.train_command import find_config
    from harness.registry import TRAINERS

    path = find_config(str(config.train))
    data, _ = configs.read_yaml(path)
    for key in config.unset:
        _remove(data, key, path)
    for key, value in {**config.set, **settings, "seed": seed}.items():
        put_setting(data, key, value, f"condition {name}")
    run = TRAINERS.get(data.get("kind", ""))
    prepare = getattr(run, "prepare", None)
    prepared = prepare(data) if prepare is not None else data
    typed = configs.build(typing.get_type_hints(run)["config"], prepared, where=f"condition {name} on {path.stem}")
    _check_rewards(typed)
    data["steps"] = typed.steps
    return data


def put_setting(data: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Sets `a.b.c` in nested settings.

    Raises:
        ConfigError: the path leads through something that holds no keys; `where` is named.
    """
    *parents, last = key.split(".")
    for parent in parents:
        inner = data.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{where}: {key}: {parent!r} holds {inner!r}, which has no keys.")
        data = inner
    data[last] = value


def _remove(data: dict[str, Any], key: str, path: Path) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        data = data.get(parent, {})
    if last not in data:
        raise ConfigError(f"unset: {path} does not set {key!r}.")
    del data[last]


def _check_rewards(typed: Any) -> None:
    """Builds the rewards of a cell once, for their options; no judge is started.

    Raises:
        ConfigError: an unknown reward or option.
    """
    from harness.rewards import make_reward

    if hasattr(typed, "reward"):
        for name in typed.reward.weights:
            make_reward(name, typed.reward.options.get(name))


def _evaluation(name: str, config: SweepConfig) -> Step:
    from harness.registry import BENCHMARKS

    settings = dict(config.evaluate[name])
    images_of = settings.pop("images_of", "")
    if images_of:  # the same samples are asked for as were made
        own = config.evaluate[images_of]
        settings = {k: own[k] for k in own if k in SAMPLES or k in BENCHMARKS.names()} | settings
    folded = fold_benchmark_options(settings, BENCHMARKS.names())
    configs.build(EvalConfig, {**folded, "models": ["micro"]}, where=f"evaluate.{name}")
    return Step(name=f"eval-{name}", settings=settings, images_of=f"eval-{images_of}" if images_of else "")


def _of_model(step: Step, model: str) -> Step:
    return Step(name=step.name, settings=step.settings, images_of=step.images_of, model=model)
