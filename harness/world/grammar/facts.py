"""Atomic facts about a picture: their truth in a scene, their question text, and the way back from text to fact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from harness.errors import JudgeError
from harness.world.grammar.spec import PLACES, RELATIONS, Description
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES, Scene, SceneObject
from harness.world.vocabulary import NUMBERS, PLURALS

ATTRIBUTES: dict[str, tuple[str, ...]] = {"colour": COLOURS, "size": SIZES, "texture": TEXTURES, "shape": SHAPES}

RELATION_PHRASES: tuple[str, ...] = ("to the left of", "to the right of", "above", "below")


ANYTHING = Description()
"""Fits every object."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One yes/no statement about a picture.

    | kind | statement | fields |
    |---|---|---|
    | exists | there is an object of the description | subject |
    | none | there is none | subject |
    | count | there are exactly `value` of them | subject, value |
    | attribute | there is one, and all of them have the attribute | subject, attribute, value |
    | relation | both exist, and every subject stands so to every other | subject, other, value |
    | place | there is one, and all stand in cell `value` | subject, value |
    | size | both exist, and every subject is larger (0) or smaller (1) than every other | subject, other, value |
    | number | more (0), fewer (1) or as many (2) subjects than others; both exist | subject, other, value |
    | same, different | at least two, with all equal or pairwise different `attribute` | subject, attribute |
    | background | the background is `value` | value |
    """

    kind: str
    subject: Description = ANYTHING
    other: Description | None = None
    attribute: str = ""
    value: int = 0


def _related(relation: int, a: SceneObject, b: SceneObject) -> bool:
    return (a.column < b.column, a.column > b.column, a.row < b.row, a.row > b.row)[relation]


def holds(scene: Scene, fact: Fact) -> bool:
    """Whether `fact` is true of `scene`, by definition rather than by looking at a picture."""
    if fact.kind == "background":
        return scene.background == fact.value
    ours = [o for o in scene.objects if fact.subject.matches(o)]
    theirs = [o for o in scene.objects if fact.other is not None and fact.other.matches(o)]
    pairs = [(a, b) for a in ours for b in theirs if a is not b]
    match fact.kind:
        case "exists":
            return bool(ours)
        case "none":
            return not ours
        case "count":
            return len(ours) == fact.value
        case "attribute":
            return bool(ours) and all(getattr(o, fact.attribute) == fact.value for o in ours)
        case "place":
            return bool(ours) and all(o.cell == fact.value for o in ours)
        case "relation":
            return bool(pairs) and all(_related(fact.value, a, b) for a, b in pairs)
        case "size":
            sign = 1 if fact.value == 0 else -1
            return bool(pairs) and all(sign * (a.size - b.size) > 0 for a, b in pairs)
        case "number":
            difference = len(ours) - len(theirs)
            return bool(ours) and bool(theirs) and (difference > 0, difference < 0, difference == 0)[fact.value]
        case "same" | "different":
            n_values = len({getattr(o, fact.attribute) for o in ours})
            return len(ours) >= 2 and n_values == (1 if fact.kind == "same" else len(ours))
    raise JudgeError(f"Unknown kind of fact {fact.kind!r}.")


def noun(what: Description, *, many: bool = False) -> str:
    """`large striped red circle`, `red objects`, ...: the description in words, without an article."""
    words = []
    if what.size is not None:
        words.append(SIZES[what.size])
    if what.texture is not None:
        words.append(TEXTURES[what.texture])
    if what.colour is not None:
        words.append(COLOURS[what.colour])
    if what.shape is None:
        words.append("objects" if many else "object")
    else:
        words.append(PLURALS[what.shape] if many else SHAPES[what.shape])
    return " ".join(words)


def with_article(words: str) -> str:
    """`a red circle`, `an orange square`."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def question_text(fact: Fact, *, many: bool = False, many_other: bool = False) -> str:
    """The question that asks for `fact`; `many` and `many_other` choose the plural of subject and other."""
    one, more = noun(fact.subject), noun(fact.subject, many=True)
    start, subject = ("Are", f"the {more}") if many else ("Is", f"the {one}")
    other = fact.other or ANYTHING
    the_other = f"the {noun(other, many=many_other)}"
    match fact.kind:
        case "exists":
            return f"Is there {with_article(one)} in the picture?"
        case "none":
            return f"Is the picture without {more}?"
        case "count" if fact.value == 1:
            return f"Is there exactly one {one} in the picture?"
        case "count":
            return f"Are there exactly {NUMBERS[fact.value - 1]} {more} in the picture?"
        case "attribute" if fact.attribute == "shape":
            shape = PLURALS[fact.value] if many else with_article(SHAPES[fact.value])
            return f"{start} {subject} {shape}?"
        case "attribute":
            return f"{start} {subject} {ATTRIBUTES[fact.attribute][fact.value]}?"
        case "place":
            return f"{start} {subject} in the {PLACES[fact.value]}?"
        case "relation":
            return f"{start} {subject} {RELATION_PHRASES[fact.value]} {the_other}?"
        case "size":
            return f"{start} {subject} {('larger', 'smaller')[fact.value]} than {the_other}?"
        case "number" if fact.value == 2:
            return f"Are there as many {more} as {noun(other, many=True)}?"
        case "number":
            return f"Are there {('more', 'fewer')[fact.value]} {more} than {noun(other, many=True)}?"
        case "same":
            return f"Do the {more} have the same {fact.attribute}?"
        case "different":
            return f"Do the {more} have different {fact.attribute}s?"
        case "background":
            return f"Is the background {BACKGROUNDS[fact.value]}?"
    raise JudgeError(f"Unknown kind of fact {fact.kind!r}.")


