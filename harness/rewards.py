"""The reward interface: which questions a reward asks about an image, and the number that it makes of the answers.

A reward is two pure functions, `requests` and `value`, around a judge. So every reward can be trained with, run as a
benchmark (`-b reward:NAME`), re-judged, cached, audited and recomputed from recorded answers, by the code that serves
benchmarks. Models that score directly (HPSv3, PickScore) are judges of the kind `score`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.errors import ConfigError, JudgeError, unknown_name
from harness.images import ImageRef
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest
from harness.judging import call_id
from harness.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardItem:
    """One image to be rewarded."""

    prompt: Prompt
    """`meta` holds what the reward needs beyond the text, e.g. the questions of DVReward."""
    image: ImageRef
    sources: tuple[ImageRef, ...] = ()
    """Of an edit: what the image was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardValue:
    """A reward, or why there is none. A failure is never a number."""

    value: float | None
    """In the reward's `value_range`, higher is better."""
    parts: dict[str, float] = field(default_factory=dict)
    """What it was made of, by name (`semantic`, `quality`, `raw`, ...), for logs and tables."""
    reason: str = ""
    """Why the value is missing."""
    n_asked: int = 0
    n_failed: int = 0
    """Questions of this image, and how many of them have no answer."""


class Reward(ABC):
    """A reward under its registered name. Created by `REWARDS.get(name)(**options)`."""

    name: ClassVar[str]
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Of the value that enters the training; open ends are infinite."""
    needs_source: ClassVar[bool] = False
    """Whether it judges an edit and must see the source image."""
    default_judge: ClassVar[Mapping[str, str]] = {}
    """Judge (`NAME` or `NAME:ARGUMENT`) by profile."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Name, settings and wording: equal fingerprints with equal judges give comparable values."""

    @abstractmethod
    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """The calls to make about one image; question ids are unique over all of them.

        Raises:
            DataError: the prompt lacks what the reward needs; names the prompt and the field.
        """

    @abstractmethod
    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """The reward from the answers by question id; pure arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardBatch:
    """Rewards of N images, with everything needed to audit them."""

    values: tuple[RewardValue, ...]
    requests: tuple[tuple[JudgeRequest, ...], ...]
    replies: tuple[tuple[JudgeReply, ...], ...]
    n_calls: int
    """Calls made: equal questions about equal images are asked once."""

    @property
    def n_valid(self) -> int:
        """Images with a reward."""
        return sum(v.value is not None for v in self.values)


def score(reward: Reward, judge: Judge, items: Sequence[RewardItem]) -> RewardBatch:
    """Rewards of `items`, in order, asking equal calls once.

    Raises:
        JudgeError: the judge cannot be used at all; single failures are missing values.
        DataError: see `Reward.requests`.
    """
    requests = [tuple(reward.requests(item)) for item in items]
    calls = [[call_id(judge.fingerprint, r) for r in of_item] for of_item in requests]
    todo: dict[str, JudgeRequest] = {}
    for ids, of_item in zip(calls, requests, strict=True):
        for call, request in zip(ids, of_item, strict=True):
            todo.setdefault(call, request)
    replies = dict(zip(todo, judge.ask(list(todo.values())), strict=True))
    values = []
    for item, ids, of_item in zip(items, calls, requests, strict=True):
        answers: dict[str, Answer] = {}
        for call, request in zip(ids, of_item, strict=True):
            answers.update(answers_by_id(judge, request, replies[call]))
        values.append(reward.value(item, answers))
    return RewardBatch(
        values=tuple(values),
        requests=tuple(requests),
        replies=tuple(tuple(replies[c] for c in ids) for ids in calls),
        n_calls=len(todo),
    )


def answers_by_id(judge: Judge, request: JudgeRequest, reply: JudgeReply) -> dict[str, Answer]:
    """The answers of one reply under their question ids.

    Raises:
        JudgeError: another number of answers than questions.
    """
    if len(reply.answers) != len(request.questions):
        raise JudgeError(
            f"Judge {judge.name!r} gave {len(reply.answers)} answers to {len(request.questions)} questions "
            f"({request.form})."
        )
    return {q.id: a for q, a in zip(request.questions, reply.answers, strict=True)}


def make_reward(spec: str, options: Mapping[str, Any] | None = None) -> Reward:
    """The reward registered as `spec`, with its options.

    Raises:
        ConfigError: unknown name or option.
    """
    import inspect

    from harness.registry import REWARDS

    entry, given = REWARDS.get(spec), dict(options or {})
    known = [n for n, p in inspect.signature(entry).parameters.items() if p.kind is not p.VAR_KEYWORD]
    unknown = [n for n in given if n not in known]
    if unknown:
        raise unknown_name(f"option of reward {spec!r}", unknown[0], known)
    try:
        reward: Reward = entry(**given)
    except TypeError as error:
        raise ConfigError(f"Reward {spec!r}: {error}.") from None
    return reward
