"""The files that the official script writes: `..._results.txt` (scores) and `..._results_detail.txt` (answers).

A line of the first is `path, score1, ..., scoreN, mean`; its summary follows. A line of the second is
`path, (left, upper, right, lower), question, answer`. Paths, questions and nothing else may hold commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from benchmarks.dpg.grid import boxes
from harness.errors import DataError

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_DETAIL = re.compile(
    r"(?P<path>.*?), \((\d{1,6}), (\d{1,6}), (\d{1,6}), (\d{1,6})\), (?P<question>.*), (?P<answer>[^,]*)"
)
_SUMMARY = re.compile(r"(?:Model|L1 category scores|L2 category scores|Image path|Save results to|DPG-Bench score):")
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A results file."""

    crops: dict[str, tuple[float, ...]]
    """Crop scores by item; of repeated items the first."""
    repeated: list[str] = field(default_factory=list)
    """Items with another line: upstream counts every line."""
    recorded: dict[str, float] = field(default_factory=dict)
    """The file's own summary: `overall`, `L1/...`, `L2/...`."""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A detail file."""

    answers: dict[str, dict[int, list[tuple[str, str]]]]
    """Item -> crop index -> (question, answer) in order; of items with several paths the first."""
    repeated: list[str] = field(default_factory=list)
    resolution: int | None = None


def item_of_path(path: str) -> str:
    """Upstream's key of a picture: its base name up to the first dot."""
    return PurePosixPath(path.replace("\\", "/")).name.split(".")[0]


def is_results(data: bytes) -> bool:
    """Whether a text file looks like a results file: a score line or the summary's last line."""
    lines = _lines(data)
    return any(line.startswith("DPG-Bench score:") for line in lines) or bool(lines and _numbers(lines[0]))


def read_results(data: bytes, where: str) -> Results:
    """The scores in a results file.

    Raises:
        DataError: a line is no score line, or its mean is not the mean of its scores (file, line).
    """
    crops: dict[str, tuple[float, ...]] = {}
    repeated: list[str] = []
    lines = _lines(data)
    end = next((i for i, line in enumerate(lines) if _SUMMARY.match(line)), len(lines))
    for number, line in enumerate(lines[:end], start=1):
        if not line.strip():
            continue
        *scores, mean = _checked_numbers(line, f"{where}, line {number}")
        item = item_of_path(", ".join(line.split(", ")[: -len(scores) - 1]))
        if abs(sum(scores) / len(scores) - mean) > _TOLERANCE:
            raise DataError(f"{where}, line {number}: mean {mean} is not that of the scores {scores}.")
        if item in crops:
            repeated.append(item)
        else:
            crops[item] = tuple(scores)
    recorded, model = _summary(lines[end:], f"{where}, summary")
    return Results(crops=crops, repeated=repeated, recorded=recorded, model=model)


def read_details(data: bytes, where: str) -> Details:
    """The answers in a detail file.

    Raises:
        DataError: a line has another form, or its crop is not one of the four of one resolution (file, line).
    """
    answers: dict[str, dict[int, list[tuple[str, str]]]] = {}
    paths: dict[str, str] = {}
    repeated: list[str] = []
    resolution: int | None = None
    for number, line in enumerate(_lines(data), start=1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        match = _DETAIL.fullmatch(line)
        if match is None:
            raise DataError(
                f"{place}: expected 'path, (left, upper, right, lower), question, answer', got {line[:80]!r}."
            )
        left, upper, right, lower = (int(g) for g in match.groups()[1:5])
        resolution = resolution or right - left
        if resolution < 1 or (left, upper, right, lower) not in boxes(resolution):
            raise DataError(f"{place}: crop {(left, upper, right, lower)} is none of resolution {resolution}.")
        item = item_of_path(match["path"])
        if paths.setdefault(item, match["path"]) != match["path"]:
            if item not in repeated:
                repeated.append(item)
            continue
        crop = boxes(resolution).index((left, upper, right, lower))
        answers.setdefault(item, {}).setdefault(crop, []).append((match["question"], match["answer"]))
    return Details(answers=answers, repeated=repeated, resolution=resolution)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")


def _numbers(line: str) -> list[float]:
    """The numbers at the end of a score line, at most four scores and the mean; empty if there are not two."""
    found: list[float] = []
    for part in reversed(line.split(", ")[1:]):
        if not _NUMBER.fullmatch(part) or len(found) == 5:
            break
        found.insert(0, float(part))
    return found if len(found) >= 2 else []


def _checked_numbers(line: str, where: str) -> list[float]:
    numbers = _numbers(line)
    if not numbers or not all(0.0 <= n <= 1.0 for n in numbers):
        raise DataError(f"{where}: expected 'path, score, ..., mean' with numbers from 0 to 1, got {line[:80]!r}.")
    return numbers


def _summary(lines: list[str], where: str) -> tuple[dict[str, float], str]:
    found: dict[str, float] = {}
    model, level = "", ""
    for line in lines:
        name, _, value = line.strip().rpartition(":")
        if line.startswith("Model:"):
            model = line.removeprefix("Model:").strip()
        elif line.startswith(("L1 category scores:", "L2 category scores:")):
            level = line[:2]
        elif line.startswith("DPG-Bench score:"):
            found["overall"] = _summary_number(value, where)
        elif line.startswith("\t") and level:
            found[f"{level}/{name}"] = _summary_number(value, where)
    return found, model


def _summary_number(text: str, where: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise DataError(f"{where}: expected a number, got {text[:40]!r}.")
    return float(text)
