"""The 39 types of TIIF-Bench, their nine groups and three levels, in the order of the official report.

The order matters: the official sums run along it, and floating point sums depend on order.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from harness.errors import DataError, near_misses

Length = Literal["short", "long"]
LENGTHS: tuple[Length, Length] = ("short", "long")
"""The two wordings of a case; scored apart all the way up."""


class Group(NamedTuple):
    """One of the nine equally weighted parts of the overall score."""

    level: str
    name: str
    types: tuple[str, ...]

    @property
    def key(self) -> str:
        """`LEVEL/GROUP`, the start of the group's summary keys."""
        return f"{self.level}/{self.name}"


def _crossed(firsts: tuple[str, ...], seconds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{a}+{b}" for a in firsts for b in seconds)


_REASONING = ("numeracy", "comparison", "differentiation", "negation")

GROUPS: tuple[Group, ...] = (
    Group("Basic", "Attribute", ("shape+color", "color+texture", "texture+color", "shape+texture")),
    Group("Basic", "Relation", ("2d_spatial_relation", "3d_spatial_relation", "action+2d", "action+3d")),
    Group("Basic", "Reasoning", ("numeracy", "negation", "differentiation", "comparison")),
    Group(
        "Advanced",
        "Attribute+Relation",
        ("action+color", "action+texture", *_crossed(("color", "shape", "texture"), ("2d", "3d"))),
    ),
    Group("Advanced", "Attribute+Reasoning", _crossed(_REASONING, ("color", "texture"))),
    Group("Advanced", "Relation+Reasoning", _crossed(_REASONING, ("2d", "3d"))),
    Group("Advanced", "Text Generation", ("text",)),
    Group("Advanced", "Style Control", ("style",)),
    Group("Real World", "Complex", ("real_world",)),
)
LEVELS: tuple[str, ...] = ("Basic", "Advanced", "Real World")
TYPES: tuple[str, ...] = tuple(t for g in GROUPS for t in g.types)


def types_of_level(level: str) -> tuple[str, ...]:
    """The level's types in table order; a level average runs over these, not over the level's groups."""
    return tuple(t for g in GROUPS if g.level == level for t in g.types)


def check_type(name: str, where: str) -> str:
    """`name` if it is one of the 39 types.

    Raises:
        DataError: it is not; near misses are offered.
    """
    if name in TYPES:
        return name
    close = near_misses(name, TYPES)
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else f" Known: {', '.join(TYPES)}."
    raise DataError(f"{where}: unknown TIIF type {name!r}.{hint}")


def prompt_id(type_: str, row: int, length: str) -> str:
    """The id of one image's prompt, e.g. `tiif/shape+color/0003/short`."""
    return f"tiif/{type_}/{row:04d}/{length}"
