"""Answers from the network's readings: what nine independent cells, a background and a quality report imply.

A question becomes a fact (`harness.world.grammar.fact_of`), a fact a condition on which cell holds what, and its
probability follows from the cells' probabilities. Relations compare the rows and columns of cells and sizes compare
size classes, as the scene that was drawn defines them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import JudgeError
from harness.world.grammar import Description, Fact, fact_of
from harness.world.scene import CELL_PX, COLOURS, GRID, N_CELLS, RADIUS_PX, SHAPES
from harness.world.verifier import QUALITY_QUESTIONS

Floats = npt.NDArray[np.float64]

_ROW, _COLUMN = np.divmod(np.arange(N_CELLS), GRID)
_RELATED: tuple[npt.NDArray[np.bool_], ...] = (
    _COLUMN[:, None] < _COLUMN,
    _COLUMN[:, None] > _COLUMN,
    _ROW[:, None] < _ROW,
    _ROW[:, None] > _ROW,
)
"""[subject cell, other cell] for left, right, above, below."""
_EXTENT: dict[str, tuple[float, float, float, float]] = {
    "circle": (1.0, 1.0, 1.0, 1.0),
    "square": (0.88, 0.88, 0.88, 0.88),
    "triangle": (0.965, 1.08, 0.965, 0.85),
    "diamond": (1.08, 1.08, 1.08, 1.08),
    "cross": (1.0, 1.0, 1.0, 1.0),
    "star": (1.065, 1.12, 1.065, 0.906),
}
"""How far a shape reaches left, up, right and down of its centre, in radii."""
MIN_SCORE = 0.05
"""Detections below this score are not reported."""
_TEXTS = {text.lower().rstrip("?"): name for name, text in QUALITY_QUESTIONS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the network sees in one picture; probabilities."""

    presence: Floats
    """(9,) P(the cell holds an object)."""
    shape: Floats
    """(9, 6) of the object in the cell, if there is one; sums to 1, as colour and size do."""
    colour: Floats
    """(9, 8)."""
    size: Floats
    """(9, 3)."""
    striped: Floats
    """(9,)."""
    offset: Floats
    """(9, 2) x and y of the object's centre relative to the cell's, in pixels."""
    background: Floats
    """(5,): the known backgrounds, and none of them."""
    quality: Floats
    """(7,) P(yes) in the order of `QUALITY_QUESTIONS`."""

    def attribute(self, name: str) -> Floats:
        """(9, n) probabilities of an attribute's values."""
        if name == "texture":
            return np.stack([1.0 - self.striped, self.striped], 1)
        return {"shape": self.shape, "colour": self.colour, "size": self.size}[name]

    def members(self, what: Description | None) -> Floats:
        """(9,) P(the cell holds an object of the description); zeros for None."""
        if what is None:
            return np.zeros(N_CELLS)
        p = self.presence.copy()
        for name in ("shape", "colour", "size", "texture"):
            value = getattr(what, name)
            if value is not None:
                p *= self.attribute(name)[:, value]
        return p


def n_distribution(members: Floats) -> Floats:
    """(10,) probabilities of 0..9 members among independent cells."""
    p = np.zeros(N_CELLS + 1)
    p[0] = 1.0
    for m in members:
        p[1:] = p[1:] * (1.0 - m) + p[:-1] * m
        p[0] *= 1.0 - m
    return p


def _all_of(members: Floats, chance: Floats) -> float:
    """P(there is a member and every member has a property that a member has with `chance`)."""
    return float(np.prod(1.0 - members * (1.0 - chance)) - np.prod(1.0 - members))


def _pairwise(ours: Floats, theirs: Floats, holds: Floats) -> float:
    """P(both have members, and `holds` for every pair of different cells)."""
    both = np.outer(ours, theirs) * (1.0 - holds)
    np.fill_diagonal(both, 0.0)
    return float(np.prod(1.0 - both) * (1.0 - np.prod(1.0 - ours)) * (1.0 - np.prod(1.0 - theirs)))


def _compared(ours: Floats, theirs: Floats, value: int) -> float:
    joint = np.outer(n_distribution(ours), n_distribution(theirs))
    joint[0] = joint[:, 0] = 0.0
    n, m = np.indices(joint.shape)
    return float(joint[(n > m, n < m, n == m)[value]].sum())


def _variety(ours: Floats, values: Floats, kind: str) -> float:
    """P(two members or more, and all pairs have equal, or different, values)."""
    equal = values @ values.T
    wrong = np.triu(np.outer(ours, ours) * (1.0 - equal if kind == "same" else equal), 1)
    return float(n_distribution(ours)[2:].sum() * np.prod(1.0 - wrong))


