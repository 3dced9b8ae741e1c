"""Loads the parts of a pipeline that have weights, and refuses what their libraries would only warn about.

Both libraries fill a tensor that the files lack with random numbers and go on; a model with such a tensor is another
model. No code of the folder is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from harness.errors import ConfigError, PolicyError
from harness.models.sd3.source import Source, weight_files

LIBRARIES = ("diffusers", "transformers")


def load_parts(source: Source, dtypes: Mapping[str, torch.dtype], *, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """The parts with weights whose class belongs to diffusers or transformers, by name, on the CPU.

    Args:
        dtypes: by part; the key `default` is for the others.

    Raises:
        PolicyError: a part does not load, or its files lack tensors or have them in other shapes.
    """
    parts = {}
    for name in source.components(leave_out):
        library, cls = source.index[name]
        if library in LIBRARIES and weight_files(source, name):
            parts[name] = load_part(source.folder / name, library, cls, dtypes.get(name, dtypes["default"]))
    return parts


def load_part(folder: Path, library: str, class_name: str, dtype: torch.dtype) -> Any:
    """One model from a folder with configuration and safetensors.

    Raises:
        PolicyError: see `load_parts`.
    """
    import importlib

    with quiet():
        cls = getattr(importlib.import_module(library), class_name, None)
    if not (isinstance(cls, type) and hasattr(cls, "from_pretrained")):
        raise PolicyError(f"{folder}: {library} has no model class {class_name!r}. Is another version needed?")
    try:
        with quiet():
            model, info = cls.from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise PolicyError(f"{folder}: {class_name} does not load ({first_line(error)}).") from error
    lacking = sorted(map(str, [*info.get("missing_keys", ()), *info.get("mismatched_keys", ())]))
    if lacking:
        raise PolicyError(
            f"{folder}: the weights lack {len(lacking)} tensors of {class_name} or have them in other shapes, e.g. "
            f"{lacking[0]}. They would be random; download or save the part again."
        )
    return model


def torch_dtype(name: str | None, device: str) -> torch.dtype:
    """The torch dtype `name`; None is bfloat16 on CUDA and float32 elsewhere.

    Raises:
        ConfigError: no such dtype.
    """
    if name is None:
        name = "bfloat16" if device.startswith("cuda") else "float32"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ConfigError(f"{name!r} is no dtype; expected float32, bfloat16 or float16.")
    return dtype


def place(parts: Mapping[str, Any], dtypes: Mapping[str, torch.dtype], device: str, *, model: str) -> None:
    """Puts modules on a device in their dtypes, frozen and in evaluation mode.

    Raises:
        PolicyError: the device cannot take one.
    """
    for name, part in parts.items():
        if not isinstance(part, torch.nn.Module):
            continue
        wanted = dtypes.get(name, dtypes["default"])
        try:
            part.to(device)
            if part.dtype != wanted:
                part.to(wanted)
        except (RuntimeError, AssertionError) as error:
            raise PolicyError(f"{model}: {name} cannot be put on {device!r} ({first_line(error)}).") from error
        part.requires_grad_(False).eval()


def first_line(error: BaseException) -> str:
    """The start of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the libraries' loading bars and remarks (image processors without torchvision) off the screen."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    modules = (diffusers_logging, transformers_logging)
    before = [(m.is_progress_bar_enabled(), m.get_verbosity()) for m in modules]
    for module in modules:
        module.disable_progress_bar()
        module.set_verbosity_error()
    try:
        yield
    finally:
        for module, (bar, verbosity) in zip(modules, before, strict=True):
            module.set_verbosity(verbosity)
            if bar:
                module.enable_progress_bar()
