"""The official prompts, read from a user's copy and checked against the lock by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.wise.lock import FileLock, Lock
from benchmarks.wise.variants import N_PROMPTS, Variant, category_of
from harness.errors import DataError
from harness.types import Prompt

_TEXTS = ("Prompt", "Explanation", "Category", "Subcategory")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One prompt set."""

    name: str
    """`verified`, `legacy` or `legacy-rewrite`."""
    prompts: list[Prompt]
    """By id, 1 to 1000."""
    data_id: str


def prompt_id(set_name: str, number: int) -> str:
    """The id of a prompt: the same number in another set is another prompt."""
    return f"wise/{set_name}/{number:04d}"


def set_name(variant: Variant, prompt_set: str) -> str:
    """Name of the set of a variant: `legacy-rewrite` for the legacy variant's rewritten prompts."""
    return variant if prompt_set == "original" else f"{variant}-{prompt_set}"


def has_set(data_dir: Path | None, name: str, lock: Lock) -> bool:
    """Whether the files of a set are there (not whether they are intact)."""
    return data_dir is not None and all((data_dir / "wise" / f).is_file() for f in lock.sets[name])


def load_set(data_dir: Path | None, name: str, lock: Lock) -> DataSet:
    """The 1,000 prompts of a set.

    Raises:
        DataError: a file is missing, is of an unknown version (by hash), or a record is damaged (file, field).
    """
    variant: Variant = "verified" if name == "verified" else "legacy"
    records: dict[int, dict[str, Any]] = {}
    for file in lock.sets[name]:
        path = (data_dir or Path("DATA_DIR")) / "wise" / file
        for where, record in _records(_verified(path, lock.files[file], lock), path):
            if record["prompt_id"] in records:
                raise DataError(f"{where}, field 'prompt_id': {record['prompt_id']} again.")
            records[record["prompt_id"]] = record
    missing = sorted(set(range(1, N_PROMPTS + 1)) - set(records))
    if missing or len(records) != N_PROMPTS:
        raise DataError(f"WISE {name}: {len(records)} prompts, expected 1 to {N_PROMPTS}; missing {missing[:5]}.")
    prompts = [_prompt(name, variant, records[i]) for i in sorted(records)]
    plain = [[p.meta["prompt_id"], p.text, p.meta["Explanation"], p.meta["Subcategory"]] for p in prompts]
    digest = hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()
    return DataSet(name=name, prompts=prompts, data_id=f"wise-{name}@{digest[:12]}")


def check_file(data: bytes, entry: FileLock, lock: Lock, where: str) -> None:
    """Raises DataError unless `data` is the locked file."""
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        lines = " The file has CRLF line ends; check it out with LF." if b"\r\n" in data else ""
        raise DataError(
            f"{where}: sha256 {found}, expected {entry.sha256} ({lock.repository} at {lock.revision[:8]}).{lines}"
        )


def _verified(path: Path, entry: FileLock, lock: Lock) -> bytes:
    if not path.is_file():
        raise DataError(
            f"WISE: {path} is missing. Bring the data with `run.py data prepare wise` (with --source DIR for a local "
            f"copy of {lock.repository} at {lock.revision[:8]})."
        )
    data = path.read_bytes()
    check_file(data, entry, lock, str(path))
    return data


def _records(data: bytes, path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        rows: Any = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}).") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of records, got {type(rows).__name__}.")
    found: list[tuple[str, dict[str, Any]]] = []
    for i, row in enumerate(rows, start=1):
        where = f"{path}, record {i}"
        _check_record(row, where)
        found.append((where, row))
    return found


def _check_record(row: Any, where: str) -> None:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, got {type(row).__name__}.")
    for field in _TEXTS:
        if not isinstance(row.get(field), str):
            raise DataError(f"{where}, field {field!r}: expected text, got {row.get(field)!r:.80}.")
    if type(row.get("prompt_id")) is not int:
        raise DataError(f"{where}, field 'prompt_id': expected a whole number, got {row.get('prompt_id')!r:.80}.")


def _prompt(name: str, variant: Variant, record: dict[str, Any]) -> Prompt:
    number = record["prompt_id"]
    return Prompt(
        id=prompt_id(name, number),
        text=record["Prompt"],
        category=category_of(variant, number) or "",
        meta={
            "prompt_id": number,
            "Explanation": record["Explanation"],
            "Category": record["Category"],
            "Subcategory": record["Subcategory"],
        },
    )


def reidentified(prompts: Sequence[Prompt], name: str) -> list[Prompt]:
    """Prompts of a generated edition under the ids of a set."""
    return [
        Prompt(id=prompt_id(name, p.meta["prompt_id"]), text=p.text, category=p.category, meta=p.meta) for p in prompts
    ]
