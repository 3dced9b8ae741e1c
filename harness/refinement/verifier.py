"""The reward behind gate `verifier`, asked and stored like a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.decompose.micro import quality_questions, semantic_questions
from harness.decompose.reading import NotUnderstood, spec_of
from harness.errors import ConfigError, DataError
from harness.images import ImageRef
from harness.judges.base import Answer, JudgeRequest
from harness.rewards import Reward, RewardItem, make_reward
from harness.types import Generation, Judgement, Prompt, Score

METRIC = "gate"


class Verifier:
    """A reward on a benchmark's prompts.

    Where a prompt of the micro world has no questions, its grammar gives them (`harness.decompose`).

    Raises:
        ConfigError: an unknown reward, or one that needs what the prompts do not have.
    """

    def __init__(self, benchmark: Any, reward: str) -> None:
        self.name = benchmark.name
        self.reward: Reward = make_reward(reward)
        if self.reward.needs_source:
            raise ConfigError(f"gate_reward: {reward!r} judges edits; gates need a reward of images made from text.")
        self._is_micro = benchmark.profile == "micro"
        self._prompts: dict[str, Prompt] = {}

    def requests(self, prompt: Prompt, generation: Generation, pictures: Sequence[ImageRef]) -> list[JudgeRequest]:
        """The reward's own."""
        try:
            return self.reward.requests(RewardItem(prompt=self._with_questions(prompt), image=pictures[0]))
        except DataError as error:
            raise ConfigError(
                f"reward {self.reward.name!r} cannot be computed for {self.name}: {error} Choose "
                "another one with --set gate_reward=NAME, or leave the gate out."
            ) from None

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """One score `gate`."""
        by_id = {v.question_id: v for v in verdicts}
        item = RewardItem(prompt=self._with_questions(prompt), image=ImageRef("", _no_image))
        answers = {q.id: _answer(by_id.get(q.id)) for request in self.reward.requests(item) for q in request.questions}
        found = self.reward.value(item, answers)
        return [Score(key=generation.key, metric=METRIC, value=found.value, reason=found.reason)]

    def _with_questions(self, prompt: Prompt) -> Prompt:
        if not self._is_micro or "semantic_questions" in prompt.meta:
            return prompt
        if prompt.id not in self._prompts:
            try:
                spec = spec_of(prompt.text)
            except NotUnderstood:
                return prompt
            meta = {"semantic_questions": semantic_questions(spec), "quality_questions": quality_questions()}
            self._prompts[prompt.id] = replace(prompt, meta={**prompt.meta, **meta})
        return self._prompts[prompt.id]


def _answer(verdict: Judgement | None) -> Answer:
    if verdict is None:
        return Answer(status="skipped", error="not judged")
    return Answer(value=verdict.value, status=verdict.status, payload=verdict.payload, error=verdict.error)


def _no_image() -> Any:
    raise DataError("A reward's arithmetic asked for the image; only its judge may look at it.")
