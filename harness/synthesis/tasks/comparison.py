"""One thing exceeds another in size or number."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.pairs import Maker, can_hold
from harness.synthesis.primitives import Dimension, Kind, Noun
from harness.synthesis.scene import Asked, Entity
from harness.synthesis.wording import fill

MAX_COUNTED_SIZE = 6


def build(maker: Maker, flavor: str) -> None:
    """A comparison; `flavor` is empty, a kind of attribute of both, or a dimension that relates them."""
    dimension: Dimension | None = None
    if flavor in ("2d", "3d"):
        dimension = "2d" if flavor == "2d" else "3d"
        if maker.draw.chance(30):
            _same(maker, dimension)
            return
    kinds: tuple[Kind, ...] = ("color",) if flavor == "color" else ("texture",) if flavor == "texture" else ()
    if maker.draw.chance(30):
        _numbers(maker, kinds, dimension)
    else:
        _sizes(maker, kinds, dimension)


def _sizes(maker: Maker, kinds: tuple[Kind, ...], dimension: Dimension | None) -> None:
    scene, draw = maker.scene, maker.draw
    quality = maker.pool.comparisons[draw.choice(list(maker.pool.comparisons))]
    comparative, flag = quality["comparative"], quality["flag"]
    is_more = comparative in ("larger", "taller", "wider")

    def has_quality(noun: Noun) -> bool:
        return flag == "all" or flag in noun.flags

    b = maker.entity(maker.noun(_all(maker), kinds, fits=has_quality), kinds)
    scene.add(b)

    def comparable(noun: Noun) -> bool:
        difference = (noun.size - b.noun.size) * (1 if is_more else -1)
        return has_quality(noun) and -1 <= difference <= 2

    a = maker.entity(maker.noun(_all(maker), kinds, b.noun, fits=comparable), kinds)
    scene.add(a)
    scene.note(f"comparison:{comparative}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.comparison(a, comparative, b))
    if dimension is None:
        scene.sentences.append(fill(maker.pool, draw, "comparison", a=a, b=b, more=comparative))
        return
    relation = draw.choice([r for r in maker.pool.relations[dimension] if can_hold(r, a.noun, b.noun)])
    scene.note(f"relation:{relation.name}")
    if relation.contact:
        scene.contacts.append((a, b))
    scene.ask(asking.relation(a, relation.name, b))
    scene.sentences.append(fill(maker.pool, draw, "comparison_place", a=a, b=b, more=comparative, rel=relation.name))


def _all(maker: Maker) -> list[Noun]:
    """Things, and animals a second time as often; people are compared with their like only."""
    return [*maker.objects(), *(n for n in maker.beings() if n.build == "animal")]


def _numbers(maker: Maker, kinds: tuple[Kind, ...], dimension: Dimension | None) -> None:
    scene, draw = maker.scene, maker.draw
    small = [n for n in _all(maker) if n.size <= MAX_COUNTED_SIZE]
    a = maker.entity(maker.noun(small, kinds), kinds, count=0)
    scene.add(a)
    b = maker.entity(maker.noun(small, kinds, a.noun), kinds, count=0)
    scene.add(b)
    comparative = "fewer" if draw.chance(40) else "more"
    scene.note(f"comparison:{comparative}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.more(a, comparative, b))
    if dimension is None:
        scene.sentences.append(fill(maker.pool, draw, "comparison_count", a=a, b=b, more=comparative))
        return
    relations = [r for r in maker.pool.relations[dimension] if r.needs in ("", "floor") and can_hold(r, a.noun, b.noun)]
    relation = draw.choice(relations)
    scene.note(f"relation:{relation.name}")
    scene.ask(asking.relation(a, relation.name, b))
    scene.sentences.append(
        fill(
            maker.pool,
            draw,
            "comparison_count_place",
            a=a,
            b=b,
            a_bare=a.head,
            b_bare=b.head,
            more=comparative,
            rel=relation.name,
        )
    )


def _same(maker: Maker, dimension: Dimension) -> None:
    scene, draw = maker.scene, maker.draw
    noun = maker.noun(_all(maker), fits=lambda n: n.size <= MAX_COUNTED_SIZE)
    entity = Entity(noun, count=2)
    qualities = [q["comparative"] for q in maker.pool.comparisons.values() if q["flag"] in ("all", *noun.flags)]
    comparative = draw.choice(qualities)
    p, q = draw.choice(maker.pool.oppositions[dimension])
    scene.add(entity)
    scene.note(f"comparison:{comparative}", f"position:{p}")
    scene.core = (entity.primitive, f"contrast:{comparative}")
    scene.ask(
        *asking.two_of(entity),
        Asked(f"Is one of the {noun.plural} {p} and the other {q}?", "Spatial", (entity.mention, p)),
        Asked(f"Is the {noun.name} {p} {comparative} than the one {q}?", "Attribute", (entity.mention, comparative)),
    )
    scene.sentences.append(
        fill(maker.pool, draw, "comparison_same", n=noun.name, ns=noun.plural, p=p, q=q, more=comparative)
    )
