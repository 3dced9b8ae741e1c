"""Entities that go together: same place, comparable size, adjectives that suit them, relations that can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.synthesis.draw import Draw
from harness.synthesis.pool import Pool
from harness.synthesis.primitives import Action, Dimension, Kind, Noun, Relation
from harness.synthesis.scene import Entity, Scene

MAX_SIZE_STEP = 3
"""Neighbours differ by at most this in size: no spoon beside a lighthouse."""

_WORDS: dict[Kind, Callable[[Noun], tuple[str, ...]]] = {
    "color": lambda noun: noun.colors,
    "texture": lambda noun: noun.textures,
    "shape": lambda noun: noun.shapes,
    "state": lambda noun: noun.states,
}


class Maker:
    """Draws entities for one scene.

    Args:
        pool: the primitives.
        draw: the stream of choices.
        scene: what they are for; its place, nouns and adjectives restrict what fits.
    """

    def __init__(self, pool: Pool, draw: Draw, scene: Scene) -> None:
        self.pool = pool
        self.draw = draw
        self.scene = scene

    def objects(self) -> Sequence[Noun]:
        """Inanimate things of the place."""
        return self.pool.at_place[self.scene.place.name]

    def beings(self) -> Sequence[Noun]:
        """Animals and people of the place."""
        return self.pool.beings_at[self.scene.place.name]

    def can_have(self, noun: Noun, kinds: Sequence[Kind]) -> bool:
        """Whether adjectives of all `kinds` suit the noun; a person's are those of a garment."""
        if noun.build == "person":
            return set(kinds) <= {"color", "texture"}
        return all(any(w not in self.scene.used_words for w in _WORDS[kind](noun)) for kind in kinds)

    def noun(
        self,
        nouns: Sequence[Noun],
        kinds: Sequence[Kind] = (),
        near: Noun | None = None,
        fits: Callable[[Noun], bool] = lambda noun: True,
    ) -> Noun:
        """A noun of `nouns` that the scene does not have yet, that suits `kinds`, and that may stand `near` another.

        Raises:
            NoMatch: there is none.
        """

        def suits(noun: Noun) -> bool:
            return (
                (near is None or (noun.head != near.head and abs(noun.size - near.size) <= MAX_SIZE_STEP))
                and fits(noun)
                and self.can_have(noun, kinds)
                and not self.scene.has(noun)
            )

        return self.draw.first(nouns, suits)

    def entity(self, noun: Noun, kinds: Sequence[Kind] = (), count: int = 1) -> Entity:
        """The noun with drawn adjectives of `kinds`.

        Raises:
            NoMatch: no unused adjective suits.
        """
        if noun.build == "person" and kinds:
            return Entity(noun, count=count, worn=self.garment(kinds))
        adjectives = []
        for kind in kinds:
            free = [w for w in _WORDS[kind](noun) if w not in self.scene.used_words]
            adjectives.append(self.pool.adjectives[kind][self.draw.choice(free)])
        return Entity(noun, count=count, adjectives=tuple(adjectives))

    def garment(self, kinds: Sequence[Kind] = (), fits: Callable[[Noun], bool] = lambda noun: True) -> Entity:
        """Something to wear, with adjectives of `kinds`."""
        noun = self.noun(self.pool.garments, kinds, fits=fits)
        return self.entity(noun, kinds)

    def thing(
        self, kinds: Sequence[Kind] = (), near: Entity | None = None, count: int = 1, *, alive_percent: int = 0
    ) -> Entity:
        """An object of the place, or in `alive_percent` of cases a living being."""
        alive = alive_percent and self.draw.chance(alive_percent) and self.beings()
        nouns = self.beings() if alive else self.objects()
        return self.entity(self.noun(nouns, kinds, near.noun if near else None), kinds, count)

    def relation(self, dimension: Dimension, a: Noun, b: Noun, *, is_plural: bool = False) -> Relation:
        """A relation that can hold between `a` and `b`; the less common ones are drawn as often as the others."""
        return self.draw.choice([r for r in self.pool.relations[dimension] if can_hold(r, a, b, is_plural=is_plural)])

    def action(self, noun: Noun, *, transitive: bool | None = None, is_plural: bool = False) -> Action:
        """Something that `noun` can do at the place.

        Raises:
            NoMatch: nothing fits.
        """

        def fits(action: Action) -> bool:
            return (
                bool(action.who & noun.can)
                and (not action.places or self.scene.place.name in action.places)
                and (transitive is None or bool(action.whom) == transitive)
                and not (is_plural and action.single)
            )

        return self.draw.first(self.pool.actions, fits)

    def acted_on(self, action: Action, by: Noun, kinds: Sequence[Kind] = ()) -> Entity:
        """What an action is done to."""
        nouns = [self.pool.nouns[n] for n in action.whom if n != by.name]
        here = self.scene.place.name
        found = self.noun(
            nouns, kinds, fits=lambda n: here in n.places or (by.build == "person" and "carried" in n.flags)
        )
        return self.entity(found, kinds)


def can_hold(relation: Relation, a: Noun, b: Noun, *, is_plural: bool = False) -> bool:
    """Whether `a` can stand in the relation to `b`; `is_plural`: there are several of `a`."""
    smaller = a.size < b.size
    grounded = a.pose not in ("hang", "float") and b.pose not in ("hang", "float")
    match relation.needs:
        case "support":
            return "holds" in b.flags and smaller and ("top" in a.flags or (a.name == "cat" and b.size >= 4))
        case "shelter":
            return "roof" in b.flags and a.size <= b.size - (2 if is_plural else 1) and grounded
        case "overhead":
            return "hangs" in a.flags and b.pose != "hang" and b.pose != "float"
        case "container":
            return "container" in b.flags and a.size <= b.size - 1 and ("top" in a.flags or a.name == "cat")
        case "hidden":
            return grounded and a.size <= b.size + 1 and b.size >= 3 and a.size >= 2
        case "floor":
            return grounded
    return True


def pair(
    maker: Maker, dimension: Dimension, kinds_a: Sequence[Kind], kinds_b: Sequence[Kind], alive_percent: int = 25
) -> tuple[Entity, Relation, Entity]:
    """Two entities and a relation between them.

    Raises:
        NoMatch: nothing fits at the place.
    """
    b = maker.thing(kinds_b, alive_percent=alive_percent // 2)
    maker.scene.used_words.update(w for k in kinds_b for w in b.words_of(k))
    relations = maker.pool.relations[dimension]
    wanted = maker.draw.choice(relations)
    alive = maker.draw.chance(alive_percent) and bool(maker.beings())
    nouns = maker.beings() if alive else maker.objects()
    noun = maker.noun(nouns, kinds_a, b.noun, fits=lambda n: can_hold(wanted, n, b.noun))
    return maker.entity(noun, kinds_a), wanted, b
