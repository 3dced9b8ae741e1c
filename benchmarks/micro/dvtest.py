"""The micro edition of DVReward's test prompts: benchmark-split prompts with exact questions, in three difficulties.

As in the published test set easy, medium and hard prompts stand 3:5:2; here difficulty is the number of semantic
questions (`harness.decompose.micro`). Wordings come in turn (short, photo, long, dense, indirect), kinds by their
shares, and no two prompts ask for the same thing.
"""

from __future__ import annotations

from functools import lru_cache

from benchmarks.base import check_number
from benchmarks.micro import build
from benchmarks.micro.build import Case
from harness import seeds
from harness.decompose.micro import Difficulty, difficulty_of, draw_spec, make_prompt
from harness.types import Prompt
from harness.world.grammar import STYLES, Spec, wording

N_PROMPTS = 400
"""Prompts of the edition: 120 easy, 200 medium, 80 hard."""

MIX: tuple[Difficulty, ...] = (*("easy",) * 3, *("medium",) * 5, *("hard",) * 2)
"""Difficulties of ten prompts in a row, in an order drawn for each ten: every tenth prompt is a fair sample too."""


def _spec(row: int, seed: int, seen: set[str]) -> Spec:
    rng = seeds.numpy_generator(seed, "micro/dvtest", row)
    block, place = divmod(row, len(MIX))
    wanted = MIX[seeds.numpy_generator(seed, "micro/dvtest/order", block).permutation(len(MIX))[place]]

    def draw() -> Spec:
        while True:
            spec = draw_spec(rng, None, "bench")
            if difficulty_of(spec) == wanted:
                return spec

    return build.draw_new(draw, seen, where=f"dvtest/{row:04d}")


def _prompt(row: int, seed: int, spec: Spec) -> Prompt:
    rng = seeds.numpy_generator(seed, "micro/dvtest/wording", row)
    # Shifted by one every ten rows, so that every tenth prompt meets every wording.
    style = STYLES[(row + row // len(MIX)) % len(STYLES)]
    return make_prompt(f"dvtest/{row:04d}", spec, wording(spec, rng, style), style)


@lru_cache(maxsize=8)
def cases(n: int = N_PROMPTS, seed: int = 0) -> tuple[Case, ...]:
    """All prompts with their specs; see `prompts`."""
    check_number("dvtest.n_prompts", n)
    seen: set[str] = set()
    specs = [_spec(row, seed, seen) for row in range(n)]
    return tuple(Case(_prompt(row, seed, spec), spec) for row, spec in enumerate(specs))


def prompts(n: int = N_PROMPTS, seed: int = 0) -> list[Prompt]:
    """`n` prompts, ids `dvtest/0000` on, category the difficulty; the first rows do not depend on `n`.

    `meta`: `semantic_questions`, `quality_questions` (published record format), `kind`, `style`, `difficulty`.

    Raises:
        ConfigError: `n` is not positive.
    """
    return [case.prompt for case in cases(n, seed)]


def data_id(n: int = N_PROMPTS, seed: int = 0) -> str:
    """Name, world version and hash of `prompts(n, seed)`."""
    return build.data_id("dvtest", prompts(n, seed))
