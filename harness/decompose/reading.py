"""From a prompt of the micro world back to its spec: the inverse of `harness.world.grammar.wording`.

All five wordings are read (short, photo, long, dense, indirect), whoever wrote them, as long as they follow the grammar
word for word. A text that does not, or that no picture can show, is refused with the place where reading stopped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness import seeds
from harness.world.grammar import HINTS, Description, Group, Link, Spec, Variety
from harness.world.grammar.layout import try_layout
from harness.world.grammar.spec import PLACES
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, SHAPES, SIZES, TEXTURES
from harness.world.vocabulary import NUMBERS, PLURALS


class NotUnderstood(ValueError):  # noqa: N818 (a verdict on a text, not a failure of the program)
    """A text is not a prompt of the micro world; the message says where reading stopped, or what is contradictory."""


def spec_of(text: str) -> Spec:
    """The spec that a prompt words. Its `kind` is `read`, which no question depends on.

    Raises:
        NotUnderstood: the text is not of the grammar, is ambiguous or contradictory, or no picture can show it.
    """
    plain = " ".join(text.lower().split())
    draft = _read_sentences(plain) if plain.endswith(".") else _read_phrase(plain)
    spec = draft.spec()
    if try_layout(seeds.numpy_generator(0, "decompose/reading"), spec, n_tries=200) is None:
        raise NotUnderstood("no picture of the world can show this")
    return spec


def _hints(attribute: str) -> dict[str, int]:
    """Phrase -> value, longer phrases first, so that none hides behind its own beginning."""
    found = {h.phrase: h.value for h in HINTS if h.attribute == attribute}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _any(words: Sequence[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))


_NUMBER = {"a": 1, "an": 1, **{w: i + 1 for i, w in enumerate(NUMBERS)}}
_NOUNS: dict[str, int | None] = {w: i for words in (SHAPES, PLURALS) for i, w in enumerate(words)}
_NOUNS |= dict.fromkeys(("object", "objects", "shape", "shapes"))
_PLACE = {name: cell for cell, name in PLACES.items()}
_SHAPE_HINTS, _COLOUR_HINTS, _NUMBER_HINTS = _hints("shape"), _hints("colour"), _hints("number")
_BACKGROUND_HINTS = _hints("background")
_LINKS: dict[str, tuple[str, int]] = {
    phrase: ("relation", value)
    for value, phrases in enumerate(
        (
            ("to the left of", "left of", "on the left side of"),
            ("to the right of", "right of", "on the right side of"),
            ("above", "over"),
            ("below", "under", "beneath"),
        )
    )
    for phrase in phrases
}
_LINKS |= {phrase: ("relation", value) for phrase, value in _hints("relation").items()}
_LINKS |= {"larger than": ("size", 0), "bigger than": ("size", 0), "smaller than": ("size", 1)}

_LINK = _any(list(_LINKS))
_COUNT_WORDS = _any(NUMBERS)
_P = {
    name: re.compile(pattern)
    for name, pattern in {
        "photo": r"an? (?:photo|picture|image|drawing) of ",
        "number": rf"({_any(list(_NUMBER))}) ",
        "number hint": rf" as ({_any(list(_NUMBER_HINTS))})",
        "noun": (
            rf"(?:(?P<size>{_any(SIZES)}) )?(?:(?P<texture>{_any(TEXTURES)}) )?(?:(?P<colour>{_any(COLOURS)}) )?"
            rf"(?P<noun>{_any(list(_NOUNS))})\b(?: in the colour of (?P<colour_hint>{_any(list(_COLOUR_HINTS))}))?"
            rf"(?: (?P<shape_hint>{_any(list(_SHAPE_HINTS))}))?(?P<stripes> with stripes)?"
        ),
        "place": rf" in the ({_any(list(_PLACE))})",
        "variety": r" of (the same|different) (colour|size)s?\b",
        "link": rf" (?:that is )?({_LINK}) ",
        "link first": rf"({_LINK}) the ",
        "more links": r", with the ",
        "absent": r" but no | without any |, with no ",
        "background": (
            rf"(?: on|on) a (?:(?:plain )?({_any(BACKGROUNDS)}) background|"
            rf"background like ({_any(list(_BACKGROUND_HINTS))}))"
        ),
        "total": rf"({_COUNT_WORDS}) objects, ",
        "compared": r"as many |more |fewer ",
        "opening": r"the picture shows |this is a simple picture of | ?you can see ",
        "count sentence": rf" ?there (?:is|are) (?:exactly )?({_COUNT_WORDS}) objects?(?: in the picture)?$",
        "closing": r"(?:there is nothing else in the picture|the picture contains nothing else)$",
        "background sentence": rf"the background is ({_any(BACKGROUNDS)})$",
        "none sentence": r"there (?:is|are) no ",
        "group sentence": r"there (?:is|are) ",
        "verb": r" (?:there is|there are|lies|lie|stands|stand) ",
        "is": r" (?:is|are) ",
        "adjective": rf"({_any([*SIZES, *TEXTURES])})$",
        "in the picture": r" in the picture",
    }.items()
}


@dataclass(slots=True)
class _Draft:
    """What has been read so far. References are resolved at the end, when all groups are known."""

    groups: list[Group] = field(default_factory=list)
    varieties: list[Variety] = field(default_factory=list)
    links: list[tuple[str, int, int | Description, int | Description]] = field(default_factory=list)
    adjectives: list[tuple[Description, str]] = field(default_factory=list)
    absent: list[Description] = field(default_factory=list)
    background: int | None = None
    totals: set[int] = field(default_factory=set)

    def set_background(self, value: int) -> None:
        if self.background not in (None, value):
            raise NotUnderstood("two backgrounds are asked for")
        self.background = value

    def spec(self) -> Spec:
        """The spec.

        Raises:
            NotUnderstood: a reference fits no group or several, or the parts contradict each other.
        """
        for what, word in self.adjectives:
            self._add_adjective(self._index(what), word)
        links = tuple(Link(kind, value, self._index(a), self._index(b)) for kind, value, a, b in self.links)  # type: ignore[arg-type]
        if any(link.a == link.b for link in links):
            raise NotUnderstood("an object is related to itself")
        _check_disjoint([g.core for g in self.groups])
        total = self._total()
        return Spec(
            "read", tuple(self.groups), links, tuple(self.varieties), tuple(self.absent), self.background, total
        )

    def _total(self) -> int:
        counts = [g.count for g in self.groups if g.count is not None]
        totals = set(self.totals)
        if len(counts) == len(self.groups):
            totals.add(sum(counts))
        if len(totals) != 1:
            raise NotUnderstood("the numbers do not add up" if totals else "the number of objects is left open")
        (total,) = totals
        if not 1 <= total <= MAX_OBJECTS:
            raise NotUnderstood(f"{total} objects are asked for, the world holds 1 to {MAX_OBJECTS}")
        return total

    def _index(self, what: int | Description) -> int:
        if isinstance(what, int):
            return what
        exact = [i for i, g in enumerate(self.groups) if g.core == what]
        by_shape = [i for i, g in enumerate(self.groups) if what.colour is None and g.what.shape == what.shape]
        found = exact or by_shape
        if len(found) != 1:
            raise NotUnderstood(f"a reference fits {len(found)} of the groups of objects")
        return found[0]

    def _add_adjective(self, index: int, word: str) -> None:
        name, value = ("size", SIZES.index(word)) if word in SIZES else ("texture", TEXTURES.index(word))
        group = self.groups[index]
        if getattr(group.what, name) not in (None, value):
            raise NotUnderstood(f"two {name}s of one group are asked for")
        self.groups[index] = replace(group, what=replace(group.what, **{name: value}))


def _check_disjoint(cores: Sequence[Description]) -> None:
    for i, a in enumerate(cores):
        for b in cores[:i]:
            shapes_differ = None not in (a.shape, b.shape) and a.shape != b.shape
            colours_differ = None not in (a.colour, b.colour) and a.colour != b.colour
            if not shapes_differ and not colours_differ:
                raise NotUnderstood("one object could belong to two of the groups that are asked for")


class _Reader:
    """Reads one text from left to right into a draft."""

    def __init__(self, text: str, draft: _Draft) -> None:
        self.text, self.draft, self.at = text, draft, 0

    def take(self, name: str) -> re.Match[str] | None:
        match = _P[name].match(self.text, self.at)
        if match:
            self.at = match.end()
        return match

    def fail(self, expected: str) -> NotUnderstood:
        rest = self.text[self.at : self.at + 40]
        return NotUnderstood(f"expected {expected} at {rest!r}" if rest else f"expected {expected} at the end")

    def word(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def end(self) -> None:
        if self.at != len(self.text):
            raise self.fail("the end of the prompt or of the sentence")

    def noun(self) -> Description:
        match = self.take("noun")
        if match is None:
            raise self.fail("the name of an object")
        found = match.groupdict()
        shape, colour = _NOUNS[match["noun"]], None
        if found["shape_hint"]:
            shape = _SHAPE_HINTS[found["shape_hint"]]
        if found["colour"]:
            colour = COLOURS.index(found["colour"])
        elif found["colour_hint"]:
            colour = _COLOUR_HINTS[found["colour_hint"]]
        texture = 1 if found["stripes"] else TEXTURES.index(found["texture"]) if found["texture"] else None
        return Description(shape, colour, SIZES.index(found["size"]) if found["size"] else None, texture)

    def counted(self) -> tuple[Description, int | None]:
        """A noun with its number; None where none is said."""
        start = self.at
        if self.word("as many "):
            what = self.noun()
            hint = self.take("number hint")
            if hint is not None:
                return what, _NUMBER_HINTS[hint[1]]
            self.at = start
            raise self.fail("a number")
        number = self.take("number")
        return self.noun(), None if number is None else _NUMBER[number[1]]

    def group(self, *, is_open: bool = False) -> int:
        """One group of objects with its place and variety; its index."""
        start = self.at
        what, count = self.counted()
        if (count is None) != is_open:
            self.at = start
            raise self.fail("objects without a number" if is_open else "a number of objects")
        place = self.take("place")
        if place is not None and count != 1:
            raise NotUnderstood("a place is for a single object")
        index = len(self.draft.groups)
        self.draft.groups.append(Group(what, count, None if place is None else _PLACE[place[1]]))
        while variety := self.take("variety"):
            attribute = "colour" if variety[2] == "colour" else "size"
            self.draft.varieties.append(Variety(attribute, variety[1] == "the same", index))  # type: ignore[arg-type]
        return index

    def rest_of_list(self) -> None:
        """`, a circle and two squares` after the first of a list."""
        while self.text.startswith(", ", self.at) and not self.text.startswith((", with ", ", also "), self.at):
            self.at += 2
            self.group()
        if self.word(" and "):
            self.group()

    def numbers(self) -> bool:
        """`five objects, [circles and squares, with] more circles than squares`; False where it is something else."""
        total = self.take("total")
        if total is None:
            return False
        self.draft.totals.add(_NUMBER[total[1]])
        listed = None
        if not _P["compared"].match(self.text, self.at):
            listed = [self.noun()]
            if not self.word(" and "):
                raise self.fail("'and'")
            listed.append(self.noun())
            if not self.word(", with "):
                raise self.fail("', with'")
        compared = self.take("compared")
        if compared is None:
            raise self.fail("a comparison of numbers")
        a = self.group(is_open=True)
        if not self.word(" as " if compared[0] == "as many " else " than "):
            raise self.fail("'as'" if compared[0] == "as many " else "'than'")
        b = self.group(is_open=True)
        if listed is not None and listed != [self.draft.groups[a].what, self.draft.groups[b].what]:
            raise NotUnderstood("the numbers of other objects are compared than are listed")
        self.draft.links.append(("number", ("more ", "fewer ", "as many ").index(compared[0]), a, b))
        return True

    def link(self) -> tuple[str, int] | None:
        match = self.take("link")
        return None if match is None else _LINKS[match[1]]

    def references(self) -> None:
        """`the red circle above the square`, after the first `the`."""
        a = self.noun()
        link = self.link()
        if link is None or not self.word("the "):
            raise self.fail("a relation to another object")
        self.draft.links.append((*link, a, self.noun()))

    def background(self) -> bool:
        match = self.take("background")
        if match is not None:
            value = BACKGROUNDS.index(match[1]) if match[1] else _BACKGROUND_HINTS[match[2]]
            self.draft.set_background(value)
        return match is not None


def _read_phrase(text: str) -> _Draft:
    """A short, photo or indirect wording: one phrase without a full stop."""
    draft = _Draft()
    r = _Reader(text, draft)
    r.take("photo")
    if not r.numbers():
        first = r.group()
        link = r.link()
        if link is not None:
            draft.links.append((*link, first, r.group()))
            if r.word(", also "):
                r.group()
                r.rest_of_list()
        else:
            r.rest_of_list()
    while r.take("more links"):
        r.references()
    while r.take("absent"):
        draft.absent.append(r.noun())
    r.background()
    r.end()
    return draft


def _read_sentences(text: str) -> _Draft:
    """A long or dense wording: sentences, each closed by a full stop."""
    draft = _Draft()
    for sentence in (part.strip() for part in text.split(".")):
        if sentence:
            _read_sentence(_Reader(sentence, draft), draft)
    return draft


def _read_sentence(r: _Reader, draft: _Draft) -> None:
    if r.take("closing"):
        return
    background = r.take("background sentence")
    if background is not None:
        draft.set_background(BACKGROUNDS.index(background[1]))
        return
    r.background()
    count = r.take("count sentence")
    if count is not None:
        draft.totals.add(_NUMBER[count[1]])
    elif r.take("opening"):
        if not r.numbers():
            r.group()
            r.rest_of_list()
    elif r.take("none sentence"):
        draft.absent.append(r.noun())
        r.take("in the picture")
    elif r.take("group sentence"):
        r.group()
    else:
        _read_relation(r, draft)
    r.end()


def _read_relation(r: _Reader, draft: _Draft) -> None:
    """`Above the square there is a circle`, `The circle is above the square`, `The circle is small`."""
    first = r.take("link first")
    if first is not None:
        other = r.noun()
        if r.take("verb") is None:
            raise r.fail("'there is', 'lies' or 'stands'")
        draft.links.append((*_LINKS[first[1]], r.group(), other))
        return
    if not r.word("the "):
        raise r.fail("a sentence of the grammar")
    what = r.noun()
    if r.take("is") is None:
        raise r.fail("'is' or 'are'")
    adjective = r.take("adjective")
    if adjective is not None:
        draft.adjectives.append((what, adjective[1]))
        return
    r.at -= 1  # a link begins with the blank that `is` has taken
    link = r.link()
    if link is None or not r.word("the "):
        raise r.fail("a relation to another object")
    draft.links.append((*link, what, r.noun()))
