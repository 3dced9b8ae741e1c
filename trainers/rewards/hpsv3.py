"""HPSv3's preference score as a reward (arXiv 2508.03789; model and wording in `harness.judges.hpsv3`).

Pairwise-trained: no bound, no zero point, about -2..15 and comparable only between images of the same prompts. Alone it
is used raw, as AlphaGRPO and Pref-GRPO do; in a mix either each reward is group-normalised on its own, or
`scale: normalised` divides by 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from harness.registry import REWARDS
from trainers.rewards.base import Scale, ScoreReward


@REWARDS.register("hpsv3")
class HPSv3Reward(ScoreReward):
    """Preference score of HPSv3 (Qwen2-VL-7B), raw or over 10."""

    name: ClassVar[str] = "hpsv3"
    divisor: ClassVar[float] = 10.0
    default_judge: ClassVar[Mapping[str, str]] = {"official": "hpsv3"}

    def __init__(self, *, scale: Scale = "raw") -> None:
        super().__init__(scale=scale)
