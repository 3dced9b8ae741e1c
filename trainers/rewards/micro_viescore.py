"""A coarse holistic scorer of the micro world, for comparisons with decomposed rewards.

Not VIEScore and never called so: no language model is asked. The micro judge grades the whole picture twice, as an
integer 0..10: consistency by the share of what the prompt asks for that is there, quality by the share of the world's
picture qualities that hold. Each fact is seen or not seen, the judge's noise falls on the impression and not on single
facts, and the grade is rounded: what a judge can tell that is asked for one number. The arithmetic is VIEScore's,
sqrt(SC * PQ) / 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from harness.decompose.records import entries
from harness.errors import DataError
from harness.judges.base import Answer, JudgeRequest
from harness.registry import REWARDS
from harness.rewards import Reward, RewardItem, RewardValue
from harness.types import Prompt, Question
from harness.viescore.parsing import answers_of, overall
from trainers.rewards.base import values_of

TOP = 10.0
QUESTIONS = ("sc", "pq")
_QUESTION_TEXTS = {"sc": "semantic consistency", "pq": "perceptual quality"}


def facts_of(prompt: Prompt) -> list[str]:
    """The yes/no questions that the prompt's picture should be answered with yes.

    `meta` has them as `semantic_questions` (those that are valid), or as `facts` and perhaps `kept`.

    Raises:
        DataError: there are none.
    """
    where = f"prompt {prompt.id}"
    asked = [e.question for e in entries(prompt.meta, "semantic_questions", where) if e.is_valid]
    found = asked or [e.question for name in ("facts", "kept") for e in entries(prompt.meta, name, where)]
    if not found:
        raise DataError(
            f"{where}: micro-viescore needs what the picture should show, in meta['semantic_questions'] or "
            "meta['facts']. Prompts of the micro world have one of them."
        )
    return found


@REWARDS.register("micro-viescore")
class MicroVIEScore(Reward):
    """Coarse 0..10 grades of the whole picture (micro world): sqrt(consistency * quality), over 10."""

    name: ClassVar[str] = "micro-viescore"
    default_judge: ClassVar[Mapping[str, str]] = {"micro": "micro"}

    @property
    def fingerprint(self) -> str:
        """There are no settings; world and noise are in the judge's fingerprint."""
        return "micro-viescore"

    def requests(self, item: RewardItem) -> list[JudgeRequest]:
        """Two `text` requests, `micro-viescore-sc` with the field `facts` and `micro-viescore-pq`, one question each.

        Raises:
            DataError: the prompt does not say what the picture should show.
        """
        fields: dict[str, dict[str, Any]] = {"sc": {"facts": facts_of(item.prompt)}, "pq": {}}
        return [
            JudgeRequest(
                kind="text",
                form=f"micro-viescore-{id_}",
                questions=(Question(id=id_, text=_QUESTION_TEXTS[id_]),),
                images=(item.image,),
                prompt=item.prompt.text if id_ == "sc" else "",
                parse=partial(answers_of, rules="strict", length=1),
                fields=fields[id_],
            )
            for id_ in QUESTIONS
        ]

    def value(self, item: RewardItem, answers: Mapping[str, Answer]) -> RewardValue:
        """O / 10 in 0..1; `parts`: `semantic` and `quality` in 0..1, and `raw`, which is O."""
        found = values_of(answers, QUESTIONS)
        if isinstance(found, RewardValue):
            return found
        sc, pq = found
        o = overall(sc, pq)
        if o is None:
            return RewardValue(value=None, reason=f"sc {sc:g} * pq {pq:g} is negative", n_asked=2)
        return RewardValue(value=o / TOP, parts={"semantic": sc / TOP, "quality": pq / TOP, "raw": o}, n_asked=2)
