"""What medium and hard prompts have beyond their core: a further thing, the place, light or weather, a viewpoint."""

from __future__ import annotations

from harness.synthesis import asking
from harness.synthesis.language import with_article
from harness.synthesis.pairs import Maker, can_hold
from harness.synthesis.primitives import Condition, Dimension, Kind
from harness.synthesis.tasks.styles import set_style
from harness.synthesis.wording import fill


def enrich(maker: Maker) -> None:
    """Easy: nothing. Medium: one or two extras. Hard: a described companion, the place with its look, and more."""
    scene, draw = maker.scene, maker.draw
    if scene.design or scene.level == 0:
        return
    if scene.level == 1:
        chosen = draw.sample(("companion", "place", "condition"), 1 if draw.chance(55) else 2)
        if "companion" in chosen:
            companion(maker, described=draw.chance(40))
        if "place" in chosen:
            place(maker, look=draw.chance(50))
        if "condition" in chosen:
            condition(maker)
        return
    companion(maker, described=True)
    if draw.chance(30):
        companion(maker, described=False)
    place(maker, look=True)
    condition(maker)
    if scene.style is None and draw.chance(12):
        style(maker)


def companion(maker: Maker, *, described: bool) -> None:
    """A further thing, related to one that is there."""
    scene, draw = maker.scene, maker.draw
    anchor = draw.choice(scene.entities)
    kinds: tuple[Kind, ...] = ()
    if described:
        kinds = ("texture",) if (scene.style is not None and scene.style.colorless) or draw.chance(35) else ("color",)
    dimensions: tuple[Dimension, ...] = ("neutral", "2d", "3d")
    dimension = draw.choice(dimensions)
    c = maker.thing(kinds, near=anchor, alive_percent=20)
    relation = draw.choice(
        [
            r
            for r in maker.pool.relations[dimension]
            if can_hold(r, c.noun, anchor.noun) and (not r.contact or anchor.count == 1) and r.needs != "hidden"
        ]
    )
    scene.add(c)
    scene.note(f"relation:{relation.name}")
    if relation.contact:
        scene.contacts.append((c, anchor))
    scene.ask(*asking.of_entity(c), asking.relation(c, relation.name, anchor))
    family = "companion_opening" if relation.invert and draw.chance(30) else "companion"
    scene.sentences.append(fill(maker.pool, draw, family, c=c, a=anchor, rel=relation.name))


def place(maker: Maker, *, look: bool) -> None:
    """Where the scene is set: an opening phrase, or a sentence of its own."""
    scene, draw = maker.scene, maker.draw
    found = scene.place
    name = found.name
    if look:
        word = draw.choice([w for w in found.looks if w not in scene.used_words])
        name = f"{word} {name}"
        scene.note(f"look:{word}")
        scene.used_words.add(word)
    phrase = f"{found.at} {with_article(name)}"
    scene.place_stated = True
    scene.note(f"place:{found.name}")
    scene.ask(asking.setting(found))
    if look:
        scene.ask(asking.setting_look(found, word))
    opens = scene.sentences[0].startswith(("A ", "An ", "There ", "One ", "Two ", "Three ", "Four ", "Five ", "Six "))
    if opens and not scene.style and draw.chance(65):
        scene.lead = phrase
    else:
        scene.sentences.append(fill(maker.pool, draw, "place", place=phrase))


def condition(maker: Maker) -> None:
    """Light or weather, or a viewpoint; hard prompts may have both."""
    scene, draw = maker.scene, maker.draw
    lights = [
        light
        for light in maker.pool.lights
        if scene.place.kind in light.where and (not light.only or scene.place.name in light.only)
    ]
    wants_both = scene.level == 2 and draw.chance(35)
    if wants_both or draw.chance(50):
        scene.light = draw.choice(lights)
        scene.note(f"light:{scene.light.name}")
        scene.ask(asking.light(scene.light))
        _say(maker, scene.light)
    if wants_both or scene.light is None:
        scene.view = draw.choice([v for v in maker.pool.views if scene.style is None or not v.optical])
        scene.note(f"view:{scene.view.name}")
        scene.ask(asking.view(scene.view))
        _say(maker, scene.view)


def _say(maker: Maker, found: Condition) -> None:
    """As a sentence, or in the opening phrase."""
    scene = maker.scene
    if scene.lead and found is scene.light and maker.draw.chance(50):
        scene.lead = f"{scene.lead} {found.phrase}"
    else:
        scene.sentences.append(found.sentence)


def style(maker: Maker) -> None:
    """A pictorial style for a prompt whose task is another."""
    scene = maker.scene
    found = maker.draw.choice(maker.pool.styles)
    set_style(scene, found)
    scene.sentences.append(fill(maker.pool, maker.draw, "style_statement", called=found.called))
