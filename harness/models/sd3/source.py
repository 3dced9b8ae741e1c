"""Where a pipeline's files come from, whether they are complete, and what identifies their content.

Shared by every policy that wraps a diffusers pipeline folder. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from harness.errors import ConfigError, PolicyError, unknown_name

DTYPES = ("float32", "bfloat16", "float16")
INDEX = "model_index.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_BLOB = re.compile(r"[0-9a-f]{64}")
_SMALL = (".json", ".txt", ".model")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|fp8|non_ema|ema)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may follow the question mark of a model argument."""

    dtype: str | None = None
    """`float32`, `bfloat16` or `float16` of transformer and text encoders; None takes the checkpoint's own, else
    bfloat16 on CUDA and float32 elsewhere. The VAE always works in float32."""
    text_encoder_3: str | None = None
    """`none` leaves the T5 encoder out, which saves most of the memory and changes the images."""
    max_sequence_length: int = 256
    """Tokens that the T5 encoder reads."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    base: str | None = None
    """For a checkpoint: folder or hub id of the pipeline it was trained from, where it is no longer in its place."""
    lora: str | None = None
    """A LoRA file, or a folder with `pytorch_lora_weights.safetensors`, to apply to the pipeline."""


def parse_argument(argument: str, *, model: str, allowed: Collection[str] | None = None) -> tuple[str, Options]:
    """`PATH-OR-ID?key=value&...` as path or id and options.

    Args:
        allowed: names of the options that the model has; None means all.

    Raises:
        ConfigError: an unknown option or a value that it cannot have.
        PolicyError: nothing before the question mark.
    """
    where, _, query = argument.partition("?")
    known = {f.name for f in fields(Options)} if allowed is None else set(allowed)
    values: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            raise unknown_name(f"option of {model}", key, known)
        values[key] = value
    if not where:
        raise PolicyError(
            f"{model}: name the pipeline, e.g. {model}:FOLDER or {model}:stabilityai/stable-diffusion-3.5-medium."
        )
    return where, _checked(Options(**values), model)


def _checked(options: Options, model: str) -> Options:
    if options.dtype is not None and options.dtype not in DTYPES:
        raise unknown_name(f"dtype of {model}", options.dtype, DTYPES)
    if options.text_encoder_3 not in (None, "none"):
        raise ConfigError(f"{model}: text_encoder_3 is {options.text_encoder_3!r}; expected 'none', or leave it out.")
    length = str(options.max_sequence_length)
    if not length.isdigit() or not 1 <= int(length) <= 512:
        raise ConfigError(f"{model}: max_sequence_length is {length!r}, expected 1 to 512.")
    return replace(options, max_sequence_length=int(length))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A pipeline folder on this machine."""

    name: str
    """Absolute folder, or hub id."""
    folder: Path
    revision: str | None
    """Commit of a hub id."""
    index: dict[str, Any]
    """model_index.json."""

    @property
    def pipeline_class(self) -> str:
        """Name of the diffusers pipeline class."""
        return str(self.index.get("_class_name"))

    def components(self, leave_out: Iterable[str] = ()) -> list[str]:
        """Names of the parts that have files, sorted."""
        skip = set(leave_out)
        return sorted(
            name
            for name, value in self.index.items()
            if isinstance(value, list) and len(value) == 2 and value[1] is not None and name not in skip
        )


def find_source(where: str, *, model: str, revision: str | None = None, leave_out: Sequence[str] = ()) -> Source:
    """The pipeline folder that `where` names; a hub id is downloaded (or found in the hub client's cache).

    Raises:
        PolicyError: neither a pipeline folder nor a hub id that can be had.
    """
    folder = Path(where).expanduser()
    if folder.exists() or not _HUB_ID.fullmatch(where):
        if revision is not None:
            raise ConfigError(f"{model}: revision={revision} belongs to a hub id, but {where} is a folder.")
        return Source(name=str(folder.resolve()), folder=folder, revision=None, index=read_index(folder, model))
    snapshot = _snapshot(where, revision, model, leave_out)
    return Source(name=where, folder=snapshot, revision=snapshot.name, index=read_index(snapshot, model))


