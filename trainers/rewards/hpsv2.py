"""HPSv2.1 as a reward (arXiv 2306.09341): the cosine as it is, about 0.15..0.40."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from harness.registry import REWARDS
from trainers.rewards.base import ScoreReward


@REWARDS.register("hpsv2")
class HPSv2Reward(ScoreReward):
    """HPSv2.1's cosine (fine-tuned CLIP ViT-H/14); both scales are the same."""

    name: ClassVar[str] = "hpsv2"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    default_judge: ClassVar[Mapping[str, str]] = {"official": "hpsv2"}
