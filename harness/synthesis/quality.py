"""Quality questions, drawn from what the scene contains: yes always means good, and each asks about one thing.

Which questions are asked depends on the content: anatomy only of living beings, legibility only of words, surfaces and
light against the style where there is one, and nothing that contradicts the prompt (a hovering kite need not rest).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from harness.synthesis.draw import Draw
from harness.synthesis.language import sentence, without_article
from harness.synthesis.pool import Pool
from harness.synthesis.scene import Asked, Entity, Scene

MAX_PER_DIMENSION = 4
"""Entities that one dimension asks about; the first ones of a prompt carry its meaning."""


def questions(pool: Pool, draw: Draw, scene: Scene) -> list[Asked]:
    """All quality questions of a scene, by dimension, without repetition."""
    asker = _Asker(pool, draw, scene)
    found = [
        *asker.geometry(),
        *asker.anatomy(),
        *asker.texture(),
        *asker.coherence(),
        *asker.lighting(),
        *asker.physics(),
        *asker.legibility(),
        *asker.aesthetics(),
    ]
    return list({q.text: q for q in found}.values())


def _definite(element: str) -> str:
    return f"the {without_article(element)}"


class _Asker:
    def __init__(self, pool: Pool, draw: Draw, scene: Scene) -> None:
        self.pool = pool
        self.draw = draw
        self.scene = scene
        self.entities = scene.entities[:MAX_PER_DIMENSION]
        self.is_real = scene.style is None or scene.style.realistic

    def ask(self, family: str, tag: str, x: Entity | str = "", **slots: str) -> Asked:
        """A drawn template of a family, about `x`."""
        is_plural = isinstance(x, Entity) and x.is_plural
        name = x.definite if isinstance(x, Entity) else x
        forms = {"Is": "Are" if is_plural else "Is", "Does": "Do" if is_plural else "Does", "x": name}
        text = self.draw.choice(self.pool.quality[family]).format(**forms, **slots)
        subject = x.mention if isinstance(x, Entity) else name.removeprefix("the ")
        about = tuple(part for part in (subject, slots.get("words", "")) if part)
        return Asked(sentence(text), tag, about)

    def geometry(self) -> Iterator[Asked]:
        """Of man-made things; of the scene where there is a place."""
        for entity in self.entities:
            if entity.noun.build == "artifact":
                yield self.ask("geometry", "Geometry", entity)
        if self.scene.design:
            yield self.ask("geometry", "Geometry", f"the {self.scene.design}")
        if self.scene.place_stated and self.is_real:
            yield self.ask("geometry_scene", "Geometry")

    def anatomy(self) -> Iterator[Asked]:
        """Of animals and people."""
        for element in self.scene.elements:
            if element in self.pool.living_elements:
                yield self.ask("anatomy_limbs", "Anatomy", _definite(element))
        for entity in self.scene.entities:
            if entity.noun.alive:
                yield self.ask("anatomy", "Anatomy", entity, body=entity.noun.body)
                yield self.ask("anatomy_limbs", "Anatomy", entity)

    def texture(self) -> Iterator[Asked]:
        """Of stated surfaces, else of the first things; of the style as a whole where it is not realistic."""
        if self.scene.style is not None and not self.is_real:
            yield self.ask("texture_style", "Texture", finish=self.scene.style.finish)
            return
        for entity in self.entities:
            words = [a.word for a in entity.adjectives if a.kind == "texture"]
            if words:
                yield self.ask("texture_named", "Texture", entity, word=words[0])
            else:
                build = entity.noun.build
                yield self.ask(f"texture_{build}" if entity.noun.alive else "texture", "Texture", entity)

    def coherence(self) -> Iterator[Asked]:
        """Of each thing, and of neighbours."""
        for entity in self.entities:
            if entity.count == 1:
                yield self.ask("coherence", "Coherence", entity)
            else:
                yield self.ask("coherence_many", "Coherence", entity)
        for element in self.scene.elements:
            yield self.ask("coherence", "Coherence", _definite(element))
        for a, b in itertools.pairwise(self.entities):
            yield self.ask("coherence_pair", "Coherence", a, y=b.definite)

    def lighting(self) -> Iterator[Asked]:
        """Of the scene and of two things in it."""
        yield self.ask("lighting_scene", "Lighting")
        family = "lighting_named" if self.scene.light else "lighting"
        for entity in self.entities[:2] if self.is_real else ():
            yield self.ask(family, "Lighting", entity)

    def physics(self) -> Iterator[Asked]:
        """Of contact, movement and support."""
        held = {id(a) for a, _ in self.scene.contacts}
        for a, b in self.scene.contacts:
            yield self.ask("physics_contact", "Physics", a, y=b.definite)
        moving = {id(a) for a, _ in self.scene.movers}
        for a, _ in self.scene.movers:
            yield self.ask("physics_move", "Physics", a)
        for entity in self.entities:
            if id(entity) in held | moving:
                continue
            family = "physics_air" if entity.noun.pose in ("hang", "float") else "physics_stand"
            if not entity.noun.alive:
                yield self.ask(family, "Physics", entity)

    def legibility(self) -> Iterator[Asked]:
        """Of words."""
        for carrier, words in self.scene.lettering:
            yield self.ask("legibility", "Legibility", words=words)
            yield self.ask("legibility_glyphs", "Legibility", words=words)
            if not self.scene.design:
                yield self.ask("legibility_surface", "Legibility", carrier, words=words)

    def aesthetics(self) -> Iterator[Asked]:
        """Of the whole."""
        yield self.ask("aesthetics", "Aesthetics")
        yield self.ask("aesthetics_clean", "Aesthetics")
        if self.scene.style is not None:
            yield self.ask("aesthetics_style", "Aesthetics", finish=self.scene.style.finish)
        if self.scene.design:
            yield self.ask("aesthetics_design", "Aesthetics")
