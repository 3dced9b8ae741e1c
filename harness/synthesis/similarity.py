"""Near-duplicates: the Jaccard similarity of word and word-pair sets, found exactly through an index of rare shingles.

Two sets of similarity >= t share an element among the first |x| - ceil(t |x|) + 1 elements of each, in any fixed order
of all elements (prefix filtering; Chaudhuri et al., ICDE 2006, and Bayardo et al., WWW 2007). With rare elements first,
few pairs are left to be compared, and none above the threshold is missed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from harness.synthesis.language import NUMBERS, words

_SILENT = frozenset(
    words(
        "a an the is are was were be been being there that which it its this of and or also can "
        "image picture photo photograph show shown shows showing see seen situated positioned placed located "
        "stand stands standing sit sits sitting lie lies lying rest rests resting"
    )
)
"""Words that change the wording of a prompt but not what it asks for."""

_SAME = {"grey": "gray", "colour": "color", "coloured": "colored", "watercolour": "watercolor", "beneath": "under"}


def normalise(text: str) -> tuple[str, ...]:
    """The words that carry the content of a prompt: lower case, number words, no plural s, no filling words."""
    return tuple(found for word in words(text) if (found := _normal_word(word)))


@functools.lru_cache(maxsize=1 << 15)
def _normal_word(word: str) -> str:
    """One word in its normal form; empty for a filling word."""
    if word.isdigit() and int(word) < len(NUMBERS):
        word = NUMBERS[int(word)]
    return "" if word in _SILENT else _singular(_SAME.get(word, word))


def _singular(word: str) -> str:
    """A crude stem: only that plural and singular of one word meet matters here."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@functools.lru_cache(maxsize=4)
def shingles(text: str) -> frozenset[str]:
    """The normalised words of a prompt and the pairs of neighbouring ones."""
    found = normalise(text)
    return frozenset(found) | {f"{a} {b}" for a, b in itertools.pairwise(found)}


def jaccard(x: frozenset[str], y: frozenset[str]) -> float:
    """|x and y| / |x or y|; 1 for two empty sets."""
    common = len(x & y)
    union = len(x) + len(y) - common
    return common / union if union else 1.0


class Match(NamedTuple):
    """A known prompt that is similar."""

    key: str
    similarity: float


class NearIndex:
    """Prompts, to be searched for those similar to a given one.

    Args:
        threshold: least Jaccard similarity, above 0 and at most 1.
        common: texts that show which shingles are common; only the speed depends on it.
    """

    def __init__(self, threshold: float, common: Iterable[str] = ()) -> None:
        self.threshold = threshold
        self._frequency = Counter(s for text in common for s in shingles(text))
        self._sets: dict[str, frozenset[str]] = {}
        self._by_shingle: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def add(self, key: str, text: str) -> None:
        """Takes a prompt in, under a new key."""
        found = shingles(text)
        self._sets[key] = found
        for shingle in self._prefix(found):
            self._by_shingle.setdefault(shingle, []).append(key)

    def near(self, text: str) -> list[Match]:
        """All prompts of the index with at least the threshold's similarity, most similar first."""
        found = shingles(text)
        low, high = self.threshold * len(found), len(found) / self.threshold
        candidates = {key for shingle in self._prefix(found) for key in self._by_shingle.get(shingle, ())}
        matches = []
        for key in candidates:
            other = self._sets[key]
            if low - 1e-9 <= len(other) <= high + 1e-9:
                similarity = jaccard(found, other)
                if similarity >= self.threshold - 1e-12:
                    matches.append(Match(key, similarity))
        return sorted(matches, key=lambda m: (-m.similarity, m.key))

    def _prefix(self, found: frozenset[str]) -> list[str]:
        """The rarest shingles, one of which every similar set has among its own rarest."""
        ordered = sorted(found, key=lambda s: (self._frequency[s], s))
        return ordered[: len(ordered) - math.ceil(self.threshold * len(ordered) - 1e-9) + 1]
