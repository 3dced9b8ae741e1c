"""What is compared with what: conditions of one or several training seeds, and the reference they are held against."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, DataError, unknown_name
from reports.runs import Run, load_run

INDEX = "sweep.json"
BASE = "base"
"""Condition of a sweep's model before training."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """Runs that differ in the training seed alone."""

    name: str
    runs: tuple[Run, ...]
    seeds: tuple[int | None, ...] = ()
    """Training seeds; empty where none are known."""
    is_base: bool = False
    """One fixed checkpoint by declaration, never a sample of training seeds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Conditions, their reference and what was declared before looking."""

    title: str
    conditions: tuple[Condition, ...]
    reference: str | None
    """Name of the condition that the others are compared with; None: nothing is compared."""
    family: tuple[str, ...] | None = None
    """Benchmarks whose headlines were planned; None: those that both sides of a comparison hold."""
    seeds_paired: bool = False
    notes: tuple[str, ...] = ()
    train: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    """By condition the training directories, where a sweep names them."""
    is_against_explicit: bool = False

    def condition(self, name: str) -> Condition:
        """By name."""
        return next(c for c in self.conditions if c.name == name)

    @property
    def runs(self) -> list[Run]:
        """All runs; each is named by its condition and seed."""
        return [r for c in self.conditions for r in c.runs]


