"""What makes a finished prompt unfit: clashing primitives, length, bad form, questions about what is not there."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from harness.synthesis.language import flaws, words
from harness.synthesis.scene import QUALITY_TAGS, SEMANTIC_TAGS, Asked, Scene

MAX_WORDS = {"easy": 40, "medium": 70, "hard": 110}
"""Longest prompt by difficulty, in words."""

_CLASHES: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"look:bright"}), frozenset({"light:dim light", "light:candlelight", "light:night"})),
    (frozenset({"look:misty"}), frozenset({"light:clear sky", "light:midday sun", "light:starry sky"})),
    (frozenset({"look:dusty", "look:dry", "look:sandy"}), frozenset({"light:rain"})),
    (frozenset({"look:muddy"}), frozenset({"light:midday sun"})),
    (frozenset({"texture:frosted", "texture:wet"}), frozenset({"place:desert", "place:savanna"})),
    (frozenset({"texture:frosted"}), frozenset({"light:midday sun", "place:beach"})),
    (frozenset({"texture:dusty"}), frozenset({"light:rain", "light:snowfall"})),
    (frozenset({"state:lit"}), frozenset({"light:midday sun"})),
    (frozenset({"view:from above"}), frozenset({"relation:under", "relation:beneath", "relation:inside"})),
    (frozenset({"view:blurred background"}), frozenset({"position:in the background", "spot:in the background"})),
    (frozenset({"view:blurred background"}), frozenset({"relation:behind", "relation:farther from the viewer than"})),
    (frozenset({"view:close-up"}), frozenset({"relation:farther from the viewer than"})),
    (frozenset({"action:sleep"}), frozenset({"light:rain", "light:storm clouds"})),
    (frozenset({"background:black background"}), frozenset({"color:black"})),
    (frozenset({"background:plain white background"}), frozenset({"color:white"})),
)
"""Two sets of primitives of which no prompt may have one each."""

MAX_CLOSE_UP = 2
"""Things that fit into a close-up."""


@functools.lru_cache(maxsize=1 << 14)
def _forms(phrase: str) -> tuple[str, ...]:
    """The alternatives of a phrase, as they occur in normalised text."""
    return tuple(f" {' '.join(words(form))} " for form in phrase.split("|"))


def problems(scene: Scene, semantic: list[Asked], quality: list[Asked]) -> list[str]:
    """Why the prompt is not usable; empty if it is."""
    return [*_clashes(scene), *_form(scene), *_questions(scene, semantic, quality)]


def _clashes(scene: Scene) -> Iterator[str]:
    have = set(scene.primitives)
    for first, second in _CLASHES:
        if have & first and have & second:
            yield f"primitives clash: {', '.join(sorted(have & first))} with {', '.join(sorted(have & second))}"
    colors = sorted(p for p in have if p.startswith("color:"))
    if scene.style is not None and scene.style.colorless and (colors or scene.look):
        yield f"primitives clash: style:{scene.style.name} has no colors, the prompt asks for {', '.join(colors)}"
    if scene.view is not None and scene.view.name == "close-up" and len(scene.entities) > MAX_CLOSE_UP:
        yield f"primitives clash: view:close-up with {len(scene.entities)} kinds of things"
    present = {e.head for e in scene.entities} | {e.worn.head for e in scene.entities if e.worn}
    for head in sorted(present & set(scene.absent)):
        yield f"primitives clash: {head} is both present and absent"


def _form(scene: Scene) -> Iterator[str]:
    text = scene.text
    n_words = len(text.split())
    limit = MAX_WORDS[scene.difficulty]
    if n_words > limit:
        yield f"too long: {n_words} words, the limit for {scene.difficulty} is {limit}"
    for flaw in flaws(text):
        yield f"form: {flaw}"


def _questions(scene: Scene, semantic: list[Asked], quality: list[Asked]) -> Iterator[str]:
    said = f" {' '.join(words(scene.text))} "
    for found, tags in ((semantic, SEMANTIC_TAGS), (quality, QUALITY_TAGS)):
        for question in found:
            if question.tag not in tags:
                yield f"question {question.text!r}: unknown tag {question.tag!r}"
            for phrase in question.about:
                if not any(form in said for form in _forms(phrase)):
                    yield f"question {question.text!r}: {phrase!r} is not in the prompt"
            for flaw in flaws(question.text):
                yield f"question {question.text!r}: {flaw}"
