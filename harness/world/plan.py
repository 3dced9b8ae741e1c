"""Plans and diagnoses: the text that the micro model writes before it draws.

A plan lists the background, then every object with its cell, in the order of the scene:
`white background : large red circle cell4 , small striped blue square cell0 .` A scene without objects is
`white background : .`. A diagnosis names what is wrong with a picture in two words and a full stop.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import DataError
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, N_CELLS, SHAPES, SIZES, Scene, SceneObject

CELL_WORDS: tuple[str, ...] = tuple(f"cell{c}" for c in range(N_CELLS))

DIAGNOSES: dict[str, tuple[str, str]] = {
    "ok": ("all", "correct"),
    "colour": ("wrong", "colour"),
    "shape": ("wrong", "shape"),
    "size": ("wrong", "size"),
    "texture": ("wrong", "texture"),
    "missing": ("missing", "object"),
    "extra": ("extra", "object"),
    "place": ("wrong", "place"),
    "background": ("wrong", "background"),
    "quality": ("poor", "quality"),
}
"""Name of each diagnosis -> its two words. `place` covers relations and absolute places."""


def object_words(thing: SceneObject) -> list[str]:
    """`large striped red circle cell4` as words; `striped` only where it is."""
    words = [SIZES[thing.size]]
    if thing.texture == 1:
        words.append("striped")
    return [*words, COLOURS[thing.colour], SHAPES[thing.shape], CELL_WORDS[thing.cell]]


def plan_words(scene: Scene) -> list[str]:
    """The plan of `scene`, objects in the scene's own order."""
    words = [BACKGROUNDS[scene.background], "background", ":"]
    for i, thing in enumerate(scene.objects):
        words += ([","] if i else []) + object_words(thing)
    return [*words, "."]


def _object_from(words: Sequence[str]) -> SceneObject | None:
    texture = int(len(words) == 5 and words[1] == "striped")
    if len(words) != 4 + texture:
        return None
    size, colour, shape, cell = words[0], words[-3], words[-2], words[-1]
    if size not in SIZES or colour not in COLOURS or shape not in SHAPES or cell not in CELL_WORDS:
        return None
    return SceneObject(SHAPES.index(shape), COLOURS.index(colour), SIZES.index(size), CELL_WORDS.index(cell), texture)


def scene_from_plan(words: Sequence[str]) -> Scene | None:
    """The scene that a plan describes, or None when it is malformed (also: two objects in a cell, too many objects)."""
    words = list(words)
    if len(words) < 4 or words[0] not in BACKGROUNDS or words[1:3] != ["background", ":"] or words[-1] != ".":
        return None
    body = words[3:-1]
    parts: list[list[str]] = [[]] if body else []
    for word in body:
        if word == ",":
            parts.append([])
        else:
            parts[-1].append(word)
    objects = [_object_from(part) for part in parts]
    found = [o for o in objects if o is not None]
    if len(found) < len(objects) or len(found) > MAX_OBJECTS or len({o.cell for o in found}) < len(found):
        return None
    return Scene(BACKGROUNDS.index(words[0]), tuple(found))


def diagnosis_words(name: str) -> list[str]:
    """Three words, e.g. `wrong colour .`; raises DataError for an unknown name."""
    if name not in DIAGNOSES:
        raise DataError(f"Unknown diagnosis {name!r}; expected one of {', '.join(DIAGNOSES)}.")
    return [*DIAGNOSES[name], "."]


def diagnosis_from_words(words: Sequence[str]) -> str | None:
    """The name of a diagnosis from its words (with or without the full stop), or None when it is none."""
    pair = tuple(words[:2])
    if list(words[2:]) not in ([], ["."]):
        return None
    return next((name for name, known in DIAGNOSES.items() if known == pair), None)
