"""Checkpoint folders of the trainer: `manifest.json` and a LoRA file, or the whole transformer.

```
FOLDER/manifest.json                          policy, base (where it is, what it must be), settings, training
FOLDER/pytorch_lora_weights.safetensors       LoRA: what diffusers' `load_lora_weights` reads, float32
FOLDER/transformer/...                        all weights trained: what `from_pretrained` reads, float32
```
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import ConfigError, PolicyError
from harness.folders import replaced_folder
from harness.models.sd3 import lora
from harness.models.sd3.loading import Loaded, load_pipeline
from harness.models.sd3.policy import ADAPTER, SD3Policy
from harness.models.sd3.source import Options, parse_argument, sha256_of

FORMAT = 1
MANIFEST, TRANSFORMER = "manifest.json", "transformer"


def load_policy(argument: str, *, device: str = "cpu") -> SD3Policy:
    """The policy of a pipeline folder, a hub id or a checkpoint folder, with options; see `sd3.load`.

    Raises:
        ConfigError, PolicyError: see `sd3.load`.
    """
    where, options = parse_argument(argument, model="sd3")
    folder = Path(where).expanduser()
    if (folder / MANIFEST).is_file():
        return load_checkpoint(folder, options, device=device)
    if options.base is not None:
        raise ConfigError(f"sd3: base={options.base} belongs to a checkpoint, but {where} is none.")
    policy = SD3Policy(load_pipeline(where, options, device=device))
    if options.lora is not None:
        lora.apply_file(policy.pipeline, Path(options.lora).expanduser(), ADAPTER)
    return policy


def load_checkpoint(folder: Path, options: Options, *, device: str = "cpu") -> SD3Policy:
    """The policy of a checkpoint folder: its base pipeline with the trained weights.

    Raises:
        PolicyError: the folder or its base is missing, damaged, or not what the manifest says.
    """
    manifest = read_manifest(folder)
    base, path = manifest["base"], folder / MANIFEST
    if options.lora is not None:
        raise ConfigError("sd3: lora= applies to a pipeline, and a checkpoint has its own. Leave it out.")
    loading = replace(
        options,
        revision=options.revision if options.base else base.get("revision"),
        text_encoder_3=None if manifest["text_encoder_3"] else "none",
        max_sequence_length=manifest["max_sequence_length"],
    )
    full = folder / TRANSFORMER if manifest["trained"] == "all" else None
    try:
        loaded = load_pipeline(
            options.base or base["source"], loading, device=device, dtype=manifest["dtype"], transformer=full
        )
    except PolicyError as error:
        raise PolicyError(f"{path}: its base cannot be loaded: {error} (Elsewhere? sd3:{folder}?base=PLACE)") from error
    if loaded.weights != base["weights"]:
        raise PolicyError(
            f"{path}: base {loaded.source.name} has weights {loaded.weights}, but training started from "
            f"{base['weights']}. Give the original with sd3:{folder}?base=PLACE."
        )
    policy = SD3Policy(loaded, own_transformer=full is not None)
    policy.manifest = manifest
    if full is None:
        _load_adapter(policy, folder, manifest["adapter"])
    return policy


def _load_adapter(policy: SD3Policy, folder: Path, adapter: dict[str, Any]) -> None:
    file = folder / str(adapter["file"])
    tensors = lora.read(file)
    if sha256_of(file) != adapter["sha256"]:
        raise PolicyError(f"{file}: its content is not what {MANIFEST} was written with. Restore it.")
    policy.attach_lora(int(adapter["rank"]), int(adapter["alpha"]), adapter["targets"])
    lora.fill(policy.transformer, ADAPTER, tensors, where=str(file))
    for parameter in lora.parameters(policy.transformer, ADAPTER).values():
        parameter.requires_grad_(False)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of an sd3 checkpoint.

    Raises:
        PolicyError: damaged, of another policy or format, or with a key missing.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: not a readable JSON file ({error}). Restore it.") from None
    if not isinstance(manifest, dict) or manifest.get("policy") != "sd3" or manifest.get("format") != FORMAT:
        found = (manifest.get("policy"), manifest.get("format")) if isinstance(manifest, dict) else manifest
        raise PolicyError(
            f"{path}: policy and format are {found}, expected ('sd3', {FORMAT}). Use a checkpoint of the sd3 policy, "
            "or the folder of a pipeline."
        )
    needed = {"base", "dtype", "text_encoder_3", "max_sequence_length", "trained"}
    needed |= {"adapter"} if manifest.get("trained") == "lora" else set()
    absent = sorted(needed - set(manifest))
    if absent or not {"source", "weights"} <= set(manifest["base"]):
        raise PolicyError(f"{path}: lacks {', '.join(absent) or 'base.source or base.weights'}. Restore it.")
    return manifest


def save(folder: Path, policy: SD3Policy, training: dict[str, Any]) -> None:
    """Writes a checkpoint folder in one rename; an existing one of that name is replaced.

    Args:
        training: how the weights came about; JSON values.

    Raises:
        PolicyError: the policy has neither an adapter nor trained weights of its own.
    """
    if policy.trains_all:
        weights = {n: lora.full(t).contiguous() for n, t in policy.transformer.state_dict().items()}
        _write_on_first(folder, lambda new: _write_all(new, policy, weights, training), policy)
    elif lora.is_attached(policy.transformer, ADAPTER):
        tensors = lora.state(policy.transformer, ADAPTER)
        _write_on_first(folder, lambda new: _write_lora(new, policy, tensors, training), policy)
    else:
        raise PolicyError("sd3: there is nothing to save; call prepare_training or attach_lora first.")


def _write_on_first(folder: Path, write: Callable[[Path], None], policy: SD3Policy) -> None:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    policy.fingerprint  # noqa: B018 - a collective call where parameters are sharded; kept for the manifest
    if not distributed or torch.distributed.get_rank() == 0:
        with replaced_folder(folder) as new:
            write(new)
    # Sharded weights are gathered by all processes, which then wait here; replicated ones are written by one caller.
    if distributed and any(hasattr(p, "full_tensor") for p in policy.transformer.parameters()):
        torch.distributed.barrier()


def _manifest(policy: SD3Policy, training: dict[str, Any], **trained: Any) -> dict[str, Any]:
    loaded: Loaded = policy.loaded
    return {
        "policy": "sd3",
        "format": FORMAT,
        "base": {"source": loaded.source.name, "revision": loaded.source.revision, "weights": loaded.weights},
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "text_encoder_3": loaded.with_t5,
        "max_sequence_length": loaded.max_sequence_length,
        **trained,
        "fingerprint": policy.fingerprint,
        "training": training,
    }


def _write_lora(folder: Path, policy: SD3Policy, tensors: dict[str, Tensor], training: dict[str, Any]) -> None:
    file = lora.save(folder, tensors, policy.transformer.peft_config[ADAPTER])
    adapter = {"file": lora.FILE, "sha256": sha256_of(file), **lora.settings(policy.transformer, ADAPTER)}
    _write_json(folder / MANIFEST, _manifest(policy, training, trained="lora", adapter=adapter))


def _write_all(folder: Path, policy: SD3Policy, weights: dict[str, Tensor], training: dict[str, Any]) -> None:
    from huggingface_hub import save_torch_state_dict

    target = folder / TRANSFORMER
    target.mkdir()
    policy.transformer.save_config(target)
    save_torch_state_dict(
        weights, target, filename_pattern="diffusion_pytorch_model{suffix}.safetensors", max_shard_size="10GB"
    )
    _write_json(folder / MANIFEST, _manifest(policy, training, trained="all"))


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n")
