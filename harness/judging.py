"""From images to judgement records: what is still to be asked, asking it, and writing it down.

A call's id hashes the judge, the image bytes and everything that is asked, so the same question about the same bytes
is asked once, also when two samples have equal images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.errors import JudgeError
from harness.judges.base import Judge, JudgeReply, JudgeRequest
from harness.plan import content_hash
from harness.types import Judgement, SampleKey


def call_id(judge_fingerprint: str, request: JudgeRequest, repeat: int = 0) -> str:
    """Content key of one call."""
    return content_hash(
        judge_fingerprint,
        [i.id for i in request.images],
        request.kind,
        request.form,
        request.system,
        request.prompt,
        [q.text for q in request.questions],
        [q.id for q in request.questions],
        request.fields,
        request.temperature,
        repeat,
    )


def judgement_ids(call: str, request: JudgeRequest) -> list[str]:
    """Content keys of a call's records, in the order of its questions."""
    return [content_hash(call, q.id) for q in request.questions]


class JudgementBook:
    """Judgements that are already known, by sample and by content.

    Args:
        known: what the run directory holds, see `RunDirectory.load_judgements`.
    """

    def __init__(self, known: dict[tuple[str, SampleKey], Judgement]) -> None:
        self._by_sample = known
        self._by_content: dict[str, Judgement] = {}
        for judgement in known.values():
            if judgement.status == "ok":
                self._by_content[judgement.id] = judgement

    def of_sample(self, call: str, request: JudgeRequest, key: SampleKey) -> list[Judgement] | None:
        """The sample's records of this call if all of them are there and none failed."""
        found = [self._by_sample.get((i, key)) for i in judgement_ids(call, request)]
        return [j for j in found if j is not None] if all(j is not None and j.status == "ok" for j in found) else None

    def last_known(self, call: str, request: JudgeRequest, key: SampleKey) -> list[Judgement]:
        """The sample's records of this call as they stand, failures included."""
        found = [self._by_sample.get((i, key)) for i in judgement_ids(call, request)]
        return [j for j in found if j is not None]

    def same_content(self, call: str, request: JudgeRequest) -> list[Judgement] | None:
        """Another sample's answers to the same questions about the same bytes."""
        found = [self._by_content.get(i) for i in judgement_ids(call, request)]
        return [j for j in found if j is not None] if all(j is not None for j in found) else None

    def add(self, records: Sequence[Judgement]) -> None:
        """Takes new records in."""
        for judgement in records:
            self._by_sample[judgement.id, judgement.key] = judgement
            if judgement.status == "ok":
                self._by_content[judgement.id] = judgement


def records_of(judge: Judge, call: str, request: JudgeRequest, key: SampleKey, reply: JudgeReply) -> list[Judgement]:
    """The records of one answered call; text and cost stand on the first only.

    Raises:
        JudgeError: the judge gave another number of answers than questions.
    """
    if len(reply.answers) != len(request.questions):
        raise JudgeError(
            f"Judge {judge.name!r} gave {len(reply.answers)} answers to {len(request.questions)} questions "
            f"({request.form})."
        )
    records = []
    for i, (question, answer, record_id) in enumerate(
        zip(request.questions, reply.answers, judgement_ids(call, request), strict=True)
    ):
        cost: dict[str, Any] = {}
        if i == 0:
            cost = {
                "raw": reply.raw,
                "tokens_in": reply.tokens_in,
                "tokens_out": reply.tokens_out,
                "seconds": round(reply.seconds, 6),
                "cost_usd": reply.cost_usd,
            }
        records.append(
            Judgement(
                id=record_id,
                key=key,
                question_id=question.id,
                judge=judge.fingerprint,
                question=question.text,
                tag=question.tag,
                status=answer.status,
                value=answer.value,
                payload=answer.payload,
                error=answer.error,
                call_id=call,
                call_size=len(request.questions),
                attempts=reply.attempts,
                **cost,
            )
        )
    return records


def copied(records: Sequence[Judgement], key: SampleKey) -> list[Judgement]:
    """Another sample's records under a new key, at no cost."""
    return [replace(j, key=key, attempts=0, tokens_in=0, tokens_out=0, seconds=0.0, cost_usd=0.0) for j in records]
