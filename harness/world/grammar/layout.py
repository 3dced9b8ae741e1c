"""From a spec to scenes: a random scene that satisfies it, and one-fact corruptions of such a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.errors import DataError
from harness.world.grammar.facts import Fact, holds
from harness.world.grammar.questions import facts_of
from harness.world.grammar.spec import HELD_OUT, Description, Link, Spec
from harness.world.scene import (
    BACKGROUNDS,
    COLOURS,
    GRID,
    MAX_OBJECTS,
    N_CELLS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scene,
    SceneObject,
)

P_STRIPED = 0.1
"""How often an object is striped when its texture is left open."""

_SPATIAL = ("relation", "place")


def satisfies(scene: Scene, spec: Spec) -> bool:
    """Whether every fact of `spec` holds in `scene`."""
    return all(holds(scene, fact) for fact in facts_of(spec))


def _pick(rng: np.random.Generator, n: int) -> int:
    return int(rng.integers(n))


def _fill(rng: np.random.Generator, what: Description, cell: int) -> SceneObject:
    """An object of the description, open attributes drawn at random; never completes a held-out combination."""
    while True:
        shape = _pick(rng, len(SHAPES)) if what.shape is None else what.shape
        colour = _pick(rng, len(COLOURS)) if what.colour is None else what.colour
        is_named = what.shape is not None and what.colour is not None
        if is_named or (colour, shape) not in HELD_OUT:
            break
    size = _pick(rng, len(SIZES)) if what.size is None else what.size
    texture = int(rng.random() < P_STRIPED) if what.texture is None else what.texture
    return SceneObject(shape, colour, size, cell, texture)


def _counts(rng: np.random.Generator, spec: Spec) -> list[int]:
    """The number of objects of each group; open ones share what the total leaves, at least one each."""
    counts = [1 if g.count is None else g.count for g in spec.groups]
    open_groups = [i for i, g in enumerate(spec.groups) if g.count is None]
    for _ in range(spec.total - sum(counts)):
        counts[open_groups[_pick(rng, len(open_groups))]] += 1
    return counts


def _draw_objects(rng: np.random.Generator, spec: Spec, facts: Sequence[Fact]) -> list[tuple[int, SceneObject]] | None:
    """(group, object) pairs with distinct dummy cells that satisfy every fact but the spatial ones, or None."""
    drawn: list[tuple[int, SceneObject]] = []
    repeat = {v.group: v.attribute for v in spec.varieties if v.same}
    for i, (group, count) in enumerate(zip(spec.groups, _counts(rng, spec), strict=True)):
        what = group.what
        for _ in range(count):
            thing = _fill(rng, what, len(drawn))
            if i in repeat:
                what = replace(what, **{repeat[i]: getattr(thing, repeat[i])})
            drawn.append((i, thing))
    scene = Scene(spec.background or 0, tuple(o for _, o in drawn))
    ok = all(holds(scene, fact) for fact in facts if fact.kind not in (*_SPATIAL, "background"))
    has_held_out = any((o.colour, o.shape) in HELD_OUT and spec.groups[i].what.colour is None for i, o in drawn)
    return drawn if ok and not has_held_out else None


def _fits(relation: int, a: int, b: int, *, clearly: bool) -> bool:
    """Whether cell `a` stands in `relation` to cell `b`; clearly: at least as far along its axis as across."""
    dx, dy = b % GRID - a % GRID, b // GRID - a // GRID
    along, across = ((dx, dy), (-dx, dy), (dy, dx), (-dy, dx))[relation]
    return along > 0 and (not clearly or along >= abs(across))


def _place(
    rng: np.random.Generator, spec: Spec, groups: Sequence[int], *, clearly: bool, cells: tuple[int, ...] = ()
) -> tuple[int, ...] | None:
    """Cells for objects of the given groups by depth-first search in random order, or None when there are none."""
    if len(cells) == len(groups):
        return cells
    group = groups[len(cells)]
    place = spec.groups[group].place
    relations = [link for link in spec.links if link.kind == "relation"]
    for cell in (int(c) for c in rng.permutation(N_CELLS)):
        if cell in cells or place not in (None, cell):
            continue
        if all(
            _agrees(link, group, cell, g, c, clearly) for link in relations for g, c in zip(groups, cells, strict=False)
        ):
            found = _place(rng, spec, groups, clearly=clearly, cells=(*cells, cell))
            if found is not None:
                return found
    return None


def _agrees(link: Link, group: int, cell: int, other: int, other_cell: int, clearly: bool) -> bool:
    if (link.a, link.b) == (group, other):
        return _fits(link.value, cell, other_cell, clearly=clearly)
    if (link.a, link.b) == (other, group):
        return _fits(link.value, other_cell, cell, clearly=clearly)
    return True


def try_layout(rng: np.random.Generator, spec: Spec, *, n_tries: int = 300) -> Scene | None:
    """A random scene that satisfies `spec`, or None when none was found."""
    facts = facts_of(spec)
    for _ in range(n_tries):
        drawn = _draw_objects(rng, spec, facts)
        if drawn is not None:
            break
    else:
        return None
    groups = [i for i, _ in drawn]
    cells = _place(rng, spec, groups, clearly=True) or _place(rng, spec, groups, clearly=False)
    if cells is None:
        return None
    background = _pick(rng, len(BACKGROUNDS)) if spec.background is None else spec.background
    return Scene(background, tuple(replace(o, cell=c) for (_, o), c in zip(drawn, cells, strict=True)))


def sample_layout(rng: np.random.Generator, spec: Spec) -> Scene:
    """A random scene that satisfies `spec`, objects in the order of the groups.

    Related objects stand at least as far apart along the relation's axis as across it, where the grid allows. Open
    attributes never complete a held-out combination.

    Raises:
        DataError: no scene satisfies `spec`.

    """
    scene = try_layout(rng, spec)
    if scene is None:
        raise DataError(f"No scene satisfies the spec {spec}; its constraints contradict each other.")
    return scene


def _other(rng: np.random.Generator, value: int, n: int) -> int:
    return (value + 1 + _pick(rng, n - 1)) % n


def _change(rng: np.random.Generator, scene: Scene, how: str) -> Scene | None:
    """`scene` with one random change of the given kind, or None when it is not possible."""
    objects = list(scene.objects)
    i = _pick(rng, len(objects))
    thing = objects[i]
    if how == "background":
        return replace(scene, background=_other(rng, scene.background, len(BACKGROUNDS)))
    if how == "missing":
        del objects[i]
    elif how == "extra":
        if len(objects) >= MAX_OBJECTS:
            return None
        cell = int(rng.choice(scene.free_cells()))
        like = Description(thing.shape, thing.colour) if rng.random() < 0.5 else Description()
        objects.append(_fill(rng, like, cell))
    elif how == "place":
        cell = _other(rng, thing.cell, N_CELLS)
        objects = [replace(o, cell=thing.cell) if o.cell == cell else o for o in objects]
        objects[i] = replace(thing, cell=cell)
    else:
        n = {"colour": len(COLOURS), "shape": len(SHAPES), "size": len(SIZES), "texture": len(TEXTURES)}[how]
        objects[i] = replace(thing, **{how: _other(rng, getattr(thing, how), n)})
    return replace(scene, objects=tuple(objects))


CORRUPTIONS: tuple[str, ...] = ("colour", "shape", "size", "texture", "missing", "extra", "place", "background")
"""Names of changes, which are also the diagnoses of `harness.world.plan`."""


def _new_held_out(before: Scene, after: Scene) -> bool:
    def kinds(scene: Scene) -> set[tuple[int, int]]:
        return {(o.colour, o.shape) for o in scene.objects} & HELD_OUT

    return bool(kinds(after) - kinds(before))


def corrupt(rng: np.random.Generator, scene: Scene, spec: Spec, *, n_tries: int = 400) -> tuple[Scene, str]:
    """A scene that differs from `scene` by one change which violates `spec`, and the diagnosis (see `plan.DIAGNOSES`).

    The change is one attribute of one object, one object fewer or more, one object moved (or two exchanged), or the
    background. It never introduces a held-out combination.

    Raises:
        DataError: `scene` has no objects or does not satisfy `spec`.

    """
    facts = facts_of(spec)
    if not scene.objects or not all(holds(scene, fact) for fact in facts):
        raise DataError(f"Only a scene with objects that satisfies the spec can be corrupted; got {scene} for {spec}.")
    for _ in range(n_tries):
        how = CORRUPTIONS[_pick(rng, len(CORRUPTIONS))]
        changed = _change(rng, scene, how)
        if changed is None or _new_held_out(scene, changed):
            continue
        if not all(holds(changed, fact) for fact in facts):
            return changed, how
    raise DataError(f"No violating change of {scene} found for {spec} in {n_tries} tries.")


def clearly_related(scene: Scene, spec: Spec, link: Link) -> bool:
    """Whether every object of group `link.a` stands clearly in the relation to every one of `link.b`.

    `scene` is a layout of `spec` with closed counts, objects in the order of the groups.
    """
    ends = np.cumsum([g.count or 0 for g in spec.groups])
    starts = np.concatenate([[0], ends])
    ours, theirs = (scene.objects[starts[i] : ends[i]] for i in (link.a, link.b))
    return all(_fits(link.value, a.cell, b.cell, clearly=True) for a in ours for b in theirs)
