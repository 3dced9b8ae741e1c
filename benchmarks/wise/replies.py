r"""From a judge's written reply to scores, by the official rules.

The patterns accept what the official ones accept. White space around the optional colon is written as
`\s*(?::\s*)?` instead of `\s*:?\s*`, and think blocks are cut without a pattern, so that a megabyte of blanks or of
opening tags takes linear time.
"""

from __future__ import annotations

import re

from benchmarks.wise.variants import SCALES
from harness.judges.base import Answer, Unparsed

_OPEN, _CLOSE = "<think>", "</think>"
_LEGACY = re.compile(
    r"\*{0,2}(Consistency|Realism|Aesthetic Quality)\*{0,2}\s*(?::\s*)?(\d)",
    re.IGNORECASE,
)
_BAGEL = re.compile(
    r"\*{0,2}(Consistency|Realism|Aesthetic Quality)\*{0,2}\s*(?:[:\uff1a]\s*)?(\d)",
    re.IGNORECASE,
)
_VERIFIED = re.compile(r"\*{0,2}Score\*{0,2}\s*(?::\s*)?([01])\b", re.IGNORECASE)
_LEADING_BLANKS = re.compile(r"\s*")


def legacy_scores(reply: str) -> dict[str, float]:
    """The scores that a legacy reply names, by scale; incomplete when one is missing. Digits above 2 are not refused.

    The last mention of a scale counts. Three lines that hold nothing but 0, 1 or 2 stand for the three scales where no
    scale is named at all.

    Source: WISE `WISE_legacy/gpt_eval.py`.
    """
    matches = _LEGACY.findall(reply)
    if matches:
        return _by_scale(matches)
    bare = [line.strip() for line in reply.split("\n") if line.strip() in ("0", "1", "2")]
    if len(bare) < 3:
        return {}
    return {scale: float(digit) for scale, digit in zip(SCALES["legacy"], bare, strict=False)}


def bagel_scores(reply: str) -> dict[str, float]:
    """As `legacy_scores` in BAGEL's evaluation: a full-width colon counts, bare numbers do not."""
    return _by_scale(_BAGEL.findall(reply))


def verified_score(reply: str) -> float | None:
    """The score in a reply of the verified protocol, 0.0 or 1.0; None where there is none.

    Think blocks are removed first. The first `Score: 0|1` counts, else the only line that holds nothing but 0 or 1.

    Source: WISE `vllm_eval.py`.
    """
    text = without_thinking(reply)
    match = _VERIFIED.search(text)
    if match:
        return float(match[1])
    bare = [line.strip() for line in text.split("\n") if line.strip() in ("0", "1")]
    return float(bare[0]) if len(bare) == 1 else None


def without_thinking(reply: str) -> str:
    """`reply` without think blocks and without closing tags that are left over, each with the white space behind it."""
    kept, position = [], 0
    while (start := reply.find(_OPEN, position)) >= 0:
        end = reply.find(_CLOSE, start + len(_OPEN))
        if end < 0:
            break
        kept.append(reply[position:start])
        position = _after_blanks(reply, end + len(_CLOSE))
    head, *tail = ("".join(kept) + reply[position:]).split(_CLOSE)
    return "".join([head, *(part.lstrip() for part in tail)]).strip()


def parse_verified(reply: str, *, payload: dict[str, str] | None = None) -> list[Answer]:
    """One answer, value 0.0 or 1.0; `payload` is attached.

    Raises:
        Unparsed: there is no score in the reply.
    """
    score = verified_score(reply)
    if score is None:
        raise Unparsed("no 'Score: 0' or 'Score: 1', and not exactly one line with a bare 0 or 1")
    return [Answer(value=score, payload=dict(payload or {}))]


def parse_legacy(reply: str, *, payload: dict[str, str] | None = None) -> list[Answer]:
    """Three answers in the order consistency, realism, aesthetic quality; `payload` is attached to each.

    Raises:
        Unparsed: a scale is missing; there is no partial credit.
    """
    scores = legacy_scores(reply)
    missing = [scale for scale in SCALES["legacy"] if scale not in scores]
    if missing:
        raise Unparsed(f"no score for {', '.join(missing)}")
    return [Answer(value=scores[scale], payload=dict(payload or {})) for scale in SCALES["legacy"]]


def _by_scale(matches: list[tuple[str, str]]) -> dict[str, float]:
    """Later matches overwrite; letters that only fold to a name (a dotless i) match it and name no scale."""
    found = {name.lower().replace(" ", "_"): float(digit) for name, digit in matches}
    return {scale: found[scale] for scale in SCALES["legacy"] if scale in found}


def _after_blanks(text: str, position: int) -> int:
    match = _LEADING_BLANKS.match(text, position)
    return match.end() if match else position
