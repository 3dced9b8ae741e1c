"""From the judgements of one sample to its SC, PQ and O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.judges.base import Unparsed
from harness.types import Judgement, SampleKey, Score
from harness.viescore.parsing import Rules, check_strict, lowest, overall, parse_official, read_reply, would_guess

METRICS: tuple[str, str, str] = ("sc", "pq", "o")
QUESTIONS: tuple[str, str] = ("sc", "pq")
GUESSED = "guessed"
"""Start of the reason of a score that rests on a guess."""

Guess = Callable[[SampleKey, str, int], int]
"""(sample, question id, repeat) -> an integer 0..10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One question's score, or why there is none."""

    value: float | None
    reason: str = ""


def read_judgement(judgement: Judgement, *, rules: Rules, guess: Guess | None = None) -> Reading:
    """The score in a recorded judgement, read again under `rules` from the judge's text where that is recorded.

    So a run can be scored under either protocol, whichever it was judged under. With `guess`, a reply without braces
    (also a refusal or a failed call, which upstream takes for an empty reply) gives a guessed score and says so.
    """
    if judgement.status in ("ok", "unparsed"):
        try:
            return Reading(value=_value(judgement, rules))
        except Unparsed as error:
            failed = Reading(value=None, reason=f"unparsed: {error}")
    else:
        failed = Reading(value=None, reason=f"{judgement.status}: {judgement.error}")
    if guess is None or judgement.status == "skipped" or not would_guess(judgement.raw):
        return failed
    drawn = parse_official("", guess=lambda: guess(judgement.key, judgement.question_id, judgement.repeat))
    return Reading(value=lowest(drawn.scores), reason=f"{GUESSED} ({failed.reason})")


def _value(judgement: Judgement, rules: Rules) -> float:
    if judgement.raw:
        return read_reply(judgement.raw, rules=rules)[0]
    if judgement.status != "ok" or judgement.value is None:
        raise Unparsed(judgement.error or "empty reply")
    scores = judgement.payload.get("scores")
    if not isinstance(scores, list):
        return judgement.value
    if rules == "strict":
        check_strict(scores, length=2)
    return lowest(scores)


def score_sample(
    key: SampleKey, verdicts: Sequence[Judgement], *, rules: Rules, lost: str, guess: Guess | None = None
) -> list[Score]:
    """`sc`, `pq` and `o` of one sample, each 0..10 or None with the reason.

    Args:
        key: the sample.
        verdicts: its judgements; with repeats, sc and pq are means, and o is the mean of each repeat's root.
        rules: how texts are read.
        lost: the reason where there is no judgement.
        guess: see `read_judgement`.
    """
    readings: dict[str, dict[int, Reading]] = {q: {} for q in QUESTIONS}
    for verdict in verdicts:
        if verdict.question_id in readings:
            readings[verdict.question_id][verdict.repeat] = read_judgement(verdict, rules=rules, guess=guess)
    sc, pq = (_mean(key, q, readings[q], lost) for q in QUESTIONS)
    pairs = [(readings["sc"][r].value, readings["pq"][r].value) for r in sorted({*readings["sc"]} & {*readings["pq"]})]
    return [sc, pq, _overall(key, sc, pq, [(a, b) for a, b in pairs if a is not None and b is not None])]


def _mean(key: SampleKey, question: str, readings: dict[int, Reading], lost: str) -> Score:
    valid = [r for _, r in sorted(readings.items()) if r.value is not None]
    if not valid:
        reason = next((r.reason for _, r in sorted(readings.items())), lost)
        return Score(key=key, metric=question, value=None, reason=reason)
    value = sum(r.value or 0.0 for r in valid) / len(valid)
    return Score(key=key, metric=question, value=value, reason=next((r.reason for r in valid if r.reason), ""))


def _overall(key: SampleKey, sc: Score, pq: Score, pairs: Sequence[tuple[float, float]]) -> Score:
    if not pairs:
        absent = [f"{s.metric}: {s.reason}" for s in (sc, pq) if s.value is None]
        return Score(key=key, metric="o", value=None, reason="; ".join(absent) or "no repeat has both sc and pq")
    roots = [overall(a, b) for a, b in pairs]
    found = [r for r in roots if r is not None]
    if len(found) < len(roots):
        return Score(key=key, metric="o", value=None, reason="sc * pq is negative")
    guessed = [f"{s.metric}: {s.reason}" for s in (sc, pq) if s.reason.startswith(GUESSED)]
    reason = f"{GUESSED} ({'; '.join(guessed)})" if guessed else ""
    return Score(key=key, metric="o", value=sum(found) / len(found), reason=reason)
