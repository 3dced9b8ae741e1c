"""GenEval's micro edition: the six tasks over shapes and colours, in GenEval's metadata schema.

Class names are shapes, colours those of the world. As upstream, `position` names the reference object in
`include[0]` and the placed one in `include[1]`, and only `counting` has an `exclude` clause. All that the metadata
demands is in the prompt and the other way round, with one exception: the world has few plain prompts of the smaller
tasks (six shapes make six single objects, two of them in the benchmark split), so where a task runs out of them,
prompts also name a background, a size, stripes or (a single object's) place, which the metadata, like GenEval's rule,
does not check. Fewest such words first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import Any

from benchmarks.base import check_number
from benchmarks.micro import build
from benchmarks.micro.build import Case
from harness import seeds
from harness.errors import DataError
from harness.types import Prompt
from harness.world.grammar import Description, Group, Link, Spec, canonical, split_of, wording
from harness.world.grammar.spec import PLACES, RELATIONS
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES

N_PER_TAG = 90
"""Prompts per task of about the size of the official set: 540 prompts, four images each."""

TAGS: tuple[str, ...] = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
COUNTS: tuple[int, ...] = (2, 3, 4)
_POSITIONS = ("left of", "right of", "above", "below")

_Extra = tuple[str, int, int]
"""A word that the metadata does not check: attribute, its value, and the group that it belongs to."""


def _plain_specs(tag: str) -> Iterator[Spec]:
    """Every spec of a task without unchecked words, each pair in both orders."""
    shapes = [Description(s) for s in range(len(SHAPES))]
    coloured = [Description(s, c) for s, c in product(range(len(SHAPES)), range(len(COLOURS)))]
    match tag:
        case "single_object":
            yield from (Spec("single", (Group(d),)) for d in shapes)
        case "counting":
            yield from (Spec("count", (Group(d, n),)) for d, n in product(shapes, COUNTS))
        case "colors":
            yield from (Spec("single", (Group(d),)) for d in coloured)
        case "two_object":
            yield from (Spec("two", (Group(a), Group(b))) for a, b in permutations(shapes, 2))
        case "position":
            for a, b in permutations(shapes, 2):
                for value in range(len(RELATIONS)):
                    yield Spec("relation", (Group(a), Group(b)), links=(Link("relation", value, 0, 1),))
        case "color_attr":
            for a, b in permutations(coloured, 2):
                if a.shape != b.shape and a.colour != b.colour:
                    yield Spec("two", (Group(a), Group(b)))


def _extras(spec: Spec, n_words: int) -> Iterator[tuple[_Extra, ...]]:
    """Every choice of `n_words` unchecked words for `spec`."""
    slots: list[list[_Extra]] = [[("background", v, 0) for v in range(len(BACKGROUNDS))]]
    for i in range(len(spec.groups)):
        slots.append([("size", v, i) for v in range(len(SIZES))])
        slots.append([("texture", TEXTURES.index("striped"), i)])
    if spec.total == 1:
        slots.append([("place", cell, 0) for cell in PLACES])
    for chosen in combinations(slots, n_words):
        yield from product(*chosen)


def _with_extras(spec: Spec, extras: tuple[_Extra, ...]) -> Spec:
    for attribute, value, i in extras:
        if attribute == "background":
            spec = replace(spec, background=value)
            continue
        group = spec.groups[i]
        if attribute == "place":
            group = replace(group, place=value)
        else:
            group = replace(group, what=replace(group.what, **{attribute: value}))
        spec = replace(spec, groups=(*spec.groups[:i], group, *spec.groups[i + 1 :]))
    return spec


def _specs(tag: str, n: int, seed: int) -> list[Spec]:
    """`n` distinct benchmark specs of a task, fewest unchecked words first, in random order among equals."""
    plain, seen, found = list(_plain_specs(tag)), set[str](), list[Spec]()
    most = 1 + 2 * len(plain[0].groups) + (plain[0].total == 1)
    for n_words in range(most + 1):
        level = [_with_extras(spec, extras) for spec in plain for extras in _extras(spec, n_words)]
        for i in seeds.numpy_generator(seed, f"micro/geneval/{tag}", n_words).permutation(len(level)):
            spec = level[int(i)]
            key = canonical(spec)
            if key in seen or split_of(spec) != "bench":
                continue
            seen.add(key)
            found.append(spec)
            if len(found) == n:
                return found
    raise DataError(f"geneval.prompts_per_tag: the micro world has {len(found)} benchmark prompts of {tag}, got {n}.")


def _metadata(tag: str, spec: Spec, text: str) -> dict[str, Any]:
    clauses: list[dict[str, Any]] = []
    for group in spec.groups:
        clause: dict[str, Any] = {"class": SHAPES[group.what.shape or 0], "count": group.count}
        if group.what.colour is not None:
            clause["color"] = COLOURS[group.what.colour]
        clauses.append(clause)
    if spec.links:
        clauses[0]["position"] = [_POSITIONS[spec.links[0].value], 0]
        clauses.reverse()
    metadata: dict[str, Any] = {"tag": tag, "include": clauses}
    if tag == "counting":
        metadata["exclude"] = [{"class": c["class"], "count": c["count"] + 1} for c in clauses]
    return metadata | {"prompt": text}


@lru_cache(maxsize=8)
def cases(n_per_tag: int = N_PER_TAG, seed: int = 0) -> tuple[Case, ...]:
    """All prompts with their specs; see `prompts`."""
    check_number("geneval.prompts_per_tag", n_per_tag)
    found: list[Case] = []
    for tag in TAGS:
        for row, spec in enumerate(_specs(tag, n_per_tag, seed)):
            text = wording(spec, seeds.numpy_generator(seed, f"micro/geneval/{tag}/wording", row), "photo")
            meta = _metadata(tag, spec, text)
            found.append(Case(Prompt(id=f"geneval/{len(found):05d}", text=text, category=tag, meta=meta), spec))
    return tuple(found)


def prompts(n_per_tag: int = N_PER_TAG, seed: int = 0) -> list[Prompt]:
    """`6 * n_per_tag` prompts by task, ids `geneval/00000` on; `meta` is the metadata object, category the task.

    Raises:
        ConfigError: `n_per_tag` is not positive.
        DataError: the world has fewer prompts of a task.
    """
    return [case.prompt for case in cases(n_per_tag, seed)]


def data_id(n_per_tag: int = N_PER_TAG, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n_per_tag, seed)`."""
    return build.data_id("geneval", prompts(n_per_tag, seed))
