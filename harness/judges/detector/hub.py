"""Folders and hub names of transformers models: where their files are, and which weights they hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

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


def local_name(model: str) -> str:
    """`model`, a folder's `~` expanded: what `from_pretrained` takes."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


def _weight_files(model: str) -> list[Path]:
    single = resolve(model, _WEIGHTS, required=False)
    if single.is_file():
        return [single]
    index = resolve(model, _INDEX, required=False)
    if not index.is_file():
        raise JudgeError(f"{model}: has no {_WEIGHTS}; weights in other formats are pickles and are not opened.")
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [resolve(model, n) for n in names]
