"""Recorded judge results in the official format: `<model>/<type>/<short|long>/<index>.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.sources import read_files
from benchmarks.tiif.replies import answers_in
from benchmarks.tiif.taxonomy import LENGTHS, check_type
from harness.errors import DataError

_JUDGE = re.compile(r"_eval_results_(.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One judged image."""

    file: str
    type: str
    length: str
    index: int
    """As recorded; what it counts depends on how the images were numbered, see `conventions`."""
    questions: tuple[str, ...]
    """Trimmed."""
    answers: tuple[str, ...]
    """Reference, `yes` or `no`."""
    predictions: tuple[str, ...]
    """Judge, `yes` or `no`."""
    reply: str | None
    """The judge's text; None when the record has none."""

    @property
    def reparses(self) -> bool:
        """Whether reading the reply again gives the recorded predictions."""
        return self.reply is not None and tuple(answers_in(self.reply)) == self.predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedModel:
    """All records of one model."""

    name: str
    judge: str
    """From the folder name `..._eval_results_JUDGE`; empty when the source does not say."""
    records: list[Record]


def read_records(source: Path) -> tuple[dict[str, RecordedModel], int]:
    """Recorded results by model name, and the number of other JSON files that were passed over.

    Where two result folders hold a model of the same name, the folder's name goes before it.

    Raises:
        DataError: no records, or a damaged one (file, line, field).
    """
    source = source.resolve()
    found: dict[tuple[str, str], list[Record]] = {}
    n_other = 0
    for file in read_files(source, (".json",)):
        place = _place(file.path, source)
        if place is None:
            n_other += 1
            continue
        found.setdefault(place, []).append(_parse(file.path, file.data))
    if not found:
        raise DataError(
            f"{source}: no recorded TIIF results. Expected <model>/<type>/<short|long>/<index>.json in a folder, "
            "tar or zip."
        )
    models = [model for _, model in found]
    named = {}
    for (run, model), records in found.items():
        name = model if models.count(model) == 1 else f"{run}/{model}"
        judge = _JUDGE.search(run)
        named[name] = RecordedModel(name=name, judge=judge.group(1) if judge else "", records=records)
    return named, n_other


def _place(path: PurePosixPath, source: Path) -> tuple[str, str] | None:
    """(result folder, model) of a record; None when the path is not that of a record."""
    outer = (
        [source.parent.name, source.name]
        if source.is_dir()
        else [re.sub(r"\.(tar\.\w+|t\w+z|tar|zip)$", "", source.name)]
    )
    parts = [*outer, *path.parts]
    if len(path.parts) < 3 or parts[-2] not in LENGTHS or not path.stem.isdigit():
        return None
    run = parts[-5] if len(parts) >= 5 else ""
    return run, parts[-4]


def _parse(path: PurePosixPath, data: bytes) -> Record:
    raw = _load(path, data)
    type_, length = path.parts[-3], path.parts[-2]
    check_type(type_, str(path))
    row = raw.get("line_idx")
    where = f"{path} (row {row})"
    _expect(where, "attribute", _field(raw, "attribute", str, where), type_)
    _expect(where, "desc", _field(raw, "desc", str, where), f"{length}_description")
    _expect(where, "line_idx", _field(raw, "line_idx", int, where), int(path.stem))
    questions = _texts(raw, "questions", where)
    answers, predictions = (_yes_no(raw, name, where, len(questions)) for name in ("gt_answers", "model_pred"))
    reply = raw.get("model_output")
    if reply is not None and not isinstance(reply, str):
        raise DataError(f"{where}, field 'model_output': expected text, got {type(reply).__name__}.")
    return Record(
        file=str(path),
        type=type_,
        length=length,
        index=int(path.stem),
        questions=tuple(q.strip() for q in questions),
        answers=answers,
        predictions=predictions,
        reply=reply,
    )


def _load(path: PurePosixPath, data: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not valid JSON ({error.msg}); the file may be cut off."
        ) from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply for a record.") from None
    if not isinstance(raw, dict):
        raise DataError(f"{path}: expected one JSON object, got {type(raw).__name__}.")
    return raw


def _field(raw: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in raw:
        raise DataError(f"{where}: field {name!r} is missing. Fields there: {', '.join(map(str, raw)) or 'none'}.")
    if not isinstance(raw[name], kind) or isinstance(raw[name], bool):
        raise DataError(f"{where}, field {name!r}: expected {kind.__name__}, got {raw[name]!r:.80}.")
    return raw[name]


def _texts(raw: dict[str, Any], name: str, where: str) -> list[str]:
    values: list[str] = _field(raw, name, list, where)
    if not values or not all(isinstance(v, str) for v in values):
        raise DataError(f"{where}, field {name!r}: expected a list of texts, got {values!r:.80}.")
    return values


def _yes_no(raw: dict[str, Any], name: str, where: str, n: int) -> tuple[str, ...]:
    values = tuple(v.strip().lower() for v in _texts(raw, name, where))
    if len(values) != n:
        raise DataError(f"{where}, field {name!r}: {len(values)} entries for {n} questions.")
    odd = sorted(set(values) - {"yes", "no"})
    if odd:
        raise DataError(f"{where}, field {name!r}: expected yes or no, got {', '.join(map(repr, odd))}.")
    return values


def _expect(where: str, name: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise DataError(f"{where}, field {name!r}: {found!r}, but the file's place says {expected!r}.")
