"""Makes the data of the shipped tasks from the micro world's grammar: `python -m harness.lmeval.build`.

Every row is a prompt of the benchmark split with a plan that fulfils it, three plans of as many words that each
contradict it in one fact, and, where the prompt decides a word of the plan, that word's place and its alternatives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness import seeds
from harness.world.grammar import STYLES, Spec, corrupt, sample_spec, satisfies, wording
from harness.world.grammar.layout import try_layout
from harness.world.plan import CELL_WORDS, plan_words, scene_from_plan
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES
from harness.world.version import world_version

FILE = Path(__file__).parent / "tasks" / "plans.json"
N_ROWS, SEED, N_WRONG = 400, 11, 3


def rows(n: int = N_ROWS, seed: int = SEED) -> list[dict[str, Any]]:
    """`n` rows with different prompts; the same arguments and world make the same rows."""
    rng = seeds.numpy_generator(seed, "language-tasks")
    found: dict[str, dict[str, Any]] = {}
    while len(found) < n:
        row = _row(rng, STYLES[len(found) % len(STYLES)])
        if row is not None:
            found.setdefault(row["prompt"], row)
    return [{"id": f"plan-{i:03d}", **row} for i, row in enumerate(found.values())]


def _row(rng: np.random.Generator, style: Any) -> dict[str, Any] | None:
    spec = sample_spec(rng, split="bench")
    scene = try_layout(rng, spec)
    if scene is None or not scene.objects:
        return None
    words = plan_words(scene)
    wrong: dict[str, None] = {}
    for _ in range(40):
        other = plan_words(corrupt(rng, scene, spec)[0])
        if len(other) == len(words):  # a sum of log-probabilities prefers short plans, right or wrong
            wrong[" ".join(other)] = None
        if len(wrong) == N_WRONG:
            break
    if len(wrong) < N_WRONG:
        return None
    choices = [" ".join(words), *wrong]
    order = rng.permutation(len(choices))
    return {
        "prompt": wording(spec, rng, style),
        "kind": spec.kind,
        "style": style,
        "spec": msgspec.json.encode(spec).decode(),
        "plans": [choices[i] for i in order],
        "answer": int(np.flatnonzero(order == 0)[0]),
        **_cloze(rng, spec, words),
    }


def _cloze(rng: np.random.Generator, spec: Spec, words: list[str]) -> dict[str, Any]:
    """A word that prompt and begun plan decide: after each alternative no completion of the plan fulfils the prompt.

    It is the background or stands in the last object; before, another order of the objects might be meant.
    """
    last = max(i for i, w in enumerate(words) if w in (":", ",")) + 1
    decided = [(0, BACKGROUNDS)] if _is_decided(spec, words, 0, BACKGROUNDS, [words[1:]]) else []
    for i, word in enumerate(words[last:-2], last):
        others = next((a for a in (SIZES, COLOURS, SHAPES) if word in a), ())
        if others and _is_decided(spec, words, i, others, list(_endings(others))):
            decided.append((i, others))
    if not decided:
        return {"begun": "", "words": [], "word": -1}
    at, others = decided[int(rng.integers(len(decided)))]
    return {"begun": " ".join(words[:at]), "words": list(others), "word": others.index(words[at])}


def _is_decided(spec: Spec, words: list[str], at: int, others: Sequence[str], endings: Sequence[Sequence[str]]) -> bool:
    plans = ([*words[:at], other, *ending] for other in others if other != words[at] for ending in endings)
    scenes = (scene_from_plan(plan) for plan in plans)
    return not any(scene is not None and satisfies(scene, spec) for scene in scenes)


def _endings(slot: Sequence[str]) -> Iterator[list[str]]:
    """Every way in which the plan's last object may go on after a word of `slot`."""
    textures: list[list[str]] = [[], ["striped"]] if slot is SIZES else [[]]
    colours = [[c] for c in COLOURS] if slot is SIZES else [[]]
    shapes = [[s] for s in SHAPES] if slot is not SHAPES else [[]]
    for texture, colour, shape, cell in product(textures, colours, shapes, CELL_WORDS):
        yield [*texture, *colour, *shape, cell, "."]


def write() -> Path:
    """Writes the shipped file and returns its path."""
    body = ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in rows())
    FILE.write_text(f'{{"world":"{world_version()}","rows":[\n{body}\n]}}\n', encoding="utf-8")
    return FILE


if __name__ == "__main__":
    print(write())