def read_index(folder: Path, model: str) -> dict[str, Any]:
    """model_index.json of a pipeline folder.

    Raises:
        PolicyError: there is none, or it is damaged.
    """
    if not folder.is_dir():
        raise PolicyError(
            f"{model}: {folder} is no folder. Expected a pipeline folder in diffusers' layout ({INDEX} and a folder "
            "for each part), a checkpoint folder, or a hub id OWNER/NAME. Single-file weights are not read."
        )
    path = folder / INDEX
    if not path.is_file():
        raise PolicyError(
            f"{model}: {folder} holds no {INDEX}. Expected a pipeline folder in diffusers' layout, as "
            "`save_pretrained` writes it or the hub's model page offers it."
        )
    try:
        index = json.loads(path.read_bytes())
    except ValueError as error:
        raise PolicyError(f"{path}: not JSON ({error}). Download or save the pipeline again.") from None
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise PolicyError(f"{path}: key '_class_name' is missing; expected the name of a diffusers pipeline class.")
    return index


def _snapshot(repo: str, revision: str | None, model: str, leave_out: Sequence[str]) -> Path:
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise not_installed(model, error) from None
    try:
        first = Path(hf_hub_download(repo, INDEX, revision=revision))
        index = read_index(first.parent, model)
        parts = Source(name=repo, folder=first.parent, revision=None, index=index).components(leave_out)
        patterns = [f"{p}/*{s}" for p in parts for s in (*_SMALL, ".safetensors")]
        # The commit of the first file, so that a branch that moves meanwhile cannot mix two versions.
        return Path(
            snapshot_download(
                repo, revision=first.parent.name, allow_patterns=[INDEX, *patterns], ignore_patterns=["*.fp16*"]
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise PolicyError(
            f"{model}: {repo} is no folder here, and the hub did not give it as a pipeline "
            f"({str(error).strip().splitlines()[0]}). Check the name, log in for a gated model, or give a folder."
        ) from None


def not_installed(model: str, error: ImportError) -> PolicyError:
    """What to say where a library is missing."""
    return PolicyError(
        f"{model} needs {error.name or 'diffusers'}. Install it with: pip install -c constraints.txt -e '.[train]'"
    )


def weight_files(source: Source, component: str) -> list[Path]:
    """The safetensors files of a part, shards of its index included; empty for a part without weights.

    Raises:
        PolicyError: only pickled weights, or a missing shard.
    """
    folder = source.folder / component
    if not folder.is_dir():
        raise PolicyError(f"{folder} is missing; {source.folder / INDEX} lists the part {component!r}.")
    for index in sorted(folder.glob("*.safetensors.index.json")):
        if not _VARIANT.search(index.name):
            return _shards(index)
    files = [f for f in sorted(folder.glob("*.safetensors")) if not _VARIANT.search(f.name)]
    if not files:
        other = sorted(f.name for f in folder.iterdir() if f.suffix in _PICKLES)
        variants = sorted(f.name for f in folder.glob("*.safetensors"))
        if other or variants:
            raise PolicyError(
                f"{folder}: weights are in {', '.join(other or variants)}; expected safetensors without a variant in "
                "the name. Pickled weights can run code and are not read; convert them with `save_pretrained`."
            )
    return files


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise PolicyError(f"{index}: not an index of safetensors shards ({error!r}). Restore it.") from None
    for name in names:
        if Path(name).name != name or Path(name).suffix != ".safetensors" or not (index.parent / name).is_file():
            raise PolicyError(f"{index}: shard {name!r} is not beside it. Restore the file or download it again.")
    return [index.parent / name for name in names]


def weights_id(source: Source, leave_out: Sequence[str] = ()) -> str:
    """16 hex digits of the content of every file that makes images: weights, configurations, tokenizers.

    Weights are read in full (several files at a time; about as long as loading them), since two fine-tuned models
    have equal headers. Files of the hub client's cache are stored under their SHA-256 and are not read.

    Raises:
        PolicyError: see `weight_files`; or a file that is no safetensors file.
    """
    files = [source.folder / INDEX]
    for component in source.components(leave_out):
        weights = weight_files(source, component)
        for file in weights:
            check_header(file)
        files += [*weights, *(f for f in (source.folder / component).iterdir() if f.suffix in _SMALL)]
    named = sorted((f.relative_to(source.folder).as_posix(), f) for f in files)
    with ThreadPoolExecutor(4) as pool:
        digests = list(pool.map(sha256_of, [f for _, f in named]))
    lines = [f"{name} {digest}\n" for (name, _), digest in zip(named, digests, strict=True) if name != INDEX]
    parts = {name: source.index[name] for name in source.components(leave_out)}
    lines.append(json.dumps([source.pipeline_class, parts], sort_keys=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    real = file.resolve()
    if real.parent.name == "blobs" and _BLOB.fullmatch(real.name):
        return real.name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_header(file: Path) -> None:
    """Checks that a safetensors file is whole.

    Raises:
        PolicyError: its header does not fit its length.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise PolicyError(f"{file}: not a whole safetensors file ({error}). Download or save it again.") from None
