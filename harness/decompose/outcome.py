"""What decomposing one prompt came to; one line of the journal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.plan import content_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Questions of one prompt, or why there are none."""

    id: str
    """Content key: decomposer and prompt determine it."""
    status: Literal["ok", "rejected", "error"]
    """`rejected`: the prompt was tried and its questions are not usable. `error`: no answer; tried again next time."""
    semantic: list[dict[str, Any]] = field(default_factory=list)
    quality: list[dict[str, Any]] = field(default_factory=list)
    """Both in the published record format."""
    reason: str = ""
    rejected: list[dict[str, str]] = field(default_factory=list)
    """Questions of the last attempt that did not pass: `question` and `reason`."""
    attempts: int = 1
    n_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class Decomposer(ABC):
    """Turns prompts into questions."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Whatever can change a question: model, wording, settings."""

    @abstractmethod
    def run(self, texts: Sequence[str], done: Callable[[Outcome], None]) -> None:
        """Decomposes every text and hands each outcome over as soon as it is there, in any order.

        Raises:
            HarnessError: nothing can be decomposed (server unreachable, wrong key).
        """

    def key(self, text: str) -> str:
        """Content key of a text's outcome."""
        return content_hash(self.fingerprint, text)

    def plan(self, n_prompts: int) -> dict[str, Any]:
        """What `n_prompts` will take, for --dry-run."""
        return {"n_calls": 0}

    def details(self) -> dict[str, Any]:
        """Settings and wording for the manifest."""
        return {}

    def close(self) -> None:
        """Ends connections."""


def entry(kind: Literal["semantic", "quality"], question: str, tag: str) -> dict[str, Any]:
    """One valid question in the published record format."""
    return {"question_type": kind, "question": question, "is_valid": True, "tag": tag}
