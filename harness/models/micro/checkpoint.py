"""Checkpoint folders: `manifest.json` and `model.safetensors`, checked on loading, written atomically."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.errors import PolicyError
from harness.folders import replaced_folder
from harness.models.micro import tokenizer
from harness.models.micro.network import MicroNetwork, NetworkConfig

FORMAT = 1
MANIFEST, WEIGHTS = "manifest.json", "model.safetensors"


def fingerprint(state: dict[str, Tensor], config: NetworkConfig) -> str:
    """`micro-` and 16 hex digits of the SHA-256 over float32 weights (by name) and configuration."""
    digest = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode())
    for name in sorted(state):
        digest.update(name.encode())
        # A copy: numpy pins the storage, which a data-parallel trainer must be able to free.
        digest.update(state[name].detach().to("cpu", torch.float32, copy=True).contiguous().numpy().tobytes())
    return f"micro-{digest.hexdigest()[:16]}"


def save_checkpoint(
    folder: Path,
    network: MicroNetwork,
    training: dict[str, Any],
    *,
    base: str | None = None,
    dtype: torch.dtype = torch.float32,
    extra_files: dict[str, str] | None = None,
) -> None:
    """Writes a checkpoint folder in one rename; an existing folder of that name is replaced.

    Args:
        training: how the weights came about; JSON values.
        base: fingerprint of the policy that training started from; None for training from scratch.
        dtype: of the stored weights.
        extra_files: further text files (name: content) of the folder.
    """
    from harness.world.version import world_version

    # Not state_dict: it gives shards where a data-parallel trainer has put the whole weights in place.
    state = {name: p.detach().to("cpu", dtype, copy=True).contiguous() for name, p in network.named_parameters()}
    manifest = {
        "policy": "micro",
        "format": FORMAT,
        "config": network.config.as_dict(),
        "world": world_version(),
        "parameters": sum(t.numel() for t in state.values()),
        "dtype": str(dtype).removeprefix("torch."),
        "fingerprint": fingerprint(state, network.config),
        "base": base,
        "training": training,
    }
    with replaced_folder(folder) as new:
        save_file(state, new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)
        (new / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        for name, text in (extra_files or {}).items():
            (new / name).write_text(text)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a micro checkpoint.

    Raises:
        PolicyError: no checkpoint folder, or one of another policy, format or configuration layout.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise PolicyError(
            f"{folder} is not a checkpoint folder: {MANIFEST} is missing. Give the folder that holds {MANIFEST} and "
            f"{WEIGHTS} (a training run's `checkpoint` folder)."
        )
    try:
        manifest = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} is not JSON ({error}). Restore the checkpoint or train it again.") from error
    expected = {"policy": "micro", "format": FORMAT}
    for key, value in expected.items():
        found = manifest.get(key) if isinstance(manifest, dict) else None
        if found != value:
            raise PolicyError(
                f"{path}: key {key!r} is {found!r}, expected {value!r}. Use a checkpoint of the micro policy written "
                "by this version."
            )
    return manifest


def _read_config(path: Path, manifest: dict[str, Any]) -> NetworkConfig:
    values = manifest.get("config")
    known = {f.name for f in fields(NetworkConfig)}
    if not isinstance(values, dict) or set(values) != known:
        found = sorted(values) if isinstance(values, dict) else values
        raise PolicyError(f"{path}: key 'config' has {found!r}, expected the keys {sorted(known)}. Train it again.")
    config = NetworkConfig(**values)
    if config.vocabulary != tokenizer.vocabulary_hash() or config.tokens != len(tokenizer.TOKENS):
        raise PolicyError(
            f"{path}: key 'config.vocabulary' is {config.vocabulary!r} ({config.tokens} tokens), expected "
            f"{tokenizer.vocabulary_hash()!r} ({len(tokenizer.TOKENS)} tokens): the checkpoint was trained on another "
            "vocabulary of the micro world. Use a checkpoint of this world version or run `train micro-pretrain`."
        )
    return config


def read_weights(path: Path, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 tensors of a safetensors file, checked against the names and shapes of `like`.

    Raises:
        PolicyError: the file is missing, damaged, or has missing, unexpected or wrongly shaped tensors.
    """
    if not path.is_file():
        raise PolicyError(f"{path} is missing. Restore it beside {MANIFEST} or train the checkpoint again.")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise PolicyError(f"{path} is not a readable safetensors file ({error}). Restore it or train again.") from error
    missing, unexpected = sorted(set(like) - set(state)), sorted(set(state) - set(like))
    if missing or unexpected:
        raise PolicyError(
            f"{path}: missing tensors {missing or 'none'}, unexpected tensors {unexpected or 'none'}. The weights do "
            f"not belong to the architecture in {MANIFEST}; use the file that was saved with it."
        )
    for name, tensor in like.items():
        if state[name].shape != tensor.shape:
            raise PolicyError(
                f"{path}: tensor {name!r} has shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}. Use "
                f"the file that was saved with {MANIFEST}."
            )
        if not bool(torch.isfinite(state[name]).all()):
            raise PolicyError(f"{path}: tensor {name!r} has values that are not finite. Use an earlier checkpoint.")
    return {name: tensor.float() for name, tensor in state.items()}


def load_checkpoint(folder: Path) -> tuple[MicroNetwork, dict[str, Any]]:
    """The network (float32, on the CPU) and the manifest of a checkpoint folder.

    Raises:
        PolicyError: anything about the folder is wrong; the message names file, key, found and expected.
    """
    manifest = read_manifest(folder)
    config = _read_config(folder / MANIFEST, manifest)
    try:
        network = MicroNetwork(config)
    except (ValueError, RuntimeError, TypeError) as error:
        raise PolicyError(f"{folder / MANIFEST}: key 'config' describes no network ({error}).") from error
    network.load_state_dict(read_weights(folder / WEIGHTS, network.state_dict()))
    return network, manifest
