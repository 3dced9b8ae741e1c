"""Scores from recorded judgements: a run directory's own, or an upstream result file. No model, no judge.

What they give can be written as run directories without images, which `report` and `check` take like any other: so
published results are compared with one's own, prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.derived import write_derived
from harness.errors import DataError, StoreError
from harness.evalconfig import EvalConfig
from harness.evaluate import make_benchmark
from harness.manifest import Manifest
from harness.models.stored import run_manifest
from harness.plan import checked_prompts
from harness.store import RunDirectory
from harness.summary import benchmark_block, summary_object
from harness.terms import Terms
from harness.types import Judgement, Prompt, Protocol, SampleKey, Score


def is_run_directory(source: Path) -> bool:
    """Whether `source` is a run directory of this project."""
    return (source / "generations.jsonl").is_file() and (source / "manifest.json").is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """One model's results, computed anew."""

    summary: dict[str, Any]
    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    """By benchmark."""
    scores: list[Score] = field(default_factory=list)
    terms: dict[str, dict[str, Terms]] = field(default_factory=dict)
    """By benchmark and metric; values that are not made of prompts' parts have none."""


def rescore_run(source: Path, names: Sequence[str], protocol: Protocol | None, max_missing: float) -> Rescored:
    """The results of a run directory, computed anew from its judgements.

    Args:
        source: the run directory.
        names: benchmarks; empty takes all that the run holds.
        protocol: None takes the run's own.
        max_missing: as in `EvalConfig`.

    Raises:
        DataError: the run lacks a benchmark, or was made with other prompts than this version has.
    """
    manifest = run_manifest(source)
    config = configs.build(EvalConfig, manifest["config"], where=str(source / "manifest.json"))
    config = replace(config, protocol=protocol or config.protocol)
    found, blocks = Rescored(summary={}), {}
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
        blocks[name] = benchmark_block(benchmark, prompts, scores, judge=recorded["judge"], terms=terms)
        found.prompts[name] = list(prompts.values())
        found.scores.extend(scores)
    model = manifest["identity"]["model"]
    summary = summary_object(str(source), config.profile, config.protocol, model, blocks, max_missing)
    return replace(found, summary=summary)


def rescore_source(
    source: Path, name: str, protocol: Protocol, max_missing: float, options: dict[str, Any], data_dir: str | None
) -> dict[str, Rescored]:
    """The results of every model of an upstream result folder, file or archive.

    Raises:
        DataError: not a format of the benchmark, or damaged (file, line, field).
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder.")
    config = EvalConfig(profile="official", protocol=protocol, options={name: options}, data_dir=data_dir)
    benchmark = make_benchmark(name, config)
    found = {}
    for model, imported in benchmark.import_results(source).items():
        terms: dict[str, Terms] = {}
        block = imported_block(benchmark, imported, terms)
        found[model] = Rescored(
            summary=summary_object(str(source), "official", protocol, model, {name: block}, max_missing),
            prompts={name: list(imported.prompts.values())},
            scores=imported.scores,
            terms={name: terms},
        )
    if not found:
        raise DataError(f"{source}: holds no results of {name}.")
    return found


def imported_block(benchmark: Any, imported: Any, terms: dict[str, Terms] | None = None) -> dict[str, Any]:
    """The `summary.json` block of one model's recorded results, as `Benchmark.import_results` gives them.

    Args:
        benchmark: which scores them.
        imported: of one model.
        terms: takes each value's terms by metric.
    """
    return benchmark_block(
        benchmark,
        imported.prompts,
        imported.scores,
        judge=imported.judge,
        terms=terms,
        data=imported.data,
        notes=imported.notes,
        report=imported.report,
        headline=imported.headline,
    )


def write_rescored(source: Path, found: Mapping[str, Rescored], out: Path) -> list[Path]:
    """Writes run directories without images: `out` itself for one model, `out/MODEL` for several.

    Raises:
        StoreError: a directory holds something else; names of two models give the same folder.
    """
    folders = {m: out if len(found) == 1 else out / _folder(m) for m in found}
    if len(set(folders.values())) < len(folders):
        twice = next(m for m in found if list(folders.values()).count(folders[m]) > 1)
        raise StoreError(f"{source}: several models would be written to {folders[twice]}; rescore them one by one.")
    for model, result in found.items():
        summary = result.summary
        identity = {"kind": "rescored", "model": summary["model"], "source": str(source.resolve()),
                    "profile": summary["profile"], "protocol": summary["protocol"]}  # fmt: skip
        with RunDirectory(folders[model], writable=True) as run:
            manifest = Manifest(run, identity, {})
            manifest.data["data"] = {
                name: {"id": block["data"], "judge": block["judge"], "n_prompts": block["n_prompts"]}
                for name, block in summary["benchmarks"].items()
            }
            write_derived(
                run,
                {**summary, "run": str(folders[model])},
                prompts=result.prompts,
                scores=result.scores,
                terms=result.terms,
            )
            manifest.update(status="complete" if summary["complete"] else "incomplete")
    return list(folders.values())


def _folder(model: str) -> str:
    """A model's name, which comes from the source, as one harmless folder name."""
    kept = "".join(c if c.isalnum() or c in "._+-" else "-" for c in model).strip("-.")
    return kept or "model"
