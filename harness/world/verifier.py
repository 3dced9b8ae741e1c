"""The exact verifier: yes/no questions about a parsed picture, answered with a probability.

It sees a `Perception` and a question text, never the prompt or the scene behind the picture. Every answer is built from
the parser's graded evidence: an object belongs to a description with the product of its probabilities, a count is the
distribution of a sum of independent yes/no events, a relation is a sigmoid of a distance, and `all` and `none` are
products of complements. So P(yes) rises and falls with the evidence and is near 0 or 1 on clean pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.errors import JudgeError
from harness.world.grammar.facts import Fact, fact_of
from harness.world.grammar.spec import Description
from harness.world.parse import Floats, PerceivedObject, Perception, falling, rising
from harness.world.scene import CELL_PX, COLOURS, GRID, SHAPES

RELATION_PX = (5.0, 1.2)
"""Distance of two centres along the relation's axis: mid-point and scale of P(related); cells are 16 px apart."""
PLACE_PX = (6.5, 0.8)
"""Distance of a centre from the middle of a cell, per axis: mid-point and scale of P(in the cell)."""
BACKGROUND_LOST = (0.30, 0.03)
"""RMS deviation of the background: mid-point and scale above which there is none."""
LARGER_LOG = (0.14, 0.03)
"""Difference of log radii: mid-point and scale of P(larger); neighbouring sizes differ by 0.29 or more."""


def membership(thing: PerceivedObject, what: Description) -> float:
    """P(`thing` is an object of this description), in 0..1; with nothing named, P(there is a thing at all)."""
    p = thing.presence
    if what.shape is not None:
        p *= float(thing.shape[what.shape])
    if what.colour is not None:
        p *= float(thing.colour[what.colour])
    if what.size is not None:
        p *= float(thing.size[what.size])
    if what.texture is not None:
        p *= thing.striped if what.texture == 1 else 1.0 - thing.striped
    return p


def count_distribution(memberships: Floats) -> Floats:
    """(n + 1,) probabilities of 0..n members, by convolving independent Bernoulli variables."""
    p = np.ones(1)
    for m in memberships:
        p = np.convolve(p, [1.0 - m, m])
    return p


def _all(memberships: Floats, chances: Floats) -> float:
    """P(every member has the property), counting only as far as each one is a member."""
    return float(np.prod(1.0 - memberships * (1.0 - chances)))


def _seen(perception: Perception) -> float:
    """P(there is a background at all): in pure noise neither its colour nor an absence can be seen."""
    return float(falling(perception.background_deviation, BACKGROUND_LOST))


def _some(memberships: Floats) -> float:
    return float(1.0 - np.prod(1.0 - memberships))


def _attribute(thing: PerceivedObject, name: str, value: int) -> float:
    if name == "texture":
        return thing.striped if value == 1 else 1.0 - thing.striped
    return float({"shape": thing.shape, "colour": thing.colour, "size": thing.size}[name][value])


