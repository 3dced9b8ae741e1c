"""Weaker verifiers on purpose: noise on answers or on the view, never on the ground truth.

The same (noise seed, image, question) always gets the same noise, in any batch and order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness import seeds
from harness.errors import ConfigError, unknown_name
from harness.world.scene import SIZE_PX

_EDGE = 1e-4
"""Probabilities are kept this far from 0 and 1 before logits are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseModel:
    """How a verifier's answers go wrong; the defaults change nothing.

    An answer's logit is divided by `temperature`, moved by `bias` and by a normal number of standard deviation
    `jitter`, and then the answer is turned into its opposite with probability `flip`.

    Raises:
        ConfigError: a value outside its range.

    """

    flip: float = 0.0
    """Probability that P(yes) becomes 1 - P(yes): confident mistakes."""
    bias: float = 0.0
    """Added to the logit: above 0 leans towards yes, as many judges do."""
    temperature: float = 1.0
    """Above 1 pulls answers towards 0.5 (an unsure verifier), below 1 sharpens them; positive."""
    jitter: float = 0.0
    """Standard deviation, at least 0, of a normal number added to the logit."""
    resolution: int = SIZE_PX
    """Side in pixels, 4..48, of the copy of the picture that is parsed: below 48 the view is blurred."""
    seed: int = 0
    """Another seed draws other mistakes."""

    def __post_init__(self) -> None:
        checks = {
            "flip": (0.0 <= self.flip <= 1.0, "0 to 1"),
            "bias": (np.isfinite(self.bias), "a finite number"),
            "temperature": (0.0 < self.temperature < np.inf, "a positive number"),
            "jitter": (0.0 <= self.jitter < np.inf, "0 or more"),
            "resolution": (4 <= self.resolution <= SIZE_PX, f"4 to {SIZE_PX}"),
        }
        for name, (is_fine, expected) in checks.items():
            if not is_fine:
                raise ConfigError(f"Verifier noise: {name} is {getattr(self, name)}; expected {expected}.")

    def view(self, image: npt.NDArray[np.uint8], image_id: str) -> npt.NDArray[np.uint8]:
        """(48, 48, 3) uint8 as the weak eye sees it: averaged down to `resolution`, then smoothly enlarged.

        `image_id` is what `answer` takes too; no present noise of the view is random, so it makes no difference yet.
        """
        if self.resolution == SIZE_PX:
            return image
        small = Image.fromarray(image).resize((self.resolution, self.resolution), Image.Resampling.BOX)
        return np.asarray(small.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC), dtype=np.uint8)

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
        logit = np.log(p / (1.0 - p)) / self.temperature + self.bias + self.jitter * normal
        noisy = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
        return float(1.0 - noisy if chance < self.flip else noisy)


def named_noise(name: str) -> dict[str, float]:
    """Fields of a noise model that was fixed beforehand (`noise_models.yaml`, which gives the reason).

    Raises:
        ConfigError: no such name.
    """
    from importlib.resources import files

    from harness.config import load_yaml

    models = load_yaml((files("harness.world") / "noise_models.yaml").read_text(encoding="utf-8"))
    if name not in models:
        raise unknown_name("noise model", name, models)
    return {k: v for k, v in models[name].items() if k != "reason"}
