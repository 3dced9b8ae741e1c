"""Text rendering from OCR: normalised edit distances and word recall of one image. Reported apart from the scores."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from harness.errors import DataError

RECALL_NED = 0.3
"""Largest edit distance at which a token counts as a word (inclusive)."""

_WORD_QUESTION = re.compile(r"Is the text '(.*)' in the image\?")


def words_of(questions: Sequence[str], where: str = "text questions") -> list[str]:
    """Ground-truth words of an image, from its questions `Is the text 'WORD' in the image?`.

    Raises:
        DataError: a question has another form.
    """
    words = []
    for question in questions:
        match = _WORD_QUESTION.fullmatch(question.strip())
        if match is None:
            raise DataError(f"{where}: {question!r} is not of the form \"Is the text 'WORD' in the image?\".")
        words.append(match.group(1))
    return words


def tokens_of(ocr_lines: Sequence[str] | None) -> list[str]:
    """Lower-case OCR tokens: lines split at single blanks, empty pieces kept; no line at all is one empty token."""
    return [token for line in (ocr_lines or [""]) for token in line.lower().split(" ")]


def levenshtein(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions that turn `a` into `b`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def ned(a: str, b: str) -> float:
    """Levenshtein distance over the longer length, in [0, 1]; 0 for two empty strings."""
    longer = max(len(a), len(b))
    return levenshtein(a, b) / longer if longer else 0.0


def gned(words: Sequence[str], ocr_lines: Sequence[str] | None) -> float:
    """Edit distance of the best one-to-one assignment of tokens to words, in [0, 1]; lower is better.

    Every surplus token or word costs 1; the sum is divided by the longer side's length.

    Source: TIIF-Bench's text evaluation (GNED, arXiv 2506.02161).
    """
    from scipy.optimize import linear_sum_assignment

    tokens, truth = tokens_of(ocr_lines), [w.lower() for w in words]
    longer = max(len(tokens), len(truth))
    if not truth:
        return 1.0
    cost = np.array([[ned(t, w) for w in truth] for t in tokens])
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum() + abs(len(tokens) - len(truth))) / longer


def word_recall(words: Sequence[str], ocr_lines: Sequence[str] | None) -> float | None:
    """Share of words that find a token within `RECALL_NED`; None without words.

    Greedy as officially: words in order, each takes the first unused token that is close enough, not the closest.
    """
    if not words:
        return None
    unused = tokens_of(ocr_lines)
    n_matched = 0
    for word in words:
        hit = next((i for i, token in enumerate(unused) if ned(token, word.lower()) <= RECALL_NED), None)
        if hit is not None:
            del unused[hit]
            n_matched += 1
    return n_matched / len(words)
