"""DPG-Bench's micro edition: dense prompts, each with its questions in the form of DPG's question table.

Two to six objects with colours, sizes, textures, relations and a background in several sentences; some prompts repeat
an object, some compare sizes. Questions come from the dependency graph of the spec: `tuple` names category and content
(`attribute - color (circle, red)`), `dependency` the questions that must be true first ("0" for none), and parents
stand before their children. The last question asks that nothing else is there.
"""

from __future__ import annotations

from functools import lru_cache

from benchmarks.base import check_number
from benchmarks.micro import build
from benchmarks.micro.build import Case
from harness import seeds
from harness.types import Prompt
from harness.world.grammar import Spec, question_graph, sample_spec, wording

N_PROMPTS = 160
"""Prompts; four images each make 640 images."""

_Recipe = tuple[str, tuple[str, ...]]
_DENSE: _Recipe = ("dense", ())
_COUNTED: _Recipe = ("three", ("count", "relation", "colour", "size", "texture", "background"))
_COMPARED: _Recipe = ("comparison", ("relation", "colour", "texture", "background"))
_RECIPES: tuple[_Recipe, ...] = (*(_DENSE,) * 4, _COUNTED, *(_DENSE,) * 3, _COUNTED, _COMPARED)
"""Kind and required features of ten prompts in a row."""


def _spec(row: int, seed: int, seen: set[str]) -> Spec:
    kind, require = _RECIPES[row % len(_RECIPES)]
    rng = seeds.numpy_generator(seed, "micro/dpg", row)
    return build.draw_new(
        lambda: sample_spec(rng, kind, "bench", require=require, forbid=("negation", "place")),
        seen,
        where=f"dpg/{row + 1:04d}",
    )


def _prompt(row: int, seed: int, spec: Spec) -> Prompt:
    rng = seeds.numpy_generator(seed, "micro/dpg/wording", row)
    asked = [
        {
            "proposition_id": node.id,
            "dependency": ",".join(str(p) for p in node.parents) or "0",
            "tuple": node.label,
            "question": node.text,
        }
        for node in question_graph(spec)
    ]
    return Prompt(id=f"dpg/{row + 1:04d}", text=wording(spec, rng, "dense"), meta={"questions": asked})


@lru_cache(maxsize=8)
def cases(n: int = N_PROMPTS, seed: int = 0) -> tuple[Case, ...]:
    """All prompts with their specs; see `prompts`."""
    check_number("dpg.n_prompts", n)
    seen: set[str] = set()
    specs = [_spec(row, seed, seen) for row in range(n)]
    return tuple(Case(_prompt(row, seed, spec), spec) for row, spec in enumerate(specs))


def prompts(n: int = N_PROMPTS, seed: int = 0) -> list[Prompt]:
    """`n` dense prompts, ids `dpg/0001` on, without categories (DPG's belong to questions).

    `meta["questions"]`: a list of `proposition_id` (from 1), `dependency`, `tuple`, `question`; the right picture
    answers yes to all of them.

    Raises:
        ConfigError: `n` is not positive.
    """
    return [case.prompt for case in cases(n, seed)]


def data_id(n: int = N_PROMPTS, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n, seed)`."""
    return build.data_id("dpg", prompts(n, seed))
