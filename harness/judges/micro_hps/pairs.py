"""Synthetic preferences: several pictures for one prompt, and which of two an annotator with errors prefers.

A picture's merit is a weighted sum of the shares of facts of its prompt that hold in the drawn scene and of quality
questions that are rightly answered yes. The annotator compares merits with logistic noise and sometimes errs outright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.judges.micro_cnn.corpus import of_scenes, prompted_scene
from harness.world.grammar import Spec, Split, corrupt, facts_of, holds, wording
from harness.world.grammar.layout import try_layout
from harness.world.scene import Scene

Floats = npt.NDArray[np.float64]

FACTS, QUALITY = 8.0, 3.0
"""Merit of all facts, and of full quality: one wrong fact of four costs as much as two quality questions of three."""
FLIP = 0.05
"""How often the annotator names the wrong picture whatever the merits."""
GROUP = 4
"""Pictures per prompt."""
STYLES: dict[str, float] = {"short": 0.4, "photo": 0.15, "long": 0.2, "dense": 0.15, "indirect": 0.1}


@dataclass(frozen=True)
class Choices:
    """`GROUP` pictures for each of N prompts."""

    specs: list[Spec]
    pictures: npt.NDArray[np.uint8]
    """(N, GROUP, 48, 48, 3)."""
    merit: Floats
    """(N, GROUP); differences of about 1 are told apart reliably."""
    how: list[tuple[str, ...]]
    """Per prompt, how each picture was made: `right`, `one fact` (wrong), `other prompt`."""


def draw(rng: np.random.Generator, n: int, *, split: Split = "train", damaged: float = 0.4) -> Choices:
    """Pictures for `n` random prompts of a split; a share of `damaged` of them is degraded or broken."""
    specs: list[Spec] = []
    scenes: list[Scene] = []
    how: list[tuple[str, ...]] = []
    while len(specs) < n:
        spec = prompted_scene(rng, split)[0]
        made = _variants(rng, spec, split)
        if made is None:
            continue
        specs.append(spec)
        scenes += [scene for scene, _ in made]
        how.append(tuple(name for _, name in made))
    shown = of_scenes(rng, scenes, shares=(1.0 - damaged, 0.7 * damaged, 0.3 * damaged))
    facts = [merit_of_facts(spec, scenes[i * GROUP : (i + 1) * GROUP]) for i, spec in enumerate(specs)]
    # The quality of a shifted drawing is not measured; nothing is wrong with it.
    quality = np.nan_to_num(shown.quality, nan=1.0).mean(1).reshape(n, GROUP)
    pictures = shown.pictures.reshape(n, GROUP, *shown.pictures.shape[1:])
    return Choices(specs, pictures, FACTS * np.array(facts) + QUALITY * quality, how)


def prompt_text(rng: np.random.Generator, spec: Spec) -> str:
    """The prompt in one of the wordings."""
    return wording(spec, rng, str(rng.choice(list(STYLES), p=list(STYLES.values()))))  # type: ignore[arg-type]


def merit_of_facts(spec: Spec, scenes: Sequence[Scene]) -> list[float]:
    """The share of the spec's facts that hold in each scene."""
    facts = facts_of(spec)
    return [sum(holds(scene, fact) for fact in facts) / len(facts) for scene in scenes]


def _variants(rng: np.random.Generator, spec: Spec, split: Split) -> list[tuple[Scene, str]] | None:
    """Four scenes for one prompt: always a right one, then wrong ones or another right one."""
    scene = try_layout(rng, spec)
    if scene is None:
        return None
    made = [(scene, "right")]
    while len(made) < GROUP:
        name = str(rng.choice(["one fact", "other prompt", "right"], p=[0.6, 0.2, 0.2]))
        made.append((_variant(rng, spec, scene, name, split), name))
    return made


def _variant(rng: np.random.Generator, spec: Spec, scene: Scene, name: str, split: Split) -> Scene:
    if name == "right":
        return try_layout(rng, spec) or scene
    if name == "other prompt":
        return prompted_scene(rng, split)[1]
    return corrupt(rng, scene, spec)[0]


def preferences(rng: np.random.Generator, merit: Floats) -> Floats:
    """(N, GROUP, GROUP) 0 or 1: whether the annotator prefers picture i to picture j; both orders are one judgement."""
    difference = merit[:, :, None] - merit[:, None, :]
    p = (1.0 - 2.0 * FLIP) / (1.0 + np.exp(-np.clip(difference, -30, 30))) + FLIP
    drawn = np.triu(rng.random(p.shape) < p, 1)
    return np.asarray(drawn + np.tril(1 - drawn.transpose(0, 2, 1), -1), float)
