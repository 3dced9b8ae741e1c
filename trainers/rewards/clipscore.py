"""CLIPScore as a reward, in the variants that go by this name; the judge gives the cosine.

| variant | formula | model | source |
|---|---|---|---|
| `alphagrpo` | 100 cos / 30 | ViT-L/14 | AlphaGRPO (its code takes the logits, whose scale is 100) |
| `paper` | 2.5 max(cos, 0), caption after a fixed prefix | ViT-B/32 | arXiv 2104.08718 |
| `cosine` | cos | ViT-H/14 | Pref-GRPO |

The model is the judge's: `--judge clipscore:openai/clip-vit-base-patch32` for `paper`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.registry import REWARDS
from harness.rewards import RewardItem
from trainers.rewards.base import Scale, ScoreReward, check_choice

Variant = Literal["alphagrpo", "paper", "cosine"]


@dataclass(frozen=True, slots=True)
class _Formula:
    of: Callable[[float], float]
    value_range: tuple[float, float]
    model: str
    prefix: str = ""


_FORMULAS: dict[Variant, _Formula] = {
    "alphagrpo": _Formula(lambda cos: 100.0 * cos / 30.0, (-100 / 30, 100 / 30), "openai/clip-vit-large-patch14"),
    "paper": _Formula(lambda cos: 2.5 * max(cos, 0.0), (0.0, 2.5), "openai/clip-vit-base-patch32", "A photo depicts "),
    "cosine": _Formula(lambda cos: cos, (-1.0, 1.0), "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
}


@REWARDS.register("clipscore")
class CLIPScoreReward(ScoreReward):
    """CLIP similarity: AlphaGRPO's, the paper's or the bare cosine.

    Args:
        variant: see the module's table.
        scale: `raw` gives the cosine.
    """

    name: ClassVar[str] = "clipscore"

    def __init__(self, *, variant: Variant = "alphagrpo", scale: Scale = "normalised") -> None:
        super().__init__(scale=scale)
        check_choice(self.name, "variant", variant, _FORMULAS)
        self.variant = variant
        self._formula = _FORMULAS[variant]
        self.value_range = self._formula.value_range if scale == "normalised" else (-1.0, 1.0)  # type: ignore[misc]
        self.default_judge: Mapping[str, str] = {"official": f"clipscore:{self._formula.model}"}  # type: ignore[misc]

    @property
    def fingerprint(self) -> str:
        """Name, variant and scale."""
        return f"clipscore-{self.variant}-{self.scale}"

    def prompt_text(self, item: RewardItem) -> str:
        """The prompt, after the variant's prefix."""
        return self._formula.prefix + item.prompt.text

    def scaled(self, raw: float) -> float:
        """The variant's formula."""
        return self._formula.of(raw) if self.scale == "normalised" else raw
