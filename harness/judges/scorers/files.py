"""Finding a model's files, on disk or on the hub, and telling one file from another without reading all of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import JudgeError

PICKLES = (".pt", ".pth", ".bin")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json")
CHAT_TEMPLATES = ("chat_template.json", "chat_template.jinja")

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_N_BLOCKS, _BLOCK = 64, 65_536


def locate(where: str, patterns: Sequence[str], *, what: str, revision: str | None = None) -> Path:
    """A local file or folder as it is; of a hub id, the folder of its downloaded files that match `patterns`.

    Raises:
        JudgeError: neither a path nor a hub id, or the hub does not give the files.
    """
    path = Path(where).expanduser()
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(where):
        raise JudgeError(f"{what}: {where!r} is no file or folder here. Give a path, or a hub id such as `owner/name`.")
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise JudgeError(
            f"{what}: {where!r} is not here, and without the package huggingface_hub it cannot be brought from the "
            "hub. Run `pip install -c constraints.txt -e .[judges,hub]`, or give a folder."
        ) from None
    try:
        return Path(snapshot_download(where, revision=revision, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise JudgeError(f"{what}: {where!r} is not here and the hub does not give it ({reason}).") from None


def weight_files(path: Path, names: Sequence[str], *, allow_pickle: bool, what: str) -> list[Path]:
    """The files that hold a model's weights.

    Args:
        path: one of them, or their folder.
        names: files looked for in a folder, best first; without them, shards `model-*-of-*.safetensors`.
        allow_pickle: whether pickles are taken.
        what: for messages.

    Raises:
        JudgeError: there are none, or only a pickle that was not allowed.
    """
    if path.is_dir():
        found = next((path / n for n in names if (path / n).is_file()), None)
        shards = [] if found else sorted(path.glob("model-*-of-*.safetensors"))
        if found is None and not shards:
            pickles = sorted(p.name for p in path.iterdir() if p.suffix in PICKLES)
            hint = f" There is a pickle, {pickles[0]}; name it in full with allow_pickle=true." if pickles else ""
            raise JudgeError(f"{what}: no weights in {path} (looked for {', '.join(names)}).{hint}")
        return [found] if found else shards
    if path.suffix in PICKLES and not allow_pickle:
        raise JudgeError(
            f"{path}: a pickle can run code when it is read. Convert it to safetensors, or add allow_pickle=true "
            "(only tensors are then unpickled)."
        )
    if path.suffix not in (*PICKLES, ".safetensors"):
        raise JudgeError(f"{path}: expected a .safetensors file.")
    return [path]


def need(folder: Path, names: Iterable[str], *, what: str) -> None:
    """Raises JudgeError where none of `names` is a file of `folder`."""
    names = list(names)
    if not any((folder / n).is_file() for n in names):
        raise JudgeError(f"{what}: {folder} has no {' or '.join(names)}.")


def digest(paths: Iterable[Path]) -> str:
    """16 hex digits over each file's size and 64 evenly spread blocks of it (all of a file below 4 MiB).

    A fingerprint of files too large to be read twice; files that differ only between the blocks have the same one.
    """
    total = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        total.update(size.to_bytes(8, "big"))
        with path.open("rb") as stream:
            for i in range(_N_BLOCKS):
                stream.seek(i * size // _N_BLOCKS)
                total.update(stream.read(min(_BLOCK, (i + 1) * size // _N_BLOCKS - i * size // _N_BLOCKS)))
    return total.hexdigest()[:16]
