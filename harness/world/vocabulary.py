"""All words of the world, in a fixed order: token ids of the micro model depend on it, so words are only appended."""

from __future__ import annotations

import re

from harness.world.plan import CELL_WORDS
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES

PLURALS: tuple[str, ...] = ("circles", "squares", "triangles", "diamonds", "crosses", "stars")
"""In the order of `SHAPES`."""
NUMBERS: tuple[str, ...] = ("one", "two", "three", "four", "five", "six")

_GROUPS = {
    "punctuation": ", . ? : ;",
    "diagnosis": "all correct wrong missing extra poor object colour shape size texture place background quality",
    "function": (
        "a an the of and with without no not but only on in at to from by for into as than or is are it "
        "this that any other another has have do does where what you can see which"
    ),
    "nouns": "objects shapes colours sizes picture photo image drawing scene number side sides",
    "relations": "left right above below under over beneath north south east west",
    "places": "top bottom middle centre corner",
    "comparison": "larger smaller bigger more fewer many same different equal exactly else nothing also",
    "description": "there shows contains simple stand stands lie lies stripes",
    "edits": (
        "make change paint turn add put draw insert remove delete erase take away replace swap move shift use "
        "please keep everything"
    ),
    "answers": "yes no",
    "hints on colour": (
        "blood stop sign light longest shortest wave carrots autumn pumpkin basketball ripe lemon sulfur sun noon "
        "grass new leaves spring copper flame deep sea clear sky cold tap lavender iodine vapour flamingos cherry "
        "trees april pig cartoon tree bark chocolate rust"
    ),
    "hints on shape": (
        "like corners full moon wheel four equal level edges chess board salt crystal pyramid end prism standing "
        "meeting roads plus pole minus christmas animal five arms"
    ),
    "hints on number": (
        "face eyes magnet poles water hydrogen atoms triangle traffic lights ammonia year seasons dog legs"
    ),
    "hints on direction": "sunset sunrise smoke would rise stone fall",
    "hints on background": "fresh snow winter milk table storm clouds ash midnight coal shallow ice",
}


def _ordered() -> tuple[str, ...]:
    fixed = (*BACKGROUNDS, *COLOURS, *SHAPES, *PLURALS, *SIZES, *TEXTURES, *NUMBERS, *CELL_WORDS)
    words = [*_GROUPS["punctuation"].split(), *fixed]
    for name, text in _GROUPS.items():
        if name != "punctuation":
            words += text.split()
    return tuple(dict.fromkeys(words))


WORDS: tuple[str, ...] = _ordered()
"""Every word of prompts, instructions, questions, plans and diagnoses, lower-case; punctuation marks are words."""

_TOKEN = re.compile(r"[,.?:;]|[^\s,.?:;]+")


def words_of(text: str) -> list[str]:
    """`text` in lower case, split at white space, punctuation marks `, . ? : ;` as words of their own."""
    return _TOKEN.findall(text.lower())
