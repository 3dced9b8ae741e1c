"""The sheet that people fill in: images of prompts drawn at random, one row each, as CSV.

Whole prompts are drawn, at random within each category: only then do the labelled images stand for the others. The
judge's answers are not in the sheet, so that they sway nobody.
"""

from __future__ import annotations

import csv
import io
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.errors import ConfigError, DataError, StoreError
from harness.images import write_atomic
from harness.store import RunDirectory
from harness.terms import Terms
from harness.types import Generation
from reports.runs import Run

COLUMNS = ("benchmark", "prompt_id", "gen_seed", "index", "image", "image_sha256", "prompt", "rater", "value")
_NEEDED = ("benchmark", "prompt_id", "value")
PER_CATEGORY = 5
"""Fewest labelled prompts of a category; two are what a variance needs."""
_LEFT = 2
"""Prompts of a category that stay without a label: the judge's mean over them is what the labels correct."""

Image = tuple[int, int]
"""Generation seed and index of one image of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One image's value, averaged over its raters."""

    value: float
    line: int
    """Of the sheet, for messages; the first one where several raters judged."""
    sha256: str
    """Beginning of the image's hash; empty where the sheet does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A sheet as it was read."""

    file: Path
    values: dict[str, dict[str, dict[Image, Label]]] = field(default_factory=dict)
    """Benchmark -> prompt id -> image -> label."""
    blank: dict[str, set[str]] = field(default_factory=dict)
    """Benchmark -> prompts of the sheet without any value."""
    is_tied: bool = True
    """Whether the sheet names the images' hashes, so that labels of other images are noticed."""


def draw_prompts(terms: Terms, n: int, seed: int, benchmark: str) -> list[str]:
    """Prompts to be labelled: at random within categories, in proportion to the categories' weights.

    Args:
        terms: of the headline; only prompts with a score are drawn.
        n: how many; more are drawn where a category would have fewer than `PER_CATEGORY`.
        seed: the same seed draws the same prompts.
        benchmark: its name, part of the seed.

    Raises:
        ConfigError: a category is too small to label some prompts and leave others.
    """
    rng = np.random.default_rng([seed, zlib.crc32(benchmark.encode())])
    chosen: list[str] = []
    for g in np.flatnonzero(terms.weights > 0):
        rows = np.flatnonzero((terms.cat == g) & (terms.den > 0))
        if len(rows) < 2 + _LEFT:
            raise ConfigError(
                f"{benchmark}: category {terms.categories[g]!r} has {len(rows)} scored prompts; at least {2 + _LEFT} "
                "are needed, two with a label and two without. Evaluate more prompts."
            )
        wanted = max(PER_CATEGORY, round(n * float(terms.weights[g])))
        picked = rng.choice(rows, size=min(wanted, len(rows) - _LEFT), replace=False)
        chosen += [terms.prompts[i] for i in sorted(picked)]
    return chosen


def images_of(run: Run, benchmark: str, prompts: Sequence[str]) -> dict[str, dict[Image, Generation]]:
    """First images (no refinements) of these prompts that exist.

    Raises:
        DataError: the run holds no image of some prompt.
    """
    wanted: dict[str, dict[Image, Generation]] = {p: {} for p in prompts}
    for g in RunDirectory(run.path).load_generations().values():
        if g.key.benchmark == benchmark and g.key.round == 0 and g.status == "ok" and g.key.prompt_id in wanted:
            wanted[g.key.prompt_id][g.key.gen_seed, g.key.index] = g
    if bare := [p for p, found in wanted.items() if not found]:
        raise DataError(f"{run.path}: holds no image of {bare[0]} ({len(bare)} such prompts); nothing can be labelled.")
    return wanted


