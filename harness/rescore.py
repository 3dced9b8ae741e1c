"""Scores from recorded judgements: a run directory's own, or an upstream result file. No model, no judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.errors import DataError
from harness.evalconfig import EvalConfig
from harness.evaluate import make_benchmark
from harness.models.stored import run_manifest
from harness.plan import checked_prompts
from harness.store import RunDirectory
from harness.summary import benchmark_block, summary_object
from harness.terms import Terms
from harness.types import Judgement, Protocol, SampleKey, Score


def is_run_directory(source: Path) -> bool:
    """Whether `source` is a run directory of this project."""
    return (source / "generations.jsonl").is_file() and (source / "manifest.json").is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """A run directory with what its benchmarks gave."""

    config: EvalConfig
    model: str
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    terms: dict[str, dict[str, Terms]] = field(default_factory=dict)


def rescore_run(source: Path, names: list[str], protocol: Protocol | None, max_missing: float) -> dict[str, Any]:
    """The summary of a run directory, computed anew from its judgements; writes nothing.

    Args:
        source: the run directory.
        names: benchmarks; empty takes all that the run holds.
        protocol: None takes the run's own.
        max_missing: as in `EvalConfig`.

    Raises:
        DataError: the run lacks a benchmark, or was made with other prompts than this version has.
    """
    run = _recorded(source, names, protocol)
    return summary_object(str(source), run.config.profile, run.config.protocol, run.model, run.blocks, max_missing)


def terms_of_run(
    path: Path, names: Sequence[str] | None = None, protocol: Protocol | None = None
) -> dict[str, dict[str, Terms]]:
    """The terms of a run directory by benchmark and metric, computed anew from its judgements; writes nothing.

    For runs without `terms.json`, and for the other protocol. Values that have no terms are left out.

    Args:
        path: the run directory.
        names: benchmarks; None or empty takes all that the run holds.
        protocol: None takes the run's own.

    Raises:
        DataError: see `rescore_run`.
    """
    return _recorded(path, names or (), protocol).terms


def _recorded(source: Path, names: Sequence[str], protocol: Protocol | None) -> _Recorded:
    manifest = run_manifest(source)
    config = configs.build(EvalConfig, manifest["config"], where=str(source / "manifest.json"))
    config = replace(config, protocol=protocol or config.protocol)
    found = _Recorded(config=config, model=manifest["identity"]["model"])
    run = RunDirectory(source)
    generations = run.load_generations()
    judgements = run.load_judgements()
    for name in names or list(manifest["data"]):
        if name not in manifest["data"]:
            raise DataError(f"{source} holds no results of {name!r}; it holds {', '.join(manifest['data'])}.")
        recorded = manifest["data"][name]
        benchmark = make_benchmark(name, config)
        if benchmark.data_id != recorded["id"]:
            raise DataError(
                f"{source}: {name} was judged on {recorded['id']}, this version has {benchmark.data_id}. "
                "Scores of different prompts do not mix; use the version that made the run."
            )
        prompts = {p.id: p for p in checked_prompts(benchmark, config.limit)}
        by_sample: dict[SampleKey, list[Judgement]] = {}
        for judgement in judgements.values():
            if judgement.judge == recorded["judge"]:
                by_sample.setdefault(judgement.key, []).append(judgement)
        scores: list[Score] = []
        for generation in generations.values():
            key = generation.key
            if key.benchmark == name and key.round == 0 and key.prompt_id in prompts:
                scores += benchmark.score(prompts[key.prompt_id], generation, by_sample.get(key, []))
        terms = found.terms.setdefault(name, {})
        found.blocks[name] = benchmark_block(benchmark, prompts, scores, judge=recorded["judge"], terms=terms)
    return found


def rescore_source(
    source: Path, name: str, protocol: Protocol, max_missing: float, options: dict[str, Any], data_dir: str | None
) -> dict[str, Any]:
    """The summary (or `{"models": {NAME: summary}}`) of an upstream result folder, file or archive.

    Raises:
        DataError: not a format of the benchmark, or damaged (file, line, field).
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder.")
    config = EvalConfig(profile="official", protocol=protocol, options={name: options}, data_dir=data_dir)
    benchmark = make_benchmark(name, config)
    summaries = {}
    for model, imported in benchmark.import_results(source).items():
        block = imported_block(benchmark, imported)
        summaries[model] = summary_object(str(source), "official", protocol, model, {name: block}, max_missing)
    if not summaries:
        raise DataError(f"{source}: holds no results of {name}.")
    return next(iter(summaries.values())) if len(summaries) == 1 else {"models": summaries}


def imported_block(benchmark: Any, imported: Any) -> dict[str, Any]:
    """The `summary.json` block of one model's recorded results, as `Benchmark.import_results` gives them."""
    return benchmark_block(
        benchmark,
        imported.prompts,
        imported.scores,
        judge=imported.judge,
        data=imported.data,
        notes=imported.notes,
        report=imported.report,
    )
