"""Draws scenes: anti-aliased shapes from signed distances, one 16x16 patch per object.

Shape legend: `N` objects, `B` scenes. Signed distances are negative inside; pixel centres lie at half-integers and a
pixel's coverage is `clip(0.5 - distance, 0, 1)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness import seeds
from harness.errors import DataError
from harness.world.scene import (
    BACKGROUND_RGB,
    CELL_PX,
    COLOUR_RGB,
    GRID,
    JITTER_PX,
    N_CELLS,
    RADIUS_PX,
    SIZE_PX,
    STRIPE_PERIOD_PX,
    STRIPE_SHADE,
    Scene,
    problems,
)

Floats = npt.NDArray[np.float64]

_PATCH_Y, _PATCH_X = np.mgrid[0:CELL_PX, 0:CELL_PX] + 0.5
_TILT_X, _TILT_Y = np.cos(np.pi / 5), -np.sin(np.pi / 5)


def _circle(dx: Floats, dy: Floats, r: Floats) -> Floats:
    return np.hypot(dx, dy) - r


def _square(dx: Floats, dy: Floats, r: Floats) -> Floats:
    return np.maximum(np.abs(dx), np.abs(dy)) - 0.88 * r


def _triangle(dx: Floats, dy: Floats, r: Floats) -> Floats:
    """Point up; the base lies 0.85 r below the centre, the tip 1.08 r above."""
    return np.maximum(dy - 0.85 * r, 0.894 * np.abs(dx) - 0.447 * (dy + 1.08 * r))


def _diamond(dx: Floats, dy: Floats, r: Floats) -> Floats:
    return (np.abs(dx) + np.abs(dy) - 1.08 * r) / np.sqrt(2)


def _cross(dx: Floats, dy: Floats, r: Floats) -> Floats:
    ax, ay = np.abs(dx), np.abs(dy)
    return np.minimum(np.maximum(ax - r, ay - 0.36 * r), np.maximum(ay - r, ax - 0.36 * r))


def _star(dx: Floats, dy: Floats, r: Floats) -> Floats:
    """Five points, one up; tips at 1.12 r. Folds the plane into one half of one point, then measures one edge."""
    tip, inner = 1.12 * r, 0.48
    x, y = np.abs(dx), -dy
    for nx in (_TILT_X, -_TILT_X):
        fold = 2 * np.maximum(nx * x + _TILT_Y * y, 0.0)
        x, y = x - fold * nx, y - fold * _TILT_Y
    x, y = np.abs(x), y - tip
    edge_x, edge_y = -inner * _TILT_Y, inner * _TILT_X - 1.0
    along = np.clip((x * edge_x + y * edge_y) / (edge_x**2 + edge_y**2), 0.0, tip)
    return np.hypot(x - edge_x * along, y - edge_y * along) * np.sign(y * edge_x - x * edge_y)


_DISTANCES = (_circle, _square, _triangle, _diamond, _cross, _star)
"""In the order of `SHAPES`."""


def coverage(shape: int, dx: Floats, dy: Floats, radius: Floats) -> Floats:
    """How much of each pixel the shape covers, 0..1.

    Args:
        shape: index into `SHAPES`.
        dx: x of the pixel centres minus x of the object's centre, any shape that broadcasts with `dy` and `radius`.
        dy: the same for y (downwards).
        radius: the object's radius in pixels.
    """
    return np.clip(0.5 - _DISTANCES[shape](dx, dy, radius), 0.0, 1.0)


def stripe_tone(dy: Floats) -> Floats:
    """The factor on a striped object's colour at height `dy` from its centre: 1 or `STRIPE_SHADE`, softened edges."""
    quarter = STRIPE_PERIOD_PX / 4
    distance = np.abs((dy + STRIPE_PERIOD_PX / 2) % STRIPE_PERIOD_PX - STRIPE_PERIOD_PX / 2) - quarter
    dark = np.clip(0.5 - distance, 0.0, 1.0)
    return 1.0 - (1.0 - STRIPE_SHADE) * dark


def jitter(seed: int) -> Floats:
    """(9, 2) offsets in pixels (x, y), one per cell, uniform in +-`JITTER_PX`; independent of the objects' order."""
    return seeds.numpy_generator(seed, "world-jitter").uniform(-JITTER_PX, JITTER_PX, (N_CELLS, 2))


def _tones(texture: npt.NDArray[np.int64], dy: Floats) -> Floats:
    return np.where(texture[:, None, None] == 1, stripe_tone(dy), 1.0)


def render_float(scenes: Sequence[Scene], seeds_: Sequence[int] | None = None) -> Floats:
    """(B, 48, 48, 3) pictures in 0..1; see `render`."""
    for i, scene in enumerate(scenes):
        if found := problems(scene):
            raise DataError(f"Scene {i} cannot be drawn: {'; '.join(found)}.")
    if seeds_ is not None and len(seeds_) != len(scenes):
        raise DataError(f"render got {len(scenes)} scenes and {len(seeds_)} seeds; pass one seed per scene, or None.")
    images = np.empty((len(scenes), SIZE_PX, SIZE_PX, 3))
    images[:] = BACKGROUND_RGB[[s.background for s in scenes]].reshape(-1, 1, 1, 3)
    rows = [(b, o.shape, o.colour, o.size, o.cell, o.texture) for b, s in enumerate(scenes) for o in s.objects]
    if not rows:
        return images
    index, shape, colour, size, cell, texture = np.array(rows, dtype=np.int64).T
    centre = np.full((len(rows), 2), CELL_PX / 2)
    if seeds_ is not None:
        centre += np.stack([jitter(s) for s in seeds_])[index, cell]
    dx = _PATCH_X - centre[:, 0, None, None]
    dy = _PATCH_Y - centre[:, 1, None, None]
    radius = np.array(RADIUS_PX)[size][:, None, None]
    alpha = np.empty_like(dx)
    for k in np.unique(shape):
        of_shape = shape == k
        alpha[of_shape] = coverage(int(k), dx[of_shape], dy[of_shape], radius[of_shape])
    ink = COLOUR_RGB[colour][:, None, None, :] * _tones(texture, dy)[..., None]
    patches = images.reshape(len(scenes), GRID, CELL_PX, GRID, CELL_PX, 3)
    under = patches[index, cell // GRID, :, cell % GRID]
    patches[index, cell // GRID, :, cell % GRID] = under + alpha[..., None] * (ink - under)
    return images


def render(scenes: Sequence[Scene], seeds: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
    """Pictures of `scenes`.

    Args:
        scenes: B valid scenes.
        seeds: one integer per scene for the position jitter; None draws every object at the centre of its cell.

    Returns:
        (B, 48, 48, 3) uint8 RGB. The same scene and seed always give the same bytes, in any batch.

    Raises:
        DataError: a scene is invalid (`scene.problems`), or the numbers of scenes and seeds differ.
    """
    return np.round(render_float(scenes, seeds) * 255.0).astype(np.uint8)
