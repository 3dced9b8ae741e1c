"""Edit instructions: a source scene, what to change, the words for it, and a scene that shows the result.

Six kinds: recolour, add, remove, replace, move, background. An instruction names its object so that exactly one object
of the source fits, and all that it does not mention stays as it is (a replaced object keeps cell, size and texture).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import DataError
from harness.world.grammar.facts import RELATION_PHRASES, noun, with_article
from harness.world.grammar.spec import HELD_OUT, PLACES, Description, Split, split_of_text
from harness.world.scene import BACKGROUNDS, COLOURS, GRID, N_CELLS, SHAPES, SIZES, Scene, SceneObject

EDIT_KINDS: tuple[str, ...] = ("recolour", "add", "remove", "replace", "move", "background")

MAX_SOURCE_OBJECTS = 4


@dataclass(frozen=True, slots=True)
class EditRequest:
    """What an instruction asks for.

    | kind | fields |
    |---|---|
    | recolour | subject, colour |
    | add | new; optionally place, or relation and anchor |
    | remove | subject |
    | replace | subject, new (shape and colour) |
    | move | subject; place, or relation and anchor |
    | background | background |
    """

    kind: str
    subject: Description | None = None
    new: Description | None = None
    colour: int | None = None
    place: int | None = None
    relation: int | None = None
    anchor: Description | None = None
    background: int | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One editing task; `target` is one of the scenes that fulfil the request."""

    request: EditRequest
    instruction: str
    source: Scene
    target: Scene


def find(scene: Scene, what: Description) -> SceneObject | None:
    """The only object of `scene` that fits the description, or None when none or several do."""
    fitting = [o for o in scene.objects if what.matches(o)]
    return fitting[0] if len(fitting) == 1 else None


def allowed_cells(scene: Scene, request: EditRequest) -> list[int]:
    """The free cells of `scene` where an added or moved object may go, ascending."""
    free = scene.free_cells()
    if request.place is not None:
        return [c for c in free if c == request.place]
    if request.relation is None or request.anchor is None:
        return free
    anchor = find(scene, request.anchor)
    if anchor is None:
        return []
    test: Callable[[int], bool] = (
        lambda c: c % GRID < anchor.column,
        lambda c: c % GRID > anchor.column,
        lambda c: c // GRID < anchor.row,
        lambda c: c // GRID > anchor.row,
    )[request.relation]
    return [c for c in free if test(c)]


def _known(value: int | None) -> int:
    if value is None:
        raise DataError("An edit request must name the colour (and for a new object the shape); got none.")
    return value


def apply(rng: np.random.Generator, scene: Scene, request: EditRequest) -> Scene | None:
    """A scene that fulfils `request` and keeps everything else, or None when that is impossible."""
    if request.kind == "background":
        return None if request.background in (None, scene.background) else replace(scene, background=request.background)
    if request.kind == "add":
        cells = allowed_cells(scene, request)
        if request.new is None or not cells:
            return None
        new = request.new
        size = int(rng.integers(len(SIZES))) if new.size is None else new.size
        added = SceneObject(_known(new.shape), _known(new.colour), size, int(rng.choice(cells)), new.texture or 0)
        return replace(scene, objects=(*scene.objects, added))
    thing = None if request.subject is None else find(scene, request.subject)
    if thing is None:
        return None
    others = [o for o in scene.objects if o is not thing]
    if request.kind == "remove":
        return replace(scene, objects=tuple(others))
    if request.kind == "recolour":
        changed = replace(thing, colour=_known(request.colour))
    elif request.kind == "replace":
        assert request.new is not None
        changed = replace(thing, shape=_known(request.new.shape), colour=_known(request.new.colour))
    else:
        if request.place == thing.cell:
            return None
        cells = [c for c in allowed_cells(scene, request) if c != thing.cell]
        already = request.relation is not None and thing.cell in allowed_cells(
            replace(scene, objects=tuple(others)), request
        )
        if not cells or already:
            return None
        changed = replace(thing, cell=int(rng.choice(cells)))
    return (
        None if changed == thing else replace(scene, objects=tuple(changed if o is thing else o for o in scene.objects))
    )


def _where(request: EditRequest) -> str:
    if request.place is not None:
        return f"the {PLACES[request.place]}"
    assert request.relation is not None and request.anchor is not None
    return f"{RELATION_PHRASES[request.relation]} the {noun(request.anchor)}"


def _templates(request: EditRequest) -> tuple[str, ...]:
    """All wordings of a request."""
    the = "" if request.subject is None else f"the {noun(request.subject)}"
    new = "" if request.new is None else with_article(noun(request.new))
    match request.kind:
        case "recolour":
            assert request.colour is not None
            to = COLOURS[request.colour]
            return (f"make {the} {to}", f"change the colour of {the} to {to}", f"paint {the} {to}", f"turn {the} {to}")
        case "add":
            has_where = request.place is not None or request.relation is not None
            where = f" {'in ' if request.place is not None else ''}{_where(request)}" if has_where else ""
            return tuple(f"{verb} {new}{where}" for verb in ("add", "put", "insert", "draw"))
        case "remove":
            return tuple(f"{verb} {the}" for verb in ("remove", "delete", "erase", "take away"))
        case "replace":
            return (
                f"replace {the} with {new}",
                f"replace {the} by {new}",
                f"swap {the} for {new}",
                f"turn {the} into {new}",
            )
        case "move":
            to = f"to {_where(request)}" if request.place is not None else _where(request)
            return tuple(f"{verb} {the} {to}" for verb in ("move", "shift"))
        case "background":
            assert request.background is not None
            to = BACKGROUNDS[request.background]
            return (f"change the background to {to}", f"make the background {to}", f"use a {to} background")
    raise DataError(f"Unknown kind of edit {request.kind!r}; expected one of {', '.join(EDIT_KINDS)}.")


