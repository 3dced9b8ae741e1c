"""From a spec to text: short, photo, long, dense and indirect wordings, every word of them in `vocabulary.WORDS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from harness.errors import DataError
from harness.world.grammar.facts import noun, with_article
from harness.world.grammar.indirect import CATEGORIES, Hint, hints_for
from harness.world.grammar.spec import PLACES, Description, Group, Link, Spec
from harness.world.scene import BACKGROUNDS, SIZES, TEXTURES
from harness.world.vocabulary import NUMBERS

Style = Literal["short", "photo", "long", "dense", "indirect"]
STYLES: tuple[Style, ...] = ("short", "photo", "long", "dense", "indirect")

_RELATION_WORDS = (
    ("to the left of", "left of", "on the left side of"),
    ("to the right of", "right of", "on the right side of"),
    ("above", "over"),
    ("below", "under", "beneath"),
)
_SIZE_WORDS = (("larger than", "bigger than"), ("smaller than",))
_MIRRORED = (1, 0, 3, 2)
_PHOTO = ("a photo of", "a picture of", "an image of", "a drawing of")


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


class _Words:
    """Chooses words for one text; the choices for one group stay the same throughout."""

    def __init__(self, rng: np.random.Generator, spec: Spec) -> None:
        self.rng = rng
        self.spec = spec

    def one_of(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def noun(self, what: Description, *, many: bool) -> str:
        if what.texture == 1 and self.chance(0.3):
            return f"{noun(replace(what, texture=None), many=many)} with stripes"
        return noun(what, many=many)

    def counted(self, group: Group) -> str:
        """`a red circle`, `three red circles`, `red circles` (number left open)."""
        if group.count == 1:
            return with_article(self.noun(group.what, many=False))
        number = "" if group.count is None else f"{NUMBERS[group.count - 1]} "
        return number + self.noun(group.what, many=True)

    def phrase(self, index: int, group: Group | None = None) -> str:
        """A group with its place and variety: `two circles of different colours`."""
        text = self.counted(group or self.spec.groups[index])
        place = self.spec.groups[index].place
        if place is not None:
            text += f" in the {PLACES[place]}"
        return text + self.variety(index)

    def variety(self, index: int) -> str:
        words = [
            f" of the same {v.attribute}" if v.same else f" of different {v.attribute}s"
            for v in self.spec.varieties
            if v.group == index
        ]
        return "".join(words)

    def reference(self, index: int) -> str:
        """`the red circle`, or `the circle` where no other group has that shape."""
        group = self.spec.groups[index]
        is_unique = [g.what.shape for g in self.spec.groups].count(group.what.shape) == 1
        short = is_unique and group.what.shape is not None and self.chance(0.5)
        return f"the {noun(Description(group.what.shape) if short else group.core, many=group.count != 1)}"

    def link(self, link: Link) -> str:
        """The words between two groups: `to the left of`, `larger than`."""
        return self.one_of((_RELATION_WORDS if link.kind == "relation" else _SIZE_WORDS)[link.value])

    def background(self) -> str:
        assert self.spec.background is not None
        return f"on a {'plain ' if self.chance(0.2) else ''}{BACKGROUNDS[self.spec.background]} background"

    def is_or_are(self, index: int) -> str:
        return "is" if self.spec.groups[index].count == 1 else "are"


class _IndirectWords(_Words):
    """As `_Words`, with hints in place of plain names where one is known."""

    def __init__(self, rng: np.random.Generator, spec: Spec, category: str | None) -> None:
        super().__init__(rng, spec)
        self.category = category
        self._chosen: dict[tuple[str, int], Hint | None] = {}

    def hint(self, attribute: str, value: int | None) -> str | None:
        if value is None:
            return None
        if (attribute, value) not in self._chosen:
            options = hints_for(attribute, value, self.category)
            self._chosen[attribute, value] = options[int(self.rng.integers(len(options)))] if options else None
        chosen = self._chosen[attribute, value]
        return None if chosen is None else chosen.phrase

    def noun(self, what: Description, *, many: bool) -> str:
        shape, colour = self.hint("shape", what.shape), self.hint("colour", what.colour)
        words = [SIZES[what.size]] if what.size is not None else []
        words += [TEXTURES[what.texture]] if what.texture is not None else []
        plain = Description(None if shape else what.shape, None if colour else what.colour)
        words.append(noun(plain, many=many) if not shape else _as_shape(noun(plain, many=many)))
        text = " ".join(words)
        # The colour comes first: "a shape in the colour of grass with three sides" binds both to the shape.
        text += f" in the colour of {colour}" if colour else ""
        return text + (f" {shape}" if shape else "")

    def counted(self, group: Group) -> str:
        number = self.hint("number", group.count)
        if number is None:
            return super().counted(group)
        return f"as many {self.noun(group.what, many=True)} as {number}"

    def reference(self, index: int) -> str:
        group = self.spec.groups[index]
        return f"the {self.noun(group.core, many=group.count != 1)}"

    def link(self, link: Link) -> str:
        hinted = self.hint("relation", link.value) if link.kind == "relation" else None
        return hinted or super().link(link)

    def background(self) -> str:
        hinted = self.hint("background", self.spec.background)
        return f"on a background like {hinted}" if hinted else super().background()


def _as_shape(words: str) -> str:
    return words.replace("objects", "shapes").replace("object", "shape")


def _number_text(w: _Words) -> str:
    """`five objects, circles and squares, with more circles than squares`."""
    link = next(link for link in w.spec.links if link.kind == "number")
    a, b = (w.phrase(i) for i in (link.a, link.b))
    compared = f"as many {a} as {b}" if link.value == 2 else f"{('more', 'fewer')[link.value]} {a} than {b}"
    n = NUMBERS[w.spec.total - 1]
    return w.one_of((f"{n} objects, {a} and {b}, with {compared}", f"{n} objects, {compared}"))


def _absent_text(w: _Words) -> str:
    texts = []
    for what in w.spec.absent:
        many = noun(what, many=True)
        texts.append(w.one_of((f" but no {many}", f" without any {many}", f", with no {noun(what)}")))
    return "".join(texts)


def _main_text(w: _Words) -> str:
    """All groups and links in one phrase: the first link inline, the others as `with the ... above the ...`."""
    spec = w.spec
    links = [link for link in spec.links if link.kind != "number"]
    if spec.has_open_counts:
        text, named = _number_text(w), set(range(len(spec.groups)))
    elif links:
        first = links.pop(0)
        that = w.one_of(("", "", "that is ")) if spec.groups[first.a].count == 1 else ""
        text, named = f"{w.phrase(first.a)} {that}{w.link(first)} {w.phrase(first.b)}", {first.a, first.b}
    else:
        text, named = _joined([w.phrase(i) for i in range(len(spec.groups))]), set(range(len(spec.groups)))
    others = [w.phrase(i) for i in range(len(spec.groups)) if i not in named]
    text += f", also {_joined(others)}" if others else ""
    for link in links:
        text += f", with {w.reference(link.a)} {w.link(link)} {w.reference(link.b)}"
    return text


def _short(w: _Words) -> str:
    text = _main_text(w) + _absent_text(w)
    return text if w.spec.background is None else f"{text} {w.background()}"


def _split_group(w: _Words, index: int) -> tuple[Group, list[str]]:
    """The group with its size and texture moved (sometimes) into sentences of their own."""
    group = w.spec.groups[index]
    sentences = []
    for name, words in (("size", SIZES), ("texture", TEXTURES)):
        value = getattr(group.what, name)
        if value is not None and w.chance(0.4):
            group = replace(group, what=replace(group.what, **{name: None}))
            sentences.append(f"{w.reference(index)} {w.is_or_are(index)} {words[value]}")
    return group, sentences


def _closing(w: _Words) -> str:
    n = w.spec.total
    exact = "there is exactly one object" if n == 1 else f"there are exactly {NUMBERS[n - 1]} objects"
    return w.one_of(("there is nothing else in the picture", "the picture contains nothing else", exact))


def _absent_sentences(w: _Words) -> list[str]:
    return [
        w.one_of((f"there is no {noun(a)}", f"there are no {noun(a, many=True)} in the picture")) for a in w.spec.absent
    ]


def _link_sentences(w: _Words, links: Sequence[Link]) -> list[str]:
    return [f"{w.reference(k.a)} {w.is_or_are(k.a)} {w.link(k)} {w.reference(k.b)}" for k in links]


def _long(w: _Words) -> str:
    spec = w.spec
    sentences = []
    if spec.has_open_counts:
        listed = _number_text(w)
    else:
        phrases = []
        for i in range(len(spec.groups)):
            group, extra = _split_group(w, i)
            phrases.append(w.phrase(i, group))
            sentences += extra
        listed = _joined(phrases)
    openings = (f"the picture shows {listed}", f"this is a simple picture of {listed}", f"you can see {listed}")
    opening = w.one_of(openings)
    sentences += _link_sentences(w, [k for k in spec.links if k.kind != "number"]) + _absent_sentences(w)
    if spec.background is not None:
        if w.chance(0.3):
            opening = f"{w.background()} you can see {listed}"
        else:
            sentences.append(f"the background is {BACKGROUNDS[spec.background]}")
    return " ".join(_sentence(s) for s in [opening, *sentences, _closing(w)])


def _dense_sentence(w: _Words, index: int, links: list[Link]) -> str:
    """One group in one sentence, tied to an earlier group by one of `links` (which is then removed)."""
    for link in links:
        if link.kind == "relation" and max(link.a, link.b) == index:
            links.remove(link)
            relation = link.value if link.a == index else _MIRRORED[link.value]
            tie = w.one_of(_RELATION_WORDS[relation])
            verb = w.one_of(
                ("there is", "lies", "stands") if w.spec.groups[index].count == 1 else ("there are", "lie", "stand")
            )
            return f"{tie} {w.reference(min(link.a, link.b))} {verb} {w.phrase(index)}"
    return f"{'there is' if w.spec.groups[index].count == 1 else 'there are'} {w.phrase(index)}"


def _dense(w: _Words) -> str:
    spec = w.spec
    if spec.has_open_counts:
        return _long(w)
    n = spec.total
    start = f"{w.background()} " if spec.background is not None else ""
    where = "" if start else " in the picture"
    how_many = "there is exactly one object" if n == 1 else f"there are {NUMBERS[n - 1]} objects"
    links = list(spec.links)
    sentences = [f"{start}{how_many}{where}"]
    sentences += [_dense_sentence(w, i, links) for i in range(len(spec.groups))]
    sentences += _link_sentences(w, links) + _absent_sentences(w)
    return " ".join(_sentence(s) for s in sentences)


def hint_categories(spec: Spec) -> list[str]:
    """The categories (of `indirect.CATEGORIES`) that have a hint for something in `spec`."""
    asked = {("background", spec.background)}
    for group in spec.groups:
        asked |= {("shape", group.what.shape), ("colour", group.what.colour), ("number", group.count)}
    asked |= {("relation", link.value) for link in spec.links if link.kind == "relation"}
    return [c for c in CATEGORIES if any(v is not None and hints_for(a, v, c) for a, v in asked)]


def wording(spec: Spec, rng: np.random.Generator, style: Style = "short", *, category: str | None = None) -> str:
    """A prompt text for `spec`.

    Args:
        spec: what to ask for.
        rng: chooses among equivalent words.
        style: `short` (one phrase), `photo` (`a photo of` + short), `long` (sentences, closed by an exclusivity
            sentence), `dense` (sentences that tie each object to an earlier one), `indirect` (short, with hints).
        category: for `indirect`, use only hints of this category (`indirect.CATEGORIES`) and plain names elsewhere.

    Raises:
        DataError: unknown style, or `category` has no hint for anything in `spec`.

    """
    if style == "indirect":
        if category is not None and category not in hint_categories(spec):
            raise DataError(f"No {category} hint fits {spec}; the spec allows {', '.join(hint_categories(spec))}.")
        return _short(_IndirectWords(rng, spec, category))
    w = _Words(rng, spec)
    match style:
        case "short":
            return _short(w)
        case "photo":
            return f"{w.one_of(_PHOTO)} {_short(w)}"
        case "long":
            return _long(w)
        case "dense":
            return _dense(w)
    raise DataError(f"Unknown wording style {style!r}; expected one of {', '.join(STYLES)}.")
