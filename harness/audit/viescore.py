"""Recorded VIEScore answers against the ratings of three people per image.

The folder is the published one (`recorded_answers.tar.gz`, `human_ratings.tar.gz`, `official_numbers.json`; VIEScore,
arXiv 2312.14867, its repository at 2cbea4e). Scores follow its notebook: smallest entry of each list cast to whole
numbers, over 10, within 0..1; O = sqrt(SC PQ); guessed answers included; people: the mean over raters of SC, PQ and
sqrt(SC PQ). What is added here are intervals, agreement coefficients and the same without guessed answers.
"""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.audit.table import Row, Section
from harness.errors import DataError, unknown_name
from harness.stats import Agreement, krippendorff_alpha, spearman
from harness.viescore.parsing import lowest, overall

Floats = npt.NDArray[np.float64]

COLUMNS = ("SC", "PQ", "O")
ANSWERS, RATINGS, NUMBERS = "recorded_answers.tar.gz", "human_ratings.tar.gz", "official_numbers.json"
NOT_JUDGES = ("autometrics",)
"""Recorded beside the judges: metrics with one value per image."""
TOLERANCE = 1e-3
"""The published numbers are reproduced to this."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One judge on one task: what it and people say about each image."""

    judge: str
    task: str
    generators: tuple[str, ...]
    """(N,) per image."""
    images: tuple[str, ...]
    """(N,) uid of the source or prompt, shared by generators."""
    model: Floats
    """(N, 3) SC, PQ, O in 0..1."""
    people: Floats
    """(N, 3) means over raters."""
    raters: Floats
    """(3, N, 2) SC and PQ by rater."""
    guessed: npt.NDArray[np.bool_]
    """(N,) whether an answer was a random guess of the recording program."""


def read(folder: Path, only: str = "") -> list[Scored]:
    """All judges (or `only` one) on all tasks.

    Raises:
        DataError: the folder or one of its files is missing or damaged.
        ConfigError: no such judge.
    """
    answers, ratings = _answers(folder), _ratings(folder)
    judges = sorted({judge for judge, *_ in answers} - set(NOT_JUDGES))
    if only and only not in judges:
        raise unknown_name("recorded judge", only, judges)
    pairs = sorted({(judge, task) for judge, task, *_ in answers if judge == (only or judge) and judge in judges})
    return [_scored(answers, ratings, judge, task) for judge, task in pairs]


def measure(folder: Path, only: str = "") -> Section:
    """Correlation and agreement with people of every recorded judge, and how well published numbers come back."""
    found = read(folder, only)
    numbers = json.loads(_bytes(folder, NUMBERS))
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for scored in found:
        by_generator = _by_generator(scored)
        rows += _rows(scored, by_generator)
        details.setdefault(scored.judge, {})[scored.task] = by_generator
    rows += _raters(found)
    worst, n, where = _published(found, details, numbers)
    verdict = "reproduced" if worst <= TOLERANCE else "NOT reproduced"
    note = f"means, deviations and correlations {verdict} to {TOLERANCE:g}; worst: {where}"
    rows.append(Row(section="published numbers", measure="largest difference", value=worst, n=n, note=note))
    return Section(rows=tuple(rows), details=details)


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise DataError(
            f"{folder / name}: cannot be read ({error.strerror}). --source must be the folder with recorded VIEScore "
            f"answers: {ANSWERS}, {RATINGS}, {NUMBERS}."
        ) from None


def _members(folder: Path, name: str) -> dict[str, str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(_bytes(folder, name))) as archive:
            streams = {m.name: archive.extractfile(m) for m in archive}
            return {k: s.read().decode("utf-8") for k, s in streams.items() if s is not None}
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / name}: cannot be unpacked ({error}).") from None


Key = tuple[str, str, str, str]


