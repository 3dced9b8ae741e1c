"""From a pipeline folder to a diffusers pipeline, frozen, on a device."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.errors import PolicyError
from harness.models.sd3.parts import first_line, load_part, load_parts, place, quiet, torch_dtype
from harness.models.sd3.source import Options, Source, find_source, not_installed, weights_id

try:
    import diffusers
    import transformers  # noqa: F401 - the text encoders
except ImportError as missing:
    raise not_installed("this model", missing) from missing

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
    """The SD3 pipeline at `where` (folder or hub id), all parameters frozen, VAE in float32.

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
    dtypes = {"default": chosen, "vae": torch.float32}
    absent = dict.fromkeys(name for name in (*T5_PARTS, *UNUSED_PARTS) if name not in source.components(leave_out))
    parts: dict[str, Any] = {}
    if transformer is not None:
        dtypes["transformer"] = torch.float32
        parts["transformer"] = load_part(transformer, "diffusers", "SD3Transformer2DModel", torch.float32)
    parts |= load_parts(source, dtypes, leave_out=(*leave_out, *parts))
    pipeline = _assemble(PIPELINE, source, {**absent, **parts})
    if type(pipeline.scheduler).__name__ != SCHEDULER:
        raise PolicyError(
            f"{source.folder / 'scheduler'}: {type(pipeline.scheduler).__name__} is not supported, expected "
            f"{SCHEDULER}."
        )
    place(pipeline.components, dtypes, device, model="sd3")
    # It would warn for each prompt beyond CLIP's 77 tokens; the policy says so once.
    logging.getLogger(type(pipeline).__module__).setLevel(logging.ERROR)
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
    with quiet():
        from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    known = sorted({cls.__name__ for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()})
    if source.pipeline_class not in known:
        raise PolicyError(
            f"diffusers: {source.folder} is of class {source.pipeline_class}, expected a text-to-image pipeline: "
            f"{', '.join(known)}."
        )
    chosen = torch_dtype(dtype, device)
    dtypes = {"default": chosen}
    pipeline = _assemble("DiffusionPipeline", source, load_parts(source, dtypes))
    place(pipeline.components, dtypes, device, model="diffusers")
    return pipeline, str(chosen).removeprefix("torch.")


def _assemble(class_name: str, source: Source, parts: dict[str, Any]) -> Any:
    try:
        with quiet():
            cls = getattr(diffusers, class_name)
            pipeline = cls.from_pretrained(source.folder, local_files_only=True, use_safetensors=True, **parts)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise PolicyError(f"{source.folder}: the pipeline does not load ({first_line(error)}).") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
