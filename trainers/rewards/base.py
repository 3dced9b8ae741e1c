"""What the baseline rewards share: the reward of a raw score, checks of options, reasons of missing values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from harness.errors import unknown_name
from harness.judges.base import Answer, JudgeRequest
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Question

Scale = Literal["raw", "normalised"]
SCALES: tuple[Scale, ...] = ("raw", "normalised")
UNBOUNDED = (-math.inf, math.inf)


def check_choice(reward: str, option: str, value: object, known: Iterable[str]) -> None:
    """Raises ConfigError, with near misses, where an option's value is not one of `known`."""
    listed = list(known)
    if value not in listed:
        raise unknown_name(f"value of {reward}'s {option}", str(value), listed)


def values_of(answers: Mapping[str, Answer], names: Sequence[str]) -> list[float] | RewardValue:
    """The answers' numbers in the order of `names`, or the missing reward that names what failed."""
    found: list[float] = []
    reasons: list[str] = []
    for name in names:
        answer = answers.get(name)
        if answer is not None and answer.status == "ok" and answer.value is not None and math.isfinite(answer.value):
            found.append(answer.value)
        else:
            why = "not asked" if answer is None else f"{answer.status} {answer.error}".strip()
            reasons.append(f"{name}: {why}")
    if reasons:
        return RewardValue(value=None, reason="; ".join(reasons), n_asked=len(names), n_failed=len(reasons))
    return found


class ScoreReward(Reward):
    """The score of a model that scores directly, by the judge of the same name.

    Args:
        scale: `raw` gives the judge's number, `normalised` that number over the divisor.
    """

    divisor: ClassVar[float] = 1.0
    """Brings usual values to about 0..1; it is no bound."""
    value_range: ClassVar[tuple[float, float]] = UNBOUNDED
    question: ClassVar[str] = "score"

    def __init__(self, *, scale: Scale = "normalised") -> None:
        check_choice(self.name, "scale", scale, SCALES)
        self.scale = scale

    @property
    def fingerprint(self) -> str:
        """Name and scale; the judge's fingerprint names the weights."""
        return f"{self.name}-{self.scale}"

    def prompt_text(self, item: RewardItem) -> str:
        """What the image is scored for."""
        return item.prompt.text

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """One request: the image, and the prompt as the text of the one question."""
        question = Question(id=self.question, text=self.prompt_text(item))
        return [JudgeRequest(kind="score", form=self.name, questions=(question,), images=(item.image,))]

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """The scaled score; `parts` has the judge's number as `raw`."""
        found = values_of(answers, (self.question,))
        if isinstance(found, RewardValue):
            return found
        return RewardValue(value=self.scaled(found[0]), parts={"raw": found[0]}, n_asked=1)

    def scaled(self, raw: float) -> float:
        """The reward of a raw score."""
        return raw / self.divisor if self.scale == "normalised" else raw
