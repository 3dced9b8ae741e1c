"""`DATA_DIR/NAME/prepared.json`: what was prepared, from where, with the digest of every file as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.errors import DataError
from harness.images import write_atomic

NAME = "prepared.json"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One prepared file."""

    sha256: str
    source: str
    """`OWNER/NAME@REVISION`, or the local copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The file's content."""

    version: int = VERSION
    files: dict[str, Item] = field(default_factory=dict)


def read(folder: Path) -> Receipt:
    """The receipt of a prepared folder; an empty one where there is none.

    Raises:
        DataError: it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return Receipt()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Receipt)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: damaged ({error}). Delete it and run `run.py data prepare {folder.name}`.") from None


def add(folder: Path, items: Mapping[str, Item]) -> None:
    """Enters files; those of the same name are replaced."""
    try:
        known = read(folder).files
    except DataError:
        known = {}
    content = Receipt(files=dict(sorted({**known, **items}.items())))
    write_atomic(folder / NAME, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
