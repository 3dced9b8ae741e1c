"""Indirect names: phrases that only hint at a shape, colour, number, direction or background.

Each hint belongs to one of WISE's six categories by the kind of knowledge that resolves it (CULTURE: customs and
man-made things; TIME: hours, seasons; SPACE: geometry, maps and geography; BIOLOGY; PHYSICS; CHEMISTRY).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES

CATEGORIES: tuple[str, ...] = ("CULTURE", "TIME", "SPACE", "BIOLOGY", "PHYSICS", "CHEMISTRY")


@dataclass(frozen=True, slots=True)
class Hint:
    """One indirect name.

    `phrase` completes, by attribute: shape `a shape ...` (`with three sides`), colour `in the colour of ...` (`grass`),
    number `as many circles as ...` (`a dog has legs`), relation `a circle ... a square` (`to the west of`),
    background `on a background like ...` (`fresh snow`).
    """

    category: str
    attribute: Literal["shape", "colour", "number", "relation", "background"]
    value: int
    """Index of the attribute's value; for a number the number itself."""
    phrase: str


_COLOURS = {
    "red": {"BIOLOGY": "blood", "CULTURE": "a stop sign", "PHYSICS": "the light with the longest wave"},
    "orange": {"BIOLOGY": "carrots", "TIME": "an autumn pumpkin", "CULTURE": "a basketball"},
    "yellow": {"BIOLOGY": "a ripe lemon", "CHEMISTRY": "sulfur", "TIME": "the sun at noon"},
    "green": {"BIOLOGY": "grass", "TIME": "new leaves in spring", "CHEMISTRY": "a copper flame"},
    "blue": {"SPACE": "the deep sea", "TIME": "the clear sky at noon", "CULTURE": "the sign of the cold tap"},
    "purple": {"BIOLOGY": "lavender", "CHEMISTRY": "iodine vapour", "PHYSICS": "the light with the shortest wave"},
    "pink": {"BIOLOGY": "flamingos", "TIME": "cherry trees in april", "CULTURE": "a pig in a cartoon"},
    "brown": {"BIOLOGY": "tree bark", "CULTURE": "chocolate", "CHEMISTRY": "rust"},
}
_SHAPES = {
    "circle": {"SPACE": "without any corners", "TIME": "like the full moon", "PHYSICS": "like a wheel"},
    "square": {
        "SPACE": "with four equal sides and level edges",
        "CULTURE": "like a chess board",
        "CHEMISTRY": "like a salt crystal",
    },
    "triangle": {"SPACE": "with three sides", "CULTURE": "like a pyramid", "PHYSICS": "like the end of a prism"},
    "diamond": {"SPACE": "like a square standing on a corner", "CULTURE": "like a chess board standing on a corner"},
    "cross": {
        "SPACE": "like two meeting roads",
        "CULTURE": "like a plus sign",
        "PHYSICS": "like the pole that is not minus",
    },
    "star": {"CULTURE": "on top of a christmas tree", "BIOLOGY": "like a sea animal with five arms"},
}
_NUMBERS = {
    2: {"BIOLOGY": "a face has eyes", "PHYSICS": "a magnet has poles", "CHEMISTRY": "water has hydrogen atoms"},
    3: {
        "SPACE": "a triangle has sides",
        "CULTURE": "traffic lights have colours",
        "CHEMISTRY": "ammonia has hydrogen atoms",
    },
    4: {"TIME": "a year has seasons", "BIOLOGY": "a dog has legs", "SPACE": "a square has sides"},
}
_RELATIONS = {
    0: {"SPACE": "to the west of", "TIME": "on the sunset side of"},
    1: {"SPACE": "to the east of", "TIME": "on the sunrise side of"},
    2: {"SPACE": "to the north of", "PHYSICS": "where smoke would rise from"},
    3: {"SPACE": "to the south of", "PHYSICS": "where a stone would fall from"},
}
_BACKGROUNDS = {
    "white": {"TIME": "fresh snow in winter", "BIOLOGY": "milk", "CHEMISTRY": "table salt"},
    "grey": {"PHYSICS": "storm clouds", "CHEMISTRY": "ash"},
    "black": {"TIME": "the sky at midnight", "CHEMISTRY": "coal"},
    "cyan": {"SPACE": "shallow sea water", "PHYSICS": "clear ice"},
}


def _collect() -> tuple[Hint, ...]:
    hints = [Hint(c, "colour", COLOURS.index(v), p) for v, by in _COLOURS.items() for c, p in by.items()]
    hints += [Hint(c, "shape", SHAPES.index(v), p) for v, by in _SHAPES.items() for c, p in by.items()]
    hints += [Hint(c, "number", v, p) for v, by in _NUMBERS.items() for c, p in by.items()]
    hints += [Hint(c, "relation", v, p) for v, by in _RELATIONS.items() for c, p in by.items()]
    hints += [Hint(c, "background", BACKGROUNDS.index(v), p) for v, by in _BACKGROUNDS.items() for c, p in by.items()]
    return tuple(hints)


HINTS: tuple[Hint, ...] = _collect()


def hints_for(attribute: str, value: int, category: str | None = None) -> list[Hint]:
    """The hints at one value, of one category or of all."""
    return [h for h in HINTS if (h.attribute, h.value) == (attribute, value) and category in (None, h.category)]
