"""The judge interface: questions about images in, numbers or text out, with a status for every answer.

A failure is an answer with a status, never a score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.images import ImageRef
from harness.types import Question, Status

Kind = Literal["yesno", "text", "detect", "score"]
"""`yesno`: P(yes) of each question. `text`: a written reply that `JudgeRequest.parse` turns into answers.
`detect`: per-class boxes, scores and colours in the payload of the single answer. `score`: a model's raw score of the
image for the prompt that is the text of the single question."""


class Unparsed(Exception):  # noqa: N818 (a verdict on a reply, not a failure of the program)
    """A reply does not follow the asked form; the message says how. The judge may ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question's answer."""

    value: float | None = None
    status: Status = "ok"
    payload: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """One call: questions about the same images."""

    kind: Kind
    form: str
    """What is asked, by name (`tiif`, `geneval`, `wise-verified`, `gedit-sc`, ...): rule-based judges answer by it, and
    it is part of the record's identity together with `system`, `prompt` and the questions."""
    questions: tuple[Question, ...]
    images: tuple[ImageRef, ...]
    """In the order in which the judge sees them; decoded by the judge."""
    system: str = ""
    prompt: str = ""
    """The text a language-model judge gets; empty for detectors and for `yesno`, where each question is a prompt."""
    parse: Callable[[str], list[Answer]] | None = None
    """For `text`: reply -> one answer per question; raises `Unparsed`."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The parts that `prompt` was made of (e.g. WISE's explanation), for judges that need no wording. JSON values."""
    temperature: float = 0.0
    """What the benchmark's protocol asks a language-model judge to sample with."""
    seed: int = 0
    """Of that sampling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReply:
    """What came back for one request."""

    answers: tuple[Answer, ...]
    """One per question, in order."""
    raw: str = ""
    attempts: int = 1
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0


class Judge(ABC):
    """Answers requests. Created by name: `JUDGES.get(name)(argument)`."""

    name: str
    kinds: frozenset[Kind]
    batch_size: int = 8
    """A good number of requests per `ask`; answers never depend on it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies model, revision, precision and sampling: equal fingerprints give comparable answers."""

    @abstractmethod
    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """One reply per request, in order. Failures become answers with a status; retries are bounded and counted.

        Raises:
            JudgeError: the judge cannot be used at all (unreachable, wrong credentials).
        """

    def close(self) -> None:
        """Ends connections and processes."""


def failed(n_questions: int, status: Status, error: str, **cost: Any) -> JudgeReply:
    """A reply whose `n_questions` answers all have the same failure."""
    return JudgeReply(answers=tuple(Answer(status=status, error=error) for _ in range(n_questions)), **cost)
