"""Weaker judges: noise in the verifier's answers or in its view, never in the ground truth.

Every draw derives from (seed, image, question), so a noisy judge answers the same question about the same image the
same way whenever and in whatever order it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.special import expit, logit

from harness import seeds
from harness.errors import ConfigError
from harness.world.scene import SIZE_PX

_P_MIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseModel:
    """How a verifier errs; the defaults are no error at all."""

    flip: float = 0.0
    """Probability of answering with 1 - p instead of p."""
    bias: float = 0.0
    """Added to the log-odds of yes; positive says yes too easily."""
    temperature: float = 1.0
    """Divides the log-odds; above 1 the answers move towards 0.5."""
    jitter: float = 0.0
    """Standard deviation of a normal draw added to the log-odds."""
    resolution: int = SIZE_PX
    """The view is shrunk to this many pixels a side and enlarged again before it is parsed; 48 leaves it alone."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.flip <= 1.0:
            raise ConfigError(f"noise: flip is {self.flip}, expected a probability from 0 to 1.")
        if self.temperature <= 0.0:
            raise ConfigError(f"noise: temperature is {self.temperature}, expected a positive number.")
        if self.jitter < 0.0:
            raise ConfigError(f"noise: jitter is {self.jitter}, expected 0 or more.")
        if not 4 <= self.resolution <= SIZE_PX:
            raise ConfigError(f"noise: resolution is {self.resolution}, expected 4 to {SIZE_PX} pixels.")

    def answer(self, p: float, image_id: str, question: str) -> float:
        """The noisy version of P(yes) `p` to `question` about the image `image_id`; in [0, 1]."""
        rng = seeds.numpy_generator(seeds.derive(self.seed, image_id, question), "verifier-noise")
        is_flipped, shift = rng.random() < self.flip, self.jitter * rng.standard_normal()
        if self.bias or self.temperature != 1.0 or self.jitter:
            p = float(expit((logit(np.clip(p, _P_MIN, 1.0 - _P_MIN)) + self.bias + shift) / self.temperature))
        return 1.0 - p if is_flipped else p

    def view(self, image: npt.NDArray[np.uint8], image_id: str) -> npt.NDArray[np.uint8]:
        """(48, 48, 3) uint8 as a judge of lower resolution sees it."""
        if self.resolution == SIZE_PX:
            return image
        small = Image.fromarray(image).resize((self.resolution, self.resolution), Image.Resampling.BOX)
        return np.asarray(small.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), dtype=np.uint8)
