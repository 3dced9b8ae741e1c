"""The pool of primitives: YAML files in `data/`, read into records and checked against each other."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import config
from harness.errors import ConfigError, near_misses
from harness.synthesis.language import plural
from harness.synthesis.primitives import (
    Action,
    Adjective,
    Carrier,
    Condition,
    Dimension,
    Format,
    Kind,
    Noun,
    Place,
    Relation,
    Style,
    Subject,
)

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All primitives, and the sentence templates."""

    nouns: Mapping[str, Noun]
    """Objects, animals and people; garments are apart."""
    garments: tuple[Noun, ...]
    adjectives: Mapping[str, Mapping[str, Adjective]]
    """By kind and word."""
    comparisons: Mapping[str, Mapping[str, str]]
    places: Mapping[str, Place]
    lights: tuple[Condition, ...]
    views: tuple[Condition, ...]
    relations: Mapping[Dimension, tuple[Relation, ...]]
    oppositions: Mapping[str, tuple[tuple[str, str], ...]]
    regions: tuple[str, ...]
    poses: Mapping[str, tuple[str, str, str]]
    actions: tuple[Action, ...]
    styles: tuple[Style, ...]
    palettes: tuple[str, ...]
    carriers: tuple[Carrier, ...]
    letterings: tuple[tuple[str, str], ...]
    """(quality, kind) of letters; a color stands between."""
    letter_colors: tuple[str, ...]
    formats: tuple[Format, ...]
    design: Mapping[str, Any]
    """`layouts`, `spots`, `backgrounds`, `finishes`, `audiences`."""
    living_elements: frozenset[str]
    """Elements of designs that have a body."""
    frames: Mapping[str, tuple[str, ...]]
    """Sentence templates by family."""
    quality: Mapping[str, tuple[str, ...]]
    """Templates of the quality questions."""
    sha256: str
    """Of the files."""
    at_place: Mapping[str, tuple[Noun, ...]] = field(default_factory=dict)
    """Objects (no living beings) by place."""
    beings_at: Mapping[str, tuple[Noun, ...]] = field(default_factory=dict)

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """How many primitives of each kind there are."""
        kinds: dict[str, int] = {}
        for noun in self.nouns.values():
            kinds[noun.build] = kinds.get(noun.build, 0) + 1
        return {
            **dict(sorted(kinds.items())),
            "garment": len(self.garments),
            **{kind: len(found) for kind, found in self.adjectives.items()},
            "place": len(self.places),
            "light or weather": len(self.lights),
            "viewpoint": len(self.views),
            "relation": sum(map(len, self.relations.values())),
            "action": len(self.actions),
            "style": len(self.styles),
            "text": len({w for c in self.carriers for w in c.words}),
            "text carrier": len(self.carriers),
            "design format": len(self.formats),
            "design subject": len({s.topic for f in self.formats for s in f.subjects}),
            "sentence template": sum(map(len, self.frames.values())),
        }


