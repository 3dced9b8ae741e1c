"""The exact verifier: P(yes) to a question from what the parser sees, with graded confidence.

It knows the picture and the question, never the scene or the prompt. Every answer is built from the parser's
probabilities: existence as one minus a product of complements, counts by convolving Bernoulli memberships, relations by
sigmoids in the offsets of centres; `harness.world.grammar.facts.Fact` says what each kind of fact means. On a clean
picture P(yes) is near 1 where the fact holds and near 0 where it does not, and it moves steadily in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import JudgeError
from harness.world.grammar.facts import ANYTHING, Fact, fact_of
from harness.world.grammar.spec import Description
from harness.world.parse import PerceivedObject, Perception, falling, rising
from harness.world.scene import CELL_PX, COLOURS, GRID, SHAPES

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VerifierConstants:
    """Mid-points and scales of the verifier's own decisions; part of the world's version."""

    offset_px: tuple[float, float] = (8.0, 1.5)
    """Offset of centres from which one object stands beside another: half a cell."""
    cell_px: float = 0.8
    """Scale of the decision whether a centre lies in a cell."""
    log_radius: tuple[float, float] = (0.15, 0.03)
    """Difference of log radii from which one object is larger: half the step between two sizes."""
    uniform: tuple[float, float] = (0.30, 0.03)
    """Deviation of the background above which it is none of the known ones."""
    clean_mean: tuple[float, float] = (0.055, 0.012)
    """Mean misfit above which edges are not clean."""
    clean_worst: tuple[float, float] = (0.13, 0.02)
    """Misfit above which the worst object is a blob."""
    speck_px: tuple[float, float] = (2.0, 0.7)
    plain_background: tuple[float, float] = (0.05, 0.012)
    known_background: tuple[float, float] = (0.12, 0.025)
    saturated: tuple[float, float] = (0.14, 0.025)
    """Mean distance of object colours from the known ones."""
    flat: tuple[float, float] = (0.07, 0.015)
    """Mean unevenness inside shapes."""


CONSTANTS = VerifierConstants()


def answer(perception: Perception, question: str) -> float:
    """P(yes) in [0, 1] to one question about one parsed picture.

    Raises:
        JudgeError: the question is neither in the grammar nor one of `QUALITY_QUESTIONS`.
    """
    quality = QUALITY_QUESTIONS.get(question)
    if quality is not None:
        return _bounded(quality(perception))
    fact = fact_of(question)
    if fact is None:
        raise JudgeError(
            f"The micro verifier cannot read the question {question!r}. It answers questions of harness.world.grammar, "
            "e.g. 'Is there a red circle in the picture?', and harness.world.verifier.QUALITY_QUESTIONS."
        )
    return probability(perception, fact)


def probability(perception: Perception, fact: Fact) -> float:
    """P(fact) in [0, 1]; the kinds of fact are those of `Fact`."""
    if fact.kind == "background":
        trust = falling(perception.background_deviation, CONSTANTS.uniform)
        return _bounded(perception.background[fact.value] * trust)
    ours = memberships(perception, fact.subject)
    if fact.kind in ("exists", "none"):
        none = float(np.prod(1.0 - ours))
        return _bounded(none * _seen(perception) if fact.kind == "none" else 1.0 - none)
    if fact.kind == "count":
        return _bounded(_at(count_distribution(ours), fact.value) * (1.0 if fact.value else _seen(perception)))
    if fact.kind in ("same", "different"):
        return _bounded(_variety(perception, fact, ours))
    if fact.kind in ("attribute", "place"):
        has = np.array([_has(o, fact) for o in perception.objects])
        return _bounded(float((1.0 - np.prod(1.0 - ours)) * np.prod(1.0 - ours * (1.0 - has))))
    theirs = memberships(perception, fact.other or ANYTHING)
    if fact.kind == "number":
        return _bounded(_compared_counts(ours, theirs, fact.value))
    return _bounded(_all_pairs(perception, fact, ours, theirs))


def memberships(perception: Perception, what: Description) -> Floats:
    """(N,) probability of each perceived thing to be an object that `what` describes."""
    found = np.ones(len(perception.objects))
    for i, thing in enumerate(perception.objects):
        found[i] = thing.presence
        if what.shape is not None:
            found[i] *= thing.shape[what.shape]
        if what.colour is not None:
            found[i] *= thing.colour[what.colour]
        if what.size is not None:
            found[i] *= thing.size[what.size]
        if what.texture is not None:
            found[i] *= thing.striped if what.texture else 1.0 - thing.striped
    return found


def count_distribution(memberships: Floats) -> Floats:
    """(N + 1,) probabilities of 0..N members: the convolution of independent Bernoulli variables."""
    distribution = np.ones(1)
    for p in memberships:
        distribution = np.convolve(distribution, [1.0 - p, p])
    return distribution


def detections(perception: Perception) -> tuple[dict[str, list[list[float]]], dict[str, list[str]]]:
    """The parse as an object detector and a colour classifier would report it.

    Every thing appears once, under its likeliest shape, with the probability of being there and of that shape as score.

    Returns:
        class -> rows [x1, y1, x2, y2, score], and class -> names of the likeliest colours aligned with them, both in
        the parser's order.
    """
    boxes: dict[str, list[list[float]]] = {}
    colours: dict[str, list[str]] = {}
    for thing in perception.objects:
        shape = int(thing.shape.argmax())
        score = float(thing.presence * thing.shape[shape])
        boxes.setdefault(SHAPES[shape], []).append([*thing.box, round(score, 6)])
        colours.setdefault(SHAPES[shape], []).append(COLOURS[int(thing.colour.argmax())])
    return boxes, colours


def _bounded(p: float | Floats) -> float:
    return float(np.clip(p, 0.0, 1.0))


def _seen(perception: Perception) -> float:
    """How far the picture is one at all: an absence is only seen on a background, not in noise."""
    return float(falling(perception.background_deviation, CONSTANTS.uniform))


def _at(distribution: Floats, n: int) -> float:
    return float(distribution[n]) if n < len(distribution) else 0.0


def _has(thing: PerceivedObject, fact: Fact) -> float:
    if fact.kind == "place":
        row, column = divmod(fact.value, GRID)
        inside = [
            rising(at, (CELL_PX * i, CONSTANTS.cell_px)) * falling(at, (CELL_PX * (i + 1), CONSTANTS.cell_px))
            for at, i in zip(thing.centre, (column, row), strict=True)
        ]
        return float(inside[0] * inside[1])
    if fact.attribute == "texture":
        return thing.striped if fact.value else 1.0 - thing.striped
    of_attribute = {"shape": thing.shape, "colour": thing.colour, "size": thing.size}[fact.attribute]
    return float(of_attribute[fact.value])


def _all_pairs(perception: Perception, fact: Fact, ours: Floats, theirs: Floats) -> float:
    """There is a pair of two things, and every pair is so related."""
    none, all_so = 1.0, 1.0
    for i, a in enumerate(perception.objects):
        for j, b in enumerate(perception.objects):
            if i != j:
                both = ours[i] * theirs[j]
                none *= 1.0 - both
                all_so *= 1.0 - both * (1.0 - _pair(a, b, fact))
    return float((1.0 - none) * all_so)


def _pair(a: PerceivedObject, b: PerceivedObject, fact: Fact) -> float:
    if fact.kind == "size":
        difference = float(np.log(a.radius / b.radius))
        return float(rising(difference if fact.value == 0 else -difference, CONSTANTS.log_radius))
    axis, sign = ((0, -1), (0, 1), (1, -1), (1, 1))[fact.value]
    return float(rising(sign * (a.centre[axis] - b.centre[axis]), CONSTANTS.offset_px))


def _compared_counts(ours: Floats, theirs: Floats, relation: int) -> float:
    """P(more, fewer, as many), both numbers at least one."""
    joint = np.outer(count_distribution(ours), count_distribution(theirs))
    i, j = np.indices(joint.shape)
    wanted = (i > j, i < j, i == j)[relation] & (i > 0) & (j > 0)
    return float(joint[wanted].sum())


def _variety(perception: Perception, fact: Fact, ours: Floats) -> float:
    """At least two members, and every two of them alike (or unlike) in the attribute."""
    distribution = count_distribution(ours)
    p = float(distribution[2:].sum())
    values = [o.colour if fact.attribute == "colour" else o.size for o in perception.objects]
    for i in range(len(values)):
        for j in range(i):
            alike = float(values[i] @ values[j])
            p *= 1.0 - float(ours[i] * ours[j]) * (1.0 - alike if fact.kind == "same" else alike)
    return p


def _worst(perception: Perception) -> float:
    return max((o.misfit for o in perception.objects), default=1.0)


def _mean(perception: Perception, value: Callable[[PerceivedObject], float]) -> float:
    """Mean over the things seen; 1 (far from good on every scale used here) where there is none."""
    return float(np.mean([value(o) for o in perception.objects])) if perception.objects else 1.0


QUALITY_QUESTIONS: dict[str, Callable[[Perception], float | Floats]] = {
    "Do the objects have clean edges?": lambda p: falling(_mean(p, lambda o: o.misfit), CONSTANTS.clean_mean),
    "Is every object a whole, separate shape?": lambda p: falling(_worst(p), CONSTANTS.clean_worst),
    "Is the picture free of specks?": lambda p: falling(p.speck_px, CONSTANTS.speck_px) * _seen(p),
    "Is the background even?": lambda p: falling(p.background_deviation, CONSTANTS.plain_background),
    "Is the background one clear colour?": lambda p: falling(p.background_distance, CONSTANTS.known_background),
    "Are the colours of the objects clear?": lambda p: falling(
        _mean(p, lambda o: o.colour_distance), CONSTANTS.saturated
    ),
    "Are the surfaces of the objects flat?": lambda p: falling(_mean(p, lambda o: o.unevenness), CONSTANTS.flat),
}
"""Question about picture quality -> P(yes) from a measurement."""