def believe(seen: Reading, fact: Fact) -> float:
    """P(`fact` is true of the picture), in 0..1.

    Raises:
        JudgeError: an unknown kind of fact.
    """
    if fact.kind == "background":
        return float(seen.background[fact.value])
    ours, theirs = seen.members(fact.subject), seen.members(fact.other)
    p: float | np.floating
    match fact.kind:
        case "exists":
            p = 1.0 - np.prod(1.0 - ours)
        case "none":
            p = np.prod(1.0 - ours)
        case "count":
            p = n_distribution(ours)[fact.value]
        case "attribute":
            p = _all_of(ours, seen.attribute(fact.attribute)[:, fact.value])
        case "place":
            p = _all_of(ours, np.eye(N_CELLS)[fact.value])
        case "relation":
            p = _pairwise(ours, theirs, _RELATED[fact.value].astype(float))
        case "size":
            larger = seen.size @ np.tril(np.ones((3, 3)), -1) @ seen.size.T
            p = _pairwise(ours, theirs, larger if fact.value == 0 else larger.T)
        case "number":
            p = _compared(ours, theirs, fact.value)
        case "same" | "different":
            p = _variety(ours, seen.attribute(fact.attribute), fact.kind)
        case _:
            raise JudgeError(f"Unknown kind of fact {fact.kind!r}.")
    return float(np.clip(p, 0.0, 1.0))


def answer(seen: Reading, question: str) -> float:
    """P(yes) of a question of the world's grammar or of its quality questions.

    Raises:
        JudgeError: the question is neither.
    """
    fact = fact_of(question)
    if fact is not None:
        return believe(seen, fact)
    name = _TEXTS.get(" ".join(question.lower().split()).rstrip("? "))
    if name is None:
        raise JudgeError(
            f"Judge 'micro-cnn' cannot answer {question!r}: it is not of the world's question grammar. Expected e.g. "
            "'Is there a red circle in the picture?', 'Is the background grey?'."
        )
    return float(seen.quality[list(QUALITY_QUESTIONS).index(name)])


def detections(seen: Reading) -> tuple[dict[str, list[list[float]]], dict[str, list[str]]]:
    """Boxes and colours by class, in the form of `harness.world.verifier.detections`.

    One detection per cell with P(present) * P(shape) of at least `MIN_SCORE`, under the likeliest shape; the box is
    where that shape in the likeliest size would be drawn.
    """
    boxes: dict[str, list[tuple[list[float], str]]] = {}
    for cell in range(N_CELLS):
        shape = int(seen.shape[cell].argmax())
        score = float(seen.presence[cell] * seen.shape[cell, shape])
        if score < MIN_SCORE:
            continue
        x, y = (CELL_PX * (np.array([_COLUMN[cell], _ROW[cell]]) + 0.5) + seen.offset[cell]).tolist()
        left, up, right, down = np.array(_EXTENT[SHAPES[shape]]) * RADIUS_PX[int(seen.size[cell].argmax())]
        box = np.clip([x - left, y - up, x + right, y + down], 0.0, GRID * CELL_PX).tolist()
        colour = COLOURS[int(seen.colour[cell].argmax())]
        boxes.setdefault(SHAPES[shape], []).append(([*box, score], colour))
    ordered = {name: sorted(boxes[name], key=lambda pair: -pair[0][4]) for name in SHAPES if name in boxes}
    return (
        {name: [box for box, _ in pairs] for name, pairs in ordered.items()},
        {name: [colour for _, colour in pairs] for name, pairs in ordered.items()},
    )


class Perceiver:
    """The trained network as a function from pictures to readings.

    Args:
        network: a `network.CellNetwork`, in evaluation mode.
    """

    CHUNK = 16
    """The network always runs on this many pictures (padded with zeros), so that no reading depends on the batch."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __call__(self, pictures: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]]) -> list[Reading]:
        """One reading per (48, 48, 3) uint8 picture, in order."""
        import torch

        stack = np.asarray(pictures)
        found: list[Reading] = []
        with torch.inference_mode():
            for start in range(0, len(stack), self.CHUNK):
                chunk = stack[start : start + self.CHUNK]
                padded = np.zeros((self.CHUNK, *stack.shape[1:]), np.uint8)
                padded[: len(chunk)] = chunk
                logits = self._network(torch.from_numpy(padded))
                found += _readings({k: v.double().numpy() for k, v in logits.items()})[: len(chunk)]
        return found


def _softmax(x: Floats) -> Floats:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def _readings(logits: dict[str, Floats]) -> list[Reading]:
    from scipy.special import expit

    presence, striped, quality = (expit(logits[k]) for k in ("presence", "striped", "quality"))
    shape, colour, size, background = (_softmax(logits[k]) for k in ("shape", "colour", "size", "background"))
    offset = logits["offset"] * (CELL_PX / 2)
    return [
        Reading(presence[i, :, 0], shape[i], colour[i], size[i], striped[i, :, 0], offset[i], background[i], quality[i])
        for i in range(len(presence))
    ]
