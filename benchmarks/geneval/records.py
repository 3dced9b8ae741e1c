"""Recorded judgements, one JSON object per line: the official evaluator's `results.jsonl`, and detections.

The detections format (this project's own; it keeps what is needed to judge again under either protocol):

    {"filename": "out/00017/samples/00002.png",
     "metadata": {...} or its JSON text, or "prompt_id": "geneval/00017",
     "detections": {"dog": [[x1, y1, x2, y2, score], ...], ...},
     "colours": {"dog": ["brown", ...], ...},
     "index": 2, "width": 1024, "height": 1024, "judge": "name of the detector"}

`detections` and `colours` are as `benchmarks.geneval.judge` takes them: unfiltered, in the detector's order, names
aligned with rows. `colours` is needed for classes with a colour clause. `index` (else read from the file name), `width`
and `height` (boxes must lie inside) and `judge` are optional; other fields are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from benchmarks.geneval.filtering import Kept, Thresholds, as_boxes
from benchmarks.geneval.judging import judge, judge_kept
from benchmarks.geneval.metadata import Metadata, parse_metadata
from harness.errors import DataError
from harness.types import Prompt, Protocol

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The verdict on one image."""

    where: str
    filename: str
    raw: dict[str, Any]
    """The metadata object as written."""
    metadata: Metadata
    value: float | None
    reason: str
    index: int | None = None
    prompt_id: str | None = None
    judge: str = ""
    disagrees: bool = False
    """Whether the recorded verdict differs from what the recorded detections give with the default thresholds."""


class _Result(msgspec.Struct, kw_only=True):
    filename: str
    tag: str
    correct: bool
    metadata: str | dict[str, Any]
    prompt: str | None = None
    reason: str | None = None
    details: str | dict[str, Any] | None = None


class _Detections(msgspec.Struct, kw_only=True):
    detections: dict[str, list[Any]]
    colours: dict[str, list[str | None]] = msgspec.field(default_factory=dict)
    filename: str = ""
    metadata: str | dict[str, Any] | None = None
    prompt_id: str | None = None
    index: int | None = None
    width: int | None = None
    height: int | None = None
    judge: str = ""


def kind_of(data: bytes) -> str | None:
    """`results`, `detections` or None, by the fields of the first object; None also if that is not one."""
    first = next((line for line in data.split(b"\n") if line.strip()), b"")
    try:
        fields = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    return "results" if "correct" in fields else "detections" if "detections" in fields else None


def read_results(data: bytes, *, where: str, protocol: Protocol) -> list[Record]:
    """The verdicts of an official `results.jsonl`.

    Under `corrected` the recorded detections are judged again. They come without colours, so a failed colour clause
    stays open (`value=None`) where a less confident instance might have the colour.

    Raises:
        DataError: a line is cut, damaged or contradicts itself (file, line, field).
    """
    return [_result(place, line, protocol) for place, line in _lines(data, _Result, where)]


def read_detections(
    data: bytes, *, where: str, protocol: Protocol, thresholds: Thresholds, prompt_of: Callable[[str], Prompt]
) -> list[Record]:
    """The verdicts that recorded detections give.

    Args:
        data: lines in the module's detections format.
        where: file, for messages.
        protocol: see `judge`.
        thresholds: see `judge`.
        prompt_of: the prompt of an id; raises DataError for an unknown one.

    Raises:
        DataError: a line is cut or damaged, or a colour that decides is not recorded (file, line, field).
    """
    return [
        _detection(place, line, protocol, thresholds, prompt_of) for place, line in _lines(data, _Detections, where)
    ]


def _lines(data: bytes, kind: type[T], where: str) -> Iterator[tuple[str, T]]:
    decoder = msgspec.json.Decoder(kind)
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}: line {number}"
        try:
            yield place, decoder.decode(line)
        except msgspec.ValidationError as error:
            raise DataError(f"{place}: {error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            cut = (
                " It is the last line and ends without a newline: the file is cut off." if number == len(lines) else ""
            )
            raise DataError(f"{place}: not a whole JSON object ({error}).{cut} Remove or restore the line.") from None


