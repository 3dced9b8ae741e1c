"""P(yes) from the log-probabilities of a judge's first answer token. Pure arithmetic in log space.

A vocabulary spells yes and no in several ways ("Yes", " yes", "YES"); all of them count. Where every spelling's
log-probability is known the result is exact. Where a server names only its k most probable tokens, the mass that was
not shown bounds the error. `mass` = P(yes) + P(no) says how far the model answers the question at all.

Source of the score: P(yes) / (P(yes) + P(no)) of the first generated token, AlphaGRPO (DVReward).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

How = Literal["token_ids", "top_k", "logits", "text"]
"""Where a value comes from: log-probabilities asked for by token id, the k most probable tokens, the full logits, or
the written word (`official_code` only)."""

SATURATED = 2.0**-24
"""Values this close to 0 or 1 no longer differ from it in float32, so they cannot rank images."""

LOW_MASS = 0.5
"""Below this the model mostly wanted to say something other than yes or no."""

_MARGIN = re.compile(r"^[\s.,?!]+|[\s.,?!]+$")


@dataclass(frozen=True, slots=True)
class YesNoTokens:
    """Ids of all tokens that spell yes and no, ascending."""

    yes: tuple[int, ...]
    no: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo:
    """P(yes) / (P(yes) + P(no)) of one question."""

    value: float | None
    """In [0, 1]; None where neither word has a known probability."""
    mass: float
    """P(yes) + P(no), in [0, 1]."""
    saturated: bool
    """The value is 0 or 1 as far as float32 can tell."""
    how: How
    bound: tuple[float, float] | None = None
    """Interval that holds the exact value; None where the value is exact."""

    @property
    def payload(self) -> dict[str, Any]:
        """The fields that every backend stores with an answer; `bound` is absent where the value is exact."""
        fields: dict[str, Any] = {"p_yes": self.value, "mass": self.mass, "saturated": self.saturated, "how": self.how}
        return fields if self.bound is None else {**fields, "bound": list(self.bound)}


def normalised(text: str) -> str:
    """`text` in lower case without white space and `. , ? !` around it."""
    return _MARGIN.sub("", text).lower()


def spellings(vocabulary: Mapping[str, int] | Callable[[int], str], size: int | None = None) -> YesNoTokens:
    """All tokens whose decoded text, normalised, is yes or no.

    Args:
        vocabulary: token -> id as a tokenizer file has it (byte-level `Ġyes` and sentencepiece `▁yes` are decoded),
            or a function id -> decoded text.
        size: number of ids, with a function.

    Raises:
        ValueError: a function without `size`, or a word that no token spells.
    """
    if isinstance(vocabulary, Mapping):
        texts: Iterable[tuple[str, int]] = ((token_text(t), i) for t, i in vocabulary.items())
    elif size is None:
        raise ValueError("spellings: a decoding function needs the vocabulary's size")
    else:
        texts = ((vocabulary(i), i) for i in range(size))
    found: dict[str, set[int]] = {"yes": set(), "no": set()}
    for text, token_id in texts:
        word = normalised(text)
        if word in found:
            found[word].add(token_id)
    absent = [word for word, ids in found.items() if not ids]
    if absent:
        raise ValueError(f"the vocabulary has no token that spells {' or '.join(absent)}")
    return YesNoTokens(tuple(sorted(found["yes"])), tuple(sorted(found["no"])))


def token_text(token: str) -> str:
    """The text of a token as a vocabulary file spells it; bytes that are no UTF-8 decode to replacement signs."""
    table = _bytes_of_signs()
    if all(sign in table for sign in token):
        return bytes(table[sign] for sign in token).decode("utf-8", errors="replace")
    return token.replace("\u2581", " ")


@cache
def _bytes_of_signs() -> dict[str, int]:
    """Sign -> byte of byte-level BPE: printable bytes stand for themselves, the others for signs from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    table = {chr(b): b for b in printable}
    others = [b for b in range(256) if b not in printable]
    return {**table, **{chr(256 + i): b for i, b in enumerate(others)}}


