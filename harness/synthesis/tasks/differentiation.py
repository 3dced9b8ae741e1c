"""Two of a kind that differ in one respect: state, color, texture, clothes, or what they do."""

from __future__ import annotations

from dataclasses import dataclass

from harness.synthesis import asking
from harness.synthesis.language import with_article
from harness.synthesis.pairs import Maker
from harness.synthesis.primitives import Adjective, Kind, Noun
from harness.synthesis.scene import Asked, Entity
from harness.synthesis.tasks.actions import phrase
from harness.synthesis.wording import fill


@dataclass(frozen=True, slots=True)
class Difference:
    """What one of the two is and what the other is; both follow "is"."""

    x: str
    y: str
    tag: str
    about: tuple[str, str]
    names: tuple[str, str]
    """As primitives."""


def build(maker: Maker, flavor: str) -> None:
    """Two of a kind; `flavor` is empty, the kind of attribute they differ in, or a dimension that tells them apart."""
    scene, draw = maker.scene, maker.draw
    noun, difference = _drawn(maker, flavor)
    entity = Entity(noun, count=2)
    scene.add(entity)
    scene.core = (entity.primitive, "contrast:" + "|".join(sorted(difference.names)))
    scene.note(*difference.names)
    slots = {"n": noun.name, "ns": noun.plural, "x": difference.x, "y": difference.y}
    if flavor in ("2d", "3d"):
        p, q = draw.choice(maker.pool.oppositions[flavor])
        scene.note(f"position:{p}", f"position:{q}")
        scene.ask(
            *asking.two_of(entity),
            Asked(f"Is one of the {noun.plural} {p} and the other {q}?", "Spatial", (entity.mention, p, q)),
            Asked(f"Is the {noun.name} {p} {difference.x}?", difference.tag, (entity.mention, difference.about[0])),
            Asked(
                f"Is the {noun.name} {q.replace(' it', ' the other')} {difference.y}?",
                difference.tag,
                (entity.mention, difference.about[1]),
            ),
        )
        scene.sentences.append(fill(maker.pool, draw, "contrast_place", p=p, q=q, **slots))
        return
    scene.ask(*asking.each_of_two(entity, difference.x, difference.y, difference.tag, difference.about))
    scene.sentences.append(fill(maker.pool, draw, "contrast", **slots))


def _drawn(maker: Maker, flavor: str) -> tuple[Noun, Difference]:
    draw = maker.draw
    if flavor == "color":
        return _of_words(maker, "color")
    if flavor == "texture":
        return _of_words(maker, "texture")
    way = draw.weighted({"state": 4, "action": 4, "clothes": 3, "color": 2, "texture": 1})
    if way == "action":
        return _of_actions(maker)
    if way == "clothes":
        return _of_clothes(maker)
    if way == "state":
        return _of_states(maker)
    return _of_words(maker, "color" if way == "color" else "texture")


def _of_words(maker: Maker, kind: str) -> tuple[Noun, Difference]:
    """Two colors or two textures."""
    if maker.beings() and maker.draw.chance(15):
        return _of_clothes(maker, kind)
    nouns = [*maker.objects(), *maker.beings()]
    noun = maker.noun(
        nouns,
        fits=lambda n: n.build != "person" and n.size <= 8 and len(n.colors if kind == "color" else n.textures) > 1,
    )
    table = maker.pool.adjectives[kind]
    words = noun.colors if kind == "color" else noun.textures
    first = maker.draw.choice(words)
    # A rusty thing is metallic as well: only words of one class (materials, patterns, surfaces) tell two things apart.
    second = maker.draw.choice([w for w in words if w != first and table[w].order == table[first].order])
    return noun, Difference(
        _predicate(table[first]), _predicate(table[second]), "Attribute", (first, second), _named(kind, first, second)
    )


def _predicate(adjective: Adjective) -> str:
    """As it follows "is": materials that are nouns need "made of"."""
    if adjective.material and adjective.material == adjective.word:
        return f"made of {adjective.material}"
    return adjective.word


def _named(kind: str, first: str, second: str) -> tuple[str, str]:
    return (f"{kind}:{first}", f"{kind}:{second}")


def _of_states(maker: Maker) -> tuple[Noun, Difference]:
    noun = maker.noun(maker.objects(), fits=lambda n: bool(n.states))
    state = maker.pool.adjectives["state"][maker.draw.choice(noun.states)]
    first, second = maker.draw.sample((state.word, state.opposite), 2)
    return noun, Difference(first, second, "Attribute", (first, second), _named("state", first, second))


def _of_actions(maker: Maker) -> tuple[Noun, Difference]:
    noun = maker.noun(maker.beings())
    first = maker.action(noun, transitive=False)
    second = maker.action(noun)
    while_other = maker.acted_on(second, noun) if second.whom else None
    x, y = phrase(first, None), phrase(second, while_other)
    if first.name == second.name:
        return _of_actions(maker)
    if while_other is not None:
        maker.scene.note(while_other.primitive)
        maker.scene.named.add(while_other.noun.name)
    about = (first.doing.split()[0], second.doing.split()[0])
    return noun, Difference(x, y, "Action", about, _named("action", first.name, second.name))


def _of_clothes(maker: Maker, kind: str = "") -> tuple[Noun, Difference]:
    noun = maker.noun(maker.beings(), fits=lambda n: n.build == "person")
    kinds: tuple[Kind, ...] = ("texture",) if kind == "texture" else ("color",)
    first = maker.garment(kinds)
    maker.scene.used_words.update(a.word for a in first.adjectives)
    second = maker.garment(kinds, fits=lambda g: g is not first.noun)
    about = (first.described, second.described)
    names = (f"garment:{first.described}", f"garment:{second.described}")
    return noun, Difference(
        f"wearing {_indefinite(first)}", f"wearing {_indefinite(second)}", "Attribute", about, names
    )


def _indefinite(garment: Entity) -> str:
    return garment.described if garment.is_plural else with_article(garment.described)
