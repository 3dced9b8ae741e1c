"""The official calculation program on score files, with its handling of imperfect input.

What counts, line by line: an integer `prompt_id` makes an id *present*, whatever else is wrong with the record; a
record with usable scores is a *sample*; every sample of an id counts. Booleans are integers there, and legacy numbers
outside 0 to 2 are used as they are; not so NaN and infinities, which are no scores here.

Source: the calculation programs of WISE (revision in the package docstring).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.wise.variants import CATEGORIES, N_PROMPTS, RANGES, SCALES, Variant, category_of, overall, wiscore

Scope = Literal["all", "culture", "space-time", "science"]
Outcome = Literal["overall", "no_overall", "missing_ids", "no_valid_data"]

SCOPES: dict[Scope, tuple[str, ...]] = {
    "all": CATEGORIES,
    "culture": ("CULTURE",),
    "space-time": ("TIME", "SPACE"),
    "science": ("BIOLOGY", "PHYSICS", "CHEMISTRY"),
}


_TOP: dict[Variant, float] = {"verified": 1.0, "legacy": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line of a score file amounts to."""

    number: int
    prompt_id: int | None = None
    """The present id; None where the line has none."""
    scores: dict[str, float] | None = None
    """By scale; None where the record is no usable sample."""
    problem: str = ""
    """Why there is no id, or no sample."""
    has_boolean: bool = False
    out_of_range: str = ""
    """The first scale and value outside the scale."""
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFile:
    """A file as the program reads it."""

    lines: list[Line]
    rejected: str = ""
    """Why the whole file does not count."""

    @property
    def present(self) -> set[int]:
        """All present ids."""
        return {line.prompt_id for line in self.lines if line.prompt_id is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation:
    """What the program reports."""

    outcome: Outcome
    means: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Samples by category."""
    overall: float | None = None
    missing: list[int] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    """Files that do not count, with the reason."""


def read_scores(data: bytes, variant: Variant) -> ScoreFile:
    """The lines of a score file; blank ones are left out.

    A JSON value that is no object rejects the file.
    """
    lines = []
    for number, text in enumerate(data.decode("utf-8", errors="replace").split("\n"), start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            lines.append(Line(number=number, problem="not valid JSON"))
            continue
        if not isinstance(value, dict):
            return ScoreFile(lines=[], rejected=f"line {number} is {type(value).__name__}, not an object")
        lines.append(_line(number, value, variant))
    return ScoreFile(lines=lines)


def _line(number: int, record: dict[str, Any], variant: Variant) -> Line:
    id_ = record.get("prompt_id")
    if not isinstance(id_, int):
        problem = f"field 'prompt_id' is {id_!r:.40}, not a whole number"
        return Line(number=number, problem=problem, record=record)
    has_boolean = isinstance(id_, bool)
    id_ = int(id_)
    scores: dict[str, float] = {}
    top, odd = _TOP[variant], ""
    for scale in SCALES[variant]:
        value = record.get(scale)
        if not isinstance(value, int | float) or not math.isfinite(value):
            problem = f"field {scale!r} is {value!r:.40}, not a number"
            return Line(number=number, prompt_id=id_, problem=problem, has_boolean=has_boolean, record=record)
        has_boolean = has_boolean or isinstance(value, bool)
        scores[scale] = float(value)
        if not 0 <= value <= top and not odd:
            odd = f"{scale} {value:g}"
    if variant == "verified" and scores["score"] not in (0.0, 1.0):
        problem = f"field 'score' is {scores['score']:g}, neither 0 nor 1"
        odd = odd or f"score {scores['score']:g}"
        return Line(
            number=number,
            prompt_id=id_,
            problem=problem,
            has_boolean=has_boolean,
            out_of_range=odd,
            record=record,
        )
    if category_of(variant, id_) is None:
        problem = f"field 'prompt_id' is {id_}, outside 1 to {N_PROMPTS}"
        return Line(number=number, prompt_id=id_, problem=problem, has_boolean=has_boolean, record=record)
    return Line(number=number, prompt_id=id_, scores=scores, has_boolean=has_boolean, out_of_range=odd, record=record)


def calculate(files: Mapping[str, bytes | None], variant: Variant, scope: Scope = "all") -> Calculation:
    """What the official program reports.

    Args:
        files: contents by name, None for a file that does not exist.
        variant: whose ids, weights and scales.
        scope: the category argument.

    Returns:
        `missing_ids` or `no_valid_data` without any number; else the category means, with an overall where `scope` is
        `all` and every category has a sample.
    """
    read = {
        name: ScoreFile(lines=[], rejected="no such file") if data is None else read_scores(data, variant)
        for name, data in files.items()
    }
    rejected = {name: f.rejected for name, f in read.items() if f.rejected}
    accepted = [f for f in read.values() if not f.rejected]
    wanted = set().union(*(RANGES[variant][c] for c in SCOPES[scope]))
    missing = sorted(wanted - set().union(*(f.present for f in accepted)))
    if missing and scope == "all":
        return Calculation(outcome="missing_ids", missing=missing, rejected=rejected)
    if missing and len(files) == 1 and accepted:
        rejected = {name: f"{len(missing)} ids are missing" for name in files}
        return Calculation(outcome="missing_ids", missing=missing, rejected=rejected)
    if not accepted:
        return Calculation(outcome="no_valid_data", rejected=rejected)
    return _reported(accepted, variant, scope, rejected)


def _reported(files: Sequence[ScoreFile], variant: Variant, scope: Scope, rejected: dict[str, str]) -> Calculation:
    samples: dict[str, list[float]] = {c: [] for c in SCOPES[scope]}
    for file in files:
        for line in file.lines:
            category = None if line.prompt_id is None else category_of(variant, line.prompt_id)
            if line.scores is not None and category in samples:
                samples[category].append(wiscore(variant, line.scores))
    means = {c: sum(values) / len(values) for c, values in samples.items() if values}
    counts = {c: len(values) for c, values in samples.items()}
    if not means:
        return Calculation(outcome="no_valid_data", counts=counts, rejected=rejected)
    if scope != "all" or len(means) < len(CATEGORIES):
        return Calculation(outcome="no_overall", means=means, counts=counts, rejected=rejected)
    return Calculation(
        outcome="overall", means=means, counts=counts, overall=overall(variant, means), rejected=rejected
    )
