"""Recorded scores in the official layout (`JUDGE/eval_results_new/MODEL_GROUP_gpt_score.csv`), read and written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.gedit.groups import GROUPS, LANGS, check_group, in_order
from benchmarks.gedit.scoring import METRICS
from benchmarks.sources import ARCHIVES, File, read_files
from harness.errors import DataError
from harness.types import Prompt, Score

COLUMNS: tuple[str, ...] = (
    "source_image",
    "edited_image",
    "instruction",
    "sementics_score",
    "quality_score",
    "intersection_exist",
    "instruction_language",
)
"""In official order, with upstream's spelling."""

SUFFIX = "_gpt_score"
COMBINED = "combined"
RESULTS = "eval_results_new"
_SOURCE_MARK = "_SRCIMG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of a result file."""

    where: str
    group: str
    lang: str
    key: str
    instruction: str
    sc: float | None
    """None for an empty cell."""
    pq: float | None
    intersection: bool | None
    """None for an empty cell."""


@dataclass(slots=True, kw_only=True)
class RecordedModel:
    """The result files of one model and judge."""

    model: str
    judge: str
    """The judge's folder; empty when the source does not say."""
    files: dict[str, list[Record]]
    """By group, and `combined`."""


def read_results(source: Path) -> list[RecordedModel]:
    """Everything recorded in a file, folder or archive, by model and judge.

    Raises:
        DataError: no result file, two files for the same thing, or a damaged record (file, line, field).
    """
    found: dict[tuple[str, str], RecordedModel] = {}
    for file in read_files(source, (f"{SUFFIX}.csv",)):
        model, part = _name_parts(file)
        judge = _judge_of(file.path, source)
        recorded = found.setdefault((model, judge), RecordedModel(model=model, judge=judge, files={}))
        if part in recorded.files:
            raise DataError(
                f"{file.where}: a second file of model {model!r}, judge {judge or '?'!r}, {part}. Name one run."
            )
        recorded.files[part] = read_table(file.data, where=file.where, group=None if part == COMBINED else part)
    if not found:
        raise DataError(
            f"{source}: no recorded GEdit-Bench results. Expected <model>/<judge>/{RESULTS}/<model>_<group>{SUFFIX}.csv"
        )
    return list(found.values())


def read_table(data: bytes, *, where: str, group: str | None) -> list[Record]:
    """The rows of one result file.

    Args:
        data: the file.
        where: for messages.
        group: the group in the file's name; None for a combined file, whose rows say it in their paths.

    Raises:
        DataError: not UTF-8 CSV, a column is missing, or a field is malformed (line, field).
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        absent = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if absent:
            raise DataError(f"{where}: no column {', '.join(absent)}. Columns there: {reader.fieldnames or 'none'}.")
        return [_record(row, f"{where}, line {reader.line_num}", group) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except csv.Error as error:
        raise DataError(f"{where}: not a readable CSV file ({error}).") from None


def tables(model: str, prompts: Mapping[str, Prompt], scores: Sequence[Score], *, images: str = "") -> dict[str, str]:
    """File name -> CSV text in the official format, one file per group with prompts and the combined one.

    Args:
        model: goes into the file names.
        prompts: by id.
        scores: rows are written for samples with both `sc` and `pq`, as upstream does.
        images: folder before `<group>/<lang>/<key>.png` in the path columns, e.g. `OUT/model/fullset`.
    """
    values: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.value is not None and score.metric in METRICS[:2]:
            values.setdefault(score.key.prompt_id, {})[score.metric] = score.value
    rows: dict[str, list[dict[str, object]]] = {g: [] for g in in_order(p.meta["group"] for p in prompts.values())}
    for id_, prompt in prompts.items():
        if len(values.get(id_, ())) == 2:
            rows[prompt.meta["group"]].append(_row(prompt, values[id_], images))
    parts = {**rows, COMBINED: [row for part in rows.values() for row in part]}
    return {f"{model}_{part}{SUFFIX}.csv": _csv(found) for part, found in parts.items()}


def _row(prompt: Prompt, values: Mapping[str, float], images: str) -> dict[str, object]:
    meta = prompt.meta
    base = PurePosixPath(images, meta["group"], meta["instruction_language"])
    cells = (
        base / f"{meta['key']}{_SOURCE_MARK}.png",
        base / f"{meta['key']}.png",
        prompt.text,
        _plain(values["sc"]),
        _plain(values["pq"]),
        meta["Intersection_exist"],
        meta["instruction_language"],
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _plain(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _name_parts(file: File) -> tuple[str, str]:
    """(model, group or `combined`) of a result file's name."""
    name = file.stem[: -len(SUFFIX)]
    for part in (*GROUPS, COMBINED):
        if name.endswith(f"_{part}"):
            return name[: -len(part) - 1], part
    raise DataError(
        f"{file.where}: expected <model>_<group>{SUFFIX}.csv with a group of {', '.join((*GROUPS, COMBINED))}."
    )


