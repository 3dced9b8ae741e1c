"""Written replies of the decomposing model, read and checked. Nothing is guessed: what does not fit is an error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.decompose.dimensions import QUALITY, SEMANTIC

MOST_QUESTIONS = 60
"""More entries than this in one list are a runaway reply."""


class UnusableReply(ValueError):  # noqa: N818 (a verdict on a reply, not a failure of the program)
    """A reply does not follow the asked form; the message says how."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a question is one that the prompt requires."""

    is_valid: bool
    reason: str


def json_of(text: str) -> Any:
    """The JSON value in a reply; a code fence or words around it are passed over.

    Raises:
        UnusableReply: there is none.
    """
    plain = text.strip()
    starts = [i for i in (plain.find("["), plain.find("{")) if i >= 0]
    end = max(plain.rfind("]"), plain.rfind("}"))
    if not starts or end < min(starts):
        raise UnusableReply(f"no JSON in the reply {_short(plain)}")
    try:
        return json.loads(plain[min(starts) : end + 1], strict=False)  # raw line ends inside texts are harmless
    except ValueError as error:
        raise UnusableReply(f"the reply is not valid JSON ({error}): {_short(plain)}") from None


def facts(text: str) -> list[str]:
    """The facts of a reply `[{"kind": ..., "fact": ...}, ...]`."""
    return [_text(_field(item, "fact", i), f"fact {i}") for i, item in enumerate(_list(text, "facts"), start=1)]


def questions(text: str) -> list[str]:
    """The questions of a reply `["...", ...]`; one that is there twice counts once."""
    found: dict[str, str] = {}
    for i, item in enumerate(_list(text, "questions"), start=1):
        question = _text(item, f"question {i}")
        found.setdefault(question.lower(), question)
    return list(found.values())


def verdict(text: str) -> Verdict:
    """The verdict of a reply `{"valid": ..., "reason": ...}`."""
    data = _object(text)
    is_valid, reason = data.get("valid"), data.get("reason", "")
    if not isinstance(is_valid, bool):
        raise UnusableReply(f"'valid' is {is_valid!r}, expected true or false")
    return Verdict(is_valid, " ".join(str(reason).split()))


def tag(text: str) -> str:
    """The semantic dimension of a reply `{"tag": ...}`."""
    return _known(_object(text).get("tag"), list(SEMANTIC))


def quality(text: str) -> list[tuple[str, str]]:
    """(question, quality dimension) pairs of a reply `[{"tag": ..., "question": ...}, ...]`."""
    found: dict[str, tuple[str, str]] = {}
    for i, item in enumerate(_list(text, "questions"), start=1):
        question = _text(_field(item, "question", i), f"question {i}")
        found.setdefault(question.lower(), (question, _known(_field(item, "tag", i), list(QUALITY))))
    return list(found.values())


def _list(text: str, what: str) -> list[Any]:
    data = json_of(text)
    if not isinstance(data, list) or not data:
        raise UnusableReply(f"expected a list of {what}, got {_short(str(data))}")
    if len(data) > MOST_QUESTIONS:
        raise UnusableReply(f"{len(data)} {what}, expected at most {MOST_QUESTIONS}")
    return data


def _object(text: str) -> dict[str, Any]:
    data = json_of(text)
    if not isinstance(data, dict):
        raise UnusableReply(f"expected an object, got {_short(str(data))}")
    return data


def _field(item: Any, name: str, place: int) -> Any:
    if not isinstance(item, dict) or name not in item:
        raise UnusableReply(f"entry {place} has no {name!r}")
    return item[name]


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UnusableReply(f"{what} is not a text")
    return " ".join(value.split())


def _known(name: Any, names: Sequence[str]) -> str:
    """The dimension called `name`, whatever its case."""
    known = {n.lower(): n for n in names}
    if not isinstance(name, str) or name.strip().lower() not in known:
        raise UnusableReply(f"tag {name!r} is none of {', '.join(names)}")
    return known[name.strip().lower()]


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
