"""A subject in a pictorial style."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.pairs import Maker, can_hold
from harness.synthesis.primitives import Kind, Style
from harness.synthesis.scene import Asked, Scene
from harness.synthesis.tasks.actions import act, phrase
from harness.synthesis.wording import fill


def build(maker: Maker) -> None:
    """Easy: one subject. Medium: it acts, or stands beside another. Hard: both are described, colors are asked for."""
    scene, draw = maker.scene, maker.draw
    style = draw.choice(maker.pool.styles)
    set_style(scene, style)
    what = _subject(maker, style)
    scene.core = (f"style:{style.name}", scene.entities[0].primitive)
    scene.sentences.append(
        fill(maker.pool, draw, "style", of=style.of, into=style.into, called=style.called, what=what)
    )
    if scene.level == 2 and not style.colorless and draw.chance(70):
        scene.look = draw.choice(maker.pool.palettes)
        scene.note(f"palette:{scene.look}")
        scene.ask(Asked(f"Does the image use mostly {scene.look}?", "Style", (scene.look,)))
        scene.sentences.append(fill(maker.pool, draw, "palette", look=scene.look))


def set_style(scene: Scene, style: Style) -> None:
    """Notes and asks the style."""
    scene.style = style
    scene.note(f"style:{style.name}")
    scene.ask(asking.style(style))


def _subject(maker: Maker, style: Style) -> str:
    """A noun phrase; its entities are taken into the scene."""
    scene, draw = maker.scene, maker.draw
    kinds: tuple[Kind, ...] = ("color",) if scene.level == 2 and not style.colorless else ()
    nouns = maker.beings() if draw.chance(50) and maker.beings() else maker.objects()
    noun = maker.noun(nouns, kinds)
    a = maker.entity(noun, kinds)
    scene.add(a)
    if noun.alive and (scene.level or draw.chance(60)):
        action = maker.action(noun)
        target = maker.acted_on(action, noun) if action.whom else None
        if target is not None:
            scene.add(target)
        for entity in scene.entities:
            scene.ask(*asking.of_entity(entity))
        act(maker, a, action, target)
        return f"{a.indefinite} {phrase(action, target)}"
    scene.ask(*asking.of_entity(a))
    if not scene.level and draw.chance(50):
        return a.indefinite
    b = maker.thing(kinds, near=a)
    relations = [r for d in ("neutral", "2d", "3d") for r in maker.pool.relations[d]]
    relation = draw.choice([r for r in relations if can_hold(r, a.noun, b.noun) and r.needs in ("", "support")])
    scene.add(b)
    scene.note(f"relation:{relation.name}")
    if relation.contact:
        scene.contacts.append((a, b))
    scene.ask(*asking.of_entity(b), asking.relation(a, relation.name, b))
    return f"{a.indefinite} {relation.name} {b.indefinite}"
