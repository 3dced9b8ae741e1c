"""A task of lm-eval as a benchmark of a run: values with terms, scores, prompts, and the identity of its data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import ConfigError, DataError
from harness.summary import value_object
from harness.terms import Terms, make_terms
from harness.types import Prompt, SampleKey, Score, Summary

PREFIX = "lm-eval/"
"""Of the benchmark names in the run directory."""
_BOUNDED = frozenset({"acc", "acc_norm", "acc_mutual_info", "exact_match", "em", "f1"})
"""Metrics whose scores lie between 0 and 1; a task's `metadata: {bounded: [...]}` names more."""
_BITS = "bits_per_byte"


@dataclass(slots=True, kw_only=True)
class TaskResult:
    """One lm-eval task as a benchmark of a run."""

    block: dict[str, Any]
    """Its part of summary.json."""
    terms: dict[str, Terms]
    scores: list[Score]
    prompts: list[Prompt]


def lm_eval_version() -> str:
    """The installed version.

    Raises:
        ConfigError: lm-eval is not installed.
    """
    try:
        return importlib.metadata.version("lm-eval")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(
            "lm-eval is not installed; it comes with the extra: pip install -c constraints.txt -e '.[lm-eval]'."
        ) from None


def task_result(name: str, output: dict[str, Any]) -> TaskResult:
    """One task of lm-eval's output as a benchmark: every metric that is a mean over documents gets terms.

    Args:
        name: a task in `output["samples"]`.
        output: what `lm_eval.evaluate(log_samples=True)` returns.

    Raises:
        DataError: a value that terms give differs from lm-eval's own.
    """
    samples, values = output["samples"][name], output["results"][name]
    bounded = _BOUNDED | set((output["configs"][name].get("metadata") or {}).get("bounded", ()))
    higher = output.get("higher_is_better", {}).get(name) or {}
    result = TaskResult(block={}, terms={}, scores=[], prompts=[])
    cells: dict[str, Any] = {}
    for full, value in values.items():
        metric, comma, chosen = full.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        key = metric if chosen == "none" else f"{metric}/{chosen}"
        rows = [s for s in samples if s["filter"] == chosen]
        extra: dict[str, Any] = {} if higher.get(metric, True) else {"higher_is_better": False}
        summary = Summary(
            metric=key, value=_finite(value), n=len(rows), method="none: not a mean over documents", extra=extra
        )
        made = _terms(name, metric, rows, is_bounded=metric in bounded, higher_is_better=higher.get(metric, True))
        if made is not None and _agrees(made, float(value)):
            result.terms[key] = made
            result.scores += [Score(key=_key(name, s), metric=key, value=_number(s[metric])) for s in rows]
            summary = replace(summary, **made.interval())
        elif metric in bounded:
            raise DataError(f"{name}: {metric} is {value} by lm-eval and another number as a mean over its documents.")
        cells[key] = value_object(summary)
    first = {s["doc_id"]: s for s in samples}
    result.block = {
        "judge": f"lm-eval {lm_eval_version()}",
        "judge_prompt": "",
        "data": _data_id(name, output, first),
        "title": f"lm-eval {name}",
        "headline": [*result.terms, *cells][:1],
        "details": [],
        "n_prompts": len(first),
        "n_samples": len(first),
        "n_answers": max(len(result.scores), 1),
        "n_missing": 0,
        "values": cells,
    }
    result.prompts = [Prompt(id=_id(name, s), text=_context(s)) for s in first.values()]
    return result


def _terms(
    name: str, metric: str, rows: Sequence[dict[str, Any]], *, is_bounded: bool, higher_is_better: bool
) -> Terms | None:
    """A mean over documents, or bits over bytes; None for anything else."""
    parts: list[tuple[str, str, float, float]] = []
    for sample in rows:
        value = sample.get(metric)
        if isinstance(value, tuple | list) and metric == _BITS and len(value) == 2:
            parts.append((_id(name, sample), "all", -float(value[0]) / math.log(2), float(value[1])))
        elif isinstance(value, int | float):
            parts.append((_id(name, sample), "all", float(value), 1.0))
    if len(parts) < len(rows) or not all(math.isfinite(p[2]) for p in parts):
        return None
    if is_bounded:
        return make_terms(parts, {"all": 1.0}, higher_is_better=higher_is_better)
    lo = 0.0 if metric == _BITS else -math.inf
    return make_terms([(*p, p[3]) for p in parts], {"all": 1.0}, lo=lo, hi=math.inf, step=1e-6,
                      higher_is_better=higher_is_better)  # fmt: skip


def _agrees(terms: Terms, value: float) -> bool:
    mean = float(terms.num.sum() / terms.den.sum()) if terms.den.sum() else math.nan
    return math.isclose(mean, value, rel_tol=1e-9, abs_tol=1e-9)


def _id(name: str, sample: dict[str, Any]) -> str:
    return f"{name}/{sample['doc_id']:05d}"


def _key(name: str, sample: dict[str, Any]) -> SampleKey:
    return SampleKey(benchmark=PREFIX + name, prompt_id=_id(name, sample))


def _number(value: Any) -> float:
    """A document's score; of bits per byte, which is a pair, the ratio."""
    return float(value) if isinstance(value, int | float) else -value[0] / math.log(2) / value[1]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _context(sample: dict[str, Any]) -> str:
    """The text that the model was given, of the document's first request."""
    arguments = sample["arguments"]
    first = arguments.get("gen_args_0", {}).get("arg_0", "") if isinstance(arguments, dict) else arguments[0][0]
    return str(first)


def _data_id(name: str, output: dict[str, Any], first: dict[int, dict[str, Any]]) -> str:
    """Task, version, examples given, and a hash of the documents and the texts made of them."""
    parts = [f"{s['doc_hash']} {s['prompt_hash']} {s['target_hash']}" for _, s in sorted(first.items())]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    version, shots = output["versions"].get(name), output["n-shot"].get(name, 0)
    return f"{name} v{version}, {shots} examples, {digest}"


def sample_records(name: str, samples: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What lm-eval recorded of each document, as plain JSON values."""
    for s in samples:
        metrics = {m: s.get(m) for m in s["metrics"]}
        record = {
            "benchmark": PREFIX + name,
            "id": _id(name, s),
            "filter": s["filter"],
            "target": s["target"],
            "responses": s["filtered_resps"],
            "metrics": metrics,
        }
        yield json.loads(json.dumps(record, default=str), parse_constant=str)
