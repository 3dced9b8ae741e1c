"""Training pictures with labels: drawn scenes, some of them damaged or broken, labelled by the scene and the damage.

Labels come from the scene that was drawn and from comparing the damaged picture with the clean one pixel by pixel;
nothing here looks at a picture as a judge has to. Scenes belong to the training split: layouts and one-fact corruptions
of training prompts, and random scenes, none with a held-out combination of colour and shape.

Shape legend: `B` pictures, 9 cells in row-major order, 16x16 pixels each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.judges.micro_cnn.quality import measured_quality
from harness.world.degrade import DEGRADATIONS, degrade
from harness.world.grammar import HELD_OUT, Spec, Split, corrupt, sample_spec
from harness.world.grammar.layout import try_layout
from harness.world.render import jitter, render_float
from harness.world.scene import (
    BACKGROUND_RGB,
    BACKGROUNDS,
    CELL_PX,
    COLOUR_RGB,
    COLOURS,
    GRID,
    N_CELLS,
    SHAPES,
    SIZE_PX,
    SIZES,
    Scene,
    SceneObject,
)
from harness.world.verifier import BACKGROUND_DISTANCE, QUALITY_QUESTIONS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OTHER_BACKGROUND = len(BACKGROUNDS)
"""Label of a background that is none of the known ones."""
SHARE_CLEAN, SHARE_DAMAGED, SHARE_BROKEN = 0.40, 0.35, 0.21
"""Of the pictures; the rest shows no scene at all (plain colours, noise)."""
SHARE_RECOLOURED = 0.2
"""Of all pictures with scenes: shown in exchanged colours, so that shapes are not learned with their colours."""
SHARE_RANDOM = 0.5
"""Of the scenes: random ones. The others are layouts of prompts, a third of them with one wrong fact."""
P_STRIPED = 0.3
_MAX_STRENGTH = {"fade": 0.7}
_NEAR_COLOUR = 0.35


@dataclass(frozen=True)
class Labelled:
    """Pictures and what is true of them. A weight of 0 marks what nobody could tell from the picture."""

    pictures: npt.NDArray[np.uint8]
    """(B, 48, 48, 3)."""
    presence: Floats
    """(B, 9) 0 or 1."""
    weight: Floats
    """(B, 9) 0 or 1: whether the cell's labels count."""
    attributes: Ints
    """(B, 9, 4): shape, colour, size, texture of the object in the cell; 0 where there is none."""
    offset: Floats
    """(B, 9, 2): the object's centre relative to the cell's, x and y in pixels."""
    background: Ints
    """(B,) index of the background or `OTHER_BACKGROUND`."""
    quality: Floats
    """(B, 7) 0 or 1, in the order of `QUALITY_QUESTIONS`; NaN where it is not known."""
    shape_known: npt.NDArray[np.bool_]
    """(B,) whether shape, size, texture and offset count."""
    colour_known: npt.NDArray[np.bool_]
    """(B,) whether colour and background count."""


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene of 0 to 6 objects with attributes drawn evenly; no held-out combination."""
    n = 0 if rng.random() < 0.05 else int(rng.integers(1, 7))
    objects = []
    for cell in rng.permutation(N_CELLS)[:n]:
        while True:
            shape, colour = int(rng.integers(len(SHAPES))), int(rng.integers(len(COLOURS)))
            if (colour, shape) not in HELD_OUT:
                break
        size, texture = int(rng.integers(len(SIZES))), int(rng.random() < P_STRIPED)
        objects.append(SceneObject(shape, colour, size, int(cell), texture))
    return Scene(int(rng.integers(len(BACKGROUNDS))), tuple(objects))


def prompted_scene(rng: np.random.Generator, split: Split = "train") -> tuple[Spec, Scene, bool]:
    """A random prompt, a scene for it, and whether the scene shows it: one in three does not, by one fact."""
    while True:
        spec = sample_spec(rng, split=split)
        scene = try_layout(rng, spec)
        if scene is not None:
            break
    is_wrong = bool(rng.random() < 1 / 3)
    return spec, corrupt(rng, scene, spec)[0] if is_wrong else scene, not is_wrong


def draw(rng: np.random.Generator, n: int) -> Labelled:
    """`n` training pictures with labels."""
    n_void = int(rng.binomial(n, 1.0 - SHARE_CLEAN - SHARE_DAMAGED - SHARE_BROKEN))
    scenes = [random_scene(rng) if rng.random() < SHARE_RANDOM else prompted_scene(rng)[1] for _ in range(n - n_void)]
    shown = of_scenes(rng, scenes, shares=(SHARE_CLEAN, SHARE_DAMAGED, SHARE_BROKEN))
    for i in np.flatnonzero(rng.random(len(scenes)) < SHARE_RECOLOURED):
        _recolour(rng, shown, int(i), scenes[i])
    return _joined(shown, _void(rng, n_void)) if n_void else shown


def of_scenes(
    rng: np.random.Generator, scenes: Sequence[Scene], *, shares: tuple[float, float, float] = (1.0, 0.0, 0.0)
) -> Labelled:
    """Labelled pictures of given scenes; `shares` of clean, damaged and broken ones are relative."""
    seeds = [int(s) for s in rng.integers(2**62, size=len(scenes))]
    clean = render_float(scenes, seeds)
    labels = _labels(scenes, seeds)
    pictures = clean.copy()
    ways = rng.choice(3, size=len(scenes), p=np.array(shares) / sum(shares))
    for i in np.flatnonzero(ways == 1):
        pictures[i] = _damaged(rng, clean[i])
    for i in np.flatnonzero(ways == 2):
        how = int(rng.integers(len(_BREAKS)))
        pictures[i] = _BREAKS[how](rng, clean, int(i), labels)
        is_moved = _BREAKS[how] is _shifted
        labels.quality[i] = np.nan if is_moved else 0.0
        if rng.random() < 0.3:
            pictures[i] = _damaged(rng, pictures[i])
    stored = np.round(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
    quality = measured_quality(stored / 255.0, clean, labels.presence)
    return replace(labels, pictures=stored, quality=quality + labels.quality)


def _labels(scenes: Sequence[Scene], seeds: Sequence[int]) -> Labelled:
    n = len(scenes)
    presence, attributes, offset = (
        np.zeros((n, N_CELLS)),
        np.zeros((n, N_CELLS, 4), np.int64),
        np.zeros((n, N_CELLS, 2)),
    )
    for i, (scene, seed) in enumerate(zip(scenes, seeds, strict=True)):
        moves = jitter(seed)
        for o in scene.objects:
            presence[i, o.cell] = 1.0
            attributes[i, o.cell] = (o.shape, o.colour, o.size, o.texture)
            offset[i, o.cell] = moves[o.cell]
    background = np.array([s.background for s in scenes], np.int64)
    return Labelled(
        pictures=np.empty((0, SIZE_PX, SIZE_PX, 3), np.uint8),
        presence=presence,
        weight=np.ones((n, N_CELLS)),
        attributes=attributes,
        offset=offset,
        background=background,
        quality=np.zeros((n, len(QUALITY_QUESTIONS))),
        shape_known=np.ones(n, bool),
        colour_known=np.ones(n, bool),
    )


def _damaged(rng: np.random.Generator, picture: Floats) -> Floats:
    """One or two of the world's degradations, from hardly visible to strong."""
    stored = np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)[None]
    for _ in range(1 if rng.random() < 0.75 else 2):
        how = DEGRADATIONS[int(rng.integers(len(DEGRADATIONS)))]
        strength = float(rng.random()) * _MAX_STRENGTH.get(how, 1.0)
        stored = degrade(stored, how, [int(rng.integers(2**62))], strength=strength)
    return stored[0] / 255.0


