"""Something is left out: a part, a garment, a whole kind of thing, a color, a place, an action."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.draw import NoMatch
from harness.synthesis.language import without_article
from harness.synthesis.pairs import Maker, can_hold, pair
from harness.synthesis.primitives import Dimension, Kind
from harness.synthesis.tasks.actions import act, phrase
from harness.synthesis.wording import fill

_OPPOSITE = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "in front of": "behind",
    "behind": "in front of",
    "under": "on top of",
    "on top of": "under",
    "above": "beneath",
    "closer to the viewer than": "farther from the viewer than",
    "farther from the viewer than": "closer to the viewer than",
    "inside": "behind",
}
"""The place that a thing is said not to have, by the place it has."""


def build(maker: Maker, flavor: str) -> None:
    """A negation; `flavor` is empty, the kind of attribute that is excluded or stated, or the dimension."""
    if flavor in ("2d", "3d"):
        dimension: Dimension = "2d" if flavor == "2d" else "3d"
        way = maker.draw.weighted({"not there": 4, "part": 4, "garment": 2, "others": 2})
        if way == "not there":
            _not_there(maker, dimension)
        else:
            _WAYS[way](maker, dimension, ())
        return
    if flavor in ("color", "texture"):
        kind: Kind = "color" if flavor == "color" else "texture"
        way = maker.draw.weighted({"not so": 5, "part": 3, "garment": 1, "others": 2})
        if way == "not so":
            _not_so(maker, kind)
        else:
            _WAYS[way](maker, "neutral", (kind,))
        return
    way = maker.draw.weighted({"part": 4, "garment": 3, "others": 2, "not doing": 3})
    if way == "not doing":
        _not_doing(maker)
    else:
        _WAYS[way](maker, "neutral", ())


def _part(maker: Maker, dimension: Dimension, kinds: tuple[Kind, ...]) -> None:
    """A thing that lacks a part, in relation to another."""
    scene, draw = maker.scene, maker.draw
    a, relation, b = pair(maker, dimension, kinds, kinds)
    if not a.noun.parts:
        raise NoMatch
    part = draw.choice(a.noun.parts)
    scene.add(a, b)
    scene.absent.append(without_article(part))
    scene.note(f"part:{without_article(part)}", f"relation:{relation.name}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), asking.without_part(a, part), *asking.of_entity(b))
    scene.ask(asking.relation(a, relation.name, b))
    if relation.contact:
        scene.contacts.append((a, b))
    family = "without_part_relation"
    bare = without_article(part)
    scene.sentences.append(fill(maker.pool, draw, family, a=a, b=b, part=part, bare=bare, rel=relation.name))


def _garment(maker: Maker, dimension: Dimension, kinds: tuple[Kind, ...]) -> None:
    """A person without a garment, in relation to a thing."""
    scene, draw = maker.scene, maker.draw
    person = maker.noun(maker.beings(), fits=lambda n: n.build == "person")
    a = maker.entity(person)
    scene.add(a)
    worn = maker.garment()
    b = maker.thing(kinds, near=a)
    relation = draw.choice(
        [r for r in maker.pool.relations[dimension] if can_hold(r, person, b.noun) and r.needs in ("", "floor")]
    )
    scene.add(b)
    scene.absent.append(worn.head)
    scene.note(worn.primitive, f"relation:{relation.name}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), asking.without_garment(a, worn), *asking.of_entity(b))
    scene.ask(asking.relation(a, relation.name, b))
    scene.sentences.append(fill(maker.pool, draw, "without_garment_relation", a=a, b=b, worn=worn, rel=relation.name))


def _others(maker: Maker, dimension: Dimension, kinds: tuple[Kind, ...]) -> None:
    """Two things, and none of a third kind that the place would suggest."""
    scene, draw = maker.scene, maker.draw
    a, relation, b = pair(maker, dimension, kinds, kinds)
    scene.add(a, b)
    missing = maker.noun([*maker.objects(), *maker.beings()], near=b.noun)
    scene.absent.append(missing.plural)
    scene.absent.append(missing.name)
    scene.note(f"part:{missing.plural}", f"relation:{relation.name}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
    scene.ask(asking.scene_without(missing.plural))
    if relation.contact:
        scene.contacts.append((a, b))
    scene.sentences.append(fill(maker.pool, draw, "without_others", a=a, b=b, others=missing.plural, rel=relation.name))


_WAYS = {"part": _part, "garment": _garment, "others": _others}


def _not_so(maker: Maker, kind: Kind) -> None:
    """A thing that has not a certain color or material, beside one that has its own."""
    scene, draw = maker.scene, maker.draw
    a, relation, b = pair(maker, "neutral", (), (kind,), alive_percent=0)
    table = maker.pool.adjectives[kind]
    words = a.noun.colors if kind == "color" else a.noun.textures
    excluded = table[draw.choice([w for w in words if kind == "color" or table[w].material])]
    if excluded.word in {w.word for w in b.adjectives} or len(words) < 2:
        raise NoMatch
    scene.add(a, b)
    scene.note(f"{kind}:{excluded.word}")
    scene.used_words.add(excluded.word)
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), asking.other_than(a, excluded), *asking.of_entity(b))
    scene.ask(asking.relation(a, relation.name, b))
    word = f"made of {excluded.word}" if excluded.material == excluded.word else excluded.word
    scene.sentences.append(fill(maker.pool, draw, "not_so", a=a, b=b, word=word, rel=relation.name))


def _not_there(maker: Maker, dimension: Dimension) -> None:
    """A thing that is in one relation to another and expressly not in the opposite one."""
    scene, draw = maker.scene, maker.draw
    a, relation, b = pair(maker, dimension, (), ())
    wrong = _OPPOSITE.get(relation.name)
    if wrong is None:
        raise NoMatch
    scene.add(a, b)
    scene.note(f"relation:{relation.name}", f"relation:{wrong}")
    scene.core = (a.primitive, b.primitive)
    scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
    scene.ask(asking.elsewhere(a, wrong, b))
    if relation.contact:
        scene.contacts.append((a, b))
    scene.sentences.append(fill(maker.pool, draw, "not_there", a=a, b=b, rel=relation.name, wrong=wrong))


def _not_doing(maker: Maker) -> None:
    """An animal or a person that does one thing and not another."""
    scene, draw = maker.scene, maker.draw
    being = maker.noun(maker.beings())
    a = maker.entity(being)
    scene.add(a)
    action = maker.action(being)
    target = maker.acted_on(action, being) if action.whom else None
    wrong = maker.action(being, transitive=False)
    if wrong.name == action.name or wrong.doing.split()[0] == action.doing.split()[0]:
        raise NoMatch
    if target is not None:
        scene.add(target)
    scene.core = (a.primitive, target.primitive if target else f"contrast:{action.name}|{wrong.name}")
    scene.note(f"action:{wrong.name}")
    for entity in scene.entities:
        scene.ask(*asking.of_entity(entity))
    act(maker, a, action, target)
    scene.ask(asking.doing_otherwise(a, wrong.doing))
    scene.sentences.append(fill(maker.pool, draw, "not_doing", a=a, doing=phrase(action, target), wrong=wrong.doing))
