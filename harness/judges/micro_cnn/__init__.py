"""The learned judge of the micro world: a small network that was trained without the scene parser.

`micro-cnn` answers everything that judge `micro` answers (questions, detections, the written forms of the five micro
editions) from its own view of the picture, so that what was trained with the exact verifier's rewards can be evaluated
by another judge. `micro-cnn:flip=0.05,...` adds noise as for `micro`. Card and manifest lie in `weights/`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.judges.micro import MicroJudge, noise_of
from harness.registry import JUDGES

if TYPE_CHECKING:
    from harness.judges.micro_cnn.reader import Perceiver

FOLDER = Path(__file__).parent / "weights"


@lru_cache(maxsize=2)
def _stored(folder: Path) -> tuple[Perceiver, str]:
    """The network of a folder and the digest of its weights."""
    from harness.judges.micro_cnn import storage
    from harness.judges.micro_cnn.evaluate import network_of
    from harness.judges.micro_cnn.reader import Perceiver

    state, manifest = storage.load(folder, "micro-cnn")
    return Perceiver(network_of(state)), manifest["sha256"][:12]


class MicroCnnJudge(MicroJudge):
    """The learned judge behind the judge interface.

    Args:
        noise: a `harness.world.noise.NoiseModel`, or None for the network's own answers.
        label: how the noise was asked for; part of the fingerprint.
        folder: of the weights.

    Raises:
        JudgeError: the weights are missing, damaged or made for other shapes and colours.
    """

    name = "micro-cnn"

    def __init__(self, noise: Any = None, label: str = "", folder: Path = FOLDER) -> None:
        super().__init__(noise, label)
        self._look, digest = _stored(folder)
        # The questions are read by the world's grammar, so its version is part of the answers.
        self._fingerprint = self._fingerprint.replace("micro-", f"micro-cnn-{digest}-", 1)

    def look(self, pictures: np.ndarray) -> list[Any]:
        """One `reader.Reading` per picture."""
        return list(self._look(pictures))

    def believe(self, view: Any, question: str) -> float:
        """See `reader.answer`."""
        from harness.judges.micro_cnn.reader import answer

        return answer(view, question)

    def detect(self, view: Any) -> tuple[dict[str, list[list[float]]], dict[str, list[str]]]:
        """See `reader.detections`."""
        from harness.judges.micro_cnn.reader import detections

        return detections(view)


@JUDGES.register("micro-cnn")
def load(argument: str = "") -> MicroCnnJudge:
    """The learned judge of the micro world; `micro-cnn:flip=0.05,temperature=2` adds noise."""
    return MicroCnnJudge(*noise_of("micro-cnn", argument))
