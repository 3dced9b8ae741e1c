"""PickScore as a reward (arXiv 2305.01569): exp(logit_scale) * cosine, over 26 as in flow_grpo and AlphaGRPO.

The division only brings values near 0..1 (usually 0.7..0.95); it is no bound. Other projects log the bare cosine
(about 0.15..0.27) or a softmax over candidates under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from harness.registry import REWARDS
from trainers.rewards.base import ScoreReward


@REWARDS.register("pickscore")
class PickScoreReward(ScoreReward):
    """PickScore v1 (CLIP ViT-H/14), over 26 or raw."""

    name: ClassVar[str] = "pickscore"
    divisor: ClassVar[float] = 26.0
    default_judge: ClassVar[Mapping[str, str]] = {"official": "pickscore"}
