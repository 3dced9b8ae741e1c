"""The two protocols: which ids belong to which category, what weighs how much, and which scales are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Variant = Literal["verified", "legacy"]
VARIANTS: tuple[Variant, Variant] = ("verified", "legacy")

CATEGORIES: tuple[str, ...] = ("CULTURE", "TIME", "SPACE", "BIOLOGY", "PHYSICS", "CHEMISTRY")
"""In the order in which the official sums run."""

N_PROMPTS = 1000

RANGES: dict[Variant, dict[str, range]] = {
    "verified": {
        "CULTURE": range(1, 401),
        "TIME": range(401, 521),
        "SPACE": range(521, 641),
        "BIOLOGY": range(641, 761),
        "PHYSICS": range(761, 881),
        "CHEMISTRY": range(881, 1001),
    },
    "legacy": {
        "CULTURE": range(1, 401),
        "TIME": range(401, 568),
        "SPACE": range(568, 701),
        "BIOLOGY": range(701, 801),
        "PHYSICS": range(801, 901),
        "CHEMISTRY": range(901, 1001),
    },
}
"""The id decides the category; the labels in the data do not. Ids from 521 on mean different things in the two."""

SCALES: dict[Variant, tuple[str, ...]] = {
    "verified": ("score",),
    "legacy": ("consistency", "realism", "aesthetic_quality"),
}
"""What the judge scores: 0 or 1, and 0 to 2 each."""

TIME_LABELS = ("Longitudinal time", "Horizontal time")
"""Sub-categories that BAGEL's evaluation counts as TIME, the rest of its file as SPACE."""

_CATEGORY_OF = {v: {i: c for c, ids in ranges.items() for i in ids} for v, ranges in RANGES.items()}
_SHARE = {"verified": 0.12, "legacy": 0.1}


def weights(variant: Variant) -> dict[str, float]:
    """Category weights of the official overall."""
    share = _SHARE[variant]
    found = dict.fromkeys(CATEGORIES, share)
    found["CULTURE"] = 0.4
    if variant == "legacy":
        found |= {"TIME": 0.167, "SPACE": 0.133}
    return found


def category_of(variant: Variant, prompt_id: int) -> str | None:
    """The category of an id; None outside 1 to 1000."""
    return _CATEGORY_OF[variant].get(prompt_id)


def wiscore(variant: Variant, scores: Mapping[str, float]) -> float:
    """Score of one image, 0 to 1 for scores within their scales.

    Source: WISE, arXiv 2503.07265 (legacy: weighted mean of three scales; verified: the binary score itself).
    """
    if variant == "verified":
        return scores["score"]
    return (0.7 * scores["consistency"] + 0.2 * scores["realism"] + 0.1 * scores["aesthetic_quality"]) / 2


def overall(variant: Variant, means: Mapping[str, float]) -> float:
    """The official overall of six category means: the weighted sum, term by term; weights are never renormalised."""
    total = 0.0
    for category, weight in weights(variant).items():
        total += weight * means[category]
    return total


def unweighted(means: Mapping[str, float]) -> float:
    """The plain mean of six category means, as in tables that use BAGEL's evaluation."""
    return sum(means[c] for c in CATEGORIES) / len(CATEGORIES)