def _answers(folder: Path) -> dict[Key, list[dict[str, Any]]]:
    """(judge, task, generator, SC or PQ) -> rows."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for name, text in _members(folder, ANSWERS).items():
        parts = name.removesuffix(".jsonl").split("/")
        if len(parts) != 4:
            continue
        try:
            rows = [json.loads(line) for line in text.splitlines()]
            found[parts[0], parts[1], parts[2], parts[3]] = [{**r, "unit": _unit(r)} for r in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / ANSWERS}: {name}: a row is damaged ({error}).") from None
    return found


def _unit(row: Mapping[str, Any]) -> float:
    """A recorded answer on 0..1: smallest entry, cast to a whole number, over 10."""
    scores = row["score"] if isinstance(row["score"], list) else [row["score"]]
    return min(max(lowest([int(s) for s in scores]) / 10, 0.0), 1.0)


def _ratings(folder: Path) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """(task, generator, uid) -> one (SC, PQ) per rater."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for name, text in sorted(_members(folder, RATINGS).items()):
        if not name.endswith(".tsv"):
            continue
        header, *lines = text.splitlines()
        generators = header.split("\t")[1:]
        for line in lines:
            uid, *cells = line.split("\t")
            for generator, cell in zip(generators, cells, strict=True):
                numbers = [float(x) for x in re.findall(r"[\d.]+", cell)]
                if len(numbers) != 2:
                    raise DataError(f"{folder / RATINGS}: {name}: {uid}, {generator}: {cell!r}, expected [SC, PQ].")
                found.setdefault((name.split("/")[0], generator, uid), []).append((numbers[0], numbers[1]))
    return found


def _scored(
    answers: Mapping[Key, list[dict[str, Any]]],
    ratings: Mapping[tuple[str, str, str], list[tuple[float, float]]],
    judge: str,
    task: str,
) -> Scored:
    generators, images, model, raters, guessed = [], [], [], [], []
    for generator in sorted({key[2] for key in answers if key[:2] == (judge, task)}):
        sc, pq = ({r["uid"]: r for r in answers[judge, task, generator, part]} for part in ("SC", "PQ"))
        for uid in (u for u in sc if u in pq):
            a, b = sc[uid]["unit"], pq[uid]["unit"]
            if (task, generator, uid) not in ratings:
                raise DataError(f"{RATINGS}: no rating of {uid} by {generator} ({task}), which {judge} answered about.")
            generators.append(generator)
            images.append(uid)
            model.append((a, b, overall(a, b)))
            raters.append(ratings[task, generator, uid])
            guessed.append(bool(sc[uid]["guessed"] or pq[uid]["guessed"]))
    by_rater = np.array(raters, float).transpose(1, 0, 2)
    people = np.concatenate([by_rater, np.sqrt(by_rater[..., :1] * by_rater[..., 1:])], -1).mean(0)
    return Scored(
        judge, task, tuple(generators), tuple(images), np.array(model, float), people, by_rater, np.array(guessed)
    )


def _by_generator(scored: Scored) -> dict[str, Any]:
    """Per generator n, means, deviations and Spearman's correlation; the task's average as the notebook takes it."""
    names = np.array(scored.generators)
    table: dict[str, Any] = {}
    for generator in dict.fromkeys(scored.generators):
        rows = names == generator
        model, people = scored.model[rows], scored.people[rows]
        found = [spearman(model[:, i], people[:, i]) for i in range(3)]
        table[generator] = {
            "n": int(rows.sum()),
            "mean": dict(zip(COLUMNS, model.mean(0).tolist(), strict=True)),
            "std": dict(zip(COLUMNS, model.std(0).tolist(), strict=True)),
            "spearman": {c: f.value for c, f in zip(COLUMNS, found, strict=True)},
            "interval": {c: [f.low, f.high] for c, f in zip(COLUMNS, found, strict=True)},
        }
    known = {c: [t["spearman"][c] for t in table.values() if t["spearman"][c] is not None] for c in COLUMNS}
    # The notebook calls this a Fisher average; it takes tanh without arctanh before it.
    return {**table, "_task_average": {c: math.tanh(float(np.mean(v))) for c, v in known.items() if v}}


