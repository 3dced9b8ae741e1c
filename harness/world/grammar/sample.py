"""Random specs by kind, required features and split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.errors import DataError
from harness.world.grammar.layout import clearly_related, try_layout
from harness.world.grammar.spec import (
    PLACES,
    RELATIONS,
    Description,
    Group,
    Link,
    Spec,
    Split,
    Variety,
    names_held_out,
    split_of,
)
from harness.world.scene import BACKGROUNDS, COLOURS, MAX_OBJECTS, SHAPES, SIZES, TEXTURES

KINDS: dict[str, float] = {
    "single": 0.06,
    "two": 0.12,
    "three": 0.10,
    "count": 0.14,
    "relation": 0.18,
    "negation": 0.10,
    "comparison": 0.07,
    "number": 0.05,
    "differentiation": 0.05,
    "place": 0.05,
    "dense": 0.08,
}
"""Kind -> share in a mixed sample. `comparison` compares sizes, `number` compares counts, `differentiation` asks for
objects of equal or different colour or size, `dense` is three to five objects with attributes, relations
and a background."""

FEATURES: tuple[str, ...] = (
    "colour",
    "size",
    "texture",
    "background",
    "relation",
    "count",
    "negation",
    "place",
    "held_out",
)
"""What `require` and `forbid` accept. `colour` required means every group has one (forbidden: none); `size` and
`texture` at least one group; `held_out` a combination that training never shows (benchmark split only)."""

_P_EXTRA = {
    "count": {"relation": 0.35, "negation": 0.05},
    "three": {"relation": 0.35},
    "two": {"count": 0.15},
    "relation": {"count": 0.25},
    "negation": {"relation": 0.2, "count": 0.2},
    "comparison": {"relation": 0.25},
    "differentiation": {"relation": 0.3},
    "place": {"relation": 0.15},
}
_N_GROUPS = {"single": 1, "two": 2, "three": 3, "relation": 2, "comparison": 2, "number": 2, "differentiation": 1}


@dataclass(slots=True)
class _Recipe:
    """One draw in progress: which features are on, and the random source."""

    rng: np.random.Generator
    kind: str
    require: frozenset[str]
    forbid: frozenset[str]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def has(self, feature: str, p: float) -> bool:
        """Whether `feature` is on: required, forbidden, or by chance `p`."""
        by_chance = self.chance(p)
        return feature in self.require or (by_chance and feature not in self.forbid)


def _n_groups(r: _Recipe, extra: frozenset[str]) -> int:
    if r.kind == "dense":
        n = 3 + r.below(3)
    elif r.kind in _N_GROUPS:
        n = _N_GROUPS[r.kind]
    else:
        n = 2 if r.chance(0.35) else 1
    return max(n, 2) if "relation" in extra else n


def _counts(r: _Recipe, n_groups: int, extra: frozenset[str]) -> list[int | None]:
    if r.kind == "number":
        return [None, None]
    counts: list[int | None] = [1] * n_groups
    if r.kind == "differentiation":
        counts[0] = 2 + r.below(2)
    elif r.kind == "count":
        counts[0] = 2 + r.below(3)
        if n_groups == 2 and r.chance(0.4):
            counts[1] = 2
    elif "count" in extra:
        counts[r.below(n_groups)] = 2 + r.below(2)
    return counts


def _are_disjoint(groups: list[Description]) -> bool:
    """Whether no object can match two of the descriptions by shape and colour."""
    for i, a in enumerate(groups):
        for b in groups[:i]:
            shapes_differ = None not in (a.shape, b.shape) and a.shape != b.shape
            colours_differ = None not in (a.colour, b.colour) and a.colour != b.colour
            if not shapes_differ and not colours_differ:
                return False
    return True


def _descriptions(r: _Recipe, n: int) -> list[Description]:
    """Shapes and colours of the groups, disjoint."""
    is_shapeless = r.kind in ("count", "number") and n <= 2 and "colour" not in r.forbid and r.chance(0.12)
    all_coloured = is_shapeless or "colour" in r.require or r.chance(0.85)
    while True:
        found = []
        for _ in range(n):
            coloured = all_coloured or r.chance(0.5)
            colour = r.below(len(COLOURS)) if coloured and "colour" not in r.forbid else None
            found.append(Description(None if is_shapeless else r.below(len(SHAPES)), colour))
        if _are_disjoint(found):
            return found


def _with_adjectives(r: _Recipe, whats: list[Description], name: str, p: float, n_values: int) -> list[Description]:
    """The descriptions with sizes (or textures) added to one or more of them, when the feature is on."""
    if not r.has(name, p):
        return whats
    sure = r.below(len(whats))
    share = 0.75 if r.kind == "dense" else 0.5
    # A plain texture is only worth a word beside striped ones.
    values = [r.below(n_values) if name == "size" or r.chance(0.2) else 1 for _ in whats]
    return [
        replace(what, **{name: value}) if i == sure or r.chance(share) else what
        for i, (what, value) in enumerate(zip(whats, values, strict=True))
    ]


def _absent(r: _Recipe, groups: list[Group]) -> tuple[list[Group], tuple[Description, ...]]:
    """A negation that the groups do not contradict; half of the time a group's colour is opened so that it matters."""
    how = r.below(3) if "colour" not in r.forbid else 1
    while True:
        shape = r.below(len(SHAPES)) if how in (1, 2) else None
        colour = r.below(len(COLOURS)) if how in (0, 2) else None
        what = Description(shape, colour)
        if _are_disjoint([*(g.core for g in groups), what]):
            break
        if how == 0 and any(g.what.colour is None for g in groups):
            break
        if how == 1 and any(g.what.shape is None for g in groups):
            break
    if how == 0 and "colour" not in r.require and r.chance(0.5):
        i = r.below(len(groups))
        opened = replace(groups[i], what=replace(groups[i].what, colour=None))
        changed = [*groups[:i], opened, *groups[i + 1 :]]
        if opened.what.shape is not None and _are_disjoint([g.core for g in changed]):
            groups = changed
    return groups, (what,)


