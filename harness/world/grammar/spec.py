"""What a prompt asks for, as data: groups of objects and constraints between them.

Two prompts that ask for the same thing have the same canonical form whatever their wording or order, and the split
between training and benchmark prompts hashes that form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.world.scene import COLOURS, SHAPES, SceneObject

Split = Literal["train", "bench"]

RELATIONS: tuple[str, ...] = ("left", "right", "above", "below")
PLACES: dict[int, str] = {
    0: "top left corner",
    2: "top right corner",
    4: "middle",
    6: "bottom left corner",
    8: "bottom right corner",
}
"""The cells that have a name."""

HELD_OUT: frozenset[tuple[int, int]] = frozenset(
    {
        (COLOURS.index("purple"), SHAPES.index("star")),
        (COLOURS.index("orange"), SHAPES.index("cross")),
        (COLOURS.index("pink"), SHAPES.index("diamond")),
    }
)
"""(colour, shape) combinations that no training prompt, layout, corruption or edit contains."""

BENCH_SHARE = 0.3
"""Share of canonical forms (without held-out combinations) that belongs to the benchmark split."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an object may be called by: `large striped red circle`; None leaves an attribute open."""

    shape: int | None = None
    colour: int | None = None
    size: int | None = None
    texture: int | None = None

    def matches(self, thing: SceneObject) -> bool:
        """Whether every named attribute is the object's."""
        return (
            self.shape in (None, thing.shape)
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
            and self.texture in (None, thing.texture)
        )


@dataclass(frozen=True, slots=True)
class Group:
    """`count` objects of one description; `place` is a cell of `PLACES` (single objects only).

    `count` None leaves the number open (at least one); then `Spec.total` and a count comparison bound it.
    """

    what: Description
    count: int | None = 1
    place: int | None = None

    @property
    def core(self) -> Description:
        """Shape and colour only: what later clauses and questions refer to."""
        return Description(self.what.shape, self.what.colour)


@dataclass(frozen=True, slots=True)
class Link:
    """A constraint between groups `a` and `b` (indices into `Spec.groups`).

    `kind` `relation`: value indexes `RELATIONS`, every object of `a` against every one of `b`.
    `kind` `size`: value 0 larger, 1 smaller. `kind` `number`: value 0 more, 1 fewer, 2 as many.
    """

    kind: Literal["relation", "size", "number"]
    value: int
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Variety:
    """The objects of a group all have the same, or pairwise different, colour or size."""

    attribute: Literal["colour", "size"]
    same: bool
    group: int


@dataclass(frozen=True, slots=True)
class Spec:
    """The structured content of one prompt. No object beyond the `total` of the groups may appear."""

    kind: str
    groups: tuple[Group, ...]
    links: tuple[Link, ...] = ()
    varieties: tuple[Variety, ...] = ()
    absent: tuple[Description, ...] = ()
    background: int | None = None
    total: int = field(default=0)

    def __post_init__(self) -> None:
        counts = [g.count for g in self.groups]
        if all(c is not None for c in counts):
            object.__setattr__(self, "total", sum(c for c in counts if c is not None))

    @property
    def has_open_counts(self) -> bool:
        """Whether some group's number is left open."""
        return any(g.count is None for g in self.groups)


_MIRROR = {"relation": {1: 0, 3: 2}, "size": {1: 0}, "number": {1: 0}}
"""`b right of a` is `a left of b`, and so on: value -> value after exchanging the two groups."""


def _group_key(group: Group) -> str:
    what = group.what
    parts = (group.count, what.size, what.texture, what.colour, what.shape, group.place)
    return ",".join("-" if p is None else str(p) for p in parts)


def _link_key(spec: Spec, link: Link) -> str:
    a, b, value = _group_key(spec.groups[link.a]), _group_key(spec.groups[link.b]), link.value
    if value in _MIRROR[link.kind]:
        a, b, value = b, a, _MIRROR[link.kind][value]
    elif link.kind == "number" and value == 2:
        a, b = sorted((a, b))
    return f"{link.kind}{value}({a};{b})"


def _canonical_parts(spec: Spec) -> Iterator[str]:
    yield "groups " + " ".join(sorted(_group_key(g) for g in spec.groups))
    yield "links " + " ".join(sorted(_link_key(spec, link) for link in spec.links))
    yield "varieties " + " ".join(
        sorted(f"{v.attribute}{int(v.same)}({_group_key(spec.groups[v.group])})" for v in spec.varieties)
    )
    yield "absent " + " ".join(sorted(_group_key(Group(d, None)) for d in spec.absent))
    yield f"background {spec.background} total {spec.total}"


def canonical(spec: Spec) -> str:
    """A string equal for specs that ask for the same thing; free of wording, kind and the order of mention."""
    return " | ".join(_canonical_parts(spec))


def names_held_out(spec: Spec) -> bool:
    """Whether a group of `spec` names a held-out combination."""
    return any((g.what.colour, g.what.shape) in HELD_OUT for g in spec.groups)


def split_of_text(text: str) -> Split:
    """The split of a canonical string by its hash: stable across machines and versions."""
    point = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
    return "bench" if point < BENCH_SHARE else "train"


def split_of(spec: Spec) -> Split:
    """The split `spec` belongs to; one with a held-out combination is always a benchmark spec."""
    return "bench" if names_held_out(spec) else split_of_text(canonical(spec))
