"""What a sweep file says."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.errors import ConfigError, unknown_name

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """One grid. Everything but `conditions` and `seeds` is the same in all of its cells."""

    title: str
    """Of its report."""
    conditions: dict[str, dict[str, Any]]
    """Name -> settings of `train` that differ, as `--set` takes them: `refine.floor: init`."""
    train: str | None = None
    """Training configuration: a shipped name or a file; None evaluates without training (`models`)."""
    models: dict[str, str] = field(default_factory=dict)
    """Without `train`: the model of each condition."""
    set: dict[str, Any] = field(default_factory=dict)
    """Settings of `train` for every cell."""
    unset: list[str] = field(default_factory=list)
    """Settings of the training configuration that are taken out, so that a recipe's own values hold."""
    seeds: list[int] = field(default_factory=lambda: list(range(10)))
    """Training seeds of every condition."""
    seeds_paired: bool = True
    """Cells of one seed share prompts, initial noise and windows, so that conditions are compared seed by seed."""
    reference: str = ""
    """Condition that the others are compared with; empty compares with the base alone."""
    base: str | None = None
    """Model before training, evaluated once: every condition is compared with it too."""
    evaluate: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> settings of `eval`. `images_of: NAME` judges the pictures of another evaluation again."""
    family: list[str] = field(default_factory=list)
    """Benchmarks whose headlines are the planned tests of each evaluation that has them; empty takes all of it."""
    note: str = ""
    """Why the grid is as it is; printed in the report."""

    def __post_init__(self) -> None:
        if not self.conditions:
            raise ConfigError("conditions: name at least one.")
        if self.train is None and set(self.models) != set(self.conditions):
            raise ConfigError("models: a sweep without `train` needs the model of every condition.")
        if self.train is not None and (not self.seeds or len(set(self.seeds)) != len(self.seeds)):
            raise ConfigError(f"seeds: expected different integers, got {self.seeds}.")
        if self.reference and self.reference not in self.conditions:
            raise unknown_name("condition in reference", self.reference, self.conditions)
        for name in (*self.conditions, *self.evaluate):
            if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith("."):
                raise ConfigError(f"{name!r} names a folder: use letters, digits, -, _ and inner dots.")
        if not self.evaluate:
            raise ConfigError("evaluate: name at least one evaluation.")
        for name, settings in self.evaluate.items():
            source = settings.get("images_of")
            if source is not None and (source == name or source not in self.evaluate):
                raise unknown_name(f"evaluation in evaluate.{name}.images_of", str(source), self.evaluate)


def shipped_sweeps() -> list[str]:
    """Names of the sweeps that come with the project."""
    return sorted(
        f.name.removesuffix(".yaml") for f in files("harness.sweep.shipped").iterdir() if f.name.endswith(".yaml")
    )


def load_sweep(name: str, settings: tuple[str, ...] = ()) -> tuple[SweepConfig, str]:
    """A shipped sweep or a YAML file, and its short name.

    Args:
        name: of the sweep.
        settings: `KEY=VALUE`, changes of the sweep itself (`seeds=[0,1]`, `set.steps=20`).

    Raises:
        ConfigError: neither; an unknown key or a wrong value, with file and line.
    """
    if name in shipped_sweeps():
        with as_file(files("harness.sweep.shipped") / f"{name}.yaml") as path:
            return _read(path, settings), name
    if name.endswith(_SUFFIXES) or "/" in name:
        return _read(Path(name), settings), Path(name).stem
    raise unknown_name("sweep", name, [*shipped_sweeps(), *(f"table{i}" for i in range(1, 6))])


def _read(path: Path, settings: tuple[str, ...]) -> SweepConfig:
    data, lines = configs.read_yaml(path)
    data, lines = configs.set_by_option(data, lines, settings)
    if isinstance(data.get("seeds"), str | int):  # a single number is refused: how many, or which one?
        place = lines["seeds"]
        data["seeds"] = _seeds(str(data["seeds"]), place if isinstance(place, str) else f"{path}, line {place}")
    return configs.build(SweepConfig, data, where=str(path), lines=lines)


def _seeds(text: str, where: str) -> list[int]:
    low, dash, high = text.partition("-")
    if not dash or not low.strip().isdigit() or not high.strip().isdigit() or int(high) < int(low):
        raise ConfigError(f"{where}: seeds is {text!r}; expected a list, or a range as 0-9.")
    return list(range(int(low), int(high) + 1))
