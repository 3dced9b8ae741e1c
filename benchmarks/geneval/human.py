"""The released human annotations: reading them, turning answers into verdicts, and their summary.

Five people judged each image. An answer is correct if every demand of the prompt holds in it: counts reached (equal,
for `counting`), the demanded colour among the colours chosen, the demanded relation chosen. Upstream publishes no such
rule; this one is this project's. Left and right are the viewer's.

A verdict of annotator K is a `Score` with metric `human/annotator/K`, the caption-fit answer (1 to 4) one with metric
`human/quality/K`; K is the order of rows in the file, the release does not identify people.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.geneval.aggregate import percent
from benchmarks.geneval.metadata import COLOURS, TAGS, Clause, Metadata, parse_metadata
from harness.errors import DataError
from harness.terms import make_terms
from harness.types import Prompt, SampleKey, Score, Summary

PREFIX = "human/"
N_ANNOTATORS = 5
N_PAIRS = 10
"""Pairs among five people."""
FULL_FIT = 4
"""The caption-fit answer that says the picture fully captures the caption."""

_COLUMNS = (
    *("HITId", "Input.prompt_id", "Input.image_id", "Input.caption", "Input.object_0_name", "Input.object_1_name"),
    *("Answer.task-color-0", "Answer.task-color-1", "Answer.task-count-0"),
    *("Answer.task-count-1", "Answer.task-position-x", "Answer.task-position-y", "Answer.task-quality"),
)
_NUMBER_WORDS = {"two": 2, "three": 3, "four": 4}
_ALLOWED_COLOURS = frozenset({*COLOURS, "gray"})
_ALLOWED = {
    "Answer.task-position-x": {"", "left", "right", "neither_x"},
    "Answer.task-position-y": {"", "above", "below", "neither_y"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One person's answers about one image."""

    prompt: int
    """0-based line of the official prompt file."""
    image: int
    caption: str
    names: tuple[str, ...]
    """Classes of the prompt's `include` clauses."""
    counts: tuple[int, ...]
    """Objects seen of each class; 5 means five or more."""
    colours: tuple[frozenset[str], ...]
    relations: frozenset[str]
    """Relations of the second object to the first."""
    quality: int


def is_annotation_table(data: bytes) -> bool:
    """Whether a CSV file has the columns of the released annotations."""
    return b"Answer.task-count-0" in data[:2000].split(b"\n")[0]


def read_annotations(data: bytes, *, where: str) -> list[Annotation]:
    """All rows of one annotation file, in order.

    Records end with a newline only and bare carriage returns occur inside fields, so these become spaces first.

    Raises:
        DataError: a column is missing, or a row is cut or holds an answer outside its scale (record and column named).
    """
    try:
        text = data.decode("utf-8").replace("\r", " ")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error}).") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in next(rows, [])]
    absent = [c for c in _COLUMNS if c not in header]
    if absent:
        raise DataError(
            f"{where}: header: no column {', '.join(absent)}; expected the columns of the released annotations."
        )
    annotations = []
    try:
        for number, row in enumerate(rows, start=1):
            place = f"{where}: record {number} (line {rows.line_num})"
            if len(row) != len(header):
                raise DataError(f"{place}: {len(row)} fields, expected {len(header)}. The file may be cut off.")
            annotations.append(_annotation(dict(zip(header, (f.strip() for f in row), strict=True)), place))
    except csv.Error as error:
        raise DataError(f"{where}: line {rows.line_num}: {error}. The file may be cut off.") from None
    return annotations