def _judge_of(path: PurePosixPath, source: Path) -> str:
    """The folder above `eval_results_new`, also where `source` is that folder or the judge's."""
    outer: tuple[str, ...] = source.absolute().parts[1:] if source.is_dir() else ()
    if source.is_file() and not source.name.lower().endswith(ARCHIVES):
        outer = source.absolute().parts[1:-2]
    parts = [*outer, *path.parts[:-1]]
    return parts[-2] if len(parts) >= 2 and parts[-1] == RESULTS else ""


def _record(row: Mapping[str, str | None], where: str, group: str | None) -> Record:
    if None in row:
        raise DataError(f"{where}: more fields than the header has; a quote may be missing.")
    absent = [c for c in COLUMNS if row[c] is None]
    if absent:
        raise DataError(f"{where}: {len(COLUMNS) - len(absent)} of {len(COLUMNS)} fields; the file may be cut off.")
    cell = {c: str(row[c]) for c in COLUMNS}
    edited, source = _path(cell["edited_image"]), _path(cell["source_image"])
    lang = cell["instruction_language"]
    if lang not in LANGS:
        raise DataError(f"{where}, field 'instruction_language': {lang!r:.80}, expected {' or '.join(LANGS)}.")
    if not edited.stem or edited.stem != source.stem.removesuffix(_SOURCE_MARK):
        raise DataError(
            f"{where}, field 'edited_image': {cell['edited_image']!r:.120} does not belong to the source image "
            f"{cell['source_image']!r:.120} (expected KEY.png and KEY{_SOURCE_MARK}.png)."
        )
    return Record(
        where=where,
        group=_group(edited, group, where),
        lang=lang,
        key=edited.stem,
        instruction=cell["instruction"],
        sc=_number(cell["sementics_score"], f"{where}, field 'sementics_score'"),
        pq=_number(cell["quality_score"], f"{where}, field 'quality_score'"),
        intersection=_flag(cell["intersection_exist"], f"{where}, field 'intersection_exist'"),
    )


def _path(text: str) -> PurePosixPath:
    return PurePosixPath(text.replace("\\", "/"))


def _group(edited: PurePosixPath, named: str | None, where: str) -> str:
    """The group that the path says, which must be the file's; a path without folders leaves it to the file's name."""
    folder = edited.parts[-3] if len(edited.parts) >= 3 else None
    if named is None:
        return check_group(folder, f"{where}, field 'edited_image'")
    if folder in GROUPS and folder != named:
        raise DataError(f"{where}, field 'edited_image': group {folder!r} in the file of {named!r}.")
    return named


def _number(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{where}: {text!r:.80} is not a number.") from None
    if math.isinf(value):
        raise DataError(f"{where}: {text!r:.80} is not a finite number.")
    return None if math.isnan(value) else value


def _flag(text: str, where: str) -> bool | None:
    word = text.strip().lower()
    if word not in ("true", "false", ""):
        raise DataError(f"{where}: {text!r:.80}, expected True or False.")
    return None if not word else word == "true"
