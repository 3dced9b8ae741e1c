"""From a judge's written reply to its score list, by the official VIEScore rules or by strict ones.

Pure functions. Upstream replaces what it cannot read by a random number; here such a reply raises `Unparsed`, unless
the caller hands in the source of the guess. Everything runs in time linear in the length of the reply.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.judges.base import Answer, Unparsed

Rules = Literal["official", "strict"]

DELIMITER = "||V^=^V||"
SCALE = (0.0, 10.0)
MAX_REASONING = 2_000
"""Characters of the reasoning kept in a payload; the record's `raw` has all of it."""

_TWO_NUMBERS = re.compile(r"\[\d+, ?\d+\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_CONSTANT = re.compile(r"true|false|null", re.IGNORECASE)
_END = re.compile(r"[,}]")
_BARE_KEY = re.compile(r"(?<!\w)(\w++):")
"""A whole run of word characters before a colon; possessive, and only at the start of a run, so that long runs cost no
backtracking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a reply says."""

    scores: list[Any]
    """As written: the official rules check neither type, range nor number of the entries."""
    reasoning: Any = None


def parse_official(text: str, *, guess: Callable[[], int] | None = None) -> Reply:
    """The reply by the official rules.

    Args:
        text: the reply.
        guess: gives the integer 0..10 that replaces a reply without braces, whatever it says, as upstream does from
            the second try on ("give up"); None for the first try, and where no score is to be invented.

    Raises:
        Unparsed: the text is not read by the rules, or upstream would start the item over.

    Source: `viescore/utils.py` of TIGER-AI-Lab/VIEScore at 2cbea4e8.
    """
    if text == "rate_limit_exceeded":
        raise Unparsed("the reply is 'rate_limit_exceeded'")
    if text.count(DELIMITER) == 2:
        return _parse_body(text[text.find(DELIMITER) + len(DELIMITER) : text.rfind(DELIMITER)])
    if not has_braces(text):
        return _parse_without_braces(text) if guess is None else Reply(scores=[guess()], reasoning=None)
    return _parse_body(text[text.find("{") : text.rfind("}") + 1])


def parse_strict(text: str, *, length: int) -> Reply:
    """The reply by the official rules with thinking blocks taken out, if it is `length` numbers within 0..10.

    Raises:
        Unparsed: not read by the official rules, or an entry is no finite number (booleans are none), out of range,
            or there are more or fewer entries.
    """
    reply = parse_official(without_thinking(text))
    check_strict(reply.scores, length=length)
    return reply


def check_strict(scores: Sequence[Any], *, length: int, top: float = SCALE[1]) -> None:
    """Raises `Unparsed` where a score list is not `length` numbers within 0..`top`."""
    if len(scores) != length:
        raise Unparsed(f"{len(scores)} scores, expected {length}")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise Unparsed(f"score {shown(score)} is not a number")
        if not SCALE[0] <= score <= top:
            raise Unparsed(f"score {shown(score)} is outside 0..{top:g}")


def lowest(scores: Sequence[Any]) -> float:
    """The smallest entry (the official way from a list to one score), by Python's own `min`.

    `true` is 1, and comparisons with NaN are false, so NaN is the minimum only where it comes first, as officially.

    Raises:
        Unparsed: the list is empty, its entries do not compare, or the result is not a finite number.
    """
    try:
        value = min(scores)
    except (TypeError, ValueError):
        raise Unparsed(f"no smallest entry in {shown(scores)}") from None
    if not isinstance(value, int | float):
        raise Unparsed(f"score {shown(value)} is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise Unparsed(f"score {shown(value)} is too large") from None
    if not math.isfinite(number):
        raise Unparsed(f"score {number} is not finite")
    return number


def overall(sc: float, pq: float) -> float | None:
    """sqrt(SC * PQ), on the scale of its arguments; None where the product is negative (upstream fails there)."""
    product = sc * pq
    return math.sqrt(product) if product >= 0 else None


def read_reply(text: str, *, rules: Rules, length: int = 2) -> tuple[float, Reply]:
    """(smallest score, the reply); `length` entries are asked for under the strict rules.

    Raises:
        Unparsed: see `parse_official`, `parse_strict` and `lowest`.
    """
    reply = parse_official(text) if rules == "official" else parse_strict(text, length=length)
    return lowest(reply.scores), reply


def answers_of(text: str, *, rules: Rules, length: int = 2) -> list[Answer]:
    """The reply as the one answer of a request: `value` is the smallest score, the payload holds list and reasoning.

    Raises:
        Unparsed: see `read_reply`.
    """
    value, reply = read_reply(text, rules=rules, length=length)
    payload = {"scores": [_storable(s) for s in reply.scores], "reasoning": _text_or_none(reply.reasoning)}
    return [Answer(value=value, payload=payload)]


def has_braces(text: str) -> bool:
    """Whether there is an opening and a closing brace, in any order."""
    return "{" in text and "}" in text


def would_guess(text: str) -> bool:
    """Whether upstream, once it gives up, replaces this reply by a random number; others it asks for again for ever."""
    return text != "rate_limit_exceeded" and text.count(DELIMITER) != 2 and not has_braces(text)


def without_thinking(text: str) -> str:
    """The text without `<think>...</think>` blocks; a closing tag alone ends one, an opening tag alone starts one."""
    kept, place = [], 0
    while (start := text.find("<think>", place)) >= 0:
        kept.append(text[place:start])
        end = text.find("</think>", start)
        if end < 0:
            place = len(text)
            break
        place = end + len("</think>")
    kept.append(text[place:])
    return "".join(kept).rpartition("</think>")[2]


def shown(value: Any) -> str:
    """A short, printable form for messages."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} that is too large to print"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _parse_without_braces(text: str) -> Reply:
    span = text[max(text.find("["), 0) : text.rfind("]") + 1]
    if _TWO_NUMBERS.fullmatch(span):
        return Reply(scores=_json(span))
    number = _int_or_none(text)
    if number is not None and 0 <= number <= 10:
        return Reply(scores=[number])
    raise Unparsed("no JSON object, no pair of integers in brackets, no integer 0..10" if text else "empty reply")


def _parse_body(body: str) -> Reply:
    body = body.strip().replace("\n", "")
    try:
        found = _json(body)
    except Unparsed as error:
        return _repaired(body, str(error))
    if isinstance(found, dict) and "score" in found:
        scores = found["score"]
        return Reply(scores=scores if isinstance(scores, list) else [scores], reasoning=found.get("reasoning"))
    return _repaired(body, "no key 'score'")


def _repaired(body: str, why: str) -> Reply:
    """What upstream's repair rescues: flat objects with bare keys, or values without inner commas and quotes."""
    try:
        found = _json(repair(body))
    except Unparsed:
        raise Unparsed(why) from None
    if not isinstance(found, dict) or "score" not in found:
        raise Unparsed("no key 'score'")
    scores = found["score"]
    if not isinstance(scores, list):
        raise Unparsed(f"score {shown(scores)} is not a number")
    return Reply(scores=scores, reasoning=found.get("reasoning"))


def repair(body: str) -> str:
    """The text with bare keys quoted and every value up to the next comma or closing brace wrapped or quoted.

    A number becomes a list of one, `true`, `false` and `null` stay (in any case), anything else is put in quotes.
    """
    text = _BARE_KEY.sub(r'"\1":', body)
    parts: list[str] = []
    place = 0
    while True:
        start = text.find('"', place)
        colon = text.find('":', start + 1) if start >= 0 else -1
        end = _next_end(text, colon + 2) if colon >= 0 else -1
        if end < 0:
            return "".join([*parts, text[place:]])
        value = text[colon + 2 : end].strip()
        parts += [text[place:start], text[start : colon + 1], ": ", _wrapped(value), text[end]]
        place = end + 1


def _next_end(text: str, place: int) -> int:
    """Index of the next comma or closing brace, -1 where there is none."""
    match = _END.search(text, place)
    return match.start() if match else -1


def _wrapped(value: str) -> str:
    if _NUMBER.fullmatch(value):
        return f"[{value}]"
    return value if _CONSTANT.fullmatch(value) else f'"{value}"'


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unparsed(f"not valid JSON ({error.msg})") from None
    except ValueError:
        raise Unparsed("not valid JSON (a number with too many digits)") from None
    except RecursionError:
        raise Unparsed("not valid JSON (nested too deeply)") from None


def _int_or_none(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _storable(score: Any) -> Any:
    """An entry as it can stand in a JSON record: odd ones as text."""
    if isinstance(score, bool) or (isinstance(score, int) and abs(score) < 2**53):
        return score
    return score if isinstance(score, float) and math.isfinite(score) else shown(score)


def _text_or_none(reasoning: Any) -> str | None:
    if reasoning is None:
        return None
    text = reasoning if isinstance(reasoning, str) else shown(reasoning)
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate escape cannot be stored
    return text if len(text) <= MAX_REASONING else f"{text[:MAX_REASONING]}..."
