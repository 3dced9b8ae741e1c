"""What the page's list knows of every sample: its prompt, and per run its score, verdict and missing answers.

A row is a sample key without the round, so the same sample of several runs shares a row. Columns are lists of numbers:
ten thousand rows are one small script file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import DataError
from reports.page.records import PromptLine, RecordFile, RowKey, ScoreLine
from reports.runs import Run

ABSENT, RIGHT, WRONG, GRADED, MISSING = range(5)
"""Verdict of a cell: not in this run; all scores at the top; one below; on a scale; no verdict for lack of answers."""


@dataclass(slots=True)
class Tally:
    """Scores of one sample in one run."""

    total: float = 0.0
    n: int = 0
    n_top: int = 0
    n_missing: int = 0
    chosen: float | None = None
    """Value of the benchmark's preferred metric, where it has one."""
    reason: str = ""
    """Of the first missing score, else of the first that is below the top."""
    is_missing_reason: bool = False

    def add(self, line: ScoreLine, *, is_preferred: bool) -> None:
        """Takes one score in."""
        if line.value is None:
            self.n_missing += 1
            if not self.is_missing_reason:
                self.reason, self.is_missing_reason = line.reason.removeprefix("missing: "), True
            return
        self.n += 1
        self.total += line.value
        self.n_top += line.value == 1.0
        if is_preferred:
            self.chosen = line.value
        if line.reason and not self.reason:
            self.reason = line.reason


@dataclass(slots=True)
class Subject:
    """One benchmark of the page."""

    name: str
    title: str
    preferred: str = ""
    """The metric that stands for a sample; empty: the mean of all its scores."""
    families: set[str] = field(default_factory=set)
    """Metrics up to the first `/`."""
    is_binary: bool = True
    """Every score is 0 or 1."""
    low: float = 0.0
    """Lowest score; after reading, the lower end of the scale."""
    high: float = 0.0
    """Likewise, the upper end."""


@dataclass(slots=True)
class Catalogue:
    """All rows of all runs."""

    rows: dict[RowKey, int]
    subjects: dict[str, Subject]
    prompts: dict[tuple[str, str], PromptLine]
    tallies: list[list[Tally | None]]
    """[run][row]; None: the run has no such sample."""

    def verdict(self, run: int, row: int, benchmark: str) -> tuple[int, float | None]:
        """Verdict and score of a cell, the score in the benchmark's own unit."""
        tally, subject = self.tallies[run][row], self.subjects[benchmark]
        if tally is None:
            return ABSENT, None
        mean = tally.total / tally.n if tally.n else None
        if not subject.is_binary:
            value = tally.chosen if subject.preferred else mean
            return (GRADED if value is not None else MISSING), value
        if tally.n_top < tally.n:
            return WRONG, mean
        return (RIGHT if tally.n and not tally.n_missing else MISSING), mean


def read_catalogue(runs: Sequence[Run]) -> Catalogue:
    """Rows in order of the first run, those that only later runs have behind them.

    Raises:
        DataError: a run has no scores.jsonl, or a damaged record.
    """
    subjects = _subjects(runs)
    found: dict[RowKey, int] = {}
    tallies: list[dict[int, Tally]] = []
    for run in runs:
        tallies.append(_read_scores(run, subjects, found))
    _settle(subjects)
    order = list(subjects)
    keys = sorted(found, key=lambda k: order.index(k[0]))
    return Catalogue(
        rows={k: i for i, k in enumerate(keys)},
        subjects=subjects,
        prompts=_read_prompts(runs),
        tallies=[[of_run.get(found[k]) for k in keys] for of_run in tallies],
    )


def _subjects(runs: Sequence[Run]) -> dict[str, Subject]:
    subjects: dict[str, Subject] = {}
    for run in runs:
        for name in run.benchmarks:
            block = run.block(name)
            headline = [str(h) for h in block.get("headline", ())]
            # Of several headline values the last one is the total (GEdit: SC, PQ, O).
            last = headline[-1].rpartition("/")[2].lower() if headline else ""
            subjects.setdefault(name, Subject(name, str(block.get("title", name)), preferred=last))
    return subjects


