"""Two things in a spatial relation, with or without attributes."""

from __future__ import annotations

from collections.abc import Sequence

from harness.synthesis import asking
from harness.synthesis.pairs import Maker, pair
from harness.synthesis.primitives import Dimension, Kind, Relation
from harness.synthesis.scene import Entity
from harness.synthesis.wording import fill


def build(maker: Maker, kinds: Sequence[Kind], dimension: Dimension) -> None:
    """Two entities, both with adjectives of `kinds`, in a relation of `dimension`."""
    scene = maker.scene
    a, relation, b = pair(maker, dimension, kinds, kinds, alive_percent=0 if "shape" in kinds else 30)
    scene.add(a, b)
    scene.note(f"relation:{relation.name}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
    if relation.contact:
        scene.contacts.append((a, b))
    scene.sentences.append(say_relation(maker, a, relation, b))


def say_relation(maker: Maker, a: Entity, relation: Relation, b: Entity) -> str:
    """A sentence (or two) that puts both into the relation."""
    weights = {"relation": 6, "relation_pair": 2, "relation_opening": 2 if relation.invert else 0}
    return fill(maker.pool, maker.draw, maker.draw.weighted(weights), a=a, b=b, rel=relation.name)
