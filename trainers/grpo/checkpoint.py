"""One folder per optimiser step: weights in the policy's own format, and what resuming needs beside them.

    checkpoints/step-000020/            manifest.json and weights: a MODEL for `run.py eval`
    checkpoints/step-000020/trainer/    state.json, tensors.safetensors: optimiser, master weights, averaged weights

Everything random derives from (seed, step), so the step is the whole position of sampler and random numbers. A folder
appears by one rename.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness.errors import StoreError
from harness.folders import replaced_folder
from trainers.grpo.parallel import whole_tensor

FOLDER = "checkpoints"
_TRAINER, _STATE, _TENSORS = "trainer", "state.json", "tensors.safetensors"
_SLOTS = ("exp_avg", "exp_avg_sq", "step")


def step_folder(out_dir: Path, step: int) -> Path:
    """The folder of one step."""
    return out_dir / FOLDER / f"step-{step:06d}"


def newest(out_dir: Path) -> Path | None:
    """The newest folder that training can resume from."""
    found = sorted(p.parent.parent for p in (out_dir / FOLDER).glob(f"step-*/{_TRAINER}/{_STATE}"))
    return found[-1] if found else None


def collect(
    parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer, ema: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """Master weights, optimiser state and averaged weights as whole CPU tensors; all processes must call it."""
    tensors: dict[str, Tensor] = {}
    for name, p in parameters.items():
        tensors[f"weight/{name}"] = whole_tensor(p.detach())
        for slot in _SLOTS:
            value = optimiser.state.get(p, {}).get(slot)
            if value is not None:
                tensors[f"{slot}/{name}"] = whole_tensor(torch.as_tensor(value))
        if ema is not None:
            tensors[f"ema/{name}"] = whole_tensor(ema[name])
    return {k: v.detach().to("cpu").contiguous().clone() for k, v in tensors.items()}


def write_trainer_state(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Adds the trainer's part to a checkpoint folder, in one rename."""
    with replaced_folder(folder / _TRAINER) as new:
        save_file(dict(tensors), new / _TENSORS)
        (new / _STATE).write_text(json.dumps(state, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint.

    Raises:
        StoreError: it cannot be read.
    """
    path = folder / _TRAINER / _STATE
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: not a readable training state ({error}). Delete {folder} to resume before it."
        ) from None
    return dict(state)


def restore(
    folder: Path, parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Puts weights and optimiser state back, sharded as the parameters are now; returns the averaged weights.

    Raises:
        StoreError: the file is damaged or belongs to other parameters.
    """
    path = folder / _TRAINER / _TENSORS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be read ({error}). Delete {folder} to resume before it.") from None
    expected, found = {f"weight/{n}" for n in parameters}, {k for k in tensors if k.startswith("weight/")}
    if expected != found:
        difference = sorted(expected ^ found)
        raise StoreError(
            f"{path}: its parameters are not this policy's ({len(difference)} differ, first {difference[0]})."
        )
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(_like(tensors[f"weight/{name}"], p))
            state = {
                slot: tensors[f"{slot}/{name}"] if slot == "step" else _like(tensors[f"{slot}/{name}"], p).clone()
                for slot in _SLOTS
                if f"{slot}/{name}" in tensors
            }
            if state:
                optimiser.state[p] = state
    return {k.removeprefix("ema/"): v for k, v in tensors.items() if k.startswith("ema/")}


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor in the parameter's device, type and sharding."""
    value = value.to(parameter.device, parameter.dtype)
    mesh = getattr(parameter, "device_mesh", None)
    if mesh is None:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, mesh, parameter.placements)  # type: ignore[attr-defined]


def prune(out_dir: Path, keep: int) -> None:
    """Removes the trainer's part of all but the newest `keep` checkpoints; their weights stay."""
    folders = sorted(p.parent for p in (out_dir / FOLDER).glob(f"step-*/{_TRAINER}"))
    for folder in folders[: max(len(folders) - keep, 0)]:
        shutil.rmtree(folder / _TRAINER, ignore_errors=True)
