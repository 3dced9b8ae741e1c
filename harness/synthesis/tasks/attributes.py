"""Two things beside each other, each with attributes of one kind, harder ones of both kinds."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.pairs import Maker, pair
from harness.synthesis.primitives import Kind
from harness.synthesis.tasks.relations import say_relation


def build(maker: Maker, first: Kind, second: Kind) -> None:
    """Easy: the first thing has `first`, the second `second`. Medium: one of them has both. Hard: both have both."""
    scene, both = maker.scene, (first, second)
    kinds_a: tuple[Kind, ...] = (first,)
    kinds_b: tuple[Kind, ...] = (second,)
    if scene.level == 2:
        kinds_a = kinds_b = both
    elif scene.level == 1:
        kinds_a, kinds_b = (both, kinds_b) if maker.draw.chance(50) else (kinds_a, both)
    a, relation, b = pair(maker, "neutral", kinds_a, kinds_b, alive_percent=0 if "shape" in both else 15)
    scene.add(a, b)
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
    scene.sentences.append(say_relation(maker, a, relation, b))
