"""WISE's micro edition: prompts that name things only indirectly, in WISE's six categories.

"A shape in the colour of grass with three sides" must be worked out before it can be drawn. A prompt uses hints of its
own category only (knowledge of customs, of hours and seasons, of maps and geometry, of living things, of physics, of
chemistry), and every object has its shape, colour or number hidden behind one; what the category has no hint for is
named plainly. Ids are those of the verified protocol, the first of each category's range, because there (and here) the
id decides the category. All categories have the same number of prompts; the official weights are the adapter's matter.
"""

from __future__ import annotations

from functools import lru_cache

from benchmarks.base import check_number
from benchmarks.micro import build
from benchmarks.micro.build import Case
from benchmarks.wise.variants import RANGES
from harness import seeds
from harness.errors import DataError
from harness.types import Prompt
from harness.world.grammar import CATEGORIES, Spec, questions, sample_spec, wording
from harness.world.grammar.indirect import hints_for

N_PER_CATEGORY = 36
"""216 prompts, one image each."""

ID_RANGES = RANGES["verified"]
"""Prompt ids by category."""

MAX_PER_CATEGORY = min(len(ids) for ids in ID_RANGES.values())

_KINDS = ("single", "two", "count", "relation")
_ATTRIBUTES = ("colour", "shape", "number")


def _hinted(spec: Spec, category: str) -> list[set[str]]:
    """For each group, which of its attributes the category has a hint for."""
    return [
        {
            name
            for name, value in zip(_ATTRIBUTES, (g.what.colour, g.what.shape, g.count), strict=True)
            if value is not None and hints_for(name, value, category)
        }
        for g in spec.groups
    ]


def _subcategory(spec: Spec, category: str) -> str:
    """What has to be worked out: `colour and shape`, `number`, ..."""
    found = set[str]().union(*_hinted(spec, category))
    if any(link.kind == "relation" and hints_for("relation", link.value, category) for link in spec.links):
        found.add("relation")
    if spec.background is not None and hints_for("background", spec.background, category):
        found.add("background")
    return " and ".join(name for name in (*_ATTRIBUTES, "relation", "background") if name in found)


def _spec(category: str, row: int, seed: int, seen: set[str]) -> Spec:
    rng = seeds.numpy_generator(seed, f"micro/wise/{category}", row)

    def draw() -> Spec:
        for _ in range(build.N_TRIES):
            spec = sample_spec(rng, _KINDS[row % len(_KINDS)], "bench", forbid=("texture", "negation", "place"))
            if all(_hinted(spec, category)):
                return spec
        raise DataError(f"wise/{category}: no prompt with a hint for every object in {build.N_TRIES} draws.")

    return build.draw_new(draw, seen, where=f"wise/{category} {row}")


def _prompt(category: str, row: int, seed: int, spec: Spec) -> Prompt:
    from harness.world.verifier import QUALITY_QUESTIONS

    number = ID_RANGES[category][row]
    rng = seeds.numpy_generator(seed, f"micro/wise/{category}/wording", row)
    text = wording(spec, rng, "indirect", category=category)
    return Prompt(
        id=f"wise/{number:04d}",
        text=text,
        category=category,
        meta={
            "prompt_id": number,
            "Explanation": wording(spec, rng, "long"),
            "Subcategory": _subcategory(spec, category),
            "facts": [text for text, _ in questions(spec)],
            "quality": list(QUALITY_QUESTIONS.values()),
        },
    )


@lru_cache(maxsize=8)
def cases(n_per_category: int = N_PER_CATEGORY, seed: int = 0) -> tuple[Case, ...]:
    """All prompts with their specs; see `prompts`."""
    check_number("wise.n_per_category", n_per_category, MAX_PER_CATEGORY)
    seen: set[str] = set()
    # Row by row, so that the first rows do not depend on how many follow.
    specs = {(c, row): _spec(c, row, seed, seen) for row in range(n_per_category) for c in CATEGORIES}
    return tuple(
        Case(_prompt(c, row, seed, specs[c, row]), specs[c, row]) for c in CATEGORIES for row in range(n_per_category)
    )


def prompts(n_per_category: int = N_PER_CATEGORY, seed: int = 0) -> list[Prompt]:
    """Prompts by category, ids `wise/0001` on with the first of each category's id range.

    `meta` has `prompt_id`, `Explanation` (the plain wording, never shown to the policy), `Subcategory` (what has to be
    worked out), `facts` (questions whose answer is yes in the right picture, exclusivity last) and `quality`.

    Raises:
        ConfigError: `n_per_category` is not in 1..120.
        DataError: the world has fewer prompts of a category.
    """
    return [case.prompt for case in cases(n_per_category, seed)]


def data_id(n_per_category: int = N_PER_CATEGORY, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n_per_category, seed)`."""
    return build.data_id("wise", prompts(n_per_category, seed))