def _places(r: _Recipe, groups: list[Group]) -> list[Group]:
    cells = [int(c) for c in r.rng.permutation(list(PLACES))]
    single = [i for i, g in enumerate(groups) if g.count == 1]
    chosen = single[:1] if r.chance(0.6) else single[:2]
    return [replace(g, place=cells.pop()) if i in chosen else g for i, g in enumerate(groups)]


def _relation_chain(r: _Recipe, spec: Spec) -> tuple[Link, ...]:
    """Relations between neighbouring groups that hold together in a drawn layout."""
    scene = try_layout(r.rng, spec)
    if scene is None:
        return ()
    links = []
    for i in range(1, len(spec.groups)):
        options = [v for v in range(len(RELATIONS)) if clearly_related(scene, spec, Link("relation", v, i, i - 1))]
        if options and r.chance(0.75):
            links.append(Link("relation", options[r.below(len(options))], i, i - 1))
    return tuple(links)


def _constraints(r: _Recipe, spec: Spec, extra: frozenset[str]) -> Spec:
    links: list[Link] = []
    if r.kind == "comparison":
        links.append(Link("size", r.below(2), 0, 1))
    if r.kind == "number":
        value = r.below(3)
        total = 3 + r.below(4) if value != 2 else 2 * (1 + r.below(3))
        links.append(Link("number", value, 0, 1))
        spec = replace(spec, total=total)
    if r.kind == "differentiation":
        attribute: Literal["colour", "size"] = "size" if spec.groups[0].what.colour is not None else "colour"
        spec = replace(spec, varieties=(Variety(attribute, r.chance(0.3), 0),))
    if r.kind == "dense":
        return replace(spec, links=_relation_chain(r, spec))
    if "relation" in extra:
        links.append(Link("relation", r.below(len(RELATIONS)), 0, 1))
    return replace(spec, links=tuple(links))


def _draw(r: _Recipe) -> Spec:
    p_extra = _P_EXTRA.get(r.kind, {})
    extra = frozenset(f for f in ("relation", "count", "negation", "place") if r.has(f, p_extra.get(f, 0.0)))
    extra |= {r.kind} & {"relation", "negation", "place"}
    n = _n_groups(r, extra)
    counts = _counts(r, n, extra)
    whats = _descriptions(r, n)
    if r.kind == "differentiation" and ("colour" not in r.require) and r.chance(0.6):
        whats[0] = replace(whats[0], colour=None)
    if r.kind not in ("comparison", "number", "differentiation") or "size" in r.require:
        whats = _with_adjectives(r, whats, "size", 0.9 if r.kind == "dense" else 0.3, len(SIZES))
    whats = _with_adjectives(r, whats, "texture", 0.35 if r.kind == "dense" else 0.12, len(TEXTURES))
    groups = [Group(what, count) for what, count in zip(whats, counts, strict=True)]
    absent: tuple[Description, ...] = ()
    if "negation" in extra:
        groups, absent = _absent(r, groups)
    if "place" in extra:
        groups = _places(r, groups)
    background = r.below(len(BACKGROUNDS)) if r.has("background", 1.0 if r.kind == "dense" else 0.3) else None
    return _constraints(r, Spec(r.kind, tuple(groups), absent=absent, background=background), extra)


def _is_usable(r: _Recipe, spec: Spec, split: Split | None) -> bool:
    if spec.total > MAX_OBJECTS or not _are_disjoint([g.core for g in spec.groups]):
        return False
    if "held_out" in r.require and not names_held_out(spec):
        return False
    if "relation" in r.require and not any(link.kind == "relation" for link in spec.links):
        return False
    if split is not None and split_of(spec) != split:
        return False
    is_tight = r.kind in ("comparison", "differentiation", "number") or any(g.place is not None for g in spec.groups)
    return not is_tight or try_layout(r.rng, spec, n_tries=60) is not None


def sample_spec(
    rng: np.random.Generator,
    kind: str | None = None,
    split: Split | None = "train",
    *,
    require: Collection[str] = (),
    forbid: Collection[str] = (),
) -> Spec:
    """A random satisfiable spec.

    Args:
        rng: the random source.
        kind: one of `KINDS`; None draws one by its share.
        split: `train` or `bench` (disjoint by canonical form); None for either.
        require: features (of `FEATURES`) that must be present.
        forbid: features that must be absent; a feature that the kind itself consists of cannot be forbidden.

    Raises:
        DataError: unknown kind or feature, or no spec fits in 2,000 draws.

    """
    for name in (*require, *forbid):
        if name not in FEATURES:
            raise DataError(f"Unknown feature {name!r}; expected some of {', '.join(FEATURES)}.")
    if kind is not None and kind not in KINDS:
        raise DataError(f"Unknown kind of spec {kind!r}; expected one of {', '.join(KINDS)}.")
    shares = np.array(list(KINDS.values()))
    for _ in range(2000):
        chosen = kind or list(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))]
        recipe = _Recipe(rng, chosen, frozenset(require), frozenset(forbid))
        spec = _draw(recipe)
        if _is_usable(recipe, spec, split):
            return spec
    raise DataError(
        f"No {split} spec of kind {kind} with {sorted(require)} and without {sorted(forbid)} in 2000 draws."
    )
