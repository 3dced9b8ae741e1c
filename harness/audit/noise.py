"""The noise floor: how far answers move when nothing that matters has changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.audit.asking import Asker
from harness.audit.cases import pairs
from harness.audit.table import Row, Section
from harness.images import ImageRef
from harness.stats import estimate_judge_noise

SECTION = "noise floor"
N_PICTURES = 40
"""At most so many pictures are asked again and again."""

Answers = list[list[float | None]]


def measure(asker: Asker, n: int, seed: int, repeats: int) -> Section:
    """Largest change and share of flipped answers on repeating, and on changing batch size or order of questions.

    The noise floor is the standard error of the difference of two scorings of the same pictures, where a picture's
    score is the mean P(yes) of its questions; a change of that mean below 1.96 noise floors is noise.
    """
    chosen = [(pair, picture) for pair in pairs(n, seed) for picture in pair.pictures][:N_PICTURES]
    asked = [(p.image, [text for _, text, _ in pair.questions(p.scene)]) for pair, p in chosen]
    runs = [asker.ask(asked, seed=k) for k in range(repeats)]
    first = runs[0]
    changed: dict[str, tuple[Answers, Answers]] = {
        f"asked {repeats} times": (first, runs[-1]),
        "one picture at a time": (first, asker.ask(asked, batch_size=1)),
        "questions in reverse order": (first, _reversed(asker, asked)),
        "one question per request": (first, _singly(asker, asked)),
    }
    rows = []
    for name, (a, b) in changed.items():
        stacks = runs if name.startswith("asked") else [a, b]
        rows += _rows(name, [_flat(s) for s in stacks])
    rows += _floor(runs, [pair.prompt.id for pair, _ in chosen])
    return Section(rows=tuple(rows), details={"pictures": len(chosen), "repeats": repeats})


def _reversed(asker: Asker, asked: Sequence[tuple[ImageRef, list[str]]]) -> Answers:
    given = asker.ask([(image, texts[::-1]) for image, texts in asked[::-1]])
    return [row[::-1] for row in given[::-1]]


def _singly(asker: Asker, asked: Sequence[tuple[ImageRef, list[str]]]) -> Answers:
    flat = iter(asker.ask([(image, [text]) for image, texts in asked for text in texts]))
    return [[next(flat)[0] for _ in texts] for _, texts in asked]


def _flat(answers: Answers) -> npt.NDArray[np.float64]:
    return np.array([np.nan if p is None else p for row in answers for p in row])


def _rows(name: str, runs: Sequence[npt.NDArray[np.float64]]) -> list[Row]:
    stack = np.stack(runs)
    is_known = np.isfinite(stack).all(0)
    known = stack[:, is_known]
    counts = {"n": int(is_known.sum()), "n_missing": int((~is_known).sum())}
    if not known.size:
        return [Row(section=SECTION, measure=name, value=None, note="no answer", **counts)]
    spread = known.max(0) - known.min(0)
    flips = (known > 0.5).any(0) & ~(known > 0.5).all(0)
    return [
        Row(section=SECTION, measure=f"{name}: largest change", value=float(spread.max()), note="of P(yes)", **counts),
        Row(
            section=SECTION, measure=f"{name}: flipped", value=float(flips.mean()), note="share of questions", **counts
        ),
    ]


def _floor(runs: Sequence[Answers], prompts: Sequence[str]) -> list[Row]:
    """Pictures of one prompt are the images of `harness.stats.judge_noise`, repeats its calls."""
    if len(runs) < 2:
        return []
    names = list(dict.fromkeys(prompts))
    width = max(prompts.count(name) for name in names)
    y = np.full((len(names), width, len(runs)), np.nan)
    filled = dict.fromkeys(names, 0)
    for i, prompt in enumerate(prompts):
        for k, run in enumerate(runs):
            values = [p for p in run[i] if p is not None]
            y[names.index(prompt), filled[prompt], k] = np.mean(values) if values else np.nan
        filled[prompt] += 1
    found = estimate_judge_noise(y, np.zeros(len(names), np.int64), [1.0])
    n = int(np.isfinite(y).any(2).sum())
    floor = share = None
    if found.v_judge is not None:
        # Measured with repeats, told for one call per picture, as evaluations make.
        v_call, total = found.v_judge * found.n_repeats, found.variance_with_repeats(1)
        floor = math.sqrt(2 * v_call)
        share = v_call / total if total else None
    return [
        Row(section=SECTION, measure="noise floor of the mean score", value=floor, n=n, note="pictures"),
        Row(section=SECTION, measure="judge's share of the variance", value=share, n=n, note="pictures"),
    ]
