"""Damaged lists of questions, to see how much a decomposed reward depends on its decomposition being right.

Language models that decompose prompts leave facts out, repeat them, or get one wrong. Here a stated share of a prompt's
semantic questions suffers one of these, the same way whenever the prompt comes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from harness.errors import ConfigError, unknown_name
from harness.seeds import derive, numpy_generator
from harness.types import Prompt
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES
from harness.world.verifier import understands

Damage = Literal["drop", "duplicate", "corrupt"]
_NUMBERS = ("two", "three", "four", "five")
_OPPOSITES = (("above", "below"), ("left", "right"), ("top", "bottom"), ("more", "fewer"))


def damage_questions(prompt: Prompt, damage: str, share: float, *, seed: int = 0) -> Prompt:
    """The prompt with damaged semantic questions; its text, and the quality questions, stay.

    Args:
        prompt: with `semantic_questions` in its meta.
        damage: `drop` leaves a question out (never the last one left), `duplicate` asks it twice, `corrupt` asks about
            another colour, shape, size, number or side than the prompt has.
        share: probability of each question, 0..1.
        seed: of the draws, with the prompt's id.

    Raises:
        ConfigError: unknown damage, or a share outside 0..1.
    """
    if damage not in get_args(Damage):
        raise unknown_name("damage of questions", damage, get_args(Damage))
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(f"damage of questions: {damage}: expected a share between 0 and 1, got {share!r}.")
    rng = numpy_generator(derive("question-damage", seed, damage), prompt.id)
    questions = prompt.meta["semantic_questions"]
    hit = rng.random(len(questions)) < share
    if damage == "drop":
        last = questions[int(rng.integers(len(questions)))]
        kept = [q for q, h in zip(questions, hit, strict=True) if not h] or [last]
    elif damage == "duplicate":
        kept = [copy for q, h in zip(questions, hit, strict=True) for copy in ([q, dict(q)] if h else [q])]
    else:
        kept = [corrupted(q, rng) if h else q for q, h in zip(questions, hit, strict=True)]
    return replace(prompt, meta={**prompt.meta, "semantic_questions": kept})


def corrupted(question: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The question about another fact of the same kind; unchanged where it has no word to exchange."""
    options = [text for text in _variants(question["question"]) if understands(text)]
    return {**question, "question": options[int(rng.integers(len(options)))]} if options else question


def _variants(text: str) -> list[str]:
    """The text with one of its words exchanged, in every way."""
    found = []
    for words in (COLOURS, SHAPES, tuple(f"{s}s" for s in SHAPES), SIZES, _NUMBERS, BACKGROUNDS, *_OPPOSITES):
        for word in words:
            pattern = re.compile(rf"\b{word}\b")
            if pattern.search(text):
                found += [pattern.sub(other, text, count=1) for other in words if other != word]
    return found