def instruction(rng: np.random.Generator, request: EditRequest) -> str:
    """Words for `request`; one in ten says please."""
    options = _templates(request)
    text = options[int(rng.integers(len(options)))]
    return f"please {text}" if rng.random() < 0.1 else text


def canonical(request: EditRequest) -> str:
    """A string that identifies a request whatever its wording."""
    return f"{request}"


def _names_held_out(*scenes: Scene) -> bool:
    return any((o.colour, o.shape) in HELD_OUT for scene in scenes for o in scene.objects)


def split_of_edit(request: EditRequest, source: Scene, target: Scene) -> Split:
    """The split of an edit: by the hash of its request; with a held-out combination in either scene, `bench`."""
    return "bench" if _names_held_out(source, target) else split_of_text(canonical(request))


def random_scene(rng: np.random.Generator, n_objects: int) -> Scene:
    """Random objects, no two of one shape and colour, in random cells on a random background."""
    kinds = rng.permutation(len(SHAPES) * len(COLOURS))[:n_objects]
    cells = rng.permutation(N_CELLS)[:n_objects]
    objects = [
        SceneObject(
            int(k) // len(COLOURS),
            int(k) % len(COLOURS),
            int(rng.integers(len(SIZES))),
            int(c),
            int(rng.random() < 0.1),
        )
        for k, c in zip(kinds, cells, strict=True)
    ]
    return Scene(int(rng.integers(len(BACKGROUNDS))), tuple(objects))


def _reference(rng: np.random.Generator, scene: Scene, thing: SceneObject) -> Description:
    """A short description that fits only `thing`: its shape, its colour, or both."""
    options = [Description(thing.shape), Description(None, thing.colour), Description(thing.shape, thing.colour)]
    fitting = [d for d in options if find(scene, d) is thing]
    weights = np.array(
        [
            {(True, False): 2.0, (False, True): 1.0}.get((d.shape is not None, d.colour is not None), 3.0)
            for d in fitting
        ]
    )
    return fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]


def _draw_request(rng: np.random.Generator, scene: Scene, kind: str) -> EditRequest:
    if kind == "background":
        return EditRequest(kind, background=int(rng.integers(len(BACKGROUNDS))))
    order = rng.permutation(len(scene.objects))
    thing = scene.objects[order[0]]
    subject = _reference(rng, scene, thing)
    new = Description(int(rng.integers(len(SHAPES))), int(rng.integers(len(COLOURS))))
    if kind == "recolour":
        return EditRequest(kind, subject, colour=new.colour)
    if kind == "remove":
        return EditRequest(kind, subject)
    if kind == "replace":
        return EditRequest(kind, subject, new)
    where = int(rng.integers(3 if kind == "add" else 2))
    place = relation = anchor = None
    if where == 0:
        place = int(rng.choice(list(PLACES)))
    elif where == 1:
        other = scene.objects[order[-1]]
        relation, anchor = int(rng.integers(len(RELATION_PHRASES))), _reference(rng, scene, other)
    if kind == "move":
        return EditRequest(kind, subject, place=place, relation=relation, anchor=anchor)
    size = int(rng.integers(len(SIZES))) if rng.random() < 0.3 else None
    return EditRequest(kind, new=replace(new, size=size), place=place, relation=relation, anchor=anchor)


def sample_edit(rng: np.random.Generator, kind: str | None = None, split: Split | None = "train") -> Edit:
    """A random edit.

    Args:
        rng: the random source.
        kind: one of `EDIT_KINDS`; None draws one.
        split: `train` or `bench`, disjoint by request; None for either. Training edits show no held-out combination.

    Raises:
        DataError: unknown kind.

    """
    if kind is not None and kind not in EDIT_KINDS:
        raise DataError(f"Unknown kind of edit {kind!r}; expected one of {', '.join(EDIT_KINDS)}.")
    for _ in range(2000):
        chosen = kind or EDIT_KINDS[int(rng.integers(len(EDIT_KINDS)))]
        n_least = 2 if chosen in ("remove", "move") else 1
        source = random_scene(rng, int(rng.integers(n_least, MAX_SOURCE_OBJECTS + 1)))
        request = _draw_request(rng, source, chosen)
        target = apply(rng, source, request)
        if target is None or (request.anchor is not None and request.anchor == request.subject):
            continue
        if split is None or split_of_edit(request, source, target) == split:
            return Edit(request, instruction(rng, request), source, target)
    raise DataError(f"No {split} edit of kind {kind} in 2000 draws.")