def log_sum_exp(values: Sequence[float]) -> float:
    """Log of the sum of exp(values); -inf for none."""
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def p_yes_exact(
    logprobs_yes: Sequence[float], logprobs_no: Sequence[float], *, how: Literal["token_ids", "logits"] = "token_ids"
) -> YesNo:
    """The exact value from the log-probabilities of every spelling.

    Args:
        logprobs_yes: natural logs over the full vocabulary, one per spelling of yes; -inf allowed.
        logprobs_no: the same for no.
        how: where they come from.

    Raises:
        ValueError: a positive or undefined log-probability, or no probability at all for either word.
    """
    for value in (*logprobs_yes, *logprobs_no):
        if not value <= 1e-3:
            raise ValueError(f"{value!r} is not a log-probability")
    log_yes, log_no = log_sum_exp(logprobs_yes), log_sum_exp(logprobs_no)
    log_mass = log_sum_exp((log_yes, log_no))
    if log_mass == -math.inf:
        raise ValueError("neither yes nor no has a probability")
    value = _sigmoid(log_yes - log_no)
    return YesNo(value=value, mass=min(1.0, math.exp(log_mass)), saturated=is_saturated(value), how=how)


def p_yes_top_k(top: Sequence[tuple[str, float]], generated_text: str = "", *, n_unseen: int | None = None) -> YesNo:
    """The value from the k most probable first tokens, with the interval that the mass outside them allows.

    The value counts a spelling outside the k as impossible; the truth lies within `bound`. Together the unseen
    spellings of a word have at most the unseen mass, and each at most the smallest probability shown.

    Args:
        top: (text, log-probability) of distinct tokens.
        generated_text: only for the message of a caller; the value never comes from it.
        n_unseen: how many spellings a word has at most outside `top`, where the vocabulary is known.

    Returns:
        `value` is None (bound [0, 1]) where neither word is among the k.
    """
    del generated_text
    yes = math.fsum(math.exp(lp) for text, lp in top if normalised(text) == "yes")
    no = math.fsum(math.exp(lp) for text, lp in top if normalised(text) == "no")
    unseen = unseen_mass([lp for _, lp in top])
    if n_unseen is not None and top:
        unseen = min(unseen, n_unseen * math.exp(min(lp for _, lp in top)))
    mass = min(1.0, yes + no)
    if yes + no == 0.0:
        return YesNo(value=None, mass=0.0, saturated=False, how="top_k", bound=(0.0, 1.0))
    value = yes / (yes + no)
    bound = (yes / (yes + no + unseen), (yes + unseen) / (yes + no + unseen))
    return YesNo(value=value, mass=mass, saturated=is_saturated(value), how="top_k", bound=bound)


def p_yes_official_code(top: Sequence[tuple[str, float]], generated_text: str) -> YesNo:
    """The published DVReward code's value: five tokens, else 1 or 0 by the written word.

    Kept for comparisons. A spelling outside the five counts as impossible, and an answer that is neither word counts
    as no.

    Args:
        top: (text, log-probability), most probable first; the first five count.
        generated_text: the whole answer.
    """
    five = sorted(top, key=lambda pair: -pair[1])[:5]
    seen = p_yes_top_k(five)
    if seen.value is not None:
        return YesNo(value=seen.value, mass=seen.mass, saturated=seen.saturated, how="top_k", bound=seen.bound)
    value = 1.0 if normalised(generated_text) == "yes" else 0.0
    return YesNo(value=value, mass=0.0, saturated=True, how="text")


def unseen_mass(logprobs: Sequence[float]) -> float:
    """Probability that is not among `logprobs`, in [0, 1]."""
    return min(1.0, max(0.0, 1.0 - math.fsum(math.exp(lp) for lp in logprobs)))


def is_saturated(value: float) -> bool:
    """Whether float32 cannot tell the value from 0 or 1."""
    return value <= SATURATED or value >= 1.0 - SATURATED


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    odds = math.exp(x)
    return odds / (1.0 + odds)
