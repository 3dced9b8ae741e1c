"""TIIF's micro edition: the types of the taxonomy that the world can show, each case in a short and a long wording.

24 of the 39 types: all of attribute, the two-dimensional relations, and the four kinds of reasoning with them. Left
out are types that need depth, actions, written text, styles or real-world scenes. `numeracy` counts, `negation` names
what must be absent, `differentiation` asks for objects of one kind with equal or different colours or sizes,
`comparison` compares sizes or numbers. Each question list ends with the exclusivity question (nothing beyond the prompt
may appear); the questions about what must be absent expect "no", about one in twenty, as upstream.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from benchmarks.base import check_number
from benchmarks.micro import build
from benchmarks.micro.build import Case
from harness import seeds
from harness.types import Prompt
from harness.world.grammar import Spec, questions, sample_spec, wording
from harness.world.grammar.wording import Style

N_PER_TYPE = 8
"""Cases per type, as most types of testmini; 24 types x 8 cases x 2 wordings make 384 images."""

LENGTHS: tuple[Style, ...] = ("short", "long")


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How to draw specs of a type: kinds taken in turn, features that must and that must not be there."""

    kinds: tuple[str, ...]
    require: frozenset[str]
    forbid: frozenset[str]


def _recipe(kinds: str, require: str = "", allow: str = "") -> _Recipe:
    """A recipe that forbids every feature which it neither requires nor allows; backgrounds are always allowed."""
    wanted = frozenset(require.split())
    free = {"background", *allow.split(), *kinds.split()}
    features = {"colour", "size", "texture", "relation", "count", "negation", "place"}
    return _Recipe(tuple(kinds.split()), wanted, frozenset(features - wanted - free))


RECIPES: dict[str, _Recipe] = {
    "shape+color": _recipe("two three", "colour"),
    "color+texture": _recipe("two", "colour texture"),
    "texture+color": _recipe("three", "colour texture"),
    "shape+texture": _recipe("two three", "texture"),
    "2d_spatial_relation": _recipe("relation"),
    "numeracy": _recipe("count"),
    "negation": _recipe("negation"),
    "differentiation": _recipe("differentiation", allow="colour"),
    "comparison": _recipe("comparison number"),
    "color+2d": _recipe("relation three", "colour relation"),
    "shape+2d": _recipe("three", "relation"),
    "texture+2d": _recipe("relation", "texture"),
    "numeracy+color": _recipe("count", "colour"),
    "numeracy+texture": _recipe("count", "texture"),
    "comparison+color": _recipe("comparison number", "colour"),
    "comparison+texture": _recipe("comparison", "texture"),
    "differentiation+color": _recipe("differentiation"),
    "differentiation+texture": _recipe("differentiation", "texture", allow="colour"),
    "negation+color": _recipe("negation", "colour"),
    "negation+texture": _recipe("negation", "texture"),
    "numeracy+2d": _recipe("count", "relation"),
    "comparison+2d": _recipe("comparison", "relation"),
    "differentiation+2d": _recipe("differentiation", "relation", allow="colour"),
    "negation+2d": _recipe("negation", "relation"),
}
"""Type -> recipe, in the order of the official report."""

TYPES: tuple[str, ...] = tuple(RECIPES)


def _spec(type_: str, row: int, seed: int, seen: set[str]) -> Spec:
    recipe = RECIPES[type_]
    kind = recipe.kinds[row % len(recipe.kinds)]
    rng = seeds.numpy_generator(seed, f"micro/tiif/{type_}", row)
    return build.draw_new(
        lambda: sample_spec(rng, kind, "bench", require=recipe.require, forbid=recipe.forbid),
        seen,
        where=f"tiif/{type_}/{row:04d}",
    )


def _prompt(type_: str, row: int, seed: int, spec: Spec, length: Style) -> Prompt:
    rng = seeds.numpy_generator(seed, f"micro/tiif/{type_}/{length}", row)
    asked = questions(spec, negated=True)
    return Prompt(
        id=f"tiif/{type_}/{row:04d}/{length}",
        text=wording(spec, rng, length),
        category=type_,
        meta={
            "type": type_,
            "length": length,
            "row": row,
            "questions": [text for text, _ in asked],
            "answers": [expected for _, expected in asked],
        },
    )


@lru_cache(maxsize=8)
def cases(n_per_type: int = N_PER_TYPE, seed: int = 0) -> tuple[Case, ...]:
    """All prompts with their specs; see `prompts`."""
    check_number("tiif.n_per_type", n_per_type)
    seen: set[str] = set()
    # Row by row, so that the first rows do not depend on how many follow.
    specs = {(t, row): _spec(t, row, seed, seen) for row in range(n_per_type) for t in TYPES}
    return tuple(
        Case(_prompt(t, row, seed, specs[t, row], length), specs[t, row])
        for length in LENGTHS
        for t in TYPES
        for row in range(n_per_type)
    )


def prompts(n_per_type: int = N_PER_TYPE, seed: int = 0) -> list[Prompt]:
    """All short prompts, then all long ones, by type and row; ids `tiif/TYPE/ROW/LENGTH`, category the type.

    `meta` has `type`, `length`, `row`, `questions` (texts of the world's grammar) and `answers` ("yes" or "no").

    Raises:
        ConfigError: `n_per_type` is not positive.
        DataError: the world has fewer prompts of a type.
    """
    return [case.prompt for case in cases(n_per_type, seed)]


def data_id(n_per_type: int = N_PER_TYPE, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n_per_type, seed)`."""
    return build.data_id("tiif", prompts(n_per_type, seed))