def _read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = config.load_yaml((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def _known(names: Iterable[str], known: Iterable[str], where: str) -> tuple[str, ...]:
    """`names`, all of which must be known."""
    wanted, table = tuple(names), set(known)
    for name in wanted:
        if name not in table:
            close = near_misses(name, table)
            raise ConfigError(f"{where}: unknown {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
    return wanted


def _adjectives(data: Mapping[str, Any]) -> dict[str, dict[str, Adjective]]:
    colors = sorted({color for palette in data["palettes"].values() for color in palette})
    found: dict[str, dict[str, Adjective]] = {"color": {c: Adjective(word=c, kind="color", order=4) for c in colors}}
    kinds: tuple[tuple[Kind, str], ...] = (("texture", "textures"), ("shape", "shapes"), ("state", "states"))
    for kind, key in kinds:
        found[kind] = {word: Adjective(word=word, kind=kind, **fields) for word, fields in data[key].items()}
    return found


def _palette(value: str | Sequence[str], palettes: Mapping[str, Sequence[str]]) -> Sequence[str]:
    return palettes[_known([value], palettes, "palette")[0]] if isinstance(value, str) else value


def _nouns(groups: Mapping[str, Any], attributes: Mapping[str, Any], places: Iterable[str]) -> dict[str, Noun]:
    nouns = {}
    for group, content in groups.items():
        for name, own in content["members"].items():
            fields = {**content["defaults"], **(own or {})}
            where = f"primitive {name!r} of group {group!r}"
            colors = _palette(fields.pop("colors", ()), attributes["palettes"])
            sets: dict[str, Any] = {key: frozenset(fields.pop(key, ())) for key in ("flags", "can", "places")}
            _known(sets["places"], places, where)
            lists: dict[str, Any] = {
                key: _known(fields.pop(key, ()), attributes[key], where) for key in ("textures", "shapes", "states")
            }
            fields["parts"] = tuple(fields.pop("parts", ()))
            fields.setdefault("plural", plural(name))
            known_colors = (c for p in attributes["palettes"].values() for c in p)
            nouns[name] = Noun(name=name, colors=_known(colors, known_colors, where), **sets, **lists, **fields)
    return nouns


def _actions(data: Mapping[str, Any], nouns: Mapping[str, Noun], places: Iterable[str]) -> tuple[Action, ...]:
    tags = {tag for noun in nouns.values() for tag in noun.can}
    found = []
    for name, fields in data["actions"].items():
        where = f"action {name!r}"
        third, doing = fields["forms"]
        found.append(
            Action(
                name=name,
                third=third,
                doing=doing,
                who=frozenset(_known(fields["who"], tags, where)),
                whom=_known(fields.get("whom", ()), nouns, where),
                after=fields.get("after", ""),
                places=frozenset(_known(fields.get("places", ()), places, where)),
                single=fields.get("single", False),
            )
        )
    return tuple(found)


def _carriers(data: Mapping[str, Any], attributes: Mapping[str, Any], places: Iterable[str]) -> tuple[Carrier, ...]:
    found = []
    for name, fields in data["carriers"].items():
        where = f"carrier {name!r}"
        themes = _known(fields["themes"], data["themes"], where)
        found.append(
            Carrier(
                name=name,
                size=fields["size"],
                at=fields["at"],
                colors=tuple(_palette(fields["colors"], attributes["palettes"])),
                textures=_known(fields["textures"], attributes["textures"], where),
                places=_known(fields["places"], places, where),
                words=tuple(str(word) for theme in themes for word in data["themes"][theme]),
            )
        )
    return tuple(found)


def _formats(data: Mapping[str, Any]) -> tuple[Format, ...]:
    families = {
        family: tuple(
            Subject(
                topic=f"{'about' if family in data['about'] else 'for'} {subject['topic']}",
                titles=tuple(map(str, subject["titles"])),
                elements=tuple(subject["elements"]),
            )
            for subject in subjects
        )
        for family, subjects in data["subjects"].items()
    }
    return tuple(
        Format(
            name=name,
            subjects=tuple(s for f in _known(fields["families"], families, f"format {name!r}") for s in families[f]),
            has_title=not fields.get("no_title", False),
        )
        for name, fields in data["formats"].items()
    )


def _living(data: Mapping[str, Any], subjects: Iterable[Subject]) -> frozenset[str]:
    return frozenset(_known(data["living"], (e for s in subjects for e in s.elements), "living elements of designs"))


def _conditions(data: Mapping[str, Any]) -> tuple[Condition, ...]:
    lists = ("where", "only")
    found = []
    for name, fields in data.items():
        plain: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in fields.items()}
        found.append(Condition(name=name, **plain))
    return tuple(found)


def _styles(data: Mapping[str, Any]) -> tuple[Style, ...]:
    found = []
    for name, fields in data["styles"].items():
        rest = dict(fields)
        found.append(Style(name=name, into=rest.pop("in"), called=rest.pop("name"), **rest))
    return tuple(found)


def _by_place(nouns: Mapping[str, Noun], places: Iterable[str], *, alive: bool) -> dict[str, tuple[Noun, ...]]:
    return {p: tuple(n for n in nouns.values() if p in n.places and n.alive == alive) for p in places}


FILES = ("attributes", "objects", "beings", "settings", "relations", "actions", "styles", "lettering", "designs")
TEMPLATES = ("frames", "quality")


@functools.cache
def load_pool() -> Pool:
    """The shipped pool.

    Raises:
        ConfigError: a file is damaged, or names a primitive that no file defines.
    """
    raw = {name: _read(name) for name in (*FILES, *TEMPLATES)}
    attributes, settings = raw["attributes"], raw["settings"]
    places = {n: Place(name=n, **{**f, "looks": tuple(f["looks"])}) for n, f in settings["places"].items()}
    beings = dict(raw["beings"])
    garments = _nouns({"garments": beings.pop("garments")}, attributes, places)
    nouns = _nouns({**raw["objects"], **beings}, attributes, places)
    relations = [Relation(name=name, **fields) for name, fields in raw["relations"]["relations"].items()]
    dimensions: tuple[Dimension, ...] = ("neutral", "2d", "3d")
    formats = _formats(raw["designs"])
    return Pool(
        nouns=nouns,
        garments=tuple(garments.values()),
        adjectives=_adjectives(attributes),
        comparisons=attributes["comparisons"],
        places=places,
        lights=_conditions(settings["lights"]),
        views=_conditions(settings["views"]),
        relations={d: tuple(r for r in relations if r.dimension == d) for d in dimensions},
        oppositions={d: tuple((a, b) for a, b in pairs) for d, pairs in raw["relations"]["oppositions"].items()},
        regions=tuple(raw["relations"]["regions"]),
        poses={name: (a, b, c) for name, (a, b, c) in raw["relations"]["poses"].items()},
        actions=_actions(raw["actions"], nouns, places),
        styles=_styles(raw["styles"]),
        palettes=tuple(raw["styles"]["palettes"]),
        carriers=_carriers(raw["lettering"], attributes, places),
        letterings=tuple((a, b) for a, b in raw["lettering"]["letterings"]),
        letter_colors=tuple(raw["lettering"]["letter_colors"]),
        formats=formats,
        design={k: raw["designs"][k] for k in ("layouts", "spots", "backgrounds", "finishes", "audiences")},
        living_elements=_living(raw["designs"], [s for f in formats for s in f.subjects]),
        frames={family: tuple(found) for family, found in raw["frames"].items()},
        quality={family: tuple(found) for family, found in raw["quality"].items()},
        sha256=pool_sha256(),
        at_place=_by_place(nouns, places, alive=False),
        beings_at=_by_place(nouns, places, alive=True),
    )


def pool_sha256() -> str:
    """One digest over the names and contents of all data files."""
    digest = hashlib.sha256()
    for name in (*FILES, *TEMPLATES):
        digest.update(f"{name}\n".encode() + (DATA / f"{name}.yaml").read_bytes())
    return digest.hexdigest()
