"""The world's version: a short hash over everything that decides what a micro number means.

Names and colours, how scenes are drawn, what the grammar says, and how parser and verifier answer. Numbers of two
versions never compare. Pixels and probabilities are rounded coarsely before they are hashed, so that the last bits of
another machine's arithmetic do not make another world.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator

import numpy as np

_N_SPECS = 24


@functools.cache
def world_version() -> str:
    """Ten hex digits; computed once per process (about 0.1 s)."""
    digest = hashlib.sha256()
    for part in _parts():
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:10]


def _parts() -> Iterator[str]:
    from harness.world import parse, scene, verifier
    from harness.world.grammar import STYLES, questions, sample_layout, sample_spec, split_of, wording
    from harness.world.render import render
    from harness.world.vocabulary import WORDS

    yield repr((WORDS, scene.SHAPES, scene.COLOURS, scene.SIZES, scene.TEXTURES, scene.BACKGROUNDS, scene.RADIUS_PX))
    yield repr((scene.COLOUR_RGB.tolist(), scene.BACKGROUND_RGB.tolist(), scene.JITTER_PX, scene.STRIPE_SHADE))
    yield repr((parse.CONSTANTS, verifier.CONSTANTS, list(verifier.QUALITY_QUESTIONS)))
    rng = np.random.Generator(np.random.PCG64(20250601))
    specs = [sample_spec(rng, split=None) for _ in range(_N_SPECS)]
    scenes = [sample_layout(rng, spec) for spec in specs]
    pictures = render(scenes, list(range(_N_SPECS)))
    for spec, shown, picture, seen in zip(specs, scenes, pictures, parse.perceive(pictures), strict=True):
        style = STYLES[int(rng.integers(4))]
        yield repr((spec, shown, split_of(spec), wording(spec, rng, style)))
        # 16 grey levels of 6x6 blocks, and probabilities to one decimal, off the rounding edges.
        blocks = picture.reshape(8, 6, 8, 6, 3).mean((1, 3))
        yield repr(np.round(blocks / 16.0 + 0.013).astype(int).tolist())
        yield repr([(q, round(verifier.answer(seen, q) + 0.0137, 1)) for q, _ in questions(spec)])
