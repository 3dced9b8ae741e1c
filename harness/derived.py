"""The files of a run directory that follow from its records: what `report` and `check` read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.store import RunDirectory
from harness.terms import Terms
from harness.terms import to_json as terms_to_json
from harness.types import Prompt, Score


def write_derived(
    run: RunDirectory,
    summary: Mapping[str, Any],
    *,
    prompts: Mapping[str, Iterable[Prompt]],
    scores: Sequence[Score],
    terms: Mapping[str, Mapping[str, Terms]],
) -> None:
    """Writes `scores.jsonl`, `prompts.jsonl`, `terms.json` and, last, `summary.json`, whose presence says complete.

    Args:
        run: open for writing.
        summary: see `harness.summary`.
        prompts: by benchmark; a reader sees their text, what the judge knows of them stays with the benchmark.
        scores: of all benchmarks.
        terms: by benchmark and metric.
    """
    run.write_records("scores.jsonl", scores)
    run.write_records("prompts.jsonl", [_shown(name, p) for name, own in prompts.items() for p in own])
    run.write_json("terms.json", {name: terms_to_json(own) for name, own in terms.items()})
    run.write_json("summary.json", summary)


def _shown(benchmark: str, p: Prompt) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "id": p.id,
        "text": p.text,
        "category": p.category,
        "source_images": p.source_images,
    }
