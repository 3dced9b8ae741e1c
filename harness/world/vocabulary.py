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
        "a an the of and with without no not but only on in at to from by for into as than or is are be it its there "
        "this that each both any other another has have do does which where when what you can see so"
    ),
    "nouns": "objects shapes colours picture photo image drawing scene thing things number side sides sizes",
    "relations": "left right above below under over beneath beside next north south east west higher lower",
    "places": "top bottom middle centre corner",
    "comparison": "larger smaller bigger more fewer many much same different equal exactly else nothing also",
    "description": "shows show contains showing simple contain stands stand lies lie sits sit drawn covered stripes",
    "edits": (
        "make change paint turn add put remove insert delete erase take away replace swap move shift use new keep "
        "everything please"
    ),
    "answers": "yes no",
    "indirect": (
        "blood strawberry stop sign carrot carrots pumpkin lemon lemons gold sulfur sun noon grass emerald leaves spring "
        "go light clear sky sea grapes lavender king longest shortest wave flamingo flamingos pig cherry blossom "
        "chocolate bark tree rust wood wheel full moon coin round corners edges chess board salt crystal "
        "pyramid slice pizza prism kite playing card standing crossed plus hospital night christmas fish fresh snow ash "
        "storm clouds coal deep shallow pool ice after midnight eyes face bicycle wheels atoms hydrogen water triangle seasons year legs dog "
        "traffic lights map rises sets falling stone would end smoke drifts like looks ripe copper flame points "
        "half day hot cold tap iodine vapour milk sunset angles meeting primary states matter"
    ),
}


def _ordered() -> tuple[str, ...]:
    fixed = (*BACKGROUNDS, *COLOURS, *SHAPES, *PLURALS, *SIZES, *TEXTURES, *NUMBERS, *CELL_WORDS)
    words = [w for w in _GROUPS["punctuation"].split()] + list(fixed)
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
