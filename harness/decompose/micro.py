"""Exact decomposition of the micro world's prompts: the spec behind a prompt says which questions it entails.

The semantic list is the spec's question graph (existence, count, attributes, places, relations, negations, background)
and ends with the exclusivity question: exactly so many objects in all. Without that one a policy earns reward by adding
objects until every other question is answered yes. The quality list holds every measurable quality question of the
world. All questions are of the verifier's grammar, and a right picture answers yes to each of them.

The questions are stored with the text when a prompt is drawn: `draw` and the micro edition of `dvtest` put them into
`Prompt.meta`. Prompts written by hand are read back into specs by `reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness import seeds
from harness.errors import ConfigError, unknown_name
from harness.types import Prompt
from harness.world.grammar import KINDS, STYLES, Description, Spec, Split, Style, question_graph, sample_spec, wording
from harness.world.verifier import QUALITY_QUESTIONS

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")
HARDEST_EASY, HARDEST_MEDIUM = 5, 8
"""Most semantic questions of an easy and of a medium prompt; the training mix is 37 % easy, 49 % medium, 14 % hard."""

_TAGS: dict[str, str] = {
    "exists": "Existence",
    "none": "Negative",
    "count": "Count",
    "number": "Count",
    "attribute": "Attribute",
    "size": "Attribute",
    "same": "Attribute",
    "different": "Attribute",
    "relation": "Spatial",
    "place": "Spatial",
    "background": "Environment",
}
"""Kind of fact -> semantic dimension."""

_QUALITY_TAGS: dict[str, str] = {
    "geometry": "Geometry",
    "whole": "Coherence",
    "speckle": "Aesthetics",
    "uniform": "Texture",
    "backdrop": "Aesthetics",
    "saturation": "Aesthetics",
    "texture": "Texture",
}
"""Measured quality -> quality dimension."""

Question = dict[str, Any]


def semantic_questions(spec: Spec) -> list[Question]:
    """The questions that `spec` entails, exclusivity last; entries of the published record format, all valid."""
    return [_entry("semantic", node.text, _TAGS[node.fact.kind]) for node in question_graph(spec)]


def quality_questions() -> list[Question]:
    """The measurable quality questions; the same for every prompt of the world."""
    return [_entry("quality", text, _QUALITY_TAGS[name]) for name, text in QUALITY_QUESTIONS.items()]


def _entry(kind: str, text: str, tag: str) -> Question:
    return {"question_type": kind, "question": text, "is_valid": True, "tag": tag}


def difficulty_of(spec: Spec) -> Difficulty:
    """By the number of semantic questions: up to 5 easy, up to 8 medium, more hard."""
    n = len(question_graph(spec))
    return "easy" if n <= HARDEST_EASY else "medium" if n <= HARDEST_MEDIUM else "hard"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A prompt with its questions in `meta`, and the spec behind it."""

    prompt: Prompt
    spec: Spec


def make_prompt(id_: str, spec: Spec, text: str, style: Style) -> Prompt:
    """The prompt of a spec: category is the difficulty.

    `meta` has `semantic_questions`, `quality_questions`, `kind` (of the spec), `style` (of the wording), `difficulty`.
    """
    difficulty = difficulty_of(spec)
    meta = {
        "semantic_questions": semantic_questions(spec),
        "quality_questions": quality_questions(),
        "kind": spec.kind,
        "style": style,
        "difficulty": difficulty,
    }
    return Prompt(id=id_, text=text, category=difficulty, meta=meta)


def draw(
    seed: int,
    index: int,
    *,
    split: Split = "train",
    kinds: Sequence[str] | None = None,
    styles: Sequence[Style] | None = None,
) -> Drawn:
    """The prompt number `index` of a seed; depends on nothing else. 0.4 ms.

    Two prompts may ask for the same thing: groups belong to ids, not to texts.

    Args:
        seed: of the list of prompts.
        index: place in it, from 0.
        split: `train` or `bench`; disjoint, and `train` never names a held-out combination.
        kinds: kinds of specs, taken in turn; None draws a kind by its share in `grammar.KINDS`.
        styles: wordings, taken in turn; None takes all five (short, photo, long, dense, indirect) in turn. With both
            None this is the mix that the micro model's card is measured on.

    Raises:
        ConfigError: unknown kind or style, or an empty list of them.
    """
    _check("kind of prompt", kinds, KINDS)
    _check("wording style", styles, STYLES)
    rng = seeds.numpy_generator(seed, f"decompose/{split}", index)
    style = (styles or STYLES)[index % len(styles or STYLES)]
    spec = draw_spec(rng, _kind(index, kinds), split)
    name = f"micro-{split}/{seed}/{index:07d}"
    return Drawn(make_prompt(name, spec, wording(spec, rng, style), style), spec)


def draw_spec(rng: np.random.Generator, kind: str | None, split: Split) -> Spec:
    """A spec of which a picture exists. One in some thousand drawn ones forbids what it asks for and is drawn again."""
    while True:
        spec = sample_spec(rng, kind, split)
        if not any(_forbids(absent, group.what) for absent in spec.absent for group in spec.groups):
            return spec


def _forbids(absent: Description, asked: Description) -> bool:
    return absent.shape in (None, asked.shape) and absent.colour in (None, asked.colour)


def _kind(index: int, kinds: Sequence[str] | None) -> str | None:
    # Kinds change once per round of styles, so that lists of equal length do not tie a kind to a style.
    return None if kinds is None else kinds[(index // len(STYLES)) % len(kinds)]


def _check(what: str, given: Sequence[str] | None, known: Any) -> None:
    if given is None:
        return
    if not given:
        raise ConfigError(f"No {what} is left to draw from. Known: {', '.join(known)}.")
    for name in given:
        if name not in known:
            raise unknown_name(what, name, known)