def demands(annotation: Annotation, *, where: str) -> dict[str, Any]:
    """The prompt's metadata object, read from caption and class names (captions equal the short official prompts).

    Raises:
        DataError: the caption has none of the official forms.
    """
    first, *rest = annotation.names or ("",)
    colour = "(?P<c0>" + "|".join(COLOURS) + ")"
    text = annotation.caption.removeprefix("a photo of ")
    one, article = re.escape(first), "(?:an?)"
    if not rest:
        if match := re.fullmatch(f"({'|'.join(_NUMBER_WORDS)}) {one}s", text):
            n = _NUMBER_WORDS[match[1]]
            clause = {"class": first, "count": n}
            return {
                "tag": "counting",
                "include": [clause],
                "exclude": [{**clause, "count": n + 1}],
                "prompt": annotation.caption,
            }
        if re.fullmatch(f"{article} {one}", text):
            return {"tag": "single_object", "include": [{"class": first, "count": 1}], "prompt": annotation.caption}
        if match := re.fullmatch(f"{article} {colour} {one}", text):
            return {
                "tag": "colors",
                "include": [{"class": first, "count": 1, "color": match["c0"]}],
                "prompt": annotation.caption,
            }
    else:
        two = re.escape(rest[0])
        a, b = {"class": first, "count": 1}, {"class": rest[0], "count": 1}
        if re.fullmatch(f"{article} {one} and {article} {two}", text):
            return {"tag": "two_object", "include": [a, b], "prompt": annotation.caption}
        if match := re.fullmatch(f"{article} {two} (left of|right of|above|below) {article} {one}", text):
            return {"tag": "position", "include": [a, {**b, "position": [match[1], 0]}], "prompt": annotation.caption}
        if match := re.fullmatch(f"{article} {colour} {one} and {article} {colour.replace('c0', 'c1')} {two}", text):
            pair = [{**a, "color": match["c0"]}, {**b, "color": match["c1"]}]
            return {"tag": "color_attr", "include": pair, "prompt": annotation.caption}
    raise DataError(
        f"{where}: Input.caption {annotation.caption!r} has none of the official forms for the classes "
        f"{', '.join(annotation.names) or '(none)'}."
    )


def verdict(metadata: Metadata, annotation: Annotation) -> bool:
    """Whether one person's answers say that every demand holds (see the module docstring)."""
    limits = {c.class_: c.count for c in metadata.exclude}
    return all(_clause_holds(c, i, annotation, limits.get(c.class_)) for i, c in enumerate(metadata.include))


def to_scores(annotations: Sequence[Annotation], prompts: Mapping[int, Prompt], *, where: str) -> list[Score]:
    """Two scores per annotation: its verdict and its caption-fit answer.

    Args:
        annotations: rows of one file.
        prompts: by 0-based line of the official prompt file.
        where: file, for messages.
    """
    number: dict[tuple[int, int], int] = defaultdict(int)
    scores = []
    for a in annotations:
        number[a.prompt, a.image] += 1
        k = number[a.prompt, a.image]
        key = SampleKey(benchmark="geneval", prompt_id=prompts[a.prompt].id, index=a.image)
        correct = verdict(parse_metadata(prompts[a.prompt].meta, where=where), a)
        scores.append(Score(key=key, metric=f"{PREFIX}annotator/{k}", value=float(correct)))
        scores.append(Score(key=key, metric=f"{PREFIX}quality/{k}", value=float(a.quality)))
    return scores


