"""Random scenes and specs shared by the tests of the world; each is drawn once per process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from harness.world.grammar import Spec, corrupt, sample_layout, sample_spec
from harness.world.parse import Perception, perceive
from harness.world.render import render
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, N_CELLS, SHAPES, SIZES, Scene, SceneObject

N_SCENES = 2000
N_SPECS = 2000


def _scene(rng: np.random.Generator) -> Scene:
    """One to six objects with independent uniform attributes (30 % striped), in the order of their cells."""
    cells = sorted(int(c) for c in rng.permutation(N_CELLS)[: rng.integers(1, MAX_OBJECTS + 1)])
    objects = tuple(
        SceneObject(
            int(rng.integers(len(SHAPES))),
            int(rng.integers(len(COLOURS))),
            int(rng.integers(len(SIZES))),
            cell,
            int(rng.random() < 0.3),
        )
        for cell in cells
    )
    return Scene(int(rng.integers(len(BACKGROUNDS))), objects)


@lru_cache(maxsize=1)
def scenes() -> tuple[Scene, ...]:
    rng = np.random.default_rng(11)
    return tuple(_scene(rng) for _ in range(N_SCENES))


@lru_cache(maxsize=1)
def perceptions() -> tuple[Perception, ...]:
    return tuple(perceive(render(scenes(), range(N_SCENES))))


@lru_cache(maxsize=1)
def specs() -> tuple[Spec, ...]:
    """Specs of all kinds and both splits."""
    rng = np.random.default_rng(12)
    return tuple(sample_spec(rng, None, None) for _ in range(N_SPECS))


@lru_cache(maxsize=1)
def layouts() -> tuple[Scene, ...]:
    rng = np.random.default_rng(13)
    return tuple(sample_layout(rng, spec) for spec in specs())


@lru_cache(maxsize=1)
def corruptions() -> tuple[tuple[Scene, str], ...]:
    rng = np.random.default_rng(14)
    return tuple(corrupt(rng, layout, spec) for layout, spec in zip(layouts(), specs(), strict=True))


def one(shape: str, colour: str = "red", size: str = "large", cell: int = 4, texture: int = 0) -> SceneObject:
    return SceneObject(SHAPES.index(shape), COLOURS.index(colour), SIZES.index(size), cell, texture)


def look(*objects: SceneObject, background: str = "white") -> Perception:
    """The parse of a drawn scene, objects centred."""
    return perceive(render([Scene(BACKGROUNDS.index(background), objects)]))[0]