def _rows(scored: Scored, by_generator: Mapping[str, Any]) -> list[Row]:
    """Over all images of a task, with prompts (source images) as the unit of the interval."""
    where = f"{scored.judge} · {_short(scored.task)}"
    rows = []
    n_guessed = int(scored.guessed.sum())
    guesses = f"{n_guessed} of {len(scored.guessed)} with a random guess" if n_guessed else ""
    keep = ~scored.guessed
    for i, column in enumerate(COLUMNS):
        average = by_generator["_task_average"].get(column)
        official = "" if average is None else f"official average over generators {average:.4f}"
        note = "; ".join(part for part in (official, guesses) if part)
        found = spearman(scored.model[:, i], scored.people[:, i], clusters=scored.images)
        rows.append(_row(where, f"Spearman with people, {column}", found, note))
        if n_guessed and keep.sum() > 3:
            found = spearman(scored.model[keep, i], scored.people[keep, i], clusters=np.array(scored.images)[keep])
            rows.append(_row(where, f"Spearman, {column}, no guesses", found, f"{n_guessed} images left out"))
    for i, column in enumerate(COLUMNS[:2]):
        both = np.stack([scored.model[:, i], scored.people[:, i]])
        found = krippendorff_alpha(both, metric="interval", clusters=scored.images)
        rows.append(_row(where, f"Krippendorff's alpha with people, {column}", found, "interval metric"))
    return rows


def _raters(found: list[Scored]) -> list[Row]:
    """Agreement of the people with each other: what a judge can be expected to reach."""
    rows = []
    for task in dict.fromkeys(s.task for s in found):
        widest = max((s for s in found if s.task == task), key=lambda s: len(s.images))
        where = f"people · {_short(task)}"
        for i, column in enumerate(COLUMNS[:2]):
            alpha = krippendorff_alpha(widest.raters[..., i], metric="ordinal", clusters=widest.images)
            rows.append(_row(where, f"Krippendorff's alpha of 3 raters, {column}", alpha, "ordinal metric"))
            one, others = widest.raters[0, :, i], widest.raters[1:, :, i].mean(0)
            note = "first rater against the mean of the others"
            rows.append(
                _row(
                    where,
                    f"Spearman of one with the others, {column}",
                    spearman(one, others, clusters=widest.images),
                    note,
                )
            )
    return rows


def _row(where: str, name: str, found: Agreement, note: str) -> Row:
    text = "; ".join(part for part in (note, found.reason) if part)
    return Row(section=where, measure=name, value=found.value, low=found.low, high=found.high, n=found.n, note=text)


def _short(task: str) -> str:
    return {"ImagenHub_Text-Guided_IE": "editing", "ImagenHub_Text-Guided_IG": "text to image"}.get(task, task)


def _published(found: list[Scored], details: Mapping[str, Any], numbers: Mapping[str, Any]) -> tuple[float, int, str]:
    """Largest difference from the recorded statistics of all judges and the notebook's printed ones of one."""
    differences: list[tuple[float, str]] = []
    for scored in found:
        ours = details[scored.judge][scored.task]
        expected = numbers["recomputed"].get(scored.judge, {}).get(scored.task, {})
        for generator, entry in expected.items():
            if generator in ours and not generator.startswith("_"):
                for part in ("mean", "std", "spearman"):
                    differences += _differences(
                        ours[generator][part], entry[part], f"{scored.judge} {generator} {part}"
                    )
        if scored.judge == "gemini_0shot":
            printed = numbers["official_notebook_gemini_0shot"]["spearman_with_humans"].get(scored.task, {})
            for generator, entry in printed.items():
                values = ours[generator] if generator.startswith("_") else ours[generator]["spearman"]
                differences += _differences(values, entry, f"notebook {generator} spearman")
    worst = max(differences, default=(0.0, "nothing to compare"))
    return worst[0], len(differences), worst[1]


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> list[tuple[float, str]]:
    return [(abs(ours[c] - theirs[c]), f"{where} {c}") for c in COLUMNS if ours.get(c) is not None and c in theirs]
