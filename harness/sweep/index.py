"""What of a sweep is finished, in the form that reports read: one `sweep.json` per evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.sweep.cells import BASE, Cell, is_finished
from harness.sweep.config import SweepConfig


def write_index(config: SweepConfig, name: str, cells: Sequence[Cell], out: Path) -> list[Path]:
    """`OUT/results/EVALUATION/sweep.json` for every evaluation with a finished cell; returns the folders.

    Unfinished cells are listed as missing: a table over fewer seeds says so.
    """
    folders = []
    for evaluation in config.evaluate:
        index = _index(config, name, evaluation, cells, out)
        if not any(index["conditions"].values()):
            continue
        folder = out / "results" / evaluation
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.json").write_text(json.dumps(index, indent=2) + "\n")
        folders.append(folder)
    return folders


def _index(config: SweepConfig, name: str, evaluation: str, cells: Sequence[Cell], out: Path) -> dict[str, Any]:
    conditions: dict[str, list[dict[str, Any]]] = {c: [] for c in config.conditions}
    missing: list[str] = []
    base: str | None = None
    for cell in cells:
        step = next(s for s in cell.steps if s.name == f"eval-{evaluation}")
        if not is_finished(cell, step):
            missing.append(cell.label)
            continue
        run = f"../../{(cell.folder / step.name).relative_to(out)}"
        if cell.condition == BASE:
            base = run
        else:
            entry: dict[str, Any] = {"seed": cell.seed, "run": run}
            if config.train is not None:
                entry["train"] = f"../../{(cell.folder / 'train').relative_to(out)}"
            conditions[cell.condition].append(entry)
    held = next(s for s in cells[0].steps if s.name == f"eval-{evaluation}").settings.get("benchmarks", [])
    return {
        "name": name,
        "title": config.title,
        "evaluation": evaluation,
        "note": config.note,
        "reference": config.reference,
        "conditions": {c: sorted(runs, key=lambda r: r["seed"] or 0) for c, runs in conditions.items()},
        "base": base,
        "family": [b for b in config.family if b in held] or list(held),
        "seeds_paired": config.seeds_paired and config.train is not None,
        "missing": missing,
    }
