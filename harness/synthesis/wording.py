"""Templates filled: `{a}` is the entity a, `{the_a}` its second mention, `{is_a}`, `{has_a}`, `{pose_a}` its verbs."""

from __future__ import annotations

from harness.synthesis.draw import Draw
from harness.synthesis.language import sentences
from harness.synthesis.pool import Pool
from harness.synthesis.scene import Entity


class _Slots(dict[str, object]):
    """What a template may name: texts, entities, and forms of entities."""

    def __init__(self, pool: Pool, fill: dict[str, Entity | str]) -> None:
        super().__init__(fill)
        self._pool = pool

    def __getitem__(self, key: str) -> str:
        if key in self:
            value = super().__getitem__(key)
            return value.indefinite if isinstance(value, Entity) else str(value)
        form, _, name = key.partition("_")
        entity = super().__getitem__(name)
        assert isinstance(entity, Entity), f"the template's {key!r} needs an entity"
        return self._form(form, entity)

    def _form(self, form: str, entity: Entity) -> str:
        third, base, posing = self._pool.poses[entity.noun.pose]
        forms = {
            "the": entity.definite,
            "is": "are" if entity.is_plural else "is",
            "has": "have" if entity.is_plural else "has",
            "pose": base if entity.is_plural else third,
            "posing": posing,
            "who": "who" if entity.noun.build == "person" else "that",
        }
        return forms[form]


def fill(pool: Pool, draw: Draw, family: str, /, **slots: Entity | str) -> str:
    """A drawn template of a family, filled; a sentence.

    Raises:
        KeyError: the template names a slot that is not given.
    """
    return fill_text(pool, draw.choice(pool.frames[family]), **slots)


def fill_text(pool: Pool, template: str, /, **slots: Entity | str) -> str:
    """A template, filled; one or two sentences."""
    return sentences(template.format_map(_Slots(pool, slots)))
