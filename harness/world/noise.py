"""Weaker verifiers on purpose: noise on answers or on the view, never on the ground truth.

The same (noise seed, image, question) always gets the same noise, in any batch and order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness import seeds
from harness.errors import ConfigError
from harness.world.scene import SIZE_PX

_EDGE = 1e-4
"""Probabilities are kept this far from 0 and 1 before logits are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseModel:
    """How a verifier's answers go wrong; the defaults change nothing.

    An answer's logit is divided by `temperature`, moved by `bias` and by a normal number of standard deviation
    `spread`, and then the answer is turned into its opposite with probability `flip`.

    Raises:
        ConfigError: a value outside its range.

    """

    flip: float = 0.0
    """Probability, 0..0.5, that P(yes) becomes 1 - P(yes): confident mistakes."""
    bias: float = 0.0
    """Added to the logit: above 0 leans towards yes, as many judges do."""
    temperature: float = 1.0
    """Above 1 pulls answers towards 0.5 (an unsure verifier), below 1 sharpens them; positive."""
    spread: float = 0.0
    """Standard deviation, at least 0, of a normal number added to the logit."""
    resolution: int = SIZE_PX
    """Side in pixels, 4..48, of the copy of the picture that is parsed: below 48 the view is blurred."""
    seed: int = 0
    """Another seed draws other mistakes."""

    def __post_init__(self) -> None:
        checks = {
            "flip": (0.0 <= self.flip <= 0.5, "0 to 0.5"),
            "bias": (np.isfinite(self.bias), "a finite number"),
            "temperature": (0.0 < self.temperature < np.inf, "a positive number"),
            "spread": (0.0 <= self.spread < np.inf, "0 or more"),
            "resolution": (4 <= self.resolution <= SIZE_PX, f"4 to {SIZE_PX}"),
        }
        for name, (is_fine, expected) in checks.items():
            if not is_fine:
                raise ConfigError(f"Verifier noise: {name} is {getattr(self, name)}; expected {expected}.")

    @property
    def is_clean(self) -> bool:
        """Whether this model changes nothing."""
        return replace(self, seed=0) == NoiseModel()

    def view(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """(B, 48, 48, 3) uint8 as the weak eye sees them: averaged down to `resolution`, then smoothly enlarged."""
        if self.resolution == SIZE_PX:
            return images
        small, size = (self.resolution, self.resolution), (SIZE_PX, SIZE_PX)
        return np.stack(
            [
                np.asarray(
                    Image.fromarray(i).resize(small, Image.Resampling.BOX).resize(size, Image.Resampling.BICUBIC)
                )
                for i in images
            ]
        ).reshape(images.shape)

    def answer(self, p_yes: float, image_id: str, question: str) -> float:
        """The noisy P(yes) in place of `p_yes`.

        Args:
            p_yes: the clean answer, 0..1.
            image_id: what identifies the image, e.g. its sha256.
            question: the question's text.

        """
        if replace(self, seed=0, resolution=SIZE_PX) == NoiseModel():
            return p_yes
        p = float(np.clip(p_yes, _EDGE, 1.0 - _EDGE))
        rng = seeds.numpy_generator(seeds.derive("verifier-noise", self.seed, image_id, question), "answer")
        chance, normal = rng.random(), rng.standard_normal()
        logit = np.log(p / (1.0 - p)) / self.temperature + self.bias + self.spread * normal
        noisy = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
        return float(1.0 - noisy if chance < self.flip else noisy)
