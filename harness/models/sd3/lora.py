"""LoRA adapters on the transformer: attaching, switching, and the file that the ecosystem reads.

Adapter weights are float32 whatever the base is: in bfloat16 most updates of an optimiser would be rounded away.
Tensors go by peft's names without the adapter's name, e.g. `transformer_blocks.0.attn.to_q.lora_A.weight`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness import seeds
from harness.errors import ConfigError, PolicyError

TARGETS = (
    "attn.to_q",
    "attn.to_k",
    "attn.to_v",
    "attn.to_out.0",
    "attn.add_q_proj",
    "attn.add_k_proj",
    "attn.add_v_proj",
    "attn.to_add_out",
)
"""Projections of the joint attention, of image and text tokens. Source: Flow-GRPO's SD3 recipe, arXiv 2505.05470."""

FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."


def attach(
    transformer: Any, name: str, *, rank: int, alpha: int, targets: Sequence[str] = TARGETS, seed: int = 0
) -> None:
    """Adds the adapter `name`, active and trainable. It changes nothing at first: B is zero, A is N(0, 1 / rank^2).

    Args:
        transformer: `SD3Transformer2DModel`.
        alpha: the update is scaled by alpha / rank.
        targets: ends of the names of the linear layers that get one.
        seed: of A; each layer derives its own, so every process starts alike.

    Raises:
        ConfigError: the rank is not positive, or a target names no layer.
    """
    if rank < 1 or alpha <= 0:
        raise ConfigError(f"sd3: lora_rank is {rank} and lora_alpha {alpha}; expected both positive.")
    for target in targets:
        if not any(n == target or n.endswith("." + target) for n, _ in transformer.named_modules()):
            raise ConfigError(f"sd3: no layer of the transformer is named *.{target}, so it cannot get a LoRA.")
    from peft import LoraConfig

    config = LoraConfig(r=rank, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=sorted(targets))
    # peft draws from the global generator; its draws are replaced below. Several adapters are meant to be there.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        transformer.add_adapter(config, adapter_name=name)
    for key, parameter in parameters(transformer, name).items():
        parameter.data = parameter.data.float()
        if ".lora_A." in key:
            noise = torch.randn(parameter.shape, generator=seeds.generator(seed, f"lora {key}"))
            parameter.data.copy_(noise / rank)
        else:
            parameter.data.zero_()


def is_attached(transformer: Any, name: str) -> bool:
    """Whether the transformer has an adapter of that name."""
    return name in getattr(transformer, "peft_config", {})


def parameters(transformer: Any, name: str) -> dict[str, torch.nn.Parameter]:
    """The tensors of an adapter, by their names without it."""
    mark = f".{name}."
    return {
        n.replace(mark, "."): p
        for n, p in transformer.named_parameters()
        if mark in n and n.rsplit(mark, 1)[0][-7:-1] == ".lora_"
    }


def settings(transformer: Any, name: str) -> dict[str, Any]:
    """Rank, alpha and targets of an adapter, as JSON values."""
    config = transformer.peft_config[name]
    return {"rank": int(config.r), "alpha": config.lora_alpha, "targets": sorted(config.target_modules)}


