"""Folders and hub names of transformers models: where their files are, and which weights they hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import JudgeError
from harness.judges.detector.identity import file_sha256

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def weights_sha256(model: str) -> str:
    """Digest of a model's configuration and safetensors weights; brings them from the hub where `model` is a name.

    Raises:
        JudgeError: not found, not reachable, or without safetensors weights.
    """
    files = [resolve(model, "config.json"), *_weight_files(model)]
    return hashlib.sha256("".join(file_sha256(f) for f in files).encode()).hexdigest()


def resolve(model: str, name: str, *, required: bool = True) -> Path:
    """Path of one file of a model.

    Raises:
        JudgeError: it is not there.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if required and not (folder / name).is_file():
            raise JudgeError(f"{folder}: has no {name}; expected a folder as `save_pretrained` writes it.")
        return folder / name
    if model.startswith(("/", "~", ".")):
        raise JudgeError(f"{model}: no such folder.")
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(model, name, _raise_exceptions_for_missing_entries=required)
    except OSError as error:
        raise JudgeError(
            f"{model}: {name} is neither in the local hub cache nor reachable ({str(error).splitlines()[0]}). "
            "Give a folder that holds the model instead."
        ) from None
    return Path(found) if found else folder / name


def load_pretrained(library_class: Any, model: str, *, unfilled: tuple[str, ...] = ()) -> Any:
    """A whole model in float32, from safetensors, in evaluation mode.

    Args:
        library_class: a transformers model class.
        model: folder or hub name.
        unfilled: parts of names that may be missing from the file.

    Raises:
        JudgeError: it cannot be loaded, or tensors are missing or of another shape (the library would draw them).
    """
    import torch

    try:
        with torch.random.fork_rng(devices=[]), _without_progress_bars():
            loaded, report = library_class.from_pretrained(
                local_name(model), dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise JudgeError(f"{model}: cannot be loaded ({str(error).splitlines()[0]}).") from None
    wrong = sorted(n for n in report["missing_keys"] if not any(part in n for part in unfilled))
    wrong += sorted(str(n) for n in report["mismatched_keys"])
    if wrong:
        raise JudgeError(f"{model}: {len(wrong)} tensors are missing or of another shape, e.g. {wrong[0]}.")
    return loaded.eval().requires_grad_(False)


def local_name(model: str) -> str:
    """`model`, a folder's `~` expanded: what `from_pretrained` takes."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


@contextlib.contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Keeps the library's bars out of the harness's own progress display."""
    from transformers.utils import logging

    library: Any = logging
    shown = library.is_progress_bar_enabled()
    library.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            library.enable_progress_bar()


def _weight_files(model: str) -> list[Path]:
    single = resolve(model, _WEIGHTS, required=False)
    if single.is_file():
        return [single]
    index = resolve(model, _INDEX, required=False)
    if not index.is_file():
        raise JudgeError(f"{model}: has no {_WEIGHTS}; weights in other formats are pickles and are not opened.")
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [resolve(model, n) for n in names]
