"""An animal or a person that does something, placed relative to a thing, or with attributes."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.draw import NoMatch
from harness.synthesis.pairs import Maker, can_hold
from harness.synthesis.primitives import Action, Dimension, Kind, Relation
from harness.synthesis.scene import Entity
from harness.synthesis.wording import fill


def build(maker: Maker, flavor: str) -> None:
    """An actor; `flavor` 2d or 3d relates it to a thing, color or texture describes those who take part."""
    if flavor in ("2d", "3d"):
        _related(maker, "2d" if flavor == "2d" else "3d")
    else:
        _described(maker, "color" if flavor == "color" else "texture")


def phrase(action: Action, target: Entity | None, *, third: bool = False, definite: bool = False) -> str:
    """`chasing a ball`, `chases a ball`, `chasing the ball`."""
    verb = action.third if third else action.doing
    what = "" if target is None else target.definite if definite else target.indefinite
    return " ".join(part for part in (verb, what, action.after) if part)


def act(maker: Maker, a: Entity, action: Action, target: Entity | None) -> None:
    """Notes and asks what `a` does."""
    scene = maker.scene
    scene.note(f"action:{action.name}")
    what = phrase(action, target, definite=True)
    scene.movers.append((a, what))
    scene.ask(asking.doing(a, what, f"{action.doing}|{action.third}"))
    if target is not None:
        scene.contacts.append((target, a))


def say_action(maker: Maker, a: Entity, action: Action, target: Entity | None) -> str:
    """A sentence with the actor and what it does."""
    family = "action_third" if not a.is_plural and maker.draw.chance(25) else "action"
    return fill(
        maker.pool, maker.draw, family, a=a, doing=phrase(action, target), third=phrase(action, target, third=True)
    )


def _related(maker: Maker, dimension: Dimension) -> None:
    scene, draw = maker.scene, maker.draw
    being = maker.noun(maker.beings())
    action = maker.action(being)
    a = maker.entity(being, ("color",) if scene.level == 2 and maker.can_have(being, ("color",)) else ())
    scene.add(a)
    target = maker.acted_on(action, being) if action.whom else None
    if target is not None:
        scene.add(target)
    b = maker.thing(("color",) if scene.level else (), near=a)
    scene.add(b)
    scene.core = (a.primitive, b.primitive)
    relation = draw.choice(
        [r for r in maker.pool.relations[dimension] if can_hold(r, a.noun, b.noun) and r.needs != "container"]
    )
    scene.note(f"relation:{relation.name}")
    if relation.contact:
        scene.contacts.append((a, b))
    for entity in scene.entities:
        scene.ask(*asking.of_entity(entity))
    act(maker, a, action, target)
    scene.ask(asking.relation(a, relation.name, b))
    scene.sentences.append(_say_related(maker, a, action, target, relation, b))


def _say_related(maker: Maker, a: Entity, action: Action, target: Entity | None, relation: Relation, b: Entity) -> str:
    if target is None and not action.after:
        family = "action_relation"
    elif a.noun.build == "person":
        family = "action_relation_object"
    else:
        family = "action_relation_object_animal"
    if relation.invert and maker.draw.chance(30):
        family = "action_relation_opening"
    return fill(maker.pool, maker.draw, family, a=a, b=b, rel=relation.name, doing=phrase(action, target))


def _described(maker: Maker, kind: Kind) -> None:
    scene, draw = maker.scene, maker.draw
    being = maker.noun(maker.beings(), (kind,))
    action = maker.action(being, transitive=True if draw.chance(70) else None)
    a = maker.entity(being, (kind,))
    scene.add(a)
    target = maker.acted_on(action, being, (kind,)) if action.whom else None
    if target is None:
        b = maker.thing((kind,), near=a)
        relation = draw.choice([r for r in maker.pool.relations["neutral"] if can_hold(r, a.noun, b.noun)])
        scene.add(b)
        said = fill(maker.pool, draw, "action_relation", a=a, b=b, rel=relation.name, doing=phrase(action, None))
        scene.ask(*asking.of_entity(a), *asking.of_entity(b), asking.relation(a, relation.name, b))
        act(maker, a, action, None)
        scene.core = (a.primitive, b.primitive)
    else:
        if target.noun.name == being.name:
            raise NoMatch
        scene.add(target)
        said = say_action(maker, a, action, target)
        scene.ask(*asking.of_entity(a), *asking.of_entity(target))
        act(maker, a, action, target)
        scene.core = (a.primitive, target.primitive)
    scene.sentences.append(said)
