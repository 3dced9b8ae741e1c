"""Checkpoint files: reading them without running code, converting once, and keeping the converted copy.

The official file is a pickle. It is opened only with `allow_pickle=true`, and then by torch's restricted unpickler,
which builds tensors and plain containers and calls nothing else. The converted copy is a safetensors file with a
manifest beside it; later runs read only that.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, JudgeError
from harness.judges.detector.config import DetectorConfig, config_from_state_dict
from harness.judges.detector.convert import CONVERTER_VERSION, convert_state_dict
from harness.judges.detector.identity import FILE_NAME, check_hash, describe, file_sha256, guess, is_official
from harness.judges.detector.keymap import edition_of

if TYPE_CHECKING:
    from torch import Tensor

_KIND = "ummbench geneval detector"
_PICKLES = (".pth", ".pt", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A converted checkpoint on disk."""

    path: Path
    source_name: str
    source_sha256: str
    edition: str
    converter: int
    tensors_sha256: str
    config: DetectorConfig

    @property
    def official(self) -> bool:
        """Whether the source was one of the two published files."""
        return is_official(self.source_sha256)

    def load(self) -> dict[str, Tensor]:
        """The tensors.

        Raises:
            JudgeError: they are not those that were written.
        """
        from safetensors.torch import load_file

        tensors = load_file(self.path)
        if tensors_sha256(tensors) != self.tensors_sha256:
            raise JudgeError(
                f"{self.path}: the tensors are not those that were written. Delete the file and convert again."
            )
        return tensors


def find(path: Path | None, *, cache: Path, allow_pickle: bool = False, allow_unknown_hash: bool = False) -> Converted:
    """The converted form of a checkpoint; converts and keeps it where that was not done before.

    Args:
        path: mmdet's file (`.pth`, or its tensors as `.safetensors`), or a converted one; None takes the official one
            that was converted before.
        cache: folder of converted files.
        allow_pickle: permission to open a `.pth`.
        allow_unknown_hash: permission for another file than the published ones.

    Raises:
        ConfigError: there is no file, or a permission is missing.
        JudgeError: it is not the official detector, or damaged; says what it probably is.
    """
    cache = cache.expanduser()
    if path is None:
        return _from_cache(cache)
    path = path.expanduser()
    if not path.is_file():
        raise ConfigError(f"{path}: no such file. Expected {FILE_NAME} or a converted copy of it.")
    if path.suffix == ".safetensors":
        converted = read_header(path)
        if converted is not None:
            _check_converted(converted, allow_unknown_hash)
            return converted
    elif path.suffix not in _PICKLES:
        raise ConfigError(f"{path}: expected a checkpoint ({', '.join(_PICKLES)}) or .safetensors.")
    digest = file_sha256(path)
    check_hash(path, digest, allow_unknown=allow_unknown_hash)
    kept = cache / f"{digest[:16]}-converter{CONVERTER_VERSION}.safetensors"
    known = read_header(kept) if kept.is_file() else None
    return known if known is not None and known.source_sha256 == digest else _convert(path, digest, kept, allow_pickle)


def read_header(path: Path) -> Converted | None:
    """What a safetensors file says about itself; None if it is not a converted checkpoint.

    Raises:
        JudgeError: it is not a whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            header = stream.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise JudgeError(f"{path}: not a whole safetensors file ({error}).") from None
    if header.get("kind") != _KIND:
        return None
    values = json.loads(header["manifest"])
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.pop("config").items()}
    return Converted(path=path, config=DetectorConfig(**sizes), **values)


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of an mmdet checkpoint file, read by torch's restricted unpickler.

    Raises:
        JudgeError: it is damaged, needs to run code, or holds no tensors by name.
    """
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals(_plain_numpy()):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise JudgeError(
            f"{path}: cannot be read as tensors and plain containers ({first}). It is damaged, or no checkpoint as "
            "published by mmdet; a file that needs more than that is not opened."
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise JudgeError(f"{path}: expected a mapping with 'state_dict', names to tensors; found {_outline(loaded)}.")
    return dict(state)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, shapes and values, independent of file layout."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def _from_cache(cache: Path) -> Converted:
    found = sorted(cache.glob(f"*-converter{CONVERTER_VERSION}.safetensors")) if cache.is_dir() else []
    official = [c for c in map(read_header, found) if c is not None and c.official]
    official.sort(key=lambda c: (c.edition, c.source_sha256))
    if not official:
        raise ConfigError(
            "geneval-official needs the detector's checkpoint: --judge geneval-official:PATH,allow_pickle=true with "
            f"PATH to {FILE_NAME} (docs/geneval-detector.md says where it is). It is converted once and kept in "
            f"{cache}; after that the path can be left out."
        )
    return official[0]


def _check_converted(converted: Converted, allow_unknown_hash: bool) -> None:
    if converted.converter != CONVERTER_VERSION:
        raise JudgeError(
            f"{converted.path}: written by converter {converted.converter}, this is {CONVERTER_VERSION}. Convert "
            f"{converted.source_name} again."
        )
    if not converted.official and not allow_unknown_hash:
        source = Path(converted.source_name)
        check_hash(source, converted.source_sha256, allow_unknown=False)


def _convert(path: Path, digest: str, kept: Path, allow_pickle: bool) -> Converted:
    source = _read(path, allow_pickle)
    config = config_from_state_dict(source)
    if config.n_classes != 80:
        what = guess(path, digest) or describe({n: tuple(t.shape) for n, t in source.items()})
        raise JudgeError(
            f"{path}: {config.n_classes} classes, expected the 80 of COCO instances. It looks like {what}; GenEval "
            "uses the instance segmentation model."
        )
    tensors = {n: t.float() for n, t in convert_state_dict(source, config).items()}
    converted = Converted(
        path=kept,
        source_name=path.name,
        source_sha256=digest,
        edition=edition_of(source),
        converter=CONVERTER_VERSION,
        tensors_sha256=tensors_sha256(tensors),
        config=config,
    )
    _keep(converted, tensors)
    return converted


def _read(path: Path, allow_pickle: bool) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if not allow_pickle:
        raise ConfigError(
            f"{path}: a .pth file is a pickle, a format that can run code when it is opened. This one has the expected "
            "hash or you allowed another; if you trust its origin, add allow_pickle=true. Only tensors and plain "
            "containers are built from it, and it is converted to safetensors once."
        )
    return read_pickle(path)


def _keep(converted: Converted, tensors: Mapping[str, Tensor]) -> None:
    """Writes the converted file and its manifest; each is whole or absent."""
    from safetensors.torch import save_file

    manifest = {k: v for k, v in asdict(converted).items() if k != "path"}
    text = json.dumps(manifest, indent=1, sort_keys=True)
    try:
        converted.path.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(converted.path) as temporary:
            save_file(dict(tensors), temporary, metadata={"format": "pt", "kind": _KIND, "manifest": text})
        with _replacing(converted.path.with_suffix(".json")) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise JudgeError(
            f"{converted.path}: cannot be written ({error.strerror}). Name another folder with cache=DIR."
        ) from None


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain_numpy() -> list[Any]:
    """NumPy numbers, which training logs leave in a checkpoint's metadata, under the old and the new module name."""
    import numpy as np

    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = ("float64", "float32", "int64", "int32", "bool")
    named = [(scalar, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")]
    return [*named, np.dtype, *(type(np.dtype(k)) for k in kinds)]


def _outline(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        return f"a mapping with {', '.join(repr(str(k)) for k in list(loaded)[:4])}"
    return f"a {type(loaded).__name__}"
