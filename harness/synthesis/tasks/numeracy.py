"""Exact numbers of two or three kinds of things, plain, with attributes, or in a relation."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.language import listed
from harness.synthesis.pairs import Maker, can_hold
from harness.synthesis.primitives import Dimension, Kind
from harness.synthesis.scene import Entity
from harness.synthesis.tasks.relations import say_relation
from harness.synthesis.wording import fill

MAX_COUNT = (4, 5, 7)
"""Largest number by difficulty."""
MAX_SIZE = 6
"""Larger things are not asked for by number."""


def build(maker: Maker, flavor: str) -> None:
    """Counted things; `flavor` is empty, a kind of attribute, or a dimension."""
    if flavor in ("2d", "3d"):
        _related(maker, "2d" if flavor == "2d" else "3d")
        return
    kinds: tuple[Kind, ...] = () if not flavor else ("color",) if flavor == "color" else ("texture",)
    scene = maker.scene
    n_kinds = 3 if scene.level == 2 or (scene.level == 1 and maker.draw.chance(50)) else 2
    alive = maker.draw.chance(25)
    for i in range(n_kinds):
        counted(maker, kinds, alive=alive and i == 0)
    scene.core = (scene.entities[0].primitive, scene.entities[1].primitive)
    for entity in scene.entities:
        scene.ask(*asking.of_entity(entity))
    text = listed([e.indefinite for e in scene.entities])
    family = "numeracy_alive" if any(e.noun.alive for e in scene.entities) else "numeracy"
    scene.sentences.append(fill(maker.pool, maker.draw, family, list=text))


def counted(maker: Maker, kinds: tuple[Kind, ...], *, alive: bool = False) -> Entity:
    """A new entity of the scene in a drawn number of at least two."""
    near = maker.scene.entities[0].noun if maker.scene.entities else None
    nouns = maker.beings() if alive and maker.beings() else maker.objects()
    noun = maker.noun(nouns, kinds, near, fits=lambda n: n.size <= MAX_SIZE and "alone" not in n.flags)
    entity = maker.entity(noun, () if noun.build == "person" else kinds, count=_count(maker))
    maker.scene.add(entity)
    return entity


def _count(maker: Maker) -> int:
    used = {e.count for e in maker.scene.entities}
    free = [n for n in range(2, MAX_COUNT[maker.scene.level] + 1) if n not in used]
    return maker.draw.choice(free)


def _related(maker: Maker, dimension: Dimension) -> None:
    scene = maker.scene
    a = counted(maker, (), alive=maker.draw.chance(25))
    if maker.draw.chance(60):
        b = counted(maker, ())
    else:
        b = maker.thing(near=a)
        scene.add(b)
    relations = maker.pool.relations[dimension]
    relation = maker.draw.choice(
        [r for r in relations if can_hold(r, a.noun, b.noun, is_plural=True) and (b.count == 1 or not r.contact)]
    )
    scene.note(f"relation:{relation.name}")
    if relation.contact:
        scene.contacts.append((a, b))
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
    scene.sentences.append(say_relation(maker, a, relation, b))
    if scene.level == 2:
        c = counted(maker, ())
        scene.ask(*asking.of_entity(c))
        scene.sentences.append(fill(maker.pool, maker.draw, "numeracy_more", list=c.indefinite))