def _cut(rng: np.random.Generator, clean: Floats, i: int, labels: Labelled) -> Floats:
    """A part of one object is missing, cut off along a straight line."""
    picture = clean[i].copy()
    cells = np.flatnonzero(labels.presence[i])
    if len(cells) == 0:
        return picture
    cell = int(rng.choice(cells))
    row, column = (CELL_PX * v for v in divmod(cell, GRID))
    patch = picture[row : row + CELL_PX, column : column + CELL_PX]
    y, x = np.mgrid[0:CELL_PX, 0:CELL_PX] + 0.5 - CELL_PX / 2
    angle = rng.uniform(0, 2 * np.pi)
    radius = 3.2 + 1.4 * labels.attributes[i, cell, 2]
    gone = np.cos(angle) * x + np.sin(angle) * y > rng.uniform(-0.3, 0.8) * radius
    background = BACKGROUND_RGB[labels.background[i]]
    ink = np.linalg.norm(patch - background, axis=-1) > 0.1
    if (ink & ~gone).sum() < 0.6 * ink.sum():
        labels.weight[i, cell] = 0.0
    patch[gone] = background
    return picture


def _blended(rng: np.random.Generator, clean: Floats, i: int, labels: Labelled) -> Floats:
    """Another picture shines through. Its objects count as absent while they are faint, and are left open when not."""
    j, share = int(rng.integers(len(clean))), float(rng.uniform(0.05, 0.5))
    if share > 0.3:
        labels.weight[i, labels.presence[j] > 0] = 0.0
    if share > 0.42 and labels.background[i] != labels.background[j]:
        labels.weight[i] = 0.0
    if labels.background[i] != labels.background[j] and share > 0.15:
        labels.background[i] = OTHER_BACKGROUND
    return (1.0 - share) * clean[i] + share * clean[j]