def write_sheet(run: Run, prompts: Mapping[str, Sequence[str]], file: Path) -> int:
    """Writes the sheet, one row per image with an empty value; returns the number of rows.

    Args:
        run: whose images.
        prompts: benchmark -> prompts drawn.
        file: must not exist: a sheet that is half filled in is never overwritten.

    Raises:
        StoreError: the file exists or cannot be written.
    """
    if file.exists():
        raise StoreError(f"{file}: exists; labels in it would be lost. Choose another file with -o FILE.")
    texts = _texts(run)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    directory, n = RunDirectory(run.path), 0
    for benchmark, drawn in prompts.items():
        for prompt, images in images_of(run, benchmark, drawn).items():
            for (seed, index), g in sorted(images.items()):
                place = os.path.relpath(directory.image_path(g), file.parent)
                text = _literal(texts.get((benchmark, prompt), ""))
                writer.writerow((benchmark, prompt, seed, index, place, g.image_sha256[:12], text, "", ""))
                n += 1
    try:
        write_atomic(file, out.getvalue().encode())
    except OSError as error:
        raise StoreError(f"{file}: cannot be written ({error.strerror}).") from None
    return n


def _texts(run: Run) -> dict[tuple[str, str], str]:
    from reports.page.records import PromptLine, RecordFile

    path = run.path / "prompts.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Repeat the run's `eval` command, which writes it anew.")
    file = RecordFile(path, PromptLine, is_derived=True)
    found = {(line.benchmark, line.id): line.text for line in file.read()}
    file.close()
    return found


def _literal(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def read_sheet(file: Path) -> Labels:
    """A sheet that was filled in, wholly or in part. Commas or semicolons, with or without a byte-order mark.

    Raises:
        DataError: not such a sheet; file, line and field are named.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}). `run.py labels RUN -o {file}` draws images to be labelled."
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{file}: not UTF-8. Save the sheet as CSV in UTF-8.") from None
    header = text.partition("\n")[0]
    separator = ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    names = reader.fieldnames or []
    if absent := [c for c in _NEEDED if c not in names]:
        raise DataError(f"{file}, line 1: no column {absent[0]!r}; expected {', '.join(COLUMNS)}.")
    labels = Labels(file=file, is_tied="image_sha256" in names)
    raters: dict[tuple[str, str, Image], dict[str, tuple[float, int, str]]] = {}
    seen: dict[str, set[str]] = {}
    for row in reader:
        where = f"{file}, line {reader.line_num}"
        cell = {k: (row.get(k) or "").strip() for k in COLUMNS}
        if not any(cell.values()):
            continue
        image = (_whole(cell["gen_seed"], f"{where}, gen_seed"), _whole(cell["index"], f"{where}, index"))
        seen.setdefault(cell["benchmark"], set()).add(cell["prompt_id"])
        if not cell["value"]:
            continue
        given = raters.setdefault((cell["benchmark"], cell["prompt_id"], image), {})
        if cell["rater"] in given:
            raise DataError(
                f"{where}: {cell['prompt_id']}, seed {image[0]}, image {image[1]} was labelled in line "
                f"{given[cell['rater']][1]} already; name the people in the column 'rater' if there were several."
            )
        # Where columns are split by semicolons, spreadsheets write the decimal point as a comma.
        shown = cell["value"].replace(",", ".") if separator == ";" else cell["value"]
        value = _number(shown, f"{where}, value")
        given[cell["rater"]] = (value, reader.line_num, cell["image_sha256"])
    for (benchmark, prompt, image), given in raters.items():
        rows = list(given.values())
        mean = sum(v for v, _, _ in rows) / len(rows)
        own = labels.values.setdefault(benchmark, {}).setdefault(prompt, {})
        own[image] = Label(value=mean, line=rows[0][1], sha256=rows[0][2])
    for benchmark, prompts in seen.items():
        labels.blank[benchmark] = prompts - set(labels.values.get(benchmark, {}))
    if not labels.values:
        raise DataError(f"{file}: no value is filled in yet.")
    return labels


def _whole(text: str, where: str) -> int:
    try:
        return int(text) if text else 0
    except ValueError:
        raise DataError(f"{where}: expected a whole number, got {text!r}.") from None


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: expected a number such as 1 or 0.5, or nothing, got {text!r}.")
    return value
