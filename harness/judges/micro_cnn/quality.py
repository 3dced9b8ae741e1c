"""What is wrong with a damaged picture, measured against the clean drawing of the same scene: the quality labels.

Shape legend: `B` pictures, 9 cells in row-major order, 16x16 pixels each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.world.scene import BACKGROUND_RGB, CELL_PX, GRID, N_CELLS
from harness.world.verifier import (
    BACKGROUND_DEVIATION,
    BACKGROUND_DISTANCE,
    COLOUR_DISTANCE,
    MISFIT_MEAN,
    MISFIT_WORST,
    QUALITY_QUESTIONS,
    SPECK_PX,
    UNEVENNESS,
)

Floats = npt.NDArray[np.float64]

_SPECK_DISTANCE = 0.2


def _cells_of(pictures: Floats) -> Floats:
    """(B, 48, 48, 3) as (B, 9, 16, 16, 3)."""
    grid = pictures.reshape(-1, GRID, CELL_PX, GRID, CELL_PX, 3)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(-1, N_CELLS, CELL_PX, CELL_PX, 3)


def measured_quality(pictures: Floats, clean: Floats, presence: Floats) -> Floats:
    """What is wrong with pictures, from comparing them with the clean drawings of the same scenes.

    Args:
        pictures: (B, 48, 48, 3) in 0..1.
        clean: the same, undamaged.
        presence: (B, 9) which cells hold an object.

    Returns:
        (B, 7) 0 or 1: whether each quality question is rightly answered yes. The limits are those by which the world
        defines quality (`harness.world.verifier`); the measurements are taken on known pixels.
    """
    ground = clean[:, :1, :1]  # the corner pixel is always background
    ink = np.linalg.norm(clean - ground, axis=-1) > 0.02
    values = {}
    # Every scene leaves at least three cells free, so each picture has background to measure.
    ground_seen = np.stack([np.median(p[~m], axis=0) for p, m in zip(pictures, ink, strict=True)])
    apart = np.linalg.norm(pictures - ground_seen[:, None, None], axis=-1)
    n_ground = (~ink).sum((1, 2))
    values["uniform"] = np.sqrt((apart**2 * ~ink).sum((1, 2)) / n_ground) < BACKGROUND_DEVIATION[0]
    values["speckle"] = ((apart > _SPECK_DISTANCE) & ~ink).sum((1, 2)) < SPECK_PX[0]
    known = np.linalg.norm(ground_seen[:, None] - BACKGROUND_RGB, axis=-1).min(1)
    values["backdrop"] = known < BACKGROUND_DISTANCE[0]
    misfit, shift, grain = _object_flaws(pictures, clean, ground_seen)
    n = presence.sum(1)
    there = n > 0

    def mean(x: Floats) -> Floats:
        return np.asarray((x * presence).sum(1) / np.maximum(n, 1))

    def worst(x: Floats) -> Floats:
        return np.asarray((x * presence).max(1))

    values["geometry"] = there & (mean(misfit) < MISFIT_MEAN[0])
    values["whole"] = there & (worst(misfit) < MISFIT_WORST[0])
    values["saturation"] = there & (mean(shift) < COLOUR_DISTANCE[0])
    values["texture"] = there & (worst(grain) < UNEVENNESS[0])
    return np.stack([values[name] for name in QUALITY_QUESTIONS], 1).astype(float)


def _object_flaws(pictures: Floats, clean: Floats, ground_seen: Floats) -> tuple[Floats, Floats, Floats]:
    """(B, 9) each: unexplained share of the cell's drawing, change of its colour, unevenness inside its shape."""
    asked = _cells_of(clean - clean[:, :1, :1])
    seen = _cells_of(pictures - ground_seen[:, None, None])
    n, pixels = len(clean), CELL_PX**2
    a, s = asked.reshape(n, N_CELLS, pixels, 3), seen.reshape(n, N_CELLS, pixels, 3)
    # Any linear change of colour is allowed; what remains is a matter of shape.
    gram = np.einsum("ncpi,ncpj->ncij", a, a) + 1e-3 * np.eye(3)
    change = np.linalg.solve(gram, np.einsum("ncpi,ncpj->ncij", a, s))
    left = ((s - a @ change) ** 2).sum((2, 3))
    misfit = left / np.maximum((s**2).sum((2, 3)), 1e-3)
    solid = np.linalg.norm(a, axis=-1)
    core = solid > 0.9 * np.maximum(solid.max(2, keepdims=True), 1e-6)
    n_core = np.maximum(core.sum(2), 1)
    difference = _cells_of(pictures - clean).reshape(n, N_CELLS, pixels, 3) * core[..., None]
    moved = difference.sum(2) / n_core[..., None]
    uneven = np.sqrt((((difference - moved[:, :, None]) * core[..., None]) ** 2).sum((2, 3)) / n_core)
    return misfit, np.linalg.norm(moved, axis=-1), uneven
