"""A bank of drawn shapes that the parser compares with what it sees.

Templates are centred by their centroid at one of 4x4 positions within a pixel, in geometric steps of radius, and split
into two layers: the pixels of a striped object's bright and dark bands. A plain object is the case of equal colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harness.world.render import coverage, stripe_tone
from harness.world.scene import SHAPES, STRIPE_SHADE

WINDOW_PX = 18
"""Side of the square that a template and a looked-at component fill."""
PHASES: npt.NDArray[np.float64] = (np.arange(6) - 1) / 4
"""Positions of the centroid, right of or below the window's middle, in pixels: -0.25 to 1."""
RADII: npt.NDArray[np.float64] = np.round(2.0 * 1.07 ** np.arange(20), 4)
"""2.0 to 7.2 pixels."""

_FINE = 400


@dataclass(frozen=True)
class Bank:
    """Templates indexed [shape, radius, phase y, phase x]."""

    bright: npt.NDArray[np.float32]
    """(6, 20, 6, 6, 324): coverage outside the dark bands."""
    dark: npt.NDArray[np.float32]
    """The same inside them."""
    gram: npt.NDArray[np.float32]
    """(6, 20, 6, 6, 3): sums over pixels of bright*bright, bright*dark, dark*dark."""
    anchor: npt.NDArray[np.float64]
    """(6,): the centroid's height below the shape's centre, in radii."""


def _centroid(shape: int) -> float:
    """How far below its centre a shape's centroid lies, in radii."""
    y, x = (np.mgrid[0:_FINE, 0:_FINE] + 0.5) * (4.0 / _FINE) - 2.0
    inside = coverage(shape, x * 100, y * 100, np.array(100.0)) > 0.5
    return float(y[inside].mean())


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The bank, built once per process (0.1 s, 11 MB)."""
    n = (len(SHAPES), len(RADII), len(PHASES), len(PHASES), WINDOW_PX**2)
    bright, dark = np.empty(n, np.float32), np.empty(n, np.float32)
    anchor = np.round([_centroid(s) for s in range(len(SHAPES))], 3)
    grid = np.arange(WINDOW_PX) + 0.5 - WINDOW_PX / 2
    radius = RADII[:, None, None, None, None]
    for shape in range(len(SHAPES)):
        dy = grid[None, None, None, :, None] - PHASES[None, :, None, None, None] + anchor[shape] * radius
        dx = grid[None, None, None, None, :] - PHASES[None, None, :, None, None]
        alpha = coverage(shape, *np.broadcast_arrays(dx, dy, radius))
        share = np.broadcast_to((1.0 - stripe_tone(dy)) / (1.0 - STRIPE_SHADE), (*n[1:3], 1, WINDOW_PX, 1))
        bright[shape] = (alpha * (1.0 - share)).reshape(n[1:])
        dark[shape] = (alpha * share).reshape(n[1:])
    products = [(t * u).sum(-1) for t, u in ((bright, bright), (bright, dark), (dark, dark))]
    return Bank(bright, dark, np.stack(products, -1), anchor)