def _result(place: str, line: _Result, protocol: Protocol) -> Record:
    raw = _object(line.metadata, place, "metadata")
    metadata = parse_metadata(raw, where=place)
    if line.tag != metadata.tag:
        raise DataError(f"{place}: tag is {line.tag!r} but metadata says {metadata.tag!r}.")
    if line.prompt is not None and line.prompt != metadata.prompt:
        raise DataError(f"{place}: prompt is {line.prompt[:60]!r} but metadata says {metadata.prompt[:60]!r}.")
    kept = None if line.details is None else _kept(_object(line.details, place, "details"), place)
    value: float | None = float(line.correct)
    reason, disagrees = line.reason or "", False
    if protocol == "corrected":
        value, reason = _corrected(metadata, kept, line.correct, reason)
    elif kept is not None and not _has_colours(metadata):
        disagrees = _judge_again(metadata, kept, protocol)[0] != line.correct
    return Record(
        where=place,
        filename=line.filename,
        raw=raw,
        metadata=metadata,
        value=value,
        reason=reason,
        disagrees=disagrees,
    )


def _corrected(
    metadata: Metadata, kept: Mapping[str, Kept] | None, official: bool, reason: str
) -> tuple[float | None, str]:
    """The verdict under `corrected` from an official one and the filtered detections, None where they leave it open."""
    if not _has_colours(metadata) and all(c.position is None for c in metadata.include):
        return float(official), reason
    if kept is None:
        return None, "details: not recorded, so the corrected verdict is open"
    if not _has_colours(metadata):
        correct, why = _judge_again(metadata, kept, "corrected")
        return float(correct), why
    if any(c.position is not None for c in metadata.include):
        return None, "colours are not recorded, so the corrected verdict on a position is open"
    enough = all(len(kept[c.class_].indices) == c.count for c in metadata.include if c.color and c.class_ in kept)
    if official or enough or not _judge_again(metadata, kept, "official")[0]:
        return float(official), reason
    return None, "colours of the less confident instances are not recorded, so the corrected verdict is open"


def _has_colours(metadata: Metadata) -> bool:
    return any(c.color is not None for c in metadata.include)


def _judge_again(metadata: Metadata, kept: Mapping[str, Kept], protocol: Protocol) -> tuple[bool, str]:
    """Verdict from filtered detections, colour clauses taken as counts."""
    plain = msgspec.structs.replace(
        metadata, include=tuple(msgspec.structs.replace(c, color=None) for c in metadata.include)
    )
    return judge_kept(plain, kept, lambda name, positions: (), thresholds=Thresholds(), protocol=protocol)


def _kept(details: Mapping[str, Any], place: str) -> dict[str, Kept]:
    boxes = {name: as_boxes(rows, where=f"{place}: details: class {name!r}") for name, rows in details.items()}
    return {name: Kept(b, tuple(range(len(b)))) for name, b in boxes.items() if len(b)}


def _detection(
    place: str, line: _Detections, protocol: Protocol, thresholds: Thresholds, prompt_of: Callable[[str], Prompt]
) -> Record:
    raw = None if line.metadata is None else _object(line.metadata, place, "metadata")
    if line.prompt_id is not None:
        try:
            known = prompt_of(line.prompt_id).meta
        except DataError as error:
            raise DataError(f"{place}: prompt_id: {error}") from None
        if raw is not None and raw != known:
            raise DataError(f"{place}: metadata differs from that of prompt_id {line.prompt_id!r}; give one of them.")
        raw = known
    if raw is None:
        raise DataError(f"{place}: neither metadata nor prompt_id is given.")
    metadata = parse_metadata(raw, where=place)
    _check_inside(line, place)
    try:
        verdict = judge(raw, line.detections, line.colours, thresholds=thresholds, protocol=protocol)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    return Record(
        where=place,
        filename=line.filename,
        raw=raw,
        metadata=metadata,
        value=float(verdict.correct),
        reason=verdict.reason,
        index=line.index,
        prompt_id=line.prompt_id,
        judge=line.judge,
    )


def _check_inside(line: _Detections, place: str) -> None:
    """Boxes inside the picture, one pixel of slack: catches other units and another picture's size."""
    for name, rows in line.detections.items():
        boxes = as_boxes(rows, where=f"{place}: detections: class {name!r}")
        for size, columns, what in ((line.width, [0, 2], "width"), (line.height, [1, 3], "height")):
            if size is not None and len(boxes) and (boxes[:, columns].min() < -1 or boxes[:, columns].max() > size + 1):
                raise DataError(
                    f"{place}: detections: class {name!r} reaches outside the picture ({what} {size}); expected pixels."
                )


def _object(value: str | dict[str, Any], place: str, name: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{place}: {name}: not JSON text ({error}).") from None
    if not isinstance(value, dict):
        raise DataError(f"{place}: {name}: expected an object, got {type(value).__name__}.")
    return value
