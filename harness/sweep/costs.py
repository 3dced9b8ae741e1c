"""Hours that the training of a cell takes, from the trainer's own plan."""

from __future__ import annotations

import importlib
import importlib.util
import typing

from harness import config as configs
from harness.sweep.cells import Cell


def training_hours(cell: Cell) -> dict[str, float]:
    """Hours by machine (`this machine`, or the accelerators that the plan knows); empty where there is no plan.

    A small model is timed, which takes some seconds: ask for one cell of a sweep, not for all.
    """
    from harness.registry import TRAINERS

    data = dict(cell.steps[0].settings)
    run = TRAINERS.get(data["kind"])
    prepare = getattr(run, "prepare", None)
    typed = configs.build(typing.get_type_hints(run)["config"], prepare(data) if prepare else data)
    name = f"{run.__module__}.plan"
    if importlib.util.find_spec(name) is None:
        return {}
    hours = importlib.import_module(name).make(typed, processes=1)["hours"] or {}
    return {str(k): float(v) for k, v in hours.items()}
