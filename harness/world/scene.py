"""What a scene is: names, geometry constants and the two dataclasses.

A picture is 48x48 RGB and falls into 3x3 cells of 16x16 pixels (the image patches of the micro model are the same
cells). Every object stands in its own cell; a scene is a plain background and one to six objects. All attributes are
integers, indices into the name tuples below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "diamond", "cross", "star")
COLOURS: tuple[str, ...] = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
SIZES: tuple[str, ...] = ("small", "medium", "large")
TEXTURES: tuple[str, ...] = ("plain", "striped")
BACKGROUNDS: tuple[str, ...] = ("white", "grey", "black", "cyan")
"""No background is also an object colour, so an object can never vanish into its background."""

SIZE_PX = 48
CELL_PX = 16
GRID = 3
N_CELLS = GRID * GRID
MAX_OBJECTS = 6

COLOUR_RGB: npt.NDArray[np.float64] = np.array(
    [
        (0.89, 0.10, 0.10),
        (1.00, 0.55, 0.05),
        (0.97, 0.90, 0.12),
        (0.10, 0.66, 0.20),
        (0.12, 0.27, 0.93),
        (0.52, 0.12, 0.68),
        (1.00, 0.56, 0.78),
        (0.55, 0.32, 0.13),
    ]
)
"""(8, 3) RGB in 0..1, the colour of a plain object."""

BACKGROUND_RGB: npt.NDArray[np.float64] = np.array(
    [(0.97, 0.97, 0.97), (0.58, 0.58, 0.58), (0.03, 0.03, 0.03), (0.55, 0.90, 0.95)]
)
"""(4, 3) RGB in 0..1."""

RADIUS_PX: tuple[float, ...] = (3.2, 4.5, 6.0)
"""The radius of each size; a circle has exactly this radius, other shapes a similar area."""

JITTER_PX = 0.5
"""Objects stand up to this far from the centre of their cell, per axis; the largest one still fits into its cell."""

STRIPE_PERIOD_PX = 5.0
STRIPE_SHADE = 0.5
"""Stripes are horizontal bands of the object's colour times this factor, half a period wide, one through the centre."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; all fields are indices, `cell` is 0..8 in row-major order."""

    shape: int
    colour: int
    size: int
    cell: int
    texture: int = 0

    @property
    def row(self) -> int:
        """0 (top) to 2 (bottom)."""
        return self.cell // GRID

    @property
    def column(self) -> int:
        """0 (left) to 2 (right)."""
        return self.cell % GRID


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and the objects on it, at most one per cell."""

    background: int
    objects: tuple[SceneObject, ...]

    def free_cells(self) -> list[int]:
        """Cells without an object, ascending."""
        taken = {o.cell for o in self.objects}
        return [c for c in range(N_CELLS) if c not in taken]


def problems(scene: Scene) -> list[str]:
    """What makes `scene` impossible to draw, in words; empty when it is a valid scene."""
    found = []
    if not 0 <= scene.background < len(BACKGROUNDS):
        found.append(f"background {scene.background} is outside 0..{len(BACKGROUNDS) - 1}")
    if len(scene.objects) > MAX_OBJECTS:
        found.append(f"{len(scene.objects)} objects, at most {MAX_OBJECTS} fit")
    limits = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "texture": TEXTURES, "cell": range(N_CELLS)}
    for i, thing in enumerate(scene.objects):
        for name, values in limits.items():
            if not 0 <= getattr(thing, name) < len(values):
                found.append(f"object {i}: {name} {getattr(thing, name)} is outside 0..{len(values) - 1}")
    cells = [o.cell for o in scene.objects]
    if len(set(cells)) < len(cells):
        found.append(f"two objects share a cell: {sorted(cells)}")
    return found
