"""Pictures of the micro world with known truth: pairs that differ in one fact, some of them damaged.

Prompts are of the benchmark split, so that neither a learned judge nor a trained policy has met them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness import seeds
from harness.decompose.micro import Drawn, draw
from harness.images import ImageRef, ref_of_image
from harness.types import Prompt
from harness.world.degrade import DEGRADATIONS, degrade
from harness.world.grammar import Spec, corrupt, holds, question_graph
from harness.world.grammar.layout import try_layout
from harness.world.render import render
from harness.world.scene import SIZE_PX, Scene
from harness.world.verifier import QUALITY_QUESTIONS

DAMAGE = (0.1, 0.6)
"""Strength of the damage that every second pair has, drawn evenly."""
PLAIN_FLAWS: dict[str, str] = {
    "grain": "uniform",
    "specks": "speckle",
    "desaturate": "saturation",
    "blur": "geometry",
    "stain": "uniform",
}
"""Degradation at full strength -> the quality question that is then plainly answered no."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn picture."""

    image: ImageRef
    scene: Scene


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture that shows a prompt, and one that differs by a change which makes one or more facts wrong."""

    prompt: Prompt
    spec: Spec
    right: Picture
    wrong: Picture
    how: str
    """What was changed (`harness.world.grammar.CORRUPTIONS`)."""
    damage: str
    """How both pictures are degraded, in the same way; empty: not at all."""

    @property
    def pictures(self) -> tuple[Picture, Picture]:
        """Right, wrong."""
        return self.right, self.wrong

    def questions(self, scene: Scene) -> list[tuple[str, str, bool]]:
        """(kind, question, whether yes is right for `scene`) of every distinct fact of the prompt."""
        nodes = {node.text: node.fact for node in question_graph(self.spec)}
        return [(fact.kind, text, holds(scene, fact)) for text, fact in nodes.items()]


def as_ref(array: npt.NDArray[np.uint8]) -> ImageRef:
    """A reference to a picture in memory."""
    return ref_of_image(Image.fromarray(array))


@lru_cache(maxsize=4)
def pairs(n: int, seed: int) -> tuple[Pair, ...]:
    """`n` pairs for as many benchmark prompts; every second one damaged. A function of the two numbers alone."""
    found: list[Pair] = []
    index = 0
    while len(found) < n:
        drawn = draw(seed, index, split="bench")
        index += 1
        pair = _pair(drawn, seeds.numpy_generator(seed, "audit-pair", index), is_damaged=len(found) % 2 == 1)
        if pair is not None:
            found.append(pair)
    return tuple(found)


def _pair(drawn: Drawn, rng: np.random.Generator, *, is_damaged: bool) -> Pair | None:
    scene = try_layout(rng, drawn.spec)
    if scene is None:
        return None
    wrong, how = corrupt(rng, scene, drawn.spec)
    jitter, damage_seed = (int(s) for s in rng.integers(2**62, size=2))
    images = render([scene, wrong], [jitter, jitter])
    damage = ""
    if is_damaged:
        damage = DEGRADATIONS[int(rng.integers(len(DEGRADATIONS)))]
        images = degrade(images, damage, [damage_seed] * 2, strength=float(rng.uniform(*DAMAGE)))
    right, other = (Picture(as_ref(i), s) for i, s in zip(images, (scene, wrong), strict=True))
    return Pair(drawn.prompt, drawn.spec, right, other, how, damage)


def flawed(n: int, seed: int) -> list[tuple[ImageRef, str, bool]]:
    """(picture, quality question, whether yes is right): clean pictures, and plainly damaged ones.

    A clean picture has every quality; one damaged at full strength lacks the one that `PLAIN_FLAWS` names.
    """
    rng = seeds.numpy_generator(seed, "audit-flawed")
    found: list[tuple[ImageRef, str, bool]] = []
    scenes = [pair.right.scene for pair in pairs(n, seed)]
    images = render(scenes, [int(s) for s in rng.integers(2**62, size=n)])
    ways = list(PLAIN_FLAWS)
    for i, image in enumerate(images):
        if i % 2 == 0:
            found += [(as_ref(image), text, True) for text in QUALITY_QUESTIONS.values()]
        else:
            how = ways[(i // 2) % len(ways)]
            damaged = degrade(image[None], how, [int(rng.integers(2**62))], strength=1.0)[0]
            found.append((as_ref(damaged), QUALITY_QUESTIONS[PLAIN_FLAWS[how]], False))
    return found


def blank_pictures() -> list[ImageRef]:
    """The four plain backgrounds."""
    return [as_ref(image) for image in render([Scene(b, ()) for b in range(4)])]


def noise_pictures(n: int, seed: int) -> list[ImageRef]:
    """Pictures of independent random pixels."""
    rng = seeds.numpy_generator(seed, "audit-noise")
    return [as_ref(rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3)).astype(np.uint8)) for _ in range(n)]