def _read_scores(run: Run, subjects: dict[str, Subject], rows: dict[RowKey, int]) -> dict[int, Tally]:
    path = run.path / "scores.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Repeat the `eval` command of this run: it writes the file anew.")
    tallies: dict[int, Tally] = {}
    scores = RecordFile(path, ScoreLine, is_derived=True)
    for line in scores.read():
        subject = subjects.get(line.key.benchmark)
        if subject is None:
            continue
        row = rows.setdefault(line.key.row, len(rows))
        tally = tallies.get(row)
        if tally is None:
            tally = tallies[row] = Tally()
        tally.add(line, is_preferred=line.metric in (subject.preferred, "reward"))
        subject.families.add(line.metric.partition("/")[0])
        if line.value is not None:
            subject.is_binary = subject.is_binary and line.value in (0.0, 1.0)
            subject.low, subject.high = min(subject.low, line.value), max(subject.high, line.value)
    scores.close()
    return tallies


def _settle(subjects: dict[str, Subject]) -> None:
    for subject in subjects.values():
        named = subject.preferred in subject.families or "reward" in subject.families
        if not named or len(subject.families) == 1:
            subject.preferred = ""
        elif "reward" in subject.families:
            subject.preferred = "reward"
        subject.low, subject.high = _scale(subject.low, subject.high)


def _scale(low: float, high: float) -> tuple[float, float]:
    """Ends of the scale that scores between `low` and `high` are on: 0 to 1, 10 or 100, else what was seen.

    Only the order of samples and their quarter-of-the-scale disagreement depend on it.
    """
    if low >= 0:
        for top in (1.0, 10.0, 100.0):
            if high <= top:
                return 0.0, top
    return (low, high) if low < high else (low, low + 1.0)


def _read_prompts(runs: Sequence[Run]) -> dict[tuple[str, str], PromptLine]:
    found: dict[tuple[str, str], PromptLine] = {}
    for run in runs:
        file = RecordFile(Path(run.path) / "prompts.jsonl", PromptLine, is_derived=True)
        for line in file.read():
            found.setdefault((line.benchmark, line.id), line)
        file.close()
    return found


def columns(catalogue: Catalogue, n_runs: int) -> dict[str, Any]:
    """The list's columns as JSON values: prompts, rows, and per run the cells."""
    names = list(catalogue.subjects)
    prompts: dict[tuple[str, str], int] = {}
    categories: list[dict[str, int]] = [{} for _ in names]
    table: dict[str, list[Any]] = {"bench": [], "id": [], "cat": [], "text": []}
    rows: dict[str, list[Any]] = {"prompt": [], "seed": [], "index": []}
    for benchmark, prompt_id, seed, index in catalogue.rows:
        at = prompts.get((benchmark, prompt_id))
        if at is None:
            at = prompts[benchmark, prompt_id] = len(prompts)
            prompt = catalogue.prompts.get((benchmark, prompt_id))
            b = names.index(benchmark)
            category = prompt.category if prompt else ""
            table["bench"].append(b)
            table["id"].append(prompt_id)
            table["cat"].append(categories[b].setdefault(category, len(categories[b])))
            table["text"].append(prompt.text if prompt else None)
        rows["prompt"].append(at)
        rows["seed"].append(seed)
        rows["index"].append(index)
    reasons: dict[str, int] = {"": 0}
    return {
        "benchmarks": [_subject(s, categories[i]) for i, s in enumerate(catalogue.subjects.values())],
        "prompts": table,
        "rows": rows,
        "cells": [_cells(catalogue, run, reasons) for run in range(n_runs)],
        "reasons": [r[:300] for r in reasons],
    }


def _subject(subject: Subject, categories: dict[str, int]) -> dict[str, Any]:
    return {
        "name": subject.name,
        "title": subject.title,
        "categories": list(categories),
        "binary": subject.is_binary,
        "score": subject.preferred or ("share right" if subject.is_binary else "mean score"),
        "low": subject.low,
        "high": subject.high,
    }


def _cells(catalogue: Catalogue, run: int, reasons: dict[str, int]) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = {"state": [], "score": [], "right": [], "n": [], "missing": [], "reason": []}
    for (benchmark, *_), row in catalogue.rows.items():
        state, score = catalogue.verdict(run, row, benchmark)
        tally = catalogue.tallies[run][row] or Tally()
        cells["state"].append(state)
        cells["score"].append(None if score is None else round(score, 4))
        cells["right"].append(tally.n_top)
        cells["n"].append(tally.n)
        cells["missing"].append(tally.n_missing)
        cells["reason"].append(reasons.setdefault(tally.reason, len(reasons)))
    return cells
