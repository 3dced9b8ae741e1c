"""The object in `summary.json`, which `eval --json` and `rescore --json` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.terms import Terms
from harness.types import Prompt, Score, Summary


def value_object(summary: Summary) -> dict[str, Any]:
    """One table cell as JSON; absent fields are left out, `value` is always there."""
    cell: dict[str, Any] = {
        "value": summary.value,
        "ci_low": summary.ci_low,
        "ci_high": summary.ci_high,
        "n": summary.n,
        "n_missing": summary.n_missing,
    }
    if summary.printed:
        cell["printed"] = summary.printed
    if summary.method:
        cell["method"] = summary.method
    return {**cell, **summary.extra}


def benchmark_block(
    benchmark: Any,
    prompts: Mapping[str, Prompt],
    scores: Sequence[Score],
    *,
    judge: str,
    terms: dict[str, Terms] | None = None,
    data: str | None = None,
    notes: Sequence[str] = (),
    report: Mapping[str, Any] | None = None,
    headline: Sequence[str] = (),
) -> dict[str, Any]:
    """One benchmark's part of the summary.

    Args:
        benchmark: makes the table from `prompts` and `scores`.
        judge: fingerprint or, for imported results, what the source says.
        terms: takes the terms of every value that has some, by metric.
        data: None takes the benchmark's own `data_id`.
        notes: for people.
        report: figures of completeness of imported results.
        headline: keys shown first; empty takes the benchmark's.
    """
    missing = [s for s in scores if s.value is None]
    summaries = benchmark.aggregate(prompts, scores)
    if terms is not None:
        terms.update({s.metric: s.terms for s in summaries if s.terms is not None})
    block: dict[str, Any] = {
        "judge": judge,
        "judge_prompt": judge_prompt(benchmark, data),
        "data": data or benchmark.data_id,
        "title": benchmark.title,
        "headline": list(headline or benchmark.headline),
        "details": list(benchmark.details),
        "n_prompts": len(prompts),
        "n_samples": len({s.key for s in scores}),
        "n_answers": len(scores),
        "n_missing": len(missing),
        "values": {s.metric: value_object(s) for s in summaries},
    }
    if missing:
        block["missing_reasons"] = _counted(s.reason for s in missing)
    if notes:
        block["notes"] = list(notes)
    if report:
        block["report"] = dict(report)
    return block


def judge_prompt(benchmark: Any, imported_data: str | None) -> str:
    """The wording of this run's judge; unknown (empty) for imported results and for the micro judge, which has none."""
    return str(benchmark.judge_prompt) if imported_data is None and benchmark.profile != "micro" else ""


def _counted(reasons: Any, *, most: int = 10) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])


def summary_object(
    run: str, profile: str, protocol: str, model: str, blocks: dict[str, Any], max_missing: float
) -> dict[str, Any]:
    """The whole summary; complete when no benchmark misses more than `max_missing` of its answers."""
    complete = all(b["n_answers"] and b["n_missing"] <= max_missing * b["n_answers"] for b in blocks.values())
    return {
        "run": run,
        "model": model,
        "profile": profile,
        "protocol": protocol,
        "complete": complete and bool(blocks),
        "benchmarks": blocks,
    }