def full(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded (a collective call then), detached, on the CPU."""
    gather = getattr(tensor, "full_tensor", None)
    whole: Tensor = tensor if gather is None else gather()
    return whole.detach().cpu()


def state(transformer: Any, name: str) -> dict[str, Tensor]:
    """Copies of an adapter's tensors, float32 on the CPU; every process must call it where they are sharded."""
    return {key: full(p).float().clone() for key, p in parameters(transformer, name).items()}


def check(transformer: Any, name: str, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Checks that tensors are those of an adapter like `name`.

    Args:
        where: file or description for messages.

    Raises:
        PolicyError: missing, unexpected, wrongly shaped or non-finite tensors.
    """
    own = parameters(transformer, name)
    missing, unexpected = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or unexpected:
        raise PolicyError(
            f"{where}: lacks {len(missing)} tensors of the adapter (e.g. {missing[:1]}) and has {len(unexpected)} that "
            f"do not belong to it (e.g. {unexpected[:1]}). Rank, targets and base must be those it was trained with."
        )
    for key, parameter in own.items():
        if parameter.shape != tensors[key].shape:
            raise PolicyError(
                f"{where}: tensor {key!r} has shape {tuple(tensors[key].shape)}, expected {tuple(parameter.shape)}."
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise PolicyError(f"{where}: tensor {key!r} has values that are not finite. Use an earlier checkpoint.")


def fill(transformer: Any, name: str, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copies tensors into an adapter.

    Raises:
        PolicyError: see `check`.
    """
    check(transformer, name, tensors, where=where)
    with torch.no_grad():
        for key, parameter in parameters(transformer, name).items():
            parameter.copy_(_like(tensors[key], parameter))


def _like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """`tensor` placed as `parameter` is, sharded where that is."""
    mesh = getattr(parameter, "device_mesh", None)
    if mesh is None:
        return tensor.to(parameter.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(mesh.device_type), mesh, parameter.placements)  # type: ignore[attr-defined]


def save(folder: Path, tensors: Mapping[str, Tensor], config: Any) -> Path:
    """Writes the file that `load_lora_weights` of diffusers reads, with rank and alpha in its metadata.

    Without that metadata a reader would scale the update by 1 instead of alpha / rank.
    """
    from diffusers import StableDiffusion3Pipeline

    metadata = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    StableDiffusion3Pipeline.save_lora_weights(
        folder, transformer_lora_layers=dict(tensors), transformer_lora_adapter_metadata=metadata
    )
    return folder / FILE


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of an adapter file of a checkpoint, by their names without prefix.

    Raises:
        PolicyError: the file is missing, damaged, or holds tensors of other parts.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise PolicyError(f"{file} is missing. Restore it beside the manifest, or use another checkpoint.")
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise PolicyError(f"{file}: not a readable safetensors file ({error}). Restore it.") from None
    other = [key for key in tensors if not key.startswith(_PREFIX)]
    if other:
        raise PolicyError(f"{file}: tensor {other[0]!r} does not belong to the transformer ({_PREFIX}*).")
    return {key.removeprefix(_PREFIX): tensor for key, tensor in tensors.items()}


def apply_file(pipeline: Any, path: Path, name: str) -> Path:
    """Applies a LoRA file of the ecosystem as the adapter `name`, in float32; returns the file.

    Raises:
        PolicyError: no such file, or none that fits the transformer.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file() or file.suffix != ".safetensors":
        raise PolicyError(f"sd3: lora={path}: expected a .safetensors file, or a folder with {FILE}.")
    try:
        pipeline.load_lora_weights(file.parent, weight_name=file.name, adapter_name=name, local_files_only=True)
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise PolicyError(f"{file}: not a LoRA of this transformer ({str(error)[:300]}).") from error
    if not is_attached(pipeline.transformer, name):
        raise PolicyError(f"{file}: holds no LoRA of the transformer.")
    for parameter in parameters(pipeline.transformer, name).values():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(False)
    return file


@contextmanager
def switched(transformer: Any, name: str | None) -> Iterator[None]:
    """Inside: the adapter `name` is active, or none; afterwards as before.

    The switches that peft offers also flip `requires_grad`, which optimisers and sharded modules rely on; only the
    choice is changed here.
    """
    layers = _layers(transformer)
    before = [(layer, layer._active_adapter, layer._disable_adapters) for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = name is None
            if name is not None:
                layer._active_adapter = [name]
        yield
    finally:
        for layer, active, disabled in before:
            layer._active_adapter, layer._disable_adapters = active, disabled


def active(transformer: Any) -> str | None:
    """Name of the adapter in use, None for the base."""
    layers = _layers(transformer)
    if not layers or layers[0].disable_adapters:
        return None
    return str(layers[0].active_adapters[0])


def _layers(transformer: Any) -> list[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [m for m in transformer.modules() if isinstance(m, BaseTunerLayer)]
