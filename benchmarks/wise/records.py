"""Recorded results of the official scripts and of BAGEL's copy: score files (JSONL), full records (JSON or JSONL)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.sources import File
from benchmarks.wise.calculation import Line, ScoreFile, read_scores
from benchmarks.wise.replies import bagel_scores, legacy_scores, verified_score
from benchmarks.wise.variants import SCALES, Variant
from harness.errors import DataError

Kind = Literal["verified", "legacy", "full"]

MARKS = (9.9, 999.0)
"""What BAGEL's copy and an early official script write for a score that they did not find: no score."""

_PARTS = re.compile(
    r"(cultural_common_sense|spatio-temporal_reasoning|natural_science|culture|space-time|science|merge|verified"
    r"|legacy|full|scores?|results?|wise|rewrite)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Group:
    """The files of one model."""

    name: str
    scores: dict[str, ScoreFile] = field(default_factory=dict)
    """By file."""
    data: dict[str, bytes] = field(default_factory=dict)
    """The same files as they are."""
    replies: dict[int, str] = field(default_factory=dict)
    """Raw replies by id, from full records; of repeated ids the last."""


def kind_of(file: File) -> Kind | None:
    """What a file holds, by the fields of its first object; None for anything else."""
    for record in _objects(file.data):
        if "prompt_id" not in record:
            return None
        if "evaluation" in record:
            return "full"
        if "score" in record:
            return "verified"
        return "legacy" if any(scale in record for scale in SCALES["legacy"]) else None
    return None


def group_name(file: File) -> str:
    """The model's name in a file name: what is left without the names of file parts; empty if nothing is."""
    return _PARTS.sub("", file.stem).strip("_-. ").replace("__", "_")


def add(group: Group, file: File, kind: Kind, variant: Variant) -> None:
    """Takes a file in.

    Raises:
        DataError: scores of the other variant, or damaged full records (file, record, field).
    """
    if kind == "full":
        group.replies |= dict(_replies(file))
        return
    if kind != variant:
        raise DataError(
            f"{file.where}: holds scores of the {kind} protocol. The two do not mix; set wise.variant={kind}."
        )
    group.scores[file.where] = read_scores(file.data, variant)
    group.data[file.where] = file.data


def is_marked(line: Line) -> bool:
    """Whether a legacy record holds a mark for a missing score."""
    return line.scores is not None and any(v in MARKS for v in line.scores.values())


def scores_of_reply(reply: str, variant: Variant) -> dict[str, float] | None:
    """The scores that the official parser finds in a raw reply; None if they are incomplete."""
    if variant == "verified":
        score = verified_score(reply)
        return None if score is None else {"score": score}
    found = legacy_scores(reply)
    return found if len(found) == len(SCALES[variant]) else None


def agrees(reply: str, scores: dict[str, float], variant: Variant) -> bool:
    """Whether reading the reply again gives the recorded scores, by the official parser or BAGEL's."""
    if scores_of_reply(reply, variant) == scores:
        return True
    return variant == "legacy" and bagel_scores(reply) == scores


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Objects of a JSON list, or of the lines of a JSONL file; damaged lines are passed over."""
    text = data.decode("utf-8", errors="replace")
    if text.lstrip().startswith("["):
        try:
            rows: Any = json.loads(text)
        except (ValueError, RecursionError):
            return
        yield from (row for row in rows if isinstance(row, dict))
        return
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _replies(file: File) -> Iterator[tuple[int, str]]:
    for i, row in enumerate(_objects(file.data), start=1):
        where = f"{file.where}, record {i}"
        id_, reply = row.get("prompt_id"), row.get("evaluation")
        if not isinstance(id_, int) or isinstance(id_, bool):
            raise DataError(f"{where}, field 'prompt_id': expected a whole number, got {id_!r:.40}.")
        if not isinstance(reply, str):
            raise DataError(f"{where}, field 'evaluation': expected the reply's text, got {type(reply).__name__}.")
        yield id_, reply
