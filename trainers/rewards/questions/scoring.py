"""DVReward's arithmetic on plain numbers. Source: AlphaGRPO, arXiv 2605.12495, decompositional verifiable reward."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Literal

Aggregation = Literal["geometric", "mean", "pooled"]


def binary(confidence: float) -> float:
    """1 for a confidence above one half, else 0."""
    return float(confidence > 0.5)


def binary_of_text(text: str) -> float:
    """1 if a written answer is the bare word yes, else 0; case, white space and `. , ? !` around it do not count."""
    return float(text.lower().strip(f"{string.whitespace}.,?!") == "yes")


def is_saturated(confidence: float) -> bool:
    """Whether a confidence is exactly 0 or 1, so that it no longer ranks images."""
    return confidence in (0.0, 1.0)


def combine(
    semantic: Sequence[float],
    quality: Sequence[float],
    aggregation: Aggregation = "geometric",
    *,
    empty_is_one: bool = False,
) -> float:
    """The reward of one image from its question scores.

    Args:
        semantic: scores in 0..1 of the questions about the prompt.
        quality: scores in 0..1 of the questions about quality.
        aggregation: with s and q the means of the two lists, `geometric` sqrt(s q), `mean` (s + q)/2; `pooled` is the
            mean of all scores together.
        empty_is_one: an empty list has the mean 1; else the mean of the other list is the reward.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: both lists are empty.
    """
    if not semantic and not quality:
        raise ValueError("no scores at all")
    if aggregation == "pooled":
        return _mean([*semantic, *quality])
    if (not semantic or not quality) and not empty_is_one:
        return _mean(semantic or quality)
    s, q = (_mean(scores) if scores else 1.0 for scores in (semantic, quality))
    return math.sqrt(s * q) if aggregation == "geometric" else (s + q) / 2


def too_many_missing(n_missing: int, n_asked: int, max_missing: float) -> bool:
    """Whether more than the share `max_missing` of the questions has no answer."""
    return n_missing > max_missing * n_asked


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)
