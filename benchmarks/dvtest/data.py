"""The prompts of an edition: the published test file, a user's file of the same format, or generated ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.data.lock import LockedFile, read_lock, sha256
from benchmarks.data.places import read_limited
from benchmarks.data.variants import describe
from benchmarks.reward.prompts import numbered_id
from harness.decompose.records import record_prompts
from harness.errors import DataError
from harness.types import Prompt

NAME = "alphagrpo20k"
FILE = "test.jsonl"
PREFIX = "dvtest/"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Prompts and what they are."""

    prompts: tuple[Prompt, ...]
    data_id: str


def load_official(data_dir: Path | None) -> DataSet:
    """The published test prompts from `DATA_DIR/alphagrpo20k/test.jsonl`.

    Raises:
        DataError: the file is not there, not the pinned one, or a record is damaged.
    """
    path = (data_dir or Path("DATA_DIR")) / NAME / FILE
    if not path.is_file():
        raise DataError(f"dvtest: {path} is not there. Bring it with `run.py data prepare {NAME}`.")
    lock, entry = read_lock(NAME), locked_file()
    data = read_limited(path)
    if not entry.matches(data):
        known = describe(lock, entry, data)
        raise DataError(
            f"{path}: {entry.found(data)}, expected {entry.expected}{f' ({known})' if known else ''}. "
            "Another file of the same format is used with --set dvtest.records=FILE."
        )
    return DataSet(tuple(record_prompts(path, PREFIX)), f"{NAME}-test@{lock.sources[0].revision[:8]}")


def load_records(path: Path) -> DataSet:
    """The prompts of a user's file; the id is the file's name and hash.

    Raises:
        DataError: it cannot be read, or a record is damaged (file, line, field).
    """
    read = record_prompts(path, PREFIX)
    prompts = tuple(replace(p, id=numbered_id(PREFIX, row, p.text)) for row, p in enumerate(read))
    return DataSet(prompts, f"dvtest-like:{path.name}@{sha256(read_limited(path))[:12]}")


def locked_file() -> LockedFile:
    """The pinned test file."""
    return next(entry for _, entry in read_lock(NAME).files() if entry.name == FILE)
