"""Putting yes/no questions to a judge, and the answers back in place; a failure is a missing answer with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.images import ImageRef
from harness.judges.base import Judge, JudgeRequest
from harness.judging import call_id
from harness.rewards import answers_by_id
from harness.types import Question

SYSTEM = "You look at a picture and answer one question about it. Reply with yes or no, nothing else."


@dataclass(slots=True)
class Asker:
    """A judge with a count of what it could not answer.

    Args:
        judge: answers requests of the kind `yesno`.
    """

    judge: Judge
    n_calls: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def ask(
        self,
        asked: Sequence[tuple[ImageRef, Sequence[str]]],
        *,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> list[list[float | None]]:
        """P(yes) of every question, or None; all questions about an image go into one request.

        Args:
            asked: (image, questions).
            batch_size: requests given to the judge at a time; None: all.
            seed: of the judge's sampling.
        """
        requests = [_request(image, texts, seed) for image, texts in asked]
        # The same image and questions are asked once, as in an evaluation.
        ids = [call_id(self.judge.fingerprint, r) for r in requests]
        todo = dict(zip(ids, requests, strict=True))
        calls = list(todo.values())
        self.n_calls += len(calls)
        size = batch_size or max(1, len(calls))
        replies = [r for i in range(0, len(calls), size) for r in self.judge.ask(calls[i : i + size])]
        by_call = dict(zip(todo, replies, strict=True))
        found: list[list[float | None]] = []
        for call, request in zip(ids, requests, strict=True):
            answers = answers_by_id(self.judge, request, by_call[call])
            row: list[float | None] = []
            for question in request.questions:
                answer = answers[question.id]
                is_fine = answer.status == "ok" and answer.value is not None
                row.append(answer.value if is_fine else None)
                if not is_fine:
                    self.reasons[f"{answer.status}: {answer.error}".strip(": ")] += 1
            found.append(row)
        return found


def _request(image: ImageRef, texts: Sequence[str], seed: int) -> JudgeRequest:
    questions = tuple(Question(id=f"{i:03d}", text=text) for i, text in enumerate(texts))
    return JudgeRequest(kind="yesno", form="audit", questions=questions, images=(image,), system=SYSTEM, seed=seed)


def says_yes(p: float | None) -> float | None:
    """1.0 for P(yes) above one half, else 0.0; None for no answer."""
    return None if p is None else float(p > 0.5)
