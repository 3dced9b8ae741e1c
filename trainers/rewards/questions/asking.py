"""Which questions DVReward asks about a prompt's image, and how they are spread over judge requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.decompose.dimensions import NEGATIVE
from harness.decompose.records import entries
from harness.errors import DataError
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.types import Prompt, Question
from trainers.rewards.questions import wording

Side = Literal["semantic", "quality"]
SIDES: tuple[Side, ...] = ("semantic", "quality")

NEGATIVE_SUFFIX = "/negative"
"""Ends the id of a question that is asked with the instruction for absences, so that the same question asked with the
general instruction is another record."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a prompt."""

    side: Side
    question: Question
    """Its id is `semantic/00`, `quality/00`, ... by the place in the record, whatever else is asked."""
    form: str


def asked_of(prompt: Prompt, *, only_valid: bool, negative_aware: bool) -> list[Asked]:
    """The questions to ask about an image of `prompt`, semantic ones first, in the order of the record.

    Args:
        prompt: `meta` has `semantic_questions` and `quality_questions`; one of them may be absent or empty.
        only_valid: leave out questions whose `is_valid` is false.
        negative_aware: questions tagged `Negative` go under the form `dvreward-negative`.

    Raises:
        DataError: a list is malformed, or nothing is left to ask.
    """
    found = []
    for side in SIDES:
        for i, entry in enumerate(entries(prompt.meta, f"{side}_questions", f"prompt {prompt.id}")):
            if only_valid and not entry.is_valid:
                continue
            is_negative = negative_aware and side == "semantic" and entry.tag == NEGATIVE
            id_ = f"{side}/{i:02d}" + (NEGATIVE_SUFFIX if is_negative else "")
            question = Question(id=id_, text=entry.question, tag=entry.tag)
            found.append(Asked(side, question, "dvreward-negative" if is_negative else "dvreward"))
    if not found:
        raise DataError(
            f"prompt {prompt.id}: dvreward needs questions in meta['semantic_questions'] or meta['quality_questions'], "
            "and there is none to ask. `run.py decompose` writes them for any prompt."
        )
    return found


_SYSTEM = {"dvreward": wording.STRICT, "dvreward-negative": wording.NEGATIVE}


def requests_of(asked: Sequence[Asked], image: ImageRef) -> list[JudgeRequest]:
    """One `yesno` request per instruction, each with all its questions."""
    requests = []
    for form in dict.fromkeys(a.form for a in asked):
        questions = tuple(a.question for a in asked if a.form == form)
        requests.append(
            JudgeRequest(kind="yesno", form=form, questions=questions, images=(image,), system=_SYSTEM[form])
        )
    return requests
