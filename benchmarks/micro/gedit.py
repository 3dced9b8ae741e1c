"""GEdit's micro edition: a rendered source picture, an instruction, and what must be true of the edited picture.

Six of the eleven groups: `background_change`, `color_alter`, `motion_change` (an object moves), `subject-add`,
`subject-remove`, `subject-replace`. An instruction may have several right results (a new object's size, a moved one's
place); `right_targets` lists them all, and questions are only asked that all of them answer with yes:

- `facts`: the change itself; at least one is false of the source.
- `kept`: what the instruction does not mention, true of the source as well, so that an unchanged picture passes: the
  other objects' colour, shape, number, size, places and relations, the background, the number of objects where it
  stays, and what a changed object keeps.
- `quality`: the world's questions about a clean picture.

What a changed object keeps is asked under a name that fits it before and after ("the circle"); without such a name it
is asked under the new one ("the blue circle"), among the facts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from PIL import Image

from benchmarks.base import check_number
from benchmarks.micro import build
from harness import seeds
from harness.errors import DataError
from harness.types import Prompt
from harness.world.edits import Edit, allowed_cells, canonical, find, sample_edit
from harness.world.grammar import Description, Fact, holds, question_text
from harness.world.grammar.spec import PLACES
from harness.world.plan import plan_words, scene_from_plan
from harness.world.render import render
from harness.world.scene import BACKGROUNDS, SIZES, TEXTURES, Scene, SceneObject

N_PER_GROUP = 36
"""216 prompts, one image each."""

GROUPS: dict[str, str] = {
    "background_change": "background",
    "color_alter": "recolour",
    "motion_change": "move",
    "subject-add": "add",
    "subject-remove": "remove",
    "subject-replace": "replace",
}
"""Official group -> kind of edit of the world, in the official order."""

SOURCE = "source"
"""Name of the source image in `Prompt.source_images`."""

_STRIPED = TEXTURES.index("striped")
_ANY = Description()


@dataclass(frozen=True, slots=True)
class EditCase:
    """One prompt and the edit behind it."""

    prompt: Prompt
    edit: Edit


def right_targets(edit: Edit) -> list[Scene]:
    """Every scene that fulfils the request and keeps all else; `edit.target` is one of them."""
    request, source = edit.request, edit.source
    if request.kind == "add":
        new = edit.target.objects[-1]
        sizes = range(len(SIZES)) if request.new is None or request.new.size is None else (new.size,)
        return [
            replace(source, objects=(*source.objects, replace(new, cell=cell, size=size)))
            for cell in allowed_cells(source, request)
            for size in sizes
        ]
    if request.kind == "move":
        thing = _subject(edit)
        return [
            replace(source, objects=tuple(replace(o, cell=cell) if o is thing else o for o in source.objects))
            for cell in allowed_cells(source, request)
            if cell != thing.cell
        ]
    return [edit.target]


def _subject(edit: Edit) -> SceneObject:
    thing = None if edit.request.subject is None else find(edit.source, edit.request.subject)
    if thing is None:
        raise DataError(f"Edit {edit.instruction!r}: exactly one object of the source must fit, {edit.source}.")
    return thing


def _name(thing: SceneObject) -> Description:
    return Description(thing.shape, thing.colour)


def _changed(edit: Edit) -> tuple[SceneObject | None, SceneObject | None]:
    """The object that the edit changes, before and after; None where there is none."""
    match edit.request.kind:
        case "background":
            return None, None
        case "add":
            return None, edit.target.objects[-1]
        case "remove":
            return _subject(edit), None
    before = _subject(edit)
    return before, edit.target.objects[edit.source.objects.index(before)]


def _place_facts(edit: Edit, name: Description) -> Iterator[Fact]:
    request = edit.request
    anchor = None if request.anchor is None else find(edit.source, request.anchor)
    if request.place is not None:
        yield Fact("place", name, value=request.place)
    if request.relation is not None and anchor is not None:
        yield Fact("relation", name, _name(anchor), value=request.relation)


def _change_facts(edit: Edit) -> Iterator[Fact]:
    """What the instruction asks for."""
    request = edit.request
    before, after = _changed(edit)
    if request.background is not None:
        yield Fact("background", value=request.background)
    if after is not None:
        yield Fact("count", _name(after), value=1)
        yield from _place_facts(edit, _name(after))
    if request.new is not None and request.new.size is not None and after is not None:
        yield Fact("attribute", _name(after), attribute="size", value=request.new.size)
    if before is not None and (after is None or _name(before) != _name(after)):
        yield Fact("none", _name(before))
    if len(edit.target.objects) != len(edit.source.objects) and edit.target.objects:
        yield Fact("count", _ANY, value=len(edit.target.objects))


def _relation(a: SceneObject, b: SceneObject) -> int:
    """The relation of `a` to `b` along the axis on which they are further apart."""
    dx, dy = a.column - b.column, a.row - b.row
    return (0 if dx < 0 else 1) if abs(dx) >= abs(dy) else (2 if dy < 0 else 3)


def _looks(thing: SceneObject, name: Description) -> Iterator[Fact]:
    yield Fact("attribute", name, attribute="size", value=thing.size)
    if thing.texture == _STRIPED:
        yield Fact("attribute", name, attribute="texture", value=_STRIPED)


def _position(thing: SceneObject, name: Description, others: Sequence[SceneObject]) -> Iterator[Fact]:
    if thing.cell in PLACES:
        yield Fact("place", name, value=thing.cell)
    elif others:
        yield Fact("relation", name, _name(others[0]), value=_relation(thing, others[0]))


def _kept_by_others(edit: Edit, others: Sequence[SceneObject]) -> Iterator[Fact]:
    if edit.request.background is None:
        yield Fact("background", value=edit.source.background)
    for i, thing in enumerate(others):
        yield Fact("count", _name(thing), value=1)
        yield from _looks(thing, _name(thing))
        yield from _position(thing, _name(thing), others[:i] or [o for o in others if o.cell in PLACES])
    if len(edit.target.objects) == len(edit.source.objects):
        yield Fact("count", _ANY, value=len(edit.source.objects))


def _kept_by_changed(edit: Edit, others: Sequence[SceneObject]) -> Iterator[Fact]:
    """What a recoloured, replaced or moved object keeps, under a lasting name if it has one."""
    before, after = _changed(edit)
    if before is None or after is None:
        return
    names = (Description(after.shape), Description(None, after.colour), _name(after))
    lasting = [n for n in names if find(edit.source, n) is before and find(edit.target, n) is after]
    name = (lasting or [_name(after)])[0]
    yield from _looks(after, name)
    if before.cell == after.cell:
        yield from _position(after, name, others)


def _questions(edit: Edit) -> tuple[list[str], list[str]]:
    """(facts, kept) as texts; every fact holds in all right targets, kept ones in the source too."""
    before, _ = _changed(edit)
    others = [o for o in edit.source.objects if o is not before]
    still = [*_kept_by_others(edit, others), *_kept_by_changed(edit, others)]
    facts = [*_change_facts(edit), *(f for f in still if not holds(edit.source, f))]
    kept = [f for f in still if holds(edit.source, f)]
    for target in right_targets(edit):
        wrong = [f for f in (*facts, *kept) if not holds(target, f)]
        if wrong:
            raise DataError(f"Edit {edit.instruction!r}: {wrong[0]} is false of the right result {target}.")
    return [question_text(f) for f in dict.fromkeys(facts)], [question_text(f) for f in dict.fromkeys(kept)]


def _is_clear(edit: Edit) -> bool:
    """Whether no two objects of the result share shape and colour, so that each can be asked for by name."""
    names = [_name(o) for o in edit.target.objects]
    return len(set(names)) == len(names)


def _edit(group: str, row: int, seed: int, seen: set[str]) -> Edit:
    rng = seeds.numpy_generator(seed, f"micro/gedit/{group}", row)
    # A split by request holds only some of the four backgrounds; taken in turn, the others come with held-out objects.
    background = row % len(BACKGROUNDS) if GROUPS[group] == "background" else None
    for _ in range(build.N_TRIES):
        edit = sample_edit(rng, GROUPS[group], "bench")
        key = f"{canonical(edit.request)} {edit.source}"
        if key not in seen and _is_clear(edit) and edit.request.background == background:
            seen.add(key)
            return edit
    raise DataError(f"gedit/{group} {row}: no new edit in {build.N_TRIES} draws; ask for fewer.")


def _prompt(group: str, row: int, edit: Edit) -> Prompt:
    from harness.world.verifier import QUALITY_QUESTIONS

    scene = " ".join(plan_words(edit.source))
    facts, kept = _questions(edit)
    meta: dict[str, Any] = {
        "key": hashlib.sha256(f"{scene}|{edit.instruction}".encode()).hexdigest()[:32],
        "group": group,
        "instruction_language": "en",
        "Intersection_exist": True,
        "scene": scene,
        "facts": facts,
        "kept": kept,
        "quality": list(QUALITY_QUESTIONS.values()),
    }
    id_ = f"gedit/{group}/{row:04d}"
    return Prompt(id=id_, text=edit.instruction, category=group, source_images=(SOURCE,), meta=meta)


@lru_cache(maxsize=8)
def cases(n_per_group: int = N_PER_GROUP, seed: int = 0) -> tuple[EditCase, ...]:
    """All prompts with their edits; see `prompts`."""
    check_number("gedit.n_per_group", n_per_group)
    found = []
    for group in GROUPS:
        seen: set[str] = set()
        for row in range(n_per_group):
            edit = _edit(group, row, seed, seen)
            found.append(EditCase(_prompt(group, row, edit), edit))
    return tuple(found)


def prompts(n_per_group: int = N_PER_GROUP, seed: int = 0) -> list[Prompt]:
    """Instructions by group, ids `gedit/GROUP/ROW`, category the group, one source image each (see `source_image`).

    `meta` has the official columns `key` (32 hex digits), `group`, `instruction_language`, `Intersection_exist`, and
    `scene` (the plan of the source), `facts`, `kept` and `quality` (questions, see the module docstring).

    Raises:
        ConfigError: `n_per_group` is not positive.
        DataError: the world has fewer edits of a group.
    """
    return [case.prompt for case in cases(n_per_group, seed)]


def source_image(prompt: Prompt) -> Image.Image:
    """The 48x48 RGB source picture of `prompt`, the same on every call.

    Raises:
        DataError: `meta["scene"]` is not a plan.
    """
    scene = scene_from_plan(str(prompt.meta.get("scene", "")).split())
    if scene is None:
        raise DataError(f"{prompt.id}: meta.scene is not a plan of the micro world: {prompt.meta.get('scene')!r:.120}.")
    pixels = render([scene], [seeds.derive("gedit-source", str(prompt.meta["key"]))])
    return Image.fromarray(pixels[0])


def data_id(n_per_group: int = N_PER_GROUP, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n_per_group, seed)`."""
    return build.data_id("gedit", prompts(n_per_group, seed))
