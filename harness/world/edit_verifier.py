"""How well an edited picture follows an instruction, from the parses of source and result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.errors import JudgeError
from harness.world.edits import EditRequest, allowed_cells, find
from harness.world.grammar.spec import Description
from harness.world.parse import PerceivedObject, Perception, scene_of
from harness.world.scene import N_CELLS, Scene, SceneObject
from harness.world.verifier import count_distribution, in_cell, membership


@dataclass(frozen=True, slots=True)
class EditVerdict:
    """Both values lie in 0..1."""

    success: float
    """P(the requested change is there)."""
    kept: float
    """Mean P over what should stay: each other object as it was, the background, the number of objects."""


def _at(perception: Perception, what: Description, cells: Iterable[int]) -> float:
    """P(some object of the description stands in one of the cells)."""
    cells = list(cells)

    def chance(thing: PerceivedObject) -> float:
        return membership(thing, what) * max((in_cell(thing, c) for c in cells), default=0.0)

    return float(1.0 - np.prod([1.0 - chance(o) for o in perception.objects]))


def _full(thing: SceneObject) -> Description:
    return Description(thing.shape, thing.colour, thing.size, thing.texture)


def _success(before: Scene, thing: SceneObject | None, edited: Perception, request: EditRequest) -> float:
    if request.kind == "background":
        assert request.background is not None
        return float(edited.background[request.background])
    if request.kind == "add":
        assert request.new is not None
        return _at(edited, request.new, allowed_cells(before, request))
    assert thing is not None
    gone = 1.0 - _at(edited, Description(), [thing.cell])
    if request.kind == "remove":
        return gone
    if request.kind == "recolour":
        return _at(edited, Description(thing.shape, request.colour), [thing.cell])
    if request.kind == "replace":
        assert request.new is not None
        return _at(edited, request.new, [thing.cell])
    cells = [c for c in allowed_cells(before, request) if c != thing.cell]
    return gone * _at(edited, Description(thing.shape, thing.colour), cells)


def _expected_count(before: Scene, request: EditRequest) -> int:
    return len(before.objects) + {"add": 1, "remove": -1}.get(request.kind, 0)


def judge_edit(source: Perception, edited: Perception, request: EditRequest) -> EditVerdict:
    """Success and faithfulness of an edit.

    Args:
        source: the parse of the source picture (drawn by the world, so it is read as a plain scene).
        edited: the parse of the result, of any quality.
        request: what the instruction asks for (`edits.request_of`).

    Raises:
        JudgeError: the source picture does not hold exactly one object that the request names.

    """
    before = scene_of(source)
    thing = None if request.subject is None else find(before, request.subject)
    if request.subject is not None and thing is None:
        raise JudgeError(f"The source picture has no single object that fits {request.subject}; it shows {before}.")
    others = [o for o in before.objects if o is not thing]
    parts = [_at(edited, _full(o), [o.cell]) for o in others]
    if thing is not None and request.kind in ("recolour", "replace"):
        parts.append(_at(edited, Description(size=thing.size, texture=thing.texture), [thing.cell]))
    if thing is not None and request.kind == "move":
        parts.append(_at(edited, _full(thing), range(N_CELLS)))
    if request.kind != "background":
        parts.append(float(edited.background[before.background]))
    counts = count_distribution(np.array([o.presence for o in edited.objects]))
    n = _expected_count(before, request)
    parts.append(float(counts[n]) if n < len(counts) else 0.0)
    return EditVerdict(_success(before, thing, edited, request), float(np.mean(parts)))
