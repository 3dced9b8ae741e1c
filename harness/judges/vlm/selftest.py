"""Whether a server is fit to be a judge, found out before the first question.

Protocol probes look at how log-probabilities are reported; a judge that fails one would give wrong numbers, so it is
always refused. Semantic probes show four pictures with known answers; a judge that fails them is blind or does not
follow the instruction, and is refused unless the user insists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from harness.errors import JudgeError
from harness.images import ImageRef, ref_of_image
from harness.judges.vlm.completion import BadReplyError, Completion, top_of
from harness.judges.vlm.yesno import LOW_MASS, normalised

SIZE_PX = 256

SURE = 0.9
"""A fit judge gives known answers at least this probability."""

SUM_TOLERANCE = 1e-3
LEAST_LOGPROB = -15.0
"""Rarer tokens are not compared: half precision says little about them."""

TEMPERATURES = (0.0, 0.5, 1.0)
N_TOKENS = 6
"""Tokens that a protocol probe lets the judge write, so that an offset of the answer shows."""

COLOURS = {"red": (214, 30, 30), "blue": (24, 60, 210), "green": (20, 150, 50), "yellow": (245, 215, 30)}


@dataclass(frozen=True, slots=True)
class Probe:
    """A picture and a question with a known answer."""

    image: ImageRef
    question: str
    is_yes: bool


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a judge said to a probe."""

    probe: Probe
    p_yes: float | None
    """P(yes); None where the judge gave no answer."""
    said: str
    mass: float = 1.0
    """P(yes) + P(no)."""

    @property
    def is_right(self) -> bool:
        """Sure of the right answer, with most of the probability on yes and no."""
        if self.p_yes is None or self.mass < LOW_MASS:
            return False
        return self.p_yes > SURE if self.probe.is_yes else self.p_yes < 1.0 - SURE


def probes() -> list[Probe]:
    """Four pictures of one plain square on white, each with a question to be answered yes and one with no."""
    from PIL import Image, ImageDraw

    found = []
    names = list(COLOURS)
    for i, colour in enumerate(names):
        picture = Image.new("RGB", (SIZE_PX, SIZE_PX), "white")
        ImageDraw.Draw(picture).rectangle((64, 64, 191, 191), fill=COLOURS[colour])
        image = ref_of_image(picture)
        other = names[(i + 1) % len(names)]
        found.append(Probe(image, f"Is there a {colour} square in the picture?", True))
        found.append(Probe(image, f"Is there a {other} square in the picture?", False))
    return found


AskFirst = Callable[[Probe, float, int], Awaitable[Completion]]
"""probe, temperature, tokens to write -> the completion with the k most probable tokens of each place."""


async def check_protocol(judge: str, ask: AskFirst) -> None:
    """Asks one probe at several temperatures and looks at the reported log-probabilities.

    Raises:
        JudgeError: why the judge's log-probabilities cannot be used, and what may help.
    """
    probe = probes()[0]
    seen = [await ask(probe, temperature, N_TOKENS) for temperature in TEMPERATURES]
    try:
        tops = [top_of(c) for c in seen]
    except BadReplyError as error:
        raise JudgeError(
            f"Judge {judge} is unsuitable for yes/no questions: {error}. Use a server and model that give "
            "log-probabilities of the answer's first token."
        ) from None
    problem = sum_problem(tops) or temperature_problem(tops) or offset_problem(seen[0])
    if problem:
        raise JudgeError(f"Judge {judge} is unsuitable for yes/no questions: {problem}")


def sum_problem(tops: Sequence[Sequence[tuple[str, float]]]) -> str:
    """Why the reported probabilities cannot be probabilities; empty where they can."""
    most = max(math.fsum(math.exp(lp) for _, lp in top) for top in tops)
    if most <= 1.0 + SUM_TOLERANCE:
        return ""
    return f"the probabilities of the first token's candidates add up to {most:.4f}, more than 1."


def temperature_problem(tops: Sequence[Sequence[tuple[str, float]]]) -> str:
    """How the reported values follow the sampling temperature; empty where they do not."""
    first = unique(tops[0])
    for temperature, top in zip(TEMPERATURES[1:], tops[1:], strict=True):
        for text, lp in unique(top).items():
            other = first.get(text)
            if other is None or max(lp, other) < LEAST_LOGPROB:
                continue
            # Half-precision logits differ by up to an eighth between two runs.
            if abs(lp - other) > 0.3 + 0.03 * abs(other):
                return (
                    f"its log-probabilities change with the sampling temperature ({text!r}: {other:.3f} at temperature "
                    f"{TEMPERATURES[0]:g}, {lp:.3f} at {temperature:g}). The server must report raw values "
                    "(vLLM: --logprobs-mode raw_logprobs)."
                )
    return ""


def unique(top: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Log-probability by text, without texts that several tokens share."""
    texts = [text for text, _ in top]
    return {text: lp for text, lp in top if texts.count(text) == 1}


_THINK = re.compile(r"^\s*<\s*/?\s*(think|thinking|reasoning|analysis)\s*>", re.IGNORECASE)


def offset_problem(completion: Completion) -> str:
    """Why the first token is not the answer; empty where it is, or where the judge writes something else altogether."""
    advice = "Use a model that answers at once, or switch thinking off (a preset's `extra` holds request fields)."
    if completion.reasoning or _THINK.match(completion.text):
        return f"it thinks before it answers, so its first token is not the answer. {advice}"
    texts = [s.token.text for s in completion.steps]
    is_word = [normalised(t) in ("yes", "no") for t in texts]
    if is_word and not is_word[0] and any(is_word):
        place = is_word.index(True)
        if all(not normalised(t) or t.strip().startswith("<") for t in texts[:place]):
            return (
                f"the answer comes as token {place + 1}, after {''.join(texts[:place])!r}, so the first token is not "
                f"the answer. {advice}"
            )
    return ""


def check_answers(judge: str, results: Sequence[ProbeResult], *, advice: str) -> None:
    """Raises JudgeError unless every probe was answered rightly and surely."""
    wrong = [r for r in results if not r.is_right]
    if not wrong:
        return
    lines = [
        f"  {r.probe.question} expected {'yes' if r.probe.is_yes else 'no'}, "
        + (f"P(yes) = {r.p_yes:.3f}, P(yes or no) = {r.mass:.3f}" if r.p_yes is not None else "no answer")
        + (f" ({r.said[:60]!r})" if r.said else "")
        for r in wrong
    ]
    raise JudgeError(
        f"Judge {judge} failed {len(wrong)} of {len(results)} questions about plain coloured squares:\n"
        + "\n".join(lines)
        + f"\nIt sees no images, or does not follow the instruction. {advice}"
    )


def written_yes_no(text: str) -> float | None:
    """1 or 0 by the last word yes or no of a written reply, thinking left out; None where there is neither."""
    answer = text.rpartition("</think>")[2]
    words = re.findall(r"\b(yes|no)\b", answer.lower())
    return None if not words else float(words[-1] == "yes")
