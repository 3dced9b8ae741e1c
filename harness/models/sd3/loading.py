"""From a pipeline folder to the parts of a Stable Diffusion 3 pipeline, frozen, on a device.

Weights are loaded from safetensors files only, and no code of the folder is run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.errors import ConfigError, PolicyError
from harness.models.sd3.source import Options, Source, find_source, weights_id

try:
    import diffusers
except ImportError as missing:
    raise PolicyError("sd3 needs diffusers. Install it with: pip install -e '.[train]'") from missing

PIPELINE = "StableDiffusion3Pipeline"
SCHEDULER = "FlowMatchEulerDiscreteScheduler"
T5_PARTS = ("text_encoder_3", "tokenizer_3")
# Image prompts (IP-Adapter) are not used here.
UNUSED_PARTS = ("image_encoder", "feature_extractor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A pipeline in memory and what it is."""

    pipeline: Any
    """`diffusers.StableDiffusion3Pipeline`."""
    source: Source
    weights: str
    """`weights_id` of the files, T5 included where it is used."""
    dtype: torch.dtype
    """Of transformer and text encoders."""
    max_sequence_length: int
    with_t5: bool


def load_pipeline(
    where: str, options: Options, *, device: str, dtype: str | None = None, transformer: Path | None = None
) -> Loaded:
    """The pipeline at `where` (folder or hub id), all parameters frozen, VAE in float32.

    Args:
        dtype: where the options name none; None means bfloat16 on CUDA, float32 elsewhere.
        transformer: folder with other weights for the transformer, which are kept in float32.

    Raises:
        PolicyError: no SD3 pipeline, files missing or damaged, a scheduler other than flow matching with Euler steps.
    """
    leave_out = (*UNUSED_PARTS, *(T5_PARTS if options.text_encoder_3 == "none" else ()))
    source = find_source(where, model="sd3", revision=options.revision, leave_out=leave_out)
    if source.pipeline_class != PIPELINE:
        raise PolicyError(
            f"sd3: {source.folder} is of class {source.pipeline_class}, expected a {PIPELINE}. For evaluation use "
            f"diffusers:{where}."
        )
    weights = weights_id(source, leave_out)
    chosen = torch_dtype(options.dtype or dtype, device)
    missing = {name: None for name in (*T5_PARTS, *UNUSED_PARTS) if name not in source.components(leave_out)}
    given: dict[str, Any] = {} if transformer is None else {"transformer": load_transformer(transformer)}
    with no_progress_bars():
        try:
            pipeline = diffusers.StableDiffusion3Pipeline.from_pretrained(  # type: ignore[no-untyped-call]
                source.folder,
                dtype={"default": chosen, "vae": torch.float32},
                local_files_only=True,
                use_safetensors=True,
                **missing,
                **given,
            )
        except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            raise PolicyError(f"sd3: {source.folder} does not load ({_first_line(error)}).") from error
    if type(pipeline.scheduler).__name__ != SCHEDULER:
        raise PolicyError(
            f"{source.folder / 'scheduler'}: {type(pipeline.scheduler).__name__} is not supported, expected "
            f"{SCHEDULER}."
        )
    _place(pipeline, device, chosen, keep_transformer=transformer is not None)
    return Loaded(
        pipeline=pipeline,
        source=source,
        weights=weights,
        dtype=chosen,
        max_sequence_length=options.max_sequence_length,
        with_t5=pipeline.text_encoder_3 is not None,
    )


def load_any(source: Source, dtype: str | None, *, device: str) -> tuple[Any, str]:
    """Any text-to-image pipeline of a folder, all parts in one dtype, and the dtype's name.

    Raises:
        PolicyError: no text-to-image pipeline of diffusers, or it does not load.
    """
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    known = sorted({cls.__name__ for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()})
    if source.pipeline_class not in known:
        raise PolicyError(
            f"diffusers: {source.folder} is of class {source.pipeline_class}, expected a text-to-image pipeline: "
            f"{', '.join(known)}."
        )
    chosen = torch_dtype(dtype, device)
    with no_progress_bars():
        try:
            pipeline = diffusers.DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
                source.folder, dtype=chosen, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
            raise PolicyError(f"diffusers: {source.folder} does not load ({_first_line(error)}).") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device), str(chosen).removeprefix("torch.")


def load_transformer(folder: Path) -> Any:
    """A transformer in float32 from a folder that `save_pretrained` or a checkpoint wrote.

    Raises:
        PolicyError: it does not load.
    """
    try:
        return diffusers.SD3Transformer2DModel.from_pretrained(  # type: ignore[no-untyped-call]
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PolicyError(f"sd3: the transformer in {folder} does not load ({_first_line(error)}).") from error


def torch_dtype(name: str | None, device: str) -> torch.dtype:
    """The torch dtype `name`; None is bfloat16 on CUDA and float32 elsewhere."""
    if name is None:
        name = "bfloat16" if device.startswith("cuda") else "float32"
    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise ConfigError(f"sd3: {name!r} is no dtype; expected float32, bfloat16 or float16.")
    return dtype


def _place(pipeline: Any, device: str, dtype: torch.dtype, *, keep_transformer: bool) -> None:
    for name, part in pipeline.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        keep = name == "vae" or (name == "transformer" and keep_transformer)
        wanted = torch.float32 if keep else dtype
        try:
            part.to(device)
            if part.dtype != wanted:
                part.to(wanted)
        except (RuntimeError, AssertionError) as error:
            raise PolicyError(f"sd3: {name} cannot be put on {device!r} ({_first_line(error)}).") from error
        part.requires_grad_(False).eval()
    pipeline.set_progress_bar_config(disable=True)
    # It would warn for each prompt beyond CLIP's 77 tokens; the policy says so once.
    logging.getLogger(type(pipeline).__module__).setLevel(logging.ERROR)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Keeps diffusers' and transformers' loading bars off the screen."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    modules = (diffusers_logging, transformers_logging)
    shown = [m.is_progress_bar_enabled() for m in modules]
    for module in modules:
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module, was in zip(modules, shown, strict=True):
            if was:
                module.enable_progress_bar()