def summarise(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> list[Summary]:
    """What people said, per task and for all images (`total`):

    - `human/majority/TAG`: share of images that at least 3 of 5 people find correct;
    - `human/unanimous/TAG`: share of images with five equal verdicts;
    - `human/pairwise/TAG`: share of equal verdicts among all pairs of people of an image;
    - `human/quality4/TAG`: share of images where the majority's verdict equals "a majority says the picture fully
      captures the caption".

    `n` counts images with five verdicts, `n_missing` the others. `extra` holds counts.
    """
    verdicts, quality = _by_image(scores, "annotator"), _by_image(scores, "quality")
    tables: dict[str, list[tuple[str, dict[str, float]]]] = defaultdict(list)
    missing: dict[str, int] = defaultdict(int)
    for key, given in verdicts.items():
        tag = prompts[key.prompt_id].category
        if len(given) == N_ANNOTATORS == len(quality.get(key, ())):
            tables[tag].append((key.prompt_id, _measures(given, quality[key])))
        else:
            missing[tag] += 1
    present = [t for t in TAGS if t in tables or t in missing]
    result = []
    for name in ("majority", "unanimous", "pairwise", "quality4"):
        result.append(
            _summary(f"{PREFIX}{name}/total", name, [x for t in present for x in tables[t]], sum(missing.values()))
        )
        result += [_summary(f"{PREFIX}{name}/{tag}", name, tables[tag], missing[tag]) for tag in present]
    return result


def quality_counts(annotations: Sequence[Annotation]) -> dict[str, int]:
    """How often each caption-fit answer was given."""
    return {str(q): sum(a.quality == q for a in annotations) for q in (4, 3, 2, 1)}


def _annotation(row: Mapping[str, str], place: str) -> Annotation:
    names = tuple(n for n in (row["Input.object_0_name"], row["Input.object_1_name"]) if n)
    for column, allowed in _ALLOWED.items():
        if row[column] not in allowed:
            raise DataError(
                f"{place}: {column} is {row[column]!r}, expected one of {', '.join(sorted(allowed))} or nothing."
            )
    relations = {
        name
        for name, column, answer in (
            ("left of", "Answer.task-position-x", "left"),
            ("right of", "Answer.task-position-x", "right"),
            ("above", "Answer.task-position-y", "above"),
            ("below", "Answer.task-position-y", "below"),
        )
        if row[column] == answer
    }
    return Annotation(
        prompt=_whole(row, "Input.prompt_id", place, 0, 10**6),
        image=_whole(row, "Input.image_id", place, 0, 10**6),
        caption=row["Input.caption"],
        names=names,
        counts=tuple(_whole(row, f"Answer.task-count-{i}", place, 0, 5) for i in range(len(names))),
        colours=tuple(_colours(row, f"Answer.task-color-{i}", place) for i in range(len(names))),
        relations=frozenset(relations),
        quality=_whole(row, "Answer.task-quality", place, 1, 4),
    )


def _whole(row: Mapping[str, str], column: str, place: str, low: int, high: int) -> int:
    """A whole number that may be written `1` or `1.0`."""
    match = re.fullmatch(r"(\d+)(?:\.0*)?", row[column])
    if match is None or not low <= int(match[1]) <= high:
        raise DataError(f"{place}: {column} is {row[column]!r}, expected a whole number from {low} to {high}.")
    return int(match[1])


def _colours(row: Mapping[str, str], column: str, place: str) -> frozenset[str]:
    chosen = frozenset(c for c in row[column].split("|") if c)
    unknown = sorted(chosen - _ALLOWED_COLOURS)
    if unknown:
        raise DataError(
            f"{place}: {column}: unknown colour {unknown[0]!r}; expected {', '.join(sorted(_ALLOWED_COLOURS))}."
        )
    return chosen


def _clause_holds(clause: Clause, i: int, annotation: Annotation, limit: int | None) -> bool:
    count = annotation.counts[i]
    if count < clause.count or (limit is not None and count >= limit):
        return False
    if clause.color is not None and clause.color not in annotation.colours[i]:
        return False
    return clause.position is None or clause.position[0] in annotation.relations


def _by_image(scores: Sequence[Score], kind: str) -> dict[SampleKey, list[float]]:
    found: dict[SampleKey, list[float]] = defaultdict(list)
    for score in scores:
        if score.metric.startswith(f"{PREFIX}{kind}/") and score.value is not None:
            found[score.key].append(score.value)
    return found


def _measures(verdicts: Sequence[float], quality: Sequence[float]) -> dict[str, float]:
    majority = sum(verdicts) > N_ANNOTATORS / 2
    full = sum(q == FULL_FIT for q in quality) > N_ANNOTATORS / 2
    pairs = list(itertools.combinations(verdicts, 2))
    return {
        "majority": float(majority),
        "unanimous": float(len(set(verdicts)) == 1),
        "pairwise": sum(a == b for a, b in pairs) / len(pairs),
        "quality4": float(majority == full),
    }


def _summary(metric: str, name: str, rows: Sequence[tuple[str, dict[str, float]]], missing: int) -> Summary:
    n = len(rows)
    if n == 0:
        return Summary(metric=metric, value=None, n_missing=missing, method="no image has five verdicts")
    values = [m[name] for _, m in rows]
    total = sum(values)
    sums: dict[str, list[float]] = {}
    for (prompt, _), value in zip(rows, values, strict=True):
        sums.setdefault(prompt, []).append(value)
    terms = make_terms([(p, "all", sum(own), len(own)) for p, own in sums.items()], {"all": 1.0})
    value = round(total * N_PAIRS) / (n * N_PAIRS)  # from whole pairs, so that no rounding of tenths adds up
    extra: dict[str, Any] = {"total": n}
    if name == "majority":
        extra["correct"] = int(total)
    elif name == "pairwise":
        extra = {"equal_pairs": round(total * N_PAIRS), "pairs": n * N_PAIRS}
    else:
        extra["images"] = int(total)
        extra["correct"] = sum(int(m["majority"]) for _, m in rows if m[name])
    return Summary(
        metric=metric,
        value=value,
        n=n,
        n_missing=missing,
        printed=percent(value),
        extra=extra,
        terms=terms,
        **terms.interval(),
    )
