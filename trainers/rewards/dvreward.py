"""DVReward: decomposed yes/no questions about prompt and quality, scored by the judge's confidence in yes.

Source: AlphaGRPO, arXiv 2605.12495; dimensions in `harness.decompose.dimensions`, wording in `questions.wording`.

`behaviour` chooses between the released code and repairs of it:

| | official_code | corrected |
|---|---|---|
| questions whose `is_valid` is false | asked like the others | left out |
| an empty list of questions | counts as 1.0 | the other list alone is the reward |
| questions tagged `Negative` | under the general instruction, whose rule "absent means no" pushes against them | under an instruction of their own |
| `scoring: binary` | by the written answer where the judge records one (payload `text`) | by confidence above one half |

In both, a question without an answer is missing data (the released code counts it as 0): it leaves the means, and an
image with more than `max_missing` of its questions missing has no reward. Merging of token probabilities into one
confidence is the judge's part.
"""  # noqa: E501 (a table row cannot be broken)

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

from harness.errors import ConfigError, unknown_name
from harness.judges.base import Answer, JudgeRequest
from harness.judges.vlm.yesno import LOW_MASS
from harness.plan import content_hash
from harness.registry import REWARDS
from harness.rewards import Reward, RewardItem, RewardValue
from trainers.rewards.questions import wording
from trainers.rewards.questions.asking import SIDES, Asked, asked_of, requests_of
from trainers.rewards.questions.scoring import (
    Aggregation,
    binary,
    binary_of_text,
    combine,
    is_saturated,
    too_many_missing,
)

Scoring = Literal["confidence", "binary"]
Behaviour = Literal["official_code", "corrected"]


@REWARDS.register("dvreward")
class DVReward(Reward):
    """Decomposed yes/no questions, scored by the judge's confidence (AlphaGRPO).

    Args:
        scoring: `confidence` takes P(yes), `binary` 0 or 1.
        aggregation: `geometric` mean of the semantic and the quality mean, their `mean`, or all questions `pooled`.
        behaviour: `corrected` or `official_code`, see the module's table.
        max_missing: share of an image's questions without an answer above which it has no reward.
    """

    name: ClassVar[str] = "dvreward"
    default_judge: ClassVar[Mapping[str, str]] = {
        "micro": "micro",
        "official": "openai:Qwen/Qwen3-VL-30B-A3B-Instruct@http://127.0.0.1:8000/v1",
    }
    """Official: the paper's verifier, where `run.py serve-judge` serves it."""

    def __init__(
        self,
        *,
        scoring: Scoring = "confidence",
        aggregation: Aggregation = "geometric",
        behaviour: Behaviour = "corrected",
        max_missing: float = 0.05,
    ) -> None:
        for option, value, known in (
            ("scoring", scoring, get_args(Scoring)),
            ("aggregation", aggregation, get_args(Aggregation)),
            ("behaviour", behaviour, get_args(Behaviour)),
        ):
            if value not in known:
                raise unknown_name(f"value of dvreward's {option}", str(value), known)
        if isinstance(max_missing, bool) or not isinstance(max_missing, int | float) or not 0 <= max_missing <= 1:
            raise ConfigError(f"dvreward: max_missing: expected a share between 0 and 1, got {max_missing!r}.")
        self.scoring, self.aggregation, self.behaviour = scoring, aggregation, behaviour
        self.max_missing = float(max_missing)

    @property
    def fingerprint(self) -> str:
        """Options and a hash of them with the wording."""
        settings = (self.scoring, self.aggregation, self.behaviour)
        return "-".join(("dvreward", *settings, content_hash(settings, self.max_missing, wording.sha256())[:8]))

    def asked(self, item: RewardItem) -> list[Asked]:
        """The questions about an image, see `asked_of`."""
        is_corrected = self.behaviour == "corrected"
        return asked_of(item.prompt, only_valid=is_corrected, negative_aware=is_corrected)

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """One request per instruction (`dvreward`, and `dvreward-negative` when corrected) with all its questions.

        Raises:
            DataError: `Prompt.meta` has no questions, or malformed ones.
        """
        return requests_of(self.asked(item), item.image)

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """The reward in 0..1.

        `parts`: `semantic` and `quality` (means; absent without questions), means by tag (`semantic/Count`,
        `quality/Texture`), `all_yes` (1 if every semantic question is answered yes; absent where one has no answer),
        `n_saturated` (confidences that cannot be told from 0 or 1), `n_low_mass` (little probability on yes and no).
        """
        asked = self.asked(item)
        known = [(a, answers[a.question.id]) for a in asked if _is_answered(answers.get(a.question.id))]
        n_failed = len(asked) - len(known)
        scores = {side: [self._score(x) for a, x in known if a.side == side] for side in SIDES}
        has_lost_side = any(not scores[side] and any(a.side == side for a in asked) for side in SIDES)
        if has_lost_side or too_many_missing(n_failed, len(asked), self.max_missing):
            reason = self._why_missing(asked, answers, n_failed)
            return RewardValue(value=None, reason=reason, n_asked=len(asked), n_failed=n_failed)
        value = combine(
            scores["semantic"],
            scores["quality"],
            self.aggregation,
            empty_is_one=self.behaviour == "official_code",
        )
        parts = self._parts(asked, known)
        return RewardValue(value=value, parts=parts, n_asked=len(asked), n_failed=n_failed)

    def _score(self, answer: Answer) -> float:
        assert answer.value is not None
        if self.scoring == "confidence":
            return answer.value
        text = answer.payload.get("text")
        if self.behaviour == "official_code" and isinstance(text, str):
            return binary_of_text(text)
        return binary(answer.value)

    def _parts(self, asked: list[Asked], known: list[tuple[Asked, Answer]]) -> dict[str, float]:
        by_name: dict[str, list[float]] = {}
        for a, answer in known:
            score = self._score(answer)
            by_name.setdefault(a.side, []).append(score)
            if a.question.tag:
                by_name.setdefault(f"{a.side}/{a.question.tag}", []).append(score)
        # The two sides first, then tags in the order of the record.
        ordered = sorted(by_name, key=lambda name: "/" in name)
        parts = {name: sum(by_name[name]) / len(by_name[name]) for name in ordered}
        if len(by_name.get("semantic", ())) == sum(a.side == "semantic" for a in asked) > 0:
            parts["all_yes"] = float(all(score > 0.5 for score in by_name["semantic"]))
        parts["n_saturated"] = float(sum(_is_saturated(x) for _, x in known))
        parts["n_low_mass"] = float(sum(x.payload.get("mass", 1.0) < LOW_MASS for _, x in known))
        return parts

    def _why_missing(self, asked: list[Asked], answers: Mapping[str, Answer], n_failed: int) -> str:
        first = next(a for a in asked if not _is_answered(answers.get(a.question.id)))
        answer = answers.get(first.question.id)
        why = "not asked" if answer is None else f"{answer.status} {answer.error}".strip()
        return (
            f"{n_failed} of {len(asked)} questions without an answer (limit {self.max_missing:.0%}); "
            f"first: {first.question.id}: {why}"
        )


def _is_saturated(answer: Answer) -> bool:
    """As the judge says, who knows the precision; else whether the confidence is exactly 0 or 1."""
    return bool(answer.payload.get("saturated", answer.value is not None and is_saturated(answer.value)))


def _is_answered(answer: Answer | None) -> bool:
    return answer is not None and answer.status == "ok" and answer.value is not None
