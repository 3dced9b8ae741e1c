"""Scores of single images: the part of a headline's variance that more images per prompt would lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.stats import generation_variance
from harness.terms import Terms
from harness.types import Score

METRICS = {"geneval": "correct", "tiif": "question/", "dpg": "question/", "wise": "score", "gedit": "o"}
"""Metric of the scores (or its beginning, where a sample has one score per question) that makes up the headline; a
benchmark that is not named here uses all of a sample's scores."""
TOLERANCE = 1e-6
MISMATCHES = 0.05
"""Share of prompts whose images may disagree with the prompt's score (images that miss some of their questions)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageScores:
    """P prompts in the order of the terms, K samples."""

    samples: tuple[str, ...]
    """(K,) `SEED/INDEX` of each sample."""
    scores: NDArray[np.float64]
    """(P, K) in the unit of the headline; NaN where missing."""

    def negated(self) -> ImageScores:
        """Of minus the headline."""
        return ImageScores(samples=self.samples, scores=0.0 - self.scores)


def read_scores(file: Path) -> list[Score]:
    """The run's scores of first images; refined ones are left out.

    Raises:
        DataError: the file is absent or damaged (the line is named).
    """
    decoder = msgspec.json.Decoder(Score)
    found = []
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}). Repeat the run's `eval` command.") from None
    for number, line in enumerate(lines, 1):
        try:
            found.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise DataError(f"{file}, line {number}: {error}. Repeat the run's `eval` command.") from None
    return [s for s in found if s.key.round == 0]


def image_scores(scores: Sequence[Score], benchmark: str, terms: Terms) -> ImageScores | str:
    """One number per image, or why there is none.

    A sample's number is the mean of its scores of the benchmark's metric. It is only used where the mean over a
    prompt's images is that prompt's score: elsewhere the value is made in another way (for example DPG's dependency
    filter), and its images have no score of their own.
    """
    metric = METRICS.get(benchmark, "")
    parts: dict[tuple[str, str], list[float]] = {}
    for s in scores:
        if s.key.benchmark == benchmark and s.value is not None and s.metric.startswith(metric):
            parts.setdefault((s.key.prompt_id, f"{s.key.gen_seed}/{s.key.index}"), []).append(s.value)
    samples = tuple(sorted({sample for _, sample in parts}, key=lambda t: tuple(map(int, t.split("/")))))
    place = {p: i for i, p in enumerate(terms.prompts)}
    column = {s: i for i, s in enumerate(samples)}
    table = np.full((len(place), len(samples)), np.nan)
    for (prompt, sample), values in parts.items():
        if prompt in place:
            table[place[prompt], column[sample]] = sum(values) / len(values)
    if len(samples) < 2:
        return "one image per prompt; the variance between images needs two or more"
    return _agreeing(ImageScores(samples=samples, scores=table), terms)


def _agreeing(images: ImageScores, terms: Terms) -> ImageScores | str:
    valid = np.isfinite(images.scores)
    k = valid.sum(axis=1)
    means = np.where(valid, images.scores, 0.0).sum(axis=1) / np.maximum(k, 1)
    scored = (terms.den > 0) & (k > 0)
    own = np.divide(terms.num, terms.den, out=np.zeros_like(terms.num), where=terms.den > 0)
    scale = terms.hi - terms.lo if np.isfinite(terms.hi - terms.lo) else max(1.0, float(np.abs(own).max(initial=0.0)))
    differs = scored & (np.abs(means - own) > TOLERANCE * scale)
    if not scored.any() or differs.sum() > MISMATCHES * scored.sum():
        return "the scores of single images do not average to the prompt's score"
    return images


def difference_variance(x: ImageScores, y: ImageScores, terms: Terms) -> tuple[float, int] | str:
    """Variance of the difference of two headlines that comes from their images, and images per prompt.

    Where both sides drew the same samples (same seeds), image i of one is compared with image i of the other: what
    they share (the initial noise) is no noise of the difference. Elsewhere the variances of both sides add up. Prompts
    weigh as in the headline: W_g b_p / sum_g b.

    Returns:
        (V_gen, K), or why there is none.
    """
    if len(x.samples) != len(y.samples):
        return "the two sides have different numbers of images per prompt"
    share = _prompt_shares(terms)
    n = np.bincount(terms.cat[share > 0], minlength=len(terms.weights))[terms.cat]
    w = terms.weights[terms.cat]
    scale = np.divide(share * n, w, out=np.zeros_like(share), where=w > 0)[:, None]
    if x.samples == y.samples:
        parts = [generation_variance((x.scores - y.scores) * scale, terms.cat, terms.weights)]
    else:
        parts = [generation_variance(s.scores * scale, terms.cat, terms.weights) for s in (x, y)]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return "no prompt has two scored images"
    return float(sum(known)), len(x.samples)


def _prompt_shares(terms: Terms) -> NDArray[np.float64]:
    """(P,) weight of each prompt in the headline, summing to 1 over categories with weight."""
    totals = np.bincount(terms.cat, weights=terms.den, minlength=len(terms.weights))
    per_unit = np.divide(terms.weights, totals, out=np.zeros_like(totals), where=totals > 0)
    return np.asarray(per_unit[terms.cat] * terms.den)


def to_json(images: ImageScores) -> dict[str, object]:
    """Samples, and one row of scores per prompt; None where missing, whole numbers without a fraction."""
    return {"samples": list(images.samples), "scores": [[_short(v) for v in row] for row in images.scores.tolist()]}


def from_json(value: Mapping[str, object]) -> ImageScores:
    """The inverse of `to_json`."""
    samples, rows = value["samples"], value["scores"]
    if not isinstance(samples, list) or not isinstance(rows, list):
        raise TypeError("images: expected lists")
    table = np.array([[np.nan if v is None else float(v) for v in row] for row in rows], float)
    if table.shape[1:] != (len(samples),):
        raise ValueError(f"images: rows of {table.shape[1:]} scores for {len(samples)} samples")
    return ImageScores(samples=tuple(map(str, samples)), scores=table)


def _short(value: float) -> float | int | None:
    if value != value:
        return None
    return int(value) if value.is_integer() else value
