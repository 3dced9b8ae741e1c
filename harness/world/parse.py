"""The scene parser: objects with probabilities from the pixels of any image, never from a prompt or a plan.

Background from the border; components of pixels that differ from it; each component is explained by the best template
(shape, radius, position) with two free colours for bright and dark bands (least squares). What the template leaves
unexplained gives the shape, the fitted colours give colour and texture, the fitted radius gives the size. Every
decision is a probability that falls steadily as the evidence weakens.

Shape legend: `B` images, `N` components, `K` templates, `P` pixels of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import expit

from harness.errors import DataError
from harness.world.scene import (
    BACKGROUND_RGB,
    CELL_PX,
    COLOUR_RGB,
    GRID,
    MAX_OBJECTS,
    RADIUS_PX,
    SHAPES,
    SIZE_PX,
    Scene,
    SceneObject,
)
from harness.world.templates import PHASES, RADII, WINDOW_PX, bank

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ParserConstants:
    """Thresholds and scales of the parser; part of the world's version. Colours are in 0..1 per channel."""

    foreground: float = 0.20
    """Colour distance from the background above which a pixel belongs to a component."""
    speck_px: int = 8
    """Components below this area are speckle."""
    max_components: int = 12
    """Only so many components per image are looked at, largest first; the rest counts as speckle."""
    area_px: tuple[float, float] = (9.0, 1.0)
    """Mid-point and scale: below it, nothing is there."""
    area_max_px: tuple[float, float] = (200.0, 10.0)
    """Above it, it is not one object."""
    contrast: tuple[float, float] = (0.22, 0.03)
    """Mean colour distance from the background that an object needs."""
    shape_scale: float = 0.006
    """Soft-max scale of the unexplained share."""
    misfit: tuple[float, float] = (0.14, 0.02)
    """Unexplained share above which it has none of the known shapes."""
    colour_scale: float = 0.05
    """Soft-max scale of the colour distance."""
    colour_misfit: tuple[float, float] = (0.27, 0.04)
    """Colour distance above which it has none of the known colours."""
    radius_scale: float = 0.025
    """Scale of the size decision in log radius."""
    stripe: tuple[float, float] = (0.25, 0.03)
    """Mid-point and scale of the relative darkness of the dark bands (0 plain, 0.5 striped)."""
    background_scale: float = 0.06
    background_misfit: tuple[float, float] = (0.20, 0.025)


CONSTANTS = ParserConstants()


