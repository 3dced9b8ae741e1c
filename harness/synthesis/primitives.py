"""Records of the primitives, as they come from the YAML files in `data/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Build = Literal["artifact", "plant", "nature", "food", "animal", "person", "garment"]
Kind = Literal["color", "texture", "shape", "state"]
Dimension = Literal["neutral", "2d", "3d"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjective:
    """A word that stands before a noun."""

    word: str
    kind: Kind
    order: int
    """Place before the noun, small first."""
    material: str = ""
    """What the thing is made of, as a question names it."""
    opposite: str = ""
    """Of a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A thing, animal, person or garment; the fields are explained in `data/objects.yaml` and `data/beings.yaml`."""

    name: str
    build: Build
    size: int
    pose: str
    places: frozenset[str]
    plural: str = ""
    colors: tuple[str, ...] = ()
    textures: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()
    body: str = ""
    can: frozenset[str] = frozenset()
    plural_only: bool = False
    covers: str = ""

    @property
    def head(self) -> str:
        """Its last word: what a pine tree and a palm tree share."""
        return self.name.rpartition(" ")[2]

    @property
    def alive(self) -> bool:
        """An animal or a person."""
        return self.build in ("animal", "person")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A setting."""

    name: str
    at: str
    kind: str
    looks: tuple[str, ...]
    floor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Light, weather or viewpoint, said of a whole scene."""

    name: str
    sentence: str
    phrase: str
    question: str
    where: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    optical: bool = False
    """An effect of a lens, which paintings do not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A spatial relation between two things."""

    name: str
    dimension: Dimension
    needs: str = ""
    invert: bool = False
    contact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What an animal or a person does."""

    name: str
    third: str
    doing: str
    who: frozenset[str]
    whom: tuple[str, ...] = ()
    after: str = ""
    places: frozenset[str] = frozenset()
    single: bool = False
    """Has no plural form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A pictorial style."""

    name: str
    of: str
    into: str
    called: str
    finish: str
    colorless: bool = False
    realistic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A thing that carries words."""

    name: str
    size: int
    at: str
    colors: tuple[str, ...]
    textures: tuple[str, ...]
    places: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a design is about."""

    topic: str
    """With its preposition: `for a jazz evening`, `about owls`."""
    titles: tuple[str, ...]
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of design."""

    name: str
    subjects: tuple[Subject, ...]
    has_title: bool
