"""From a judge's written reply to yes/no answers, by the official rules."""

from __future__ import annotations

import re

from harness.judges.base import Answer, Unparsed

_ANSWER = re.compile(r"(?:[Yy][Ee][Ss]|[Nn][Oo])\b")
# Letters are spelled out: with IGNORECASE, "ye\u017f" (long s) would count as "yes".


def answers_in(reply: str) -> list[str]:
    r"""The `yes`/`no` answers of a reply, in order.

    Only `\n` separates lines. A line is trimmed and counts when it starts, in any case, with yes or no followed by a
    Unicode word boundary; every other line is ignored wherever it stands. No markdown is removed, so `**Yes**` and
    `1. yes` do not count.

    Source: TIIF-Bench `eval/eval_with_vlm.py`.
    """
    lines = (line.strip() for line in reply.strip().split("\n"))
    found = (_ANSWER.match(line) for line in lines)
    return [match.group().lower() for match in found if match]


def parse_reply(reply: str, *, n_questions: int, payload: dict[str, str] | None = None) -> list[Answer]:
    """One answer per question: value 1.0 for yes, 0.0 for no; `payload` is attached to each.

    Raises:
        Unparsed: the number of answers is not `n_questions`; there is no partial credit.
    """
    found = answers_in(reply)
    if len(found) != n_questions:
        raise Unparsed(f"{len(found)} lines start with yes or no, expected {n_questions}")
    return [Answer(value=float(a == "yes"), payload=dict(payload or {})) for a in found]
