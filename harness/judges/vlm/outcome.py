"""One request of a server judge and what became of it, before it is part of a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.judges.base import Answer, JudgeReply, JudgeRequest, failed
from harness.judges.vlm.messages import Chat, question_chat, text_chat
from harness.judges.vlm.presets import Protocol
from harness.types import Question, Status

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send: a yes/no question, or (without a question) a whole written request."""

    place: int
    """Index of the judge request."""
    request: JudgeRequest
    question: Question | None
    chat: Chat
    protocol: Protocol

    @property
    def group(self) -> tuple[Any, ...]:
        """Calls with equal groups begin with the same tokens."""
        return (tuple(i.id for i in self.request.images), self.chat.system, self.protocol)


@dataclass(slots=True)
class Outcome:
    """Answers and cost of one call."""

    answers: list[Answer] = field(default_factory=list)
    text: str = ""
    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    """Sum of the requests' own times; they overlap with other calls."""
    cost_usd: float = 0.0

    def lost(self, call: Call, status: Status, cause: str, message: str) -> Outcome:
        """Itself, with a failure for each question of the call."""
        tries = f"{self.attempts} {'try' if self.attempts == 1 else 'tries'}"
        n = 1 if call.question is not None else len(call.request.questions)
        failure = Answer(
            status=status,
            error=f"{cause}: {message} ({tries})",
            payload={"cause": cause, "attempts": self.attempts},
        )
        self.answers = [failure] * n
        return self


@dataclass(slots=True)
class Counters:
    """What a judge did, for logs and benchmarks."""

    n_requests: int = 0
    """Requests for answers, further tries and the self-test not counted."""
    n_tries: int = 0
    """Everything sent."""
    n_answers: int = 0
    """Answers with P(yes)."""
    n_failed: int = 0
    """Answers without a value."""
    n_saturated: int = 0
    n_low_mass: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the server took from its prefix cache, as far as it tells."""
    cost_usd: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    """Faulty tries by cause."""
    lowest_concurrency: float = 0.0


def reply_of(outcomes: Sequence[Outcome]) -> JudgeReply:
    """The reply to one judge request from the outcomes of its calls, in the order of its questions."""
    return JudgeReply(
        answers=tuple(a for o in outcomes for a in o.answers),
        raw="\n".join(o.text for o in outcomes if o.text),
        attempts=max(o.attempts for o in outcomes),
        tokens_in=sum(o.tokens_in for o in outcomes),
        tokens_out=sum(o.tokens_out for o in outcomes),
        seconds=sum(o.seconds for o in outcomes),
        cost_usd=sum(o.cost_usd for o in outcomes),
    )


async def gather(coroutines: Iterable[Awaitable[R]]) -> list[R]:
    """Results in order; the first error cancels the rest."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def calls_of(place: int, request: JudgeRequest, protocol: Protocol) -> list[Call]:
    """The model calls of a request: one a question, or one for a written reply; none where it cannot be answered.

    Args:
        place: of the request among those asked together.
        request: what is asked.
        protocol: of its form.
    """
    if request.kind == "yesno":
        return [Call(place, request, q, question_chat(request, q, protocol.order), protocol) for q in request.questions]
    if request.kind == "text" and request.parse is not None:
        return [Call(place, request, None, text_chat(request, protocol.order), protocol)]
    return []


def cannot_answer(judge: str, request: JudgeRequest) -> JudgeReply:
    """The reply to a request without calls."""
    why = "has no parser" if request.kind == "text" else f"is of the kind {request.kind!r}"
    error = f"judge {judge!r} cannot answer the request {request.form!r}: it {why}"
    return failed(len(request.questions), "error", error, attempts=0)
