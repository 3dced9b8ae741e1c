"""Which model a judge is, known without loading its weights: revision, precision, the way pictures are resized."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import JudgeError

_SAMPLE_BYTES = 1 << 16
_N_SAMPLES = 64


def require_transformers() -> Any:
    """The library.

    Raises:
        JudgeError: it is not installed; the message says how to.
    """
    try:
        import transformers
    except ImportError:
        raise JudgeError(
            'transformers is not installed; install it: pip install -c constraints.txt -e ".[judges]".'
        ) from None
    return transformers


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def model_config(name: str) -> Any:
    """The model's configuration, from a folder or the hub.

    Raises:
        JudgeError: there is none.
    """
    transformers = require_transformers()
    try:
        return transformers.AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise JudgeError(
            f"{name}: neither a folder with a model nor a hub repository that can be reached: {first_line(error)}"
        ) from None


@cache
def model_label(name: str, dtype: str) -> str:
    """`NAME@REVISION,DTYPE`: what a model is, for fingerprints; raises as `model_config`."""
    config = model_config(name)
    return f"{Path(name).name}@{model_revision(name, config)},{stored_dtype(config) if dtype == 'auto' else dtype}"


def stored_dtype(config: Any) -> str:
    """Name of the type that the weights are stored in, as the configuration says."""
    stored = config.dtype or config.get_text_config().dtype
    return str(stored).removeprefix("torch.") if stored is not None else "float32"


def model_revision(name: str, config: Any) -> str:
    """12 hex digits: of the hub's commit, or of a folder's content."""
    if Path(name).is_dir():
        return folder_revision(Path(name))
    return str(getattr(config, "_commit_hash", None) or "unknown")[:12]


def folder_revision(folder: Path) -> str:
    """12 hex digits that change with a model folder's configuration, tokenizer or weights.

    Of each weight file, its name, its size and 64 samples of 64 KiB at equal distances are hashed, so that the largest
    models are identified in seconds; files of up to 4 MiB are hashed as a whole.
    """
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.jinja"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _SAMPLE_BYTES * _N_SAMPLES:
                digest.update(file.read())
                continue
            for i in range(_N_SAMPLES):
                file.seek(i * (size - _SAMPLE_BYTES) // (_N_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]