def in_cell(thing: PerceivedObject, cell: int) -> float:
    """P(the centre of `thing` lies in the cell)."""
    middle = ((cell % GRID + 0.5) * CELL_PX, (cell // GRID + 0.5) * CELL_PX)
    return float(np.prod([falling(abs(a - b), PLACE_PX) for a, b in zip(thing.centre, middle, strict=True)]))


def _related(a: PerceivedObject, b: PerceivedObject, relation: int) -> float:
    axis, sign = relation // 2, 1 if relation % 2 == 0 else -1
    return float(rising(sign * (b.centre[axis] - a.centre[axis]), RELATION_PX))


def _larger(a: PerceivedObject, b: PerceivedObject, value: int) -> float:
    difference = np.log(a.radius / b.radius)
    return float(rising(difference if value == 0 else -difference, LARGER_LOG))


def _pairwise(
    things: Sequence[PerceivedObject],
    ours: Floats,
    theirs: Floats,
    chance: Callable[[PerceivedObject, PerceivedObject], float],
) -> float:
    """P(both descriptions have members, and every pair of different ones has the property)."""
    p = 1.0
    for i, a in enumerate(things):
        for j, b in enumerate(things):
            both = ours[i] * theirs[j]
            if i != j and both > 1e-9:
                p *= 1.0 - both * (1.0 - chance(a, b))
    return p * _some(ours) * _some(theirs)


def _shares(thing: PerceivedObject, name: str) -> Floats:
    """The probabilities of an attribute's values, scaled to sum 1."""
    p = thing.colour if name == "colour" else thing.size
    return np.asarray(p / max(float(p.sum()), 1e-9))


def _variety(things: Sequence[PerceivedObject], ours: Floats, fact: Fact) -> float:
    """P(at least two members, and each pair has equal (or different) values)."""
    p = float(count_distribution(ours)[2:].sum())
    for i, a in enumerate(things):
        for j in range(i):
            equal = float(_shares(a, fact.attribute) @ _shares(things[j], fact.attribute))
            p *= 1.0 - ours[i] * ours[j] * ((1.0 - equal) if fact.kind == "same" else equal)
    return p


def _compared(ours: Floats, theirs: Floats, value: int) -> float:
    """P(both have members, and more / fewer / as many of ours as of theirs)."""
    joint = np.outer(count_distribution(ours), count_distribution(theirs))
    joint[0] = joint[:, 0] = 0.0
    n_ours, n_theirs = np.indices(joint.shape)
    return float(joint[(n_ours > n_theirs, n_ours < n_theirs, n_ours == n_theirs)[value]].sum())


def believe(perception: Perception, fact: Fact) -> float:
    """P(`fact` is true of the picture), in 0..1."""
    if fact.kind == "background":
        return float(perception.background[fact.value] * _seen(perception))
    things = perception.objects
    ours = np.array([membership(o, fact.subject) for o in things])
    theirs = np.array([0.0 if fact.other is None else membership(o, fact.other) for o in things])
    match fact.kind:
        case "exists":
            p = _some(ours)
        case "none":
            p = (1.0 - _some(ours)) * _seen(perception)
        case "count":
            distribution = count_distribution(ours)
            p = float(distribution[fact.value]) if fact.value < len(distribution) else 0.0
        case "attribute":
            chances = np.array([_attribute(o, fact.attribute, fact.value) for o in things])
            p = _some(ours) * _all(ours, chances)
        case "place":
            p = _some(ours) * _all(ours, np.array([in_cell(o, fact.value) for o in things]))
        case "relation":
            p = _pairwise(things, ours, theirs, lambda a, b: _related(a, b, fact.value))
        case "size":
            p = _pairwise(things, ours, theirs, lambda a, b: _larger(a, b, fact.value))
        case "number":
            p = _compared(ours, theirs, fact.value)
        case "same" | "different":
            p = _variety(things, ours, fact)
        case _:
            raise JudgeError(f"Unknown kind of fact {fact.kind!r}.")
    return float(np.clip(p, 0.0, 1.0))


QUALITY_QUESTIONS: dict[str, str] = {
    "geometry": "Do the shapes have clean edges and regular outlines?",
    "whole": "Is every shape whole, without broken or merged parts?",
    "speckle": "Is the picture free of specks and stray marks?",
    "uniform": "Is the background smooth and even?",
    "backdrop": "Is the background a plain white, grey, black or cyan?",
    "saturation": "Are the colours of the shapes clear and saturated?",
    "texture": "Is the surface of every shape free of grain and blotches?",
}
"""Name -> question about the picture's quality; all are answered from the pixels alone."""

_BY_TEXT = {text.lower().rstrip("?"): name for name, text in QUALITY_QUESTIONS.items()}

MISFIT_MEAN = (0.10, 0.015)
MISFIT_WORST = (0.16, 0.02)
SPECK_PX = (3.0, 0.7)
BACKGROUND_DEVIATION = (0.06, 0.012)
BACKGROUND_DISTANCE = (0.14, 0.02)
COLOUR_DISTANCE = (0.16, 0.02)
UNEVENNESS = (0.17, 0.02)
"""Mid-points and scales of the quality decisions: each answer falls as its measurement grows."""


def quality(perception: Perception) -> dict[str, float]:
    """P(yes) of every quality question by name. Without any object, the questions about shapes are answered near 0."""
    # Things that are hardly there say little about the picture's shapes.
    seen = [o for o in perception.objects if o.presence > 0.05]
    weight = np.array([o.presence for o in seen])

    def mean(values: list[float], otherwise: float) -> float:
        return float(np.average(values, weights=weight)) if values else otherwise

    has_things = _some(weight)
    return {
        "geometry": has_things * float(falling(mean([o.misfit for o in seen], 1.0), MISFIT_MEAN)),
        "whole": has_things * float(falling(max((o.misfit for o in perception.objects), default=1.0), MISFIT_WORST)),
        "speckle": float(falling(perception.speck_px, SPECK_PX)),
        "uniform": float(falling(perception.background_deviation, BACKGROUND_DEVIATION)),
        "backdrop": float(falling(perception.background_distance, BACKGROUND_DISTANCE)),
        "saturation": has_things * float(falling(mean([o.colour_distance for o in seen], 1.0), COLOUR_DISTANCE)),
        "texture": has_things * float(falling(max((o.unevenness for o in seen), default=1.0), UNEVENNESS)),
    }


def understands(question: str) -> bool:
    """Whether `answer` can answer the question."""
    return fact_of(question) is not None or _quality_name(question) is not None


def _quality_name(question: str) -> str | None:
    return _BY_TEXT.get(" ".join(question.lower().split()).rstrip("? "))


def answer(perception: Perception, question: str) -> float:
    """P(yes), in 0..1, of a question of the grammar (`grammar.question_text`) or of `QUALITY_QUESTIONS`.

    Raises:
        JudgeError: the question is neither.

    """
    fact = fact_of(question)
    if fact is not None:
        return believe(perception, fact)
    name = _quality_name(question)
    if name is None:
        raise JudgeError(
            f"The world's verifier cannot answer {question!r}: it is not of the world's question grammar. Expected "
            "e.g. 'Is there a red circle?', 'Is the circle above the square?', 'Is the background grey?'."
        )
    return quality(perception)[name]


def detections(perception: Perception) -> tuple[dict[str, list[list[float]]], dict[str, list[str]]]:
    """Boxes and colours by class, as an object detector with a colour classifier gives them.

    Returns:
        Class name -> list of [x1, y1, x2, y2, score] (pixels of the 48x48 view, score in 0..1, best first), and class
        name -> list of colour names in the same order (always one of `COLOURS`: the likeliest). Each component appears
        once, under its likeliest shape, with P(present) * P(shape) as score; a clean object scores above 0.9.

    """
    boxes: dict[str, list[tuple[list[float], str]]] = {}
    for thing in perception.objects:
        shape = int(thing.shape.argmax())
        score = thing.presence * float(thing.shape[shape])
        colour = COLOURS[int(thing.colour.argmax())]
        boxes.setdefault(SHAPES[shape], []).append(([*thing.box, score], colour))
    ordered = {name: sorted(boxes[name], key=lambda pair: -pair[0][4]) for name in SHAPES if name in boxes}
    return (
        {name: [box for box, _ in pairs] for name, pairs in ordered.items()},
        {name: [colour for _, colour in pairs] for name, pairs in ordered.items()},
    )


def all_right(perception: Perception, asked: Sequence[tuple[str, str]]) -> bool:
    """Whether every (question, expected answer) pair is answered as expected (yes above 0.5)."""
    return all((answer(perception, text) > 0.5) == (expected == "yes") for text, expected in asked)


__all__ = [
    "QUALITY_QUESTIONS",
    "all_right",
    "answer",
    "believe",
    "count_distribution",
    "detections",
    "in_cell",
    "membership",
    "quality",
    "understands",
]
