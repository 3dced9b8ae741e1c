"""The micro world's preference reward: the raw score of the learned scorer, as HPSv3 is used for real pictures.

Unbounded and without a zero point; group normalisation makes the scale irrelevant, in a mix use `per_reward`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from harness.judges.base import Answer, JudgeRequest
from harness.registry import REWARDS
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Question

_QUESTION = "score"


@REWARDS.register("micro-hps")
class MicroHpsReward(Reward):
    """Raw preference score of judge `micro-hps` (micro world)."""

    name: ClassVar[str] = "micro-hps"
    value_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    default_judge: ClassVar[Mapping[str, str]] = {"micro": "micro-hps"}

    @property
    def fingerprint(self) -> str:
        """There are no settings; the judge's fingerprint names the weights."""
        return "micro-hps-raw"

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """One request: the image and the prompt's text."""
        question = Question(id=_QUESTION, text=item.prompt.text)
        return [JudgeRequest(kind="score", form="micro-hps", questions=(question,), images=(item.image,))]

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """The score as it is; `parts` has it as `raw`."""
        answer = answers.get(_QUESTION)
        if answer is None or answer.status != "ok" or answer.value is None:
            why = "not asked" if answer is None else f"{answer.status} {answer.error}".strip()
            return RewardValue(value=None, reason=why, n_asked=1, n_failed=1)
        return RewardValue(value=answer.value, parts={"raw": answer.value}, n_asked=1)
