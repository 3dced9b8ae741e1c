"""Corpus noise on the picture side: degraded pixels, and scenes with one changed fact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from harness.world.grammar.spec import HELD_OUT
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, SHAPES, SIZES, TEXTURES, Scene, SceneObject

Floats = npt.NDArray[np.float32]

DEGRADATIONS = ("grain", "faded", "blur", "speckle")
_DEGRADATION_WEIGHTS = (0.34, 0.23, 0.23, 0.20)

CHANGES = {"colour": 0.25, "shape": 0.25, "size": 0.1, "place": 0.12, "missing": 0.14, "extra": 0.1, "background": 0.04}
"""How often each fact is the one that changes."""


def degrade(rng: np.random.Generator, image: Floats) -> Floats:
    """One degraded copy of an image (48, 48, 3) with values in 0..1."""
    how = rng.choice(DEGRADATIONS, p=_DEGRADATION_WEIGHTS)
    out: npt.NDArray[np.floating] = image.copy()
    if how == "grain":
        out = image + rng.normal(0.0, 0.08, image.shape)
    elif how == "faded":
        out = 0.4 * image.mean(-1, keepdims=True) + 0.6 * image
    elif how == "blur":
        out = ndimage.gaussian_filter(image, (0.9, 0.9, 0.0))
    else:
        y, x = rng.integers(0, image.shape[0], (2, 8))
        out[y, x] = rng.random((8, 3))
    return np.clip(out, 0.0, 1.0).astype(np.float32)


def change_one_fact(rng: np.random.Generator, scene: Scene) -> Scene:
    """`scene` with one fact changed; never with a new held-out combination."""
    while True:
        how = str(rng.choice(list(CHANGES), p=list(CHANGES.values())))
        changed = _changed(rng, scene, how)
        if changed is not None and not (_held_out(changed) - _held_out(scene)):
            return changed


def _changed(rng: np.random.Generator, scene: Scene, how: str) -> Scene | None:
    if how == "background":
        return replace(scene, background=_other(rng, scene.background, len(BACKGROUNDS)))
    objects = list(scene.objects)
    if how == "extra":
        if len(objects) >= MAX_OBJECTS:
            return None
        limits = (len(SHAPES), len(COLOURS), len(SIZES))
        shape, colour, size = (int(rng.integers(n)) for n in limits)
        objects.append(SceneObject(shape, colour, size, int(rng.choice(scene.free_cells()))))
        return replace(scene, objects=tuple(objects))
    if not objects or (how == "missing" and len(objects) < 2):
        return None
    i = int(rng.integers(len(objects)))
    if how == "missing":
        del objects[i]
    elif how == "place":
        objects[i] = replace(objects[i], cell=int(rng.choice(scene.free_cells())))
    else:
        n = {"colour": len(COLOURS), "shape": len(SHAPES), "size": len(SIZES), "texture": len(TEXTURES)}[how]
        objects[i] = replace(objects[i], **{how: _other(rng, getattr(objects[i], how), n)})
    return replace(scene, objects=tuple(objects))


def _other(rng: np.random.Generator, value: int, n: int) -> int:
    return (value + 1 + int(rng.integers(n - 1))) % n


def _held_out(scene: Scene) -> set[tuple[int, int]]:
    return {(o.colour, o.shape) for o in scene.objects} & HELD_OUT