def conditions_of(runs: Sequence[Run]) -> list[Condition]:
    """One condition per run, named by its model; by its folder where models are called the same.

    Raises:
        ConfigError: one folder is given twice.
    """
    folders = [r.path.resolve() for r in runs]
    twice = next((str(r.path) for r, f in zip(runs, folders, strict=True) if folders.count(f) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice; a run is not compared with itself.")
    for names in ([r.name for r in runs], [f.name for f in folders], [str(r.path) for r in runs]):
        if len(set(names)) == len(names):
            break
    return [Condition(name=n, runs=(_named(r, n),)) for n, r in zip(names, runs, strict=True)]


def parse_group(text: str) -> tuple[str, list[Path]]:
    """`NAME=DIR,DIR,...` as name and folders.

    Raises:
        ConfigError: anything else.
    """
    name, equals, folders = text.partition("=")
    paths = [Path(p.strip()) for p in folders.split(",") if p.strip()]
    if not equals or not name.strip() or not paths:
        raise ConfigError(f"--group {text!r}: expected NAME=DIR,DIR,... with one run directory per training seed.")
    return name.strip(), paths


def design_of(folders: Sequence[Path], groups: Sequence[str] = (), against: str | None = None) -> Design:
    """The design that folders and options name.

    Args:
        folders: run directories, or one folder of a sweep's results (it holds `sweep.json`).
        groups: `NAME=DIR,DIR,...` each.
        against: the reference: a condition, or a single run's folder or its last part; None takes the sweep's own, or
            the first condition.

    Raises:
        ConfigError: an unknown reference, mixed kinds of folders, one run in two places.
        DataError: a folder is no finished run.
    """
    if any(is_sweep(f) for f in folders):
        if len(folders) + len(groups) > 1:
            raise ConfigError("A sweep is reported on its own: give its folder alone, or run directories.")
        design = read_sweep(folders[0])
    else:
        design = _plain(folders, groups)
    if against is None:
        return design
    return replace(design, reference=called(against, design, "--against"), is_against_explicit=True)


def is_sweep(folder: Path) -> bool:
    """Whether the folder holds a sweep's index."""
    return (folder / INDEX).is_file()


def sweeps_below(folder: Path) -> list[Path]:
    """Result folders of a sweep's directory, one per evaluation; empty if it is none."""
    return [] if is_sweep(folder) else sorted(f.parent for f in folder.glob(f"results/*/{INDEX}"))


def read_sweep(folder: Path) -> Design:
    """The design of a sweep's result folder.

    Raises:
        DataError: the index is damaged, names another folder that is no finished run, or nothing is finished.
    """
    file = folder / INDEX
    try:
        index = json.loads(file.read_bytes())
        entries = {str(n): [(e["seed"], folder / e["run"]) for e in runs] for n, runs in index["conditions"].items()}
        train = {
            str(n): tuple(folder / e["train"] for e in runs if e.get("train"))
            for n, runs in index["conditions"].items()
        }
        base, reference = index.get("base"), index.get("reference") or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: damaged ({type(error).__name__}: {error}). Repeat the `sweep` command, which writes it anew."
        ) from None
    conditions = [_sweep_condition(name, runs) for name, runs in entries.items() if runs]
    if base is not None:
        name = BASE if BASE not in entries else f"{BASE} (before training)"
        conditions.append(Condition(name=name, runs=(_load(folder / base, name),), is_base=True))
        reference = reference or name
    if not conditions:
        raise DataError(f"{file}: no cell of the sweep is finished; repeat the `sweep` command.")
    known = {c.name for c in conditions}
    notes = [f"Condition {n} has no finished run." for n, runs in entries.items() if not runs]
    if reference is not None and reference not in known:
        notes.append(f"Nothing is compared: the reference {reference} has no finished run.")
        reference = None
    if missing := index.get("missing"):
        cells = "cell is" if len(missing) == 1 else "cells are"
        notes.append(f"{len(missing)} {cells} not finished and left out: {', '.join(map(str, missing))}.")
    if index.get("note"):
        notes.append(" ".join(str(index["note"]).split()))
    return Design(
        title=_title(index, folder),
        conditions=tuple(conditions),
        reference=reference,
        family=tuple(map(str, index["family"])) if index.get("family") else None,
        seeds_paired=bool(index.get("seeds_paired", False)),
        notes=tuple(notes),
        train={n: t for n, t in train.items() if t},
    )


def _title(index: Any, folder: Path) -> str:
    name = str(index.get("title") or index.get("name") or folder.name)
    evaluation = index.get("evaluation")
    return f"{name}, evaluation {evaluation}" if evaluation else name


def _sweep_condition(name: str, runs: Sequence[tuple[int | None, Path]]) -> Condition:
    loaded = tuple(_load(path, f"{name}/seed-{seed}" if seed is not None else name) for seed, path in runs)
    return Condition(name=name, runs=loaded, seeds=tuple(seed for seed, _ in runs))


def _plain(folders: Sequence[Path], groups: Sequence[str]) -> Design:
    conditions = conditions_of([_load(f) for f in folders])
    for text in groups:
        name, paths = parse_group(text)
        runs = tuple(_load(p, f"{name}/{p.name}") for p in paths)
        conditions.append(Condition(name=name, runs=runs))
    repeated = [n for n, k in Counter(c.name for c in conditions).items() if k > 1]
    if repeated:
        raise ConfigError(f"Two conditions are called {repeated[0]!r}; name groups differently.")
    where = Counter(r.path.resolve() for c in conditions for r in c.runs)
    if twice := [str(p) for p, k in where.items() if k > 1]:
        raise ConfigError(f"{twice[0]} is given twice; one run is one training seed of one condition.")
    if not conditions:
        raise ConfigError("Name at least one run directory, or --group NAME=DIR,DIR,...")
    names = [c.name for c in conditions]
    title = names[0] if len(names) == 1 else f"{len(names)} conditions: {', '.join(names)}"
    return Design(title=title, conditions=tuple(conditions), reference=names[0] if len(names) > 1 else None)


def called(text: str, design: Design, option: str) -> str:
    """The condition that an option's `text` means: its name, or a single run's folder, or that folder's last part.

    Raises:
        ConfigError: no condition, or several.
    """
    names = [c.name for c in design.conditions]
    if text in names:
        return text
    wanted = Path(text).resolve()
    single = {c.name: c.runs[0].path.resolve() for c in design.conditions if len(c.runs) == 1}
    for name, path in single.items():
        if path == wanted:
            return name
    found = [name for name, path in single.items() if path.name == text]
    if len(found) == 1:
        return found[0]
    raise unknown_name(f"condition in {option}", text, {*names, *(p.name for p in single.values())})


def _load(path: Path, name: str = "") -> Run:
    path = Path(os.path.normpath(path))
    try:
        return load_run(path, name)
    except DataError as error:
        below = sorted(p.parent.name for p in path.glob("*/summary.json"))[:6]
        if path.is_dir() and below:
            raise DataError(f"{error} Run directories in it: {', '.join(below)}.") from None
        raise


def _named(run: Run, name: str) -> Run:
    return Run(path=run.path, name=name, summary=run.summary, manifest=run.manifest)