@dataclass(frozen=True, eq=False)
class PerceivedObject:
    """One component of the picture. Probabilities of shapes (colours) may sum to less than 1: none of them."""

    presence: float
    """P(there is one thing here), whatever it is: area and contrast."""
    confidence: float
    """P(it is an object of the world): presence, and its shape is one of the known shapes."""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the 48x48 view; x2 and y2 are exclusive."""
    centre: tuple[float, float]
    """x, y of the shape's centre."""
    radius: float
    area: float
    """Sum of the soft mask, in pixels."""
    shape: Floats
    """(6,) probabilities."""
    colour: Floats
    """(8,) probabilities."""
    size: Floats
    """(3,) probabilities, sum 1."""
    striped: float
    """P(striped)."""
    rgb: Floats
    """(3,) fitted colour (of the bright bands)."""
    misfit: float
    """Share of the component's energy that the best template leaves unexplained; 0 is perfect."""
    colour_distance: float
    """Distance of `rgb` from the nearest known colour."""
    unevenness: float
    """RMS deviation from the two fitted colours inside the shape; 0 is flat."""
    mask: npt.NDArray[np.float32]
    """(48, 48) soft mask, 0..1."""

    @property
    def cell(self) -> int:
        """The cell that holds the centre."""
        column, row = (min(max(int(v // CELL_PX), 0), GRID - 1) for v in self.centre)
        return row * GRID + column


@dataclass(frozen=True, eq=False)
class Perception:
    """What the parser sees in one image."""

    objects: tuple[PerceivedObject, ...]
    """Components from the largest to the smallest."""
    background: Floats
    """(4,) probabilities; the rest is `none of them`."""
    background_distance: float
    """Distance of the background from the nearest known one."""
    background_deviation: float
    """RMS colour deviation of the pixels outside all components."""
    speck_px: float
    """Area of components that are too small (or too many) to be objects."""


def rising(value: float | Floats, limits: tuple[float, float]) -> Floats:
    """Sigmoid of `(value - middle) / scale` for limits (middle, scale)."""
    return np.asarray(expit((np.asarray(value) - limits[0]) / limits[1]))


def falling(value: float | Floats, limits: tuple[float, float]) -> Floats:
    """One minus `rising`."""
    return np.asarray(expit((limits[0] - np.asarray(value)) / limits[1]))


def _softmax(cost: Floats, scale: float) -> Floats:
    weights = np.exp(-(cost - cost.min(-1, keepdims=True)) / scale)
    return np.asarray(weights / weights.sum(-1, keepdims=True))


_PLANE = np.zeros((3, 3, 3), dtype=bool)
_PLANE[1] = True
_RADIUS_BORDERS = tuple(float(np.log(a * b) / 2) for a, b in pairwise(RADIUS_PX))
_Y, _X = np.mgrid[0:SIZE_PX, 0:SIZE_PX] + 0.5
_N_BEST = 3
"""So many shapes are fitted finely."""


@dataclass
class _Components:
    """The components of a batch that are looked at."""

    image: Ints
    """(N,) index of the image"""
    own: npt.NDArray[np.bool_]
    """(N, 48, 48) its pixels"""
    near: npt.NDArray[np.bool_]
    """(N, 48, 48) its pixels and the unlabelled ones within two pixels"""
    mask: Floats
    """(N, 48, 48) soft mask"""
    area: Floats
    box: Ints
    """(N, 4) x1, y1, x2, y2"""


def _find(distance: Floats, c: ParserConstants) -> tuple[_Components, Floats, npt.NDArray[np.bool_]]:
    """Components of pixels away from the background.

    Args:
        distance: (B, 48, 48) colour distance from the background.
        c: the constants.

    Returns:
        The components, (B,) area of speckle, and (B, 48, 48) which pixels belong to anything or touch it.

    """
    foreground = distance > c.foreground
    labels, n_labels = ndimage.label(foreground, structure=_PLANE)
    areas = np.bincount(labels.ravel(), minlength=n_labels + 1)[1:]
    slices = ndimage.find_objects(labels)
    speck = np.zeros(len(distance))
    kept: list[list[tuple[int, int]]] = [[] for _ in distance]
    for k in np.argsort(-areas, kind="stable"):
        image = slices[k][0].start
        if areas[k] < c.speck_px or len(kept[image]) >= c.max_components:
            speck[image] += areas[k]
        else:
            kept[image].append((image, int(k) + 1))
    pairs = np.array([pair for of_image in kept for pair in of_image], dtype=np.int64).reshape(-1, 2)
    image, label = pairs.T
    touched = ndimage.binary_dilation(foreground, structure=_PLANE)
    own = labels[image] == label[:, None, None]
    near = (ndimage.binary_dilation(own, structure=_PLANE, iterations=2) & (labels[image] == 0)) | own
    peak = ndimage.maximum_filter(distance, size=(1, 3, 3))[image]
    mask = np.where(near, np.clip(distance[image] / np.maximum(peak, c.foreground), 0.0, 1.0), 0.0)
    mask[own] = np.maximum(mask[own], 0.5)
    box = [
        (slices[k - 1][2].start, slices[k - 1][1].start, slices[k - 1][2].stop, slices[k - 1][1].stop) for k in label
    ]
    boxes = np.array(box, dtype=np.int64).reshape(-1, 4)
    return _Components(image, own, near, mask, areas[label - 1].astype(np.float64), boxes), speck, touched


@dataclass
class _Signals:
    """What the templates have to explain, and where each window lies."""

    pixels: npt.NDArray[np.float32]
    """(N, 324, 3) picture minus background near the component, zero elsewhere"""
    total: Floats
    """(N,) energy of the component, also outside the window"""
    corner: Ints
    """(N, 2) y, x of the window's first pixel in the image"""
    phase: Ints
    """(N, 2) index into `PHASES` nearest to the centroid (y, x)"""


def _signals(difference: Floats, comps: _Components) -> _Signals:
    """Cuts (N, 18, 18) windows around the centroids out of (B, 48, 48, 3) `difference`."""
    weight = comps.mask.sum((1, 2))
    centroid = np.stack([(comps.mask * g).sum((1, 2)) / weight for g in (_Y, _X)], -1)
    corner = np.floor(centroid).astype(np.int64) - WINDOW_PX // 2
    phase = np.rint((centroid - np.floor(centroid)) * 4).astype(np.int64) + 1
    signal = difference[comps.image] * comps.near[..., None]
    total = (signal**2).sum((1, 2, 3))
    pad = WINDOW_PX
    padded = np.pad(signal, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    steps = np.arange(WINDOW_PX) + pad
    n = np.arange(len(corner))[:, None, None]
    windows = padded[n, (corner[:, :1] + steps)[:, :, None], (corner[:, 1:] + steps)[:, None, :]]
    return _Signals(windows.reshape(len(corner), WINDOW_PX**2, 3).astype(np.float32), total, corner, phase)


def _explain(signals: _Signals, shape: Ints, radius: Ints, y: Ints, x: Ints) -> tuple[Floats, Floats]:
    """Least-squares fit of the contrasts of bright and dark bands for templates given by (N, K) indices.

    Returns:
        (N, K) unexplained share of the energy, and (N, K, 2, 3) fitted colours minus the background.

    """
    b = bank()
    index = np.broadcast_arrays(shape, radius, y, x)
    index = tuple(index)
    r1, r2 = (np.matmul(layer[index], signals.pixels).astype(np.float64) for layer in (b.bright, b.dark))
    g11, g12, g22 = np.moveaxis(b.gram[index].astype(np.float64), -1, 0)
    g11, g22 = g11 + 1e-3, g22 + 1e-3
    det = (g11 * g22 - g12**2)[..., None]
    c1 = (g22[..., None] * r1 - g12[..., None] * r2) / det
    c2 = (g11[..., None] * r2 - g12[..., None] * r1) / det
    explained = (c1 * r1 + c2 * r2).sum(-1)
    return 1.0 - explained / signals.total[:, None], np.stack([c1, c2], 2)


@dataclass
class _Fits:
    """The best template of each component, and how well each shape can do."""

    misfit: Floats
    """(N, 6) smallest unexplained share by shape"""
    best: tuple[Ints, Ints, Ints, Ints]
    """indices (shape, radius, phase y, phase x), each (N,)"""
    log_radius: Floats
    """(N,) refined between steps"""
    contrast: Floats
    """(N, 2, 3) fitted colours of bright and dark bands minus the background"""


_OFFSETS = np.array([(r, y, x) for r in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)])


def _refined(misfit: Floats, radius: Ints) -> Floats:
    """Log radius at the minimum of the parabola through three neighbouring radii: misfit (N, 3) at radius-1 .. +1."""
    left, middle, right = misfit.T
    bend = np.maximum(left + right - 2 * middle, 1e-9)
    step = np.clip((left - right) / (2 * bend), -0.5, 0.5)
    return np.asarray(np.log(RADII)[radius] + step * np.log(RADII[1] / RADII[0]))


def _fit(signals: _Signals) -> _Fits:
    """Every shape and radius at the centroid first, then the best shapes with small moves and finer radii."""
    n, rows = len(signals.total), np.arange(len(signals.total))[:, None]
    n_shapes, n_radii = len(SHAPES), len(RADII)
    grid = np.indices((n_shapes, n_radii)).reshape(2, 1, -1)
    coarse, _ = _explain(signals, grid[0], grid[1], signals.phase[:, :1], signals.phase[:, 1:])
    by_shape = coarse.reshape(n, n_shapes, n_radii)
    misfit, radius = by_shape.min(-1), by_shape.argmin(-1)
    top = np.argsort(misfit, axis=1, kind="stable")[:, :_N_BEST]
    middle = np.clip(radius[rows, top], 1, n_radii - 2)
    fine_shape = np.repeat(top, len(_OFFSETS), axis=1)
    fine_radius = (middle[:, :, None] + _OFFSETS[:, 0]).reshape(n, -1)
    y, x = (np.tile(np.clip(signals.phase[:, i : i + 1], 1, 4) + _OFFSETS[:, i + 1], _N_BEST) for i in (0, 1))
    fine, contrast = _explain(signals, fine_shape, fine_radius, y, x)
    for k in range(_N_BEST):
        of_shape = fine[:, k * len(_OFFSETS) : (k + 1) * len(_OFFSETS)].min(1)
        misfit[rows[:, 0], top[:, k]] = np.minimum(misfit[rows[:, 0], top[:, k]], of_shape)
    at = fine.argmin(1)
    pick = (rows[:, 0], at)
    # The three radii at the best shape and position, 9 candidates apart.
    first = at - at % len(_OFFSETS) + at % 9
    three = fine[rows, first[:, None] + np.array([0, 9, 18])]
    log_radius = _refined(three, middle[rows[:, 0], at // len(_OFFSETS)])
    best = (fine_shape[pick], fine_radius[pick], y[pick], x[pick])
    return _Fits(misfit, best, log_radius, contrast[pick])


def _unevenness(signals: _Signals, fits: _Fits) -> Floats:
    """(N,) RMS deviation from the fitted colours, over pixels well inside the best template."""
    b = bank()
    bright, dark = (layer[fits.best].astype(np.float64)[..., None] for layer in (b.bright, b.dark))
    residual = signals.pixels - bright * fits.contrast[:, None, 0] - dark * fits.contrast[:, None, 1]
    inside = (bright + dark)[..., 0] > 0.98
    energy = ((residual**2).sum(-1) * inside).sum(1)
    return np.asarray(np.sqrt(energy / np.maximum(inside.sum(1), 1)))


def _colours(signals: _Signals, fits: _Fits, background: Floats, c: ParserConstants) -> tuple[Floats, Floats]:
    """(N,) P(striped), and (N, 3) the object's colour: of the bright bands if striped, else of the whole."""
    bright, dark = fits.contrast[:, 0] + background, fits.contrast[:, 1] + background
    darkness = 1.0 - (bright * dark).sum(1) / np.maximum((bright**2).sum(1), 1e-6)
    striped = rising(darkness, c.stripe)
    b = bank()
    whole = (b.bright[fits.best] + b.dark[fits.best]).astype(np.float64)
    plain = np.einsum("np,npc->nc", whole, signals.pixels) / ((whole**2).sum(1)[:, None] + 1e-3) + background
    return striped, striped[:, None] * bright + (1.0 - striped[:, None]) * plain


def _size_probabilities(log_radius: Floats, c: ParserConstants) -> Floats:
    """(N, 3) probabilities by sigmoids at the geometric means of neighbouring sizes."""
    above = np.stack([expit((log_radius - border) / c.radius_scale) for border in _RADIUS_BORDERS], 1)
    return np.stack([1 - above[:, 0], above[:, 0] - above[:, 0] * above[:, 1], above[:, 0] * above[:, 1]], 1)


def _objects(difference: Floats, background: Floats, comps: _Components, c: ParserConstants) -> list[PerceivedObject]:
    signals = _signals(difference, comps)
    fits = _fit(signals)
    striped, rgb = _colours(signals, fits, background[comps.image], c)
    uneven = _unevenness(signals, fits)
    shape = _softmax(fits.misfit, c.shape_scale) * falling(fits.misfit.min(1), c.misfit)[:, None]
    distance = np.linalg.norm(rgb[:, None] - COLOUR_RGB, axis=-1)
    colour = _softmax(distance, c.colour_scale) * falling(distance.min(1), c.colour_misfit)[:, None]
    size = _size_probabilities(fits.log_radius, c)
    contrast = np.linalg.norm(rgb - background[comps.image], axis=1)
    area = comps.mask.sum((1, 2))
    presence = rising(area, c.area_px) * falling(area, c.area_max_px) * rising(contrast, c.contrast)
    radius = np.exp(fits.log_radius)
    kind, _, y, x = fits.best
    centre_y = signals.corner[:, 0] + WINDOW_PX / 2 + PHASES[y] - bank().anchor[kind] * radius
    centre_x = signals.corner[:, 1] + WINDOW_PX / 2 + PHASES[x]
    return [
        PerceivedObject(
            presence=float(presence[i]),
            confidence=float(presence[i] * falling(fits.misfit[i].min(), c.misfit)),
            box=(float(comps.box[i, 0]), float(comps.box[i, 1]), float(comps.box[i, 2]), float(comps.box[i, 3])),
            centre=(float(centre_x[i]), float(centre_y[i])),
            radius=float(radius[i]),
            area=float(area[i]),
            shape=shape[i],
            colour=colour[i],
            size=size[i],
            striped=float(striped[i]),
            rgb=rgb[i],
            misfit=float(fits.misfit[i].min()),
            colour_distance=float(distance[i].min()),
            unevenness=float(uneven[i]),
            mask=comps.mask[i].astype(np.float32),
        )
        for i in range(len(comps.image))
    ]


def _perceive(images: npt.NDArray[np.uint8], c: ParserConstants) -> list[Perception]:
    pictures = images.astype(np.float64) / 255.0
    border = np.concatenate([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], 1)
    background = np.median(border, axis=1)
    difference = pictures - background[:, None, None]
    distance = np.sqrt((difference**2).sum(-1))
    comps, speck, touched = _find(distance, c)
    found = _objects(difference, background, comps, c) if len(comps.image) else []
    apart = np.linalg.norm(background[:, None] - BACKGROUND_RGB, axis=-1)
    known = _softmax(apart, c.background_scale) * falling(apart.min(1), c.background_misfit)[:, None]
    outside = ~touched
    deviation = np.sqrt((distance**2 * outside).sum((1, 2)) / np.maximum(outside.sum((1, 2)), 1))
    # Next to nothing left outside the components: there is no background to speak of.
    deviation = np.where(outside.sum((1, 2)) < SIZE_PX, 1.0, deviation)
    return [
        Perception(
            objects=tuple(o for o, image in zip(found, comps.image, strict=True) if image == b),
            background=known[b],
            background_distance=float(apart[b].min()),
            background_deviation=float(deviation[b]),
            speck_px=float(speck[b]),
        )
        for b in range(len(images))
    ]


_CHUNK = 64


def perceive(
    images: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]], constants: ParserConstants = CONSTANTS
) -> list[Perception]:
    """What there is to see in each of `images`; never fails on a bad picture.

    Args:
        images: (B, 48, 48, 3) uint8 RGB. Other sizes and modes: `view.to_view` first.
        constants: thresholds and scales.

    Raises:
        DataError: the array has another shape or type.

    """
    batch = np.asarray(images)
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != (SIZE_PX, SIZE_PX, 3):
        raise DataError(
            f"perceive got an array of shape {batch.shape} and type {batch.dtype}; expected (B, {SIZE_PX}, {SIZE_PX}, "
            "3) of uint8. Convert other images with harness.world.view.to_view."
        )
    found: list[Perception] = []
    for start in range(0, len(batch), _CHUNK):
        found += _perceive(batch[start : start + _CHUNK], constants)
    return found


def scene_of(perception: Perception, *, min_confidence: float = 0.5) -> Scene:
    """The most likely scene: every object above `min_confidence` with its likeliest attributes, in order of cells.

    Of two objects in one cell the more confident one counts; of more than six the six most confident.
    """
    by_cell: dict[int, PerceivedObject] = {}
    for thing in sorted(perception.objects, key=lambda o: -o.confidence):
        if thing.confidence > min_confidence and len(by_cell) < MAX_OBJECTS:
            by_cell.setdefault(thing.cell, thing)
    objects = tuple(
        SceneObject(int(o.shape.argmax()), int(o.colour.argmax()), int(o.size.argmax()), cell, int(o.striped > 0.5))
        for cell, o in sorted(by_cell.items())
    )
    return Scene(int(perception.background.argmax()), objects)
