"""What a vision-language judge is told: system text, then images and text in the order that its protocol fixes.

The order is part of the protocol: the same question before or after the image gets another probability. Image first is
the default, because all questions about an image then share its prefix in the server's cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.types import Question

Order = Literal["image_first", "text_first"]

YES_NO_SYSTEM = (
    "You are a strict auditor of pictures. You get a picture and one question about it. Judge only what is visible in "
    "the picture. Answer with exactly one word, Yes or No, and write nothing else. If the thing that the question is "
    "about is not in the picture, answer No."
)
"""Built-in instruction of yes/no questions."""

YES_NO_SYSTEM_NEGATIVE = (
    "You are a strict auditor of pictures. You get a picture and one question about it. Judge only what is visible in "
    "the picture. Answer with exactly one word, Yes or No, and write nothing else."
)
"""The same without the clause on absent things, for questions whose yes means that something is absent."""

NEGATIVE_TAG = "Negative"
"""Tag of questions whose yes means that something is absent."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the user's turn: a text or an image."""

    text: str = ""
    image: ImageRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One turn of a user, with the system text before it."""

    system: str
    """Empty: no system turn is sent."""
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The user's text."""
        return "\n".join(p.text for p in self.parts if p.image is None)


def text_hash(text: str) -> str:
    """12 hex digits that name a wording in fingerprints and records."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def yes_no_system(tag: str) -> str:
    """The built-in instruction for a question with this tag."""
    return YES_NO_SYSTEM_NEGATIVE if tag == NEGATIVE_TAG else YES_NO_SYSTEM


def yes_no_hash() -> str:
    """Names both built-in instructions together, for fingerprints."""
    return text_hash(YES_NO_SYSTEM + "\0" + YES_NO_SYSTEM_NEGATIVE)


def question_chat(request: JudgeRequest, question: Question, order: Order = "image_first") -> Chat:
    """One yes/no question about the images of `request`; `request.system` replaces the built-in instruction."""
    return Chat(
        system=request.system or yes_no_system(question.tag), parts=_parts(request.images, question.text, order)
    )


def text_chat(request: JudgeRequest, order: Order = "image_first") -> Chat:
    """The whole request as one turn with `request.prompt`."""
    return Chat(system=request.system, parts=_parts(request.images, request.prompt, order))


def _parts(images: Sequence[ImageRef], text: str, order: Order) -> tuple[Part, ...]:
    pictures = tuple(Part(image=image) for image in images)
    return (*pictures, Part(text=text)) if order == "image_first" else (Part(text=text), *pictures)


def openai_messages(chat: Chat, urls: Sequence[str]) -> list[dict[str, Any]]:
    """`chat` as the `messages` of a chat completion.

    Args:
        chat: the turn.
        urls: one (data) address per image part, in order.
    """
    waiting = iter(urls)
    content: list[dict[str, Any]] = []
    for part in chat.parts:
        if part.image is None:
            content.append({"type": "text", "text": part.text})
        else:
            content.append({"type": "image_url", "image_url": {"url": next(waiting)}})
    turns: list[dict[str, Any]] = [{"role": "system", "content": chat.system}] if chat.system else []
    return [*turns, {"role": "user", "content": content}]
