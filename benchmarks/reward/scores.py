"""From recorded judgements to a reward and its scores: the same arithmetic as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.base import no_image
from benchmarks.reward.summaries import REWARD
from harness.errors import DataError
from harness.images import ImageRef
from harness.judges.base import Answer
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Generation, Judgement, Prompt, Score


def _no_image() -> None:
    raise DataError("A reward's arithmetic asked for the image; only its judge may look at it.")


def stand_in(prompt: Prompt) -> RewardItem:
    """The item of a recorded sample, whose images are not looked at any more."""
    image = ImageRef("", _no_image)  # type: ignore[arg-type]
    return RewardItem(prompt=prompt, image=image, sources=(image,) * len(prompt.source_images))


def answers_of(verdicts: Sequence[Judgement]) -> dict[str, Answer]:
    """The answers by question id; of repeated ones the first that is not a failure."""
    found: dict[str, Answer] = {}
    for v in sorted(verdicts, key=lambda v: v.repeat):
        if v.question_id not in found or found[v.question_id].status != "ok":
            found[v.question_id] = Answer(value=v.value, status=v.status, payload=v.payload, error=v.error)
    return found


def reward_of(reward: Reward, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> RewardValue:
    """The reward of one sample; a question that was never asked counts as one without an answer."""
    if generation.status != "ok":
        return RewardValue(value=None, reason=no_image(generation))
    item = stand_in(prompt)
    given = answers_of(verdicts)
    not_asked = Answer(status="skipped", error="not judged")
    return reward.value(item, {i: given.get(i, not_asked) for i in _question_ids(reward, item)})


def scores_of(reward: Reward, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
    """`reward` first, then a score for each part.

    Where the reward is missing all parts are too, so that the share of missing scores is that of missing rewards; the
    names of the parts are known for rewards whose answers are plain numbers.
    """
    found = reward_of(reward, prompt, generation, verdicts)
    head = Score(key=generation.key, metric=REWARD, value=found.value, reason=found.reason)
    parts: Mapping[str, float | None] = found.parts if found.value is not None else _lost_parts(reward, prompt)
    return [head, *(Score(key=generation.key, metric=n, value=v, reason=found.reason) for n, v in parts.items())]


def _lost_parts(reward: Reward, prompt: Prompt) -> dict[str, float | None]:
    item = stand_in(prompt)
    if not all(r.kind in ("yesno", "score") for r in reward.requests(item)):
        return {}
    answers = {i: Answer(value=1.0) for i in _question_ids(reward, item)}
    return dict.fromkeys(reward.value(item, answers).parts)


def _question_ids(reward: Reward, item: RewardItem) -> list[str]:
    return [q.id for request in reward.requests(item) for q in request.questions]
