"""What the micro editions share: cases (a prompt with the spec behind it), drawing without repetition, data ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import DataError
from harness.types import Prompt
from harness.world.grammar import Spec, canonical

N_TRIES = 1000
"""Draws for one case before the request counts as too large for the world."""


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt and what it asks for."""

    prompt: Prompt
    spec: Spec


def draw_new(draw: Callable[[], Spec], seen: set[str], *, where: str) -> Spec:
    """The first drawn spec whose canonical form is not in `seen`; it is added to `seen`.

    Args:
        draw: gives one random spec per call.
        seen: canonical forms used so far in the benchmark.
        where: names the case in the message.

    Raises:
        DataError: `N_TRIES` draws in a row were known already.
    """
    for _ in range(N_TRIES):
        spec = draw()
        key = canonical(spec)
        if key not in seen:
            seen.add(key)
            return spec
    raise DataError(
        f"{where}: no new prompt in {N_TRIES} draws; the world has hardly more than the {len(seen)} found so far. "
        "Ask for fewer."
    )


def data_id(benchmark: str, prompts: Sequence[Prompt]) -> str:
    """`NAME-micro@WORLD/HASH`: benchmark, world version, and 12 hex digits over ids, texts and metadata."""
    from harness.world.version import world_version

    plain = [[p.id, p.text, p.category, list(p.source_images), p.meta] for p in prompts]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return f"{benchmark}-micro@{world_version()}/{digest[:12]}"