def _any(words: tuple[str, ...]) -> str:
    return "(?:" + "|".join(words) + ")"


_NOUNS: dict[str, int | None] = {"object": None, "objects": None}
_NOUNS |= {w: i for words in (SHAPES, PLURALS) for i, w in enumerate(words)}
_DESCRIPTION = re.compile(
    rf"(?:(?P<size>{_any(SIZES)}) )?(?:(?P<texture>{_any(TEXTURES)}) )?(?:(?P<colour>{_any(COLOURS)}) )?(?P<noun>\w+)"
)
_WORDS = r"((?:\w+ ){0,3}?\w+)"
_ADJECTIVE = {word: (name, i) for name in ("colour", "size", "texture") for i, word in enumerate(ATTRIBUTES[name])}
_PLACE_CELLS = {name: cell for cell, name in PLACES.items()} | {"centre": 4}
_SHOWN = r"(?: in the (?:picture|image))?"
_PATTERNS = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "background": rf"is the background (?:plain )?({_any(BACKGROUNDS)})",
        "none": rf"is the picture without (?:any )?{_WORDS}",
        "count": rf"(?:is|are) there exactly ({_any(NUMBERS)}) {_WORDS}{_SHOWN}",
        "number_equal": rf"are there as many {_WORDS} as {_WORDS}{_SHOWN}",
        "number": rf"are there (more|fewer) {_WORDS} than {_WORDS}{_SHOWN}",
        "exists": rf"(?:is there an?|are there any) {_WORDS}{_SHOWN}",
        "same": rf"do the {_WORDS} have the same (colour|size)",
        "different": rf"do the {_WORDS} have different (colour|size)s",
        "place": rf"(?:is|are) the {_WORDS} in the ({_any(tuple(_PLACE_CELLS))})",
        "relation": rf"(?:is|are) the {_WORDS} ({_any(RELATION_PHRASES)}) the {_WORDS}",
        "size": rf"(?:is|are) the {_WORDS} (larger|smaller) than the {_WORDS}",
        "shape": rf"(?:is|are) the {_WORDS} (?:an? )?({_any(SHAPES + PLURALS)})",
        "attribute": rf"(?:is|are) the {_WORDS} ({_any(tuple(_ADJECTIVE))})",
    }.items()
}


def described(words: str) -> Description | None:
    """The description that a noun phrase without article spells, or None when it is not of the grammar."""
    match = _DESCRIPTION.fullmatch(words)
    if match is None or match["noun"] not in _NOUNS:
        return None
    index = {
        name: ATTRIBUTES[name].index(match[name]) for name in ("colour", "size", "texture") if match[name] is not None
    }
    return Description(_NOUNS[match["noun"]], **index)


def _fact(kind: str, words: tuple[str, ...]) -> Fact | None:
    """The fact of one matched pattern, or None when a noun phrase in it is not of the grammar."""
    if kind == "background":
        return Fact("background", value=BACKGROUNDS.index(words[0]))
    subject = described(words[1] if kind in ("count", "number") else words[0])
    if subject is None:
        return None
    if kind in ("exists", "none"):
        return Fact(kind, subject)
    if kind == "count":
        return Fact("count", subject, value=NUMBERS.index(words[0]) + 1)
    if kind in ("same", "different"):
        return Fact(kind, subject, attribute=words[1])
    if kind == "place":
        return Fact("place", subject, value=_PLACE_CELLS[words[1]])
    if kind == "shape":
        shape = _NOUNS[words[1]]
        return None if shape is None else Fact("attribute", subject, attribute="shape", value=shape)
    if kind == "attribute":
        name, value = _ADJECTIVE[words[1]]
        return Fact("attribute", subject, attribute=name, value=value)
    other = described(words[1] if kind == "number_equal" else words[2])
    if other is None:
        return None
    if kind == "number_equal":
        return Fact("number", subject, other, value=2)
    values = {"number": ("more", "fewer"), "size": ("larger", "smaller"), "relation": RELATION_PHRASES}[kind]
    return Fact(kind, subject, other, value=values.index(words[0] if kind == "number" else words[1]))


@lru_cache(maxsize=65536)
def fact_of(text: str) -> Fact | None:
    """The fact that a question asks for, or None when the question is not of the grammar."""
    plain = " ".join(text.lower().replace("?", " ").split())
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(plain)
        fact = _fact(kind, match.groups()) if match else None
        if fact is not None:
            return fact
    return None


assert len(RELATIONS) == len(RELATION_PHRASES)
