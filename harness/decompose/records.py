"""Files of prompts with their questions: the published record format of AlphaGRPO's data, and plain prompt lists.

A record is one JSON object a line: `prompt`, `semantic_questions` and `quality_questions`, perhaps `original_index` and
further fields. A question is an object with `question` and perhaps `tag`, `is_valid` and `question_type`, or just a
text. Source: AlphaGRPO, arXiv 2605.12495, file format of `alphagrpo20k`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types import Prompt

LISTS: tuple[str, ...] = ("semantic_questions", "quality_questions")
"""The two fields with questions."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question of a record."""

    question: str
    tag: str = ""
    is_valid: bool = True


def entries(meta: Mapping[str, Any], field: str, where: str) -> tuple[Entry, ...]:
    """The questions in one list of a record or of `Prompt.meta`; none where the field is absent.

    Raises:
        DataError: not a list of questions; names the place, the field and what was expected.
    """
    raw = meta.get(field)
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple):
        raise DataError(f"{where}, field {field!r}: expected a list of questions, got {type(raw).__name__}.")
    return tuple(_entry(item, f"{where}, field {field!r}, question {i + 1}") for i, item in enumerate(raw))


def _entry(item: Any, where: str) -> Entry:
    if isinstance(item, str):
        item = {"question": item}
    if not isinstance(item, Mapping):
        raise DataError(f"{where}: expected a text or an object with 'question', got {type(item).__name__}.")
    for name, kind, default in (("question", str, None), ("tag", str, ""), ("is_valid", bool, True)):
        if not isinstance(item.get(name, default), kind):
            found = repr(item[name]) if name in item else "nothing"
            raise DataError(f"{where}: expected {name!r} to be {_KIND_NAMES[kind]}, got {found}.")
    if not item["question"].strip():
        raise DataError(f"{where}: the question is empty.")
    return Entry(item["question"], item.get("tag", ""), item.get("is_valid", True))


_KIND_NAMES: dict[type, str] = {str: "a text", bool: "true or false"}


def check_record(raw: Any, where: str) -> dict[str, Any]:
    """`raw` if it is a record: a prompt, and at least one question.

    Raises:
        DataError: it is not; names the place, the field and what was expected.
    """
    record = check_prompt(raw, where)
    if not any(entries(record, field, where) for field in LISTS):
        raise DataError(f"{where}: no question in {' or '.join(map(repr, LISTS))}.")
    index = record.get("original_index")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        raise DataError(f"{where}, field 'original_index': expected an integer, got {index!r}.")
    return record


def check_prompt(raw: Any, where: str) -> dict[str, Any]:
    """`raw` if it is an object with a non-empty text `prompt`; its lists of questions, if any, are checked.

    Raises:
        DataError: it is not.
    """
    if not isinstance(raw, dict):
        raise DataError(f"{where}: expected an object with 'prompt', got {type(raw).__name__}.")
    text = raw.get("prompt")
    if not isinstance(text, str) or not text.strip():
        found = repr(text) if "prompt" in raw else "nothing"
        raise DataError(f"{where}, field 'prompt': expected a non-empty text, got {found}.")
    for field in LISTS:
        entries(raw, field, where)
    return raw


def record_prompts(path: Path, prefix: str) -> list[Prompt]:
    """The records of a JSONL file as prompts: ids PREFIX + place from 0, with at least four digits.

    Category is the field `difficulty`, where a record has it; all fields but the text stand in `meta`. Reads the
    published training and test files.

    Raises:
        DataError: a record is damaged (file, line, field), or there is none.
    """
    prompts = []
    for row, (where, raw) in enumerate(read_objects(path)):
        record = check_record(raw, where)
        difficulty = record.get("difficulty", "")
        if not isinstance(difficulty, str):
            raise DataError(f"{where}, field 'difficulty': expected a text, got {difficulty!r}.")
        meta = {k: v for k, v in record.items() if k != "prompt"}
        prompts.append(Prompt(id=f"{prefix}{row:04d}", text=record["prompt"], category=difficulty, meta=meta))
    if not prompts:
        raise DataError(f"{path}: holds no record.")
    return prompts


def read_objects(path: Path) -> Iterator[tuple[str, Any]]:
    """(place for messages, value) of every non-empty line of a JSON Lines file.

    Raises:
        DataError: it cannot be read, or a line is not JSON.
    """
    for where, line in _lines(path):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not valid JSON ({error}).") from None
        yield where, value


def read_prompt_file(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object with `prompt`) of a `.jsonl` file of records or of a `.txt` file with one prompt a line.

    Raises:
        DataError: another kind of file, or one that is damaged (file, line, field).
    """
    if path.suffix == ".txt":
        for where, line in _lines(path):
            yield where, {"prompt": line.strip()}
    elif path.suffix == ".jsonl":
        for where, raw in read_objects(path):
            yield where, check_prompt(raw, where)
    else:
        raise DataError(
            f"{path}: expected a .jsonl file (one object with 'prompt' a line) or a .txt file (one a line)."
        )


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}).") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", line