def _shifted(rng: np.random.Generator, clean: Floats, i: int, labels: Labelled) -> Floats:
    """The whole drawing is moved by up to 4 pixels per axis; what leaves the picture is lost."""
    dx, dy = (int(v) for v in rng.integers(-4, 5, 2))
    framed = np.empty((SIZE_PX + 8, SIZE_PX + 8, 3))
    framed[:] = BACKGROUND_RGB[labels.background[i]]
    framed[4:-4, 4:-4] = clean[i]
    labels.offset[i] += (dx, dy)
    return framed[4 - dy : 4 - dy + SIZE_PX, 4 - dx : 4 - dx + SIZE_PX]


def _lit(rng: np.random.Generator, clean: Floats, i: int, labels: Labelled) -> Floats:
    """All colours are a little off: gain and offset per channel."""
    return clean[i] * rng.uniform(0.85, 1.1, 3) + rng.uniform(-0.06, 0.06, 3)


def _torn(rng: np.random.Generator, clean: Floats, i: int, labels: Labelled) -> Floats:
    """Every row of pixels slips sideways by up to 3: only the colours can still be told."""
    labels.shape_known[i] = False
    columns = np.arange(SIZE_PX) + rng.integers(-3, 4, (SIZE_PX, 1))
    return np.take_along_axis(clean[i], np.clip(columns, 0, SIZE_PX - 1)[..., None], axis=1)


_BREAKS: tuple[Callable[[np.random.Generator, Floats, int, Labelled], Floats], ...] = (
    _cut,
    _blended,
    _shifted,
    _lit,
    _torn,
)


def _recolour(rng: np.random.Generator, shown: Labelled, i: int, scene: Scene) -> None:
    """Exchanges and inverts colour channels, unless that would show something like a held-out combination."""
    for _ in range(5):
        order, is_inverted = rng.permutation(3), rng.random(3) < 0.5

        def change(x: Floats, order: Ints = order, is_inverted: npt.NDArray[np.bool_] = is_inverted) -> Floats:
            return np.where(is_inverted, 1.0 - x[..., order], x[..., order])

        if any(_is_held_out(o.shape, change(COLOUR_RGB[o.colour])) for o in scene.objects):
            continue
        shown.pictures[i] = np.round(change(shown.pictures[i] / 255.0) * 255.0).astype(np.uint8)
        shown.quality[i] = np.nan
        shown.colour_known[i] = False
        return


def _is_held_out(shape: int, rgb: Floats) -> bool:
    return any(shape == s and np.linalg.norm(rgb - COLOUR_RGB[c]) < _NEAR_COLOUR for c, s in HELD_OUT)


def _void(rng: np.random.Generator, n: int) -> Labelled:
    """Pictures without any object: a plain colour, noise, or a coarse pattern of colours."""
    pictures = np.empty((n, SIZE_PX, SIZE_PX, 3))
    background = np.full(n, OTHER_BACKGROUND, np.int64)
    quality = np.zeros((n, len(QUALITY_QUESTIONS)))
    names = list(QUALITY_QUESTIONS)
    for i in range(n):
        how = rng.integers(3)
        if how == 0:
            known = rng.random() < 0.5
            background[i] = int(rng.integers(len(BACKGROUNDS))) if known else OTHER_BACKGROUND
            colour = BACKGROUND_RGB[background[i]] if known else rng.random(3)
            near = float(np.linalg.norm(BACKGROUND_RGB - colour, axis=1).min())
            if near < BACKGROUND_DISTANCE[0]:
                background[i] = int(np.linalg.norm(BACKGROUND_RGB - colour, axis=1).argmin())
            pictures[i] = colour
            quality[i, [names.index("speckle"), names.index("uniform")]] = 1.0
            quality[i, names.index("backdrop")] = float(near < BACKGROUND_DISTANCE[0])
        elif how == 1:
            pictures[i] = rng.random(3) + rng.normal(0, rng.uniform(0.2, 0.5), (SIZE_PX, SIZE_PX, 3))
        else:
            side = int(rng.choice([2, 4, 6, 12]))
            blocks = rng.random((SIZE_PX // side, SIZE_PX // side, 3))
            pictures[i] = np.kron(blocks, np.ones((side, side, 1)))
    stored = np.round(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
    zeros = np.zeros((n, N_CELLS))
    nothing = np.zeros((n, N_CELLS, 4), np.int64)
    return Labelled(
        pictures=stored,
        presence=zeros,
        weight=np.ones((n, N_CELLS)),
        attributes=nothing,
        offset=np.zeros((n, N_CELLS, 2)),
        background=background,
        quality=quality,
        shape_known=np.ones(n, bool),
        colour_known=np.ones(n, bool),
    )


def _joined(a: Labelled, b: Labelled) -> Labelled:
    pairs = ((getattr(a, name), getattr(b, name)) for name in Labelled.__dataclass_fields__)
    return Labelled(*(np.concatenate(pair) for pair in pairs))
