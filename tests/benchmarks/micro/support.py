"""Pictures for the tests of the micro editions: scenes, rendered and looked at in one batch."""

from collections.abc import Sequence

import numpy as np

from harness import seeds
from harness.world.parse import Perception, perceive
from harness.world.render import render
from harness.world.scene import Scene
from harness.world.verifier import answer


def look(scenes: Sequence[Scene]) -> list[Perception]:
    """What the parser sees of each scene, drawn with jitter."""
    return perceive(render(list(scenes), [seeds.derive("test", i) for i in range(len(scenes))]))


def says_yes(perception: Perception, question: str) -> bool:
    return answer(perception, question) > 0.5


def rng(purpose: str, step: int = 0) -> np.random.Generator:
    return seeds.numpy_generator(7, purpose, step)
