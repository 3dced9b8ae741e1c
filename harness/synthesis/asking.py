"""Semantic questions. Each is answered yes by an image that follows the prompt, and asks about one thing."""

from __future__ import annotations

from collections.abc import Iterator

from harness.synthesis.language import number, with_article, without_article
from harness.synthesis.primitives import Adjective, Condition, Place, Style
from harness.synthesis.scene import Asked, Entity


def is_are(entity: Entity) -> str:
    """The verb that agrees with the entity."""
    return "are" if entity.is_plural else "is"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def existence(entity: Entity) -> Asked:
    """Whether it is there at all, however many."""
    what = entity.head if entity.is_plural else with_article(entity.head)
    return Asked(f"{_upper(is_are(entity))} there {what} in the image?", "Existence", (entity.mention,))


def count(entity: Entity) -> Asked:
    """Whether it is there in the stated number."""
    if entity.count == 1:
        return Asked(f"Is there exactly one {entity.head}?", "Count", (entity.mention,))
    n = number(entity.count)
    return Asked(f"Are there exactly {n} {entity.head}?", "Count", (n, entity.mention))


def attribute(entity: Entity, adjective: Adjective) -> Asked:
    """Whether it has a stated look."""
    word = f"made of {adjective.material}" if adjective.material else adjective.word
    return Asked(f"{_upper(is_are(entity))} {entity.definite} {word}?", "Attribute", (entity.mention, adjective.word))


def wearing(entity: Entity, worn: Entity) -> Asked:
    """Whether a person wears a garment."""
    what = worn.head if worn.is_plural else with_article(worn.head)
    return Asked(
        f"{_upper(is_are(entity))} {entity.definite} wearing {what}?", "Spatial", (entity.mention, worn.mention)
    )


def of_entity(entity: Entity) -> Iterator[Asked]:
    """All that is said of one entity by itself: presence, number, looks, clothes."""
    yield existence(entity)
    if entity.count > 1:
        yield count(entity)
    for adjective in entity.adjectives:
        yield attribute(entity, adjective)
    if entity.worn:
        yield wearing(entity, entity.worn)
        for adjective in entity.worn.adjectives:
            yield attribute(entity.worn, adjective)


def relation(a: Entity, name: str, b: Entity) -> Asked:
    """Whether `a` stands in a spatial relation to `b`."""
    return Asked(f"{_upper(is_are(a))} {a.definite} {name} {b.definite}?", "Spatial", (a.mention, name, b.mention))


def doing(a: Entity, what: str, verbs: str) -> Asked:
    """Whether `a` does something.

    Args:
        what: in the -ing form, with definite objects.
        verbs: forms of the verb in which the prompt may say it, separated by `|`.
    """
    return Asked(f"{_upper(is_are(a))} {a.definite} {what}?", "Action", (a.mention, verbs))


def comparison(a: Entity, comparative: str, b: Entity) -> Asked:
    """Whether `a` exceeds `b` in a quality."""
    return Asked(
        f"{_upper(is_are(a))} {a.definite} {comparative} than {b.definite}?",
        "Attribute",
        (a.mention, comparative, b.mention),
    )


def more(a: Entity, comparative: str, b: Entity) -> Asked:
    """Whether there are more (or fewer) `a` than `b`."""
    return Asked(f"Are there {comparative} {a.head} than {b.head}?", "Count", (a.mention, comparative, b.mention))


def each_of_two(entity: Entity, first: str, second: str, tag: str, about: tuple[str, ...]) -> Iterator[Asked]:
    """For two of a kind that differ: there are two, one is so, the other is so. `first` and `second` follow a verb."""
    yield from two_of(entity)
    yield Asked(f"Is one of the two {entity.head} {first}?", tag, (entity.mention, about[0]))
    yield Asked(f"Is the other of the two {entity.head} {second}?", tag, (entity.mention, about[1]))


def two_of(entity: Entity) -> Iterator[Asked]:
    """Presence and number of two of a kind, which a prompt may mention as "one" and "the other"."""
    yield existence(entity)
    yield Asked(f"Are there exactly two {entity.head}?", "Count", (entity.mention,))


def without_part(entity: Entity, part: str) -> Asked:
    """Whether it lacks a part; subject and wording are about the thing that is there."""
    return Asked(
        f"{_upper(is_are(entity))} {entity.definite} shown without {part}?",
        "Negative",
        (entity.mention, without_article(part)),
    )


def without_garment(entity: Entity, garment: Entity) -> Asked:
    """Whether a person is shown without a garment."""
    what = garment.head if garment.is_plural else with_article(garment.head)
    return Asked(
        f"{_upper(is_are(entity))} {entity.definite} shown without {what}?",
        "Negative",
        (entity.mention, garment.mention),
    )


def scene_without(plural: str) -> Asked:
    """Whether the scene lacks something altogether."""
    return Asked(f"Is the scene shown without any {plural}?", "Negative", (plural,))


def other_than(entity: Entity, adjective: Adjective) -> Asked:
    """Whether it has a color or a material other than the excluded one."""
    if adjective.kind == "color":
        phrase = f"{_upper(is_are(entity))} {entity.definite} in a color other than {adjective.word}?"
    else:
        phrase = f"{_upper(is_are(entity))} {entity.definite} made of something other than {adjective.material}?"
    return Asked(phrase, "Negative", (entity.mention, adjective.word))


def elsewhere(a: Entity, name: str, b: Entity) -> Asked:
    """Whether `a` is in another place than the excluded one."""
    return Asked(
        f"{_upper(is_are(a))} {a.definite} somewhere other than {name} {b.definite}?",
        "Negative",
        (a.mention, name, b.mention),
    )


def doing_otherwise(a: Entity, what: str) -> Asked:
    """Whether `a` does something other than the excluded action."""
    return Asked(
        f"{_upper(is_are(a))} {a.definite} shown doing something other than {what}?",
        "Negative",
        (a.mention, what.split()[0]),
    )


def setting(place: Place) -> Asked:
    """Whether the scene is set where the prompt says."""
    return Asked(f"Is the scene set {place.at} {with_article(place.name)}?", "Environment", (place.name,))


def setting_look(place: Place, look: str) -> Asked:
    """Whether the place looks as the prompt says."""
    return Asked(f"Is the {place.name} {look}?", "Environment", (place.name, look))


def light(condition: Condition) -> Asked:
    """Whether light or weather are as said."""
    return Asked(condition.question, "Environment", ())


def view(condition: Condition) -> Asked:
    """Whether the picture is framed as said."""
    return Asked(condition.question, "Viewpoint", ())


def style(found: Style) -> Asked:
    """Whether the picture has the style."""
    return Asked(f"Does the image look like {found.called}?", "Style", ())


def lettering(words: str, carrier: str) -> Iterator[Asked]:
    """Whether the words are there, and spelled as given."""
    yield Asked(f'Is the text "{words}" visible {carrier}?', "Text", (words,))
    yield Asked(f'Is "{words}" spelled correctly, with no letter missing or added?', "Text", (words,))
