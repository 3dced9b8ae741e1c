"""The official prompts and questions, read from a user's copy and checked against the lock by hash.

The data folder is `DATA_DIR/tiif`: either upstream's four folders (`testmini_prompts`, ...; also below `data/`, as in a
checkout) or an archive `FOLDER.tar.gz` for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.sources import read_files
from benchmarks.tiif.indices import comparison_order, testmini_to_full
from benchmarks.tiif.lock import FileLock, Lock
from benchmarks.tiif.taxonomy import TYPES
from harness.errors import DataError

ComparisonRows = Literal["corrected", "snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of a type: two wordings, one list of questions."""

    type: str
    row: int
    full_row: int
    short: str
    long: str
    questions: tuple[str, ...]
    """Trimmed."""
    answers: tuple[str, ...]
    """`yes` or `no`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One official set."""

    name: str
    cases: dict[str, list[Case]]
    """By type, in table order; a case's row is its place in the list."""
    comparison_rows: str | None
    """Which order of the full set's comparison questions is in use, and which the files had; None for testmini."""
    sha256: str
    """Of everything in `cases`."""


def data_root(data_dir: Path | None) -> Path:
    """The folder that holds the upstream folders or their archives.

    Raises:
        DataError: there is none.
    """
    if data_dir is None:
        raise DataError(
            "TIIF: no data folder is set. Run `run.py data prepare tiif`, or name one with --set data_dir=DIR."
        )
    for root in (data_dir / "tiif", data_dir / "tiif" / "data"):
        if any(root.glob("test*_prompts*")):
            return root
    raise DataError(
        f"TIIF: {data_dir / 'tiif'} holds neither the folders testmini_prompts, testmini_eval_prompts, ... nor their "
        ".tar.gz archives. Run `run.py data prepare tiif` (with --source DIR for a local copy of the repository)."
    )


def load_set(root: Path, name: str, lock: Lock, comparison_rows: ComparisonRows = "corrected") -> DataSet:
    """The set `testmini` or `full` below `root`.

    Raises:
        DataError: a file is missing, is of an unknown version (by hash), or a row lacks a field (file, line, field).
    """
    read = _reader(root)
    cases: dict[str, list[Case]] = {}
    comparison = None
    for type_ in TYPES:
        prompts = _rows(*_verified(read, lock.prompt_file(name, type_)), type_)
        question_lock = lock.question_file(name, type_)
        path, data = _verified(read, question_lock)
        questions = _rows(path, data, type_)
        if question_lock.corrected_sha256 is not None:
            is_corrected = hashlib.sha256(data).hexdigest() == question_lock.corrected_sha256
            questions = _in_order(questions, is_corrected=is_corrected, wanted=comparison_rows)
            comparison = f"{comparison_rows} order (files: {'corrected' if is_corrected else 'snapshot'})"
        cases[type_] = _join(name, type_, prompts, questions)
    return DataSet(name=name, cases=cases, comparison_rows=comparison, sha256=_digest(cases))


def _reader(root: Path) -> Callable[[str, str], bytes | None]:
    archives: dict[str, dict[str, bytes]] = {}

    def read(folder: str, file: str) -> bytes | None:
        if (root / folder).is_dir():
            path = root / folder / file
            return path.read_bytes() if path.is_file() else None
        if folder not in archives:
            archive = root / f"{folder}.tar.gz"
            if not archive.is_file():
                raise DataError(
                    f"TIIF: {root} has neither the folder {folder!r} nor {archive.name!r}. "
                    "Run `run.py data prepare tiif`."
                )
            archives[folder] = {f.path.name: f.data for f in read_files(archive, (".jsonl",))}
        return archives[folder].get(file)

    return read


def _verified(read: Callable[[str, str], bytes | None], lock: FileLock) -> tuple[str, bytes]:
    data = read(*lock.path.split("/"))
    if data is None:
        raise DataError(f"TIIF: {lock.path} is missing. Run `run.py data prepare tiif`.")
    found = hashlib.sha256(data).hexdigest()
    if found not in (lock.sha256, lock.corrected_sha256):
        lines = " The file has CRLF line ends; check it out with LF." if b"\r\n" in data else ""
        raise DataError(
            f"TIIF: {lock.path} has sha256 {found}, expected {lock.sha256}.{lines} It is another version of the data, "
            "and its numbers would not compare. Run `run.py data prepare tiif`."
        )
    return lock.path, data


def _rows(path: str, data: bytes, type_: str) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(data.decode("utf-8").removesuffix("\n").split("\n"), start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not valid JSON ({error.msg} at column {error.colno}).") from None
        if not isinstance(row, dict) or row.get("type") != type_:
            raise DataError(f"{where}, field 'type': expected {type_!r}, got {row!r:.80}.")
        rows.append((where, row))
    return rows


def _in_order(rows: list[Any], *, is_corrected: bool, wanted: ComparisonRows) -> list[Any]:
    order = comparison_order()
    if is_corrected == (wanted == "corrected"):
        return rows
    if wanted == "corrected":
        return [rows[i] for i in order]
    return [rows[order.index(i)] for i in range(len(order))]


def _join(set_: str, type_: str, prompts: list[Any], questions: list[Any]) -> list[Case]:
    if len(prompts) != len(questions):
        raise DataError(f"TIIF {set_}/{type_}: {len(prompts)} prompts but {len(questions)} question rows.")
    cases = []
    for row, ((where, prompt), (where_questions, asked)) in enumerate(zip(prompts, questions, strict=True)):
        texts = _strings(asked, "yn_question_list", where_questions)
        answers = [a.strip().lower() for a in _strings(asked, "yn_answer_list", where_questions)]
        if len(texts) != len(answers) or not set(answers) <= {"yes", "no"}:
            raise DataError(
                f"{where_questions}, field 'yn_answer_list': expected yes or no for each of {len(texts)} questions."
            )
        cases.append(
            Case(
                type=type_,
                row=row,
                full_row=testmini_to_full(type_, row) if set_ == "testmini" else row,
                short=_string(prompt, "short_description", where),
                long=_string(prompt, "long_description", where),
                questions=tuple(q.strip() for q in texts),
                answers=tuple(answers),
            )
        )
    return cases


def _string(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise DataError(f"{where}, field {field!r}: expected text, got {value!r:.80}.")
    return value


def _strings(row: dict[str, Any], field: str, where: str) -> list[str]:
    value = row.get(field)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise DataError(f"{where}, field {field!r}: expected a list of texts, got {value!r:.80}.")
    return value


def _digest(cases: dict[str, list[Case]]) -> str:
    plain = [[c.type, c.row, c.short, c.long, c.questions, c.answers] for rows in cases.values() for c in rows]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()
