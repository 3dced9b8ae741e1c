"""The version of the world: a hash over what it draws, says, sees and answers.

Results made with different versions do not compare. Numbers are rounded or turned into decisions before hashing, so the
last bits of floating-point arithmetic do not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from harness import seeds
from harness.world import scene, verifier
from harness.world.degrade import DEGRADATIONS, degrade
from harness.world.edits import EDIT_KINDS, sample_edit
from harness.world.grammar import (
    HELD_OUT,
    HINTS,
    KINDS,
    STYLES,
    canonical,
    corrupt,
    questions,
    sample_layout,
    sample_spec,
    wording,
)
from harness.world.parse import CONSTANTS, perceive
from harness.world.plan import DIAGNOSES, plan_words
from harness.world.render import render
from harness.world.vocabulary import WORDS

_N_SPECS = 24


def _names_and_constants() -> Iterator[object]:
    yield [scene.SHAPES, scene.COLOURS, scene.SIZES, scene.TEXTURES, scene.BACKGROUNDS, scene.RADIUS_PX]
    yield [scene.COLOUR_RGB.tolist(), scene.BACKGROUND_RGB.tolist(), scene.JITTER_PX, scene.MAX_OBJECTS]
    yield [scene.STRIPE_PERIOD_PX, scene.STRIPE_SHADE, list(WORDS), DIAGNOSES, KINDS, sorted(HELD_OUT)]
    yield [[h.category, h.attribute, h.value, h.phrase] for h in HINTS]
    yield asdict(CONSTANTS)
    names = (
        "RELATION_PX",
        "PLACE_PX",
        "LARGER_LOG",
        "MISFIT_MEAN",
        "MISFIT_WORST",
        "SPECK_PX",
        "UNEVENNESS",
        "BACKGROUND_LOST",
    )
    yield [getattr(verifier, n) for n in (*names, "BACKGROUND_DEVIATION", "BACKGROUND_DISTANCE", "COLOUR_DISTANCE")]
    yield verifier.QUALITY_QUESTIONS


def _behaviour() -> Iterator[object]:
    """Texts, coarse pictures and yes/no decisions for fixed seeds."""
    rng = seeds.numpy_generator(0, "world-version")
    specs = [sample_spec(rng, list(KINDS)[i % len(KINDS)], ("train", "bench")[i % 2]) for i in range(_N_SPECS)]
    layouts = [sample_layout(rng, spec) for spec in specs]
    yield [canonical(spec) for spec in specs]
    yield [wording(spec, rng, STYLES[i % len(STYLES)]) for i, spec in enumerate(specs)]
    yield [plan_words(layout) for layout in layouts]
    yield [plan_words(corrupt(rng, layout, spec)[0]) for layout, spec in zip(layouts, specs, strict=True)]
    edits = [sample_edit(rng, kind) for kind in EDIT_KINDS]
    yield [[e.instruction, plan_words(e.source), plan_words(e.target)] for e in edits]
    images = render(layouts, range(_N_SPECS))
    # Eight grey levels per step: a rounding difference of one level almost never crosses a step.
    yield hashlib.sha256(((images.astype(np.int64) + 4) // 8).astype(np.uint8).tobytes()).hexdigest()
    damaged = np.stack(
        [degrade(images[i : i + 1], DEGRADATIONS[i % len(DEGRADATIONS)], [i], strength=0.5)[0] for i in range(_N_SPECS)]
    )
    for pictures in (images, damaged):
        for spec, seen in zip(specs, perceive(pictures), strict=True):
            yield [[text, expected, verifier.answer(seen, text) > 0.5] for text, expected in questions(spec)]
            yield [p > 0.5 for p in verifier.quality(seen).values()]


@lru_cache(maxsize=1)
def world_version() -> str:
    """Twelve hex digits that change when anything in the world changes what a score could be; computed once (0.3 s)."""
    digest = hashlib.sha256()
    for part in (*_names_and_constants(), *_behaviour()):
        digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()[:12]
