"""One evaluation: a policy on several benchmarks, into one run directory, ending in `summary.json`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.derived import write_derived
from harness.errors import ConfigError, HarnessError, unknown_name
from harness.evalconfig import EvalConfig, config_hash
from harness.judges.base import Judge
from harness.judging import JudgementBook
from harness.manifest import Manifest
from harness.models.base import Policy
from harness.models.images import ImageFolder
from harness.models.load import load_policy, short_name
from harness.plan import Job, checked_prompts, jobs_of
from harness.progress import Progress
from harness.refinement.gates import check_refinable, choose
from harness.registry import BENCHMARKS, JUDGES
from harness.runner import BenchmarkPass
from harness.store import RunDirectory
from harness.summary import benchmark_block, summary_object
from harness.terms import Terms
from harness.types import Generation, Prompt, Score

DEFAULT_DATA_DIR = Path("~/.cache/ummbench/data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One benchmark of an evaluation, ready to run."""

    benchmark: Any
    judge_spec: str
    prompts: list[Prompt]
    jobs: list[Job]


@dataclass(slots=True, kw_only=True)
class Result:
    """A finished (or incomplete) evaluation."""

    path: Path
    summary: dict[str, Any]
    complete: bool
    n_generated: int = 0
    n_asked: int = 0
    scores: dict[str, list[Score]] = field(default_factory=dict)
    generations: dict[str, dict[str, Generation]] = field(default_factory=dict)
    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    benchmarks: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, dict[str, Terms]] = field(default_factory=dict)
    """By benchmark and metric."""


def make_benchmark(name: str, config: EvalConfig) -> Any:
    """The benchmark `name` in the configured edition.

    Raises:
        ConfigError: unknown name, option or option value.
    """
    cls = BENCHMARKS.get(name)
    options = configs.build(cls.options_type, config.options.get(name, {}), where=f"options of {name}")
    data_dir = Path(config.data_dir) if config.data_dir else DEFAULT_DATA_DIR
    return cls(profile=config.profile, protocol=config.protocol, options=options, data_dir=data_dir.expanduser())


def with_arguments(config: EvalConfig) -> EvalConfig:
    """`config` with benchmarks of the form `NAME:ARGUMENT` (`reward:dvreward,scoring=binary`) as NAME and its options.

    Raises:
        ConfigError: the benchmark takes no argument, or is named with different ones.
    """
    names: list[str] = []
    options = dict(config.options)
    given: dict[str, str] = {}
    for text in config.benchmarks:
        name, colon, argument = text.partition(":")
        if colon:
            parse = getattr(BENCHMARKS.get(name), "parse_argument", None)
            if parse is None:
                raise ConfigError(f"Benchmark {name!r} takes no argument ({text!r}); use --set {name}.OPTION=VALUE.")
            if given.setdefault(name, argument) != argument:
                raise ConfigError(
                    f"-b names {name}:{given[name]} and {text}, and a run holds one of them. Evaluate the first, then "
                    f"judge its images again with --from RUN -b {text}."
                )
            options[name] = {**options.get(name, {}), **parse(argument)}
        names.append(name)
    return replace(config, benchmarks=names, options=options)


def make_judge(spec: str) -> Judge:
    """The judge `NAME` or `NAME:ARGUMENT`."""
    name, _, argument = spec.partition(":")
    judge: Judge = JUDGES.get(name)(argument)
    return judge


def judge_spec_of(benchmark: Any, config: EvalConfig) -> str:
    """The judge to use: the configured one, else the benchmark's own for the profile.

    Raises:
        ConfigError: the benchmark has none for this profile.
    """
    spec = config.judge or benchmark.default_judge.get(config.profile)
    if spec is None:
        raise ConfigError(
            f"{benchmark.name}: the {config.profile} edition has no default judge; name one with --judge. "
            f"Known: {', '.join(JUDGES.names())}."
        )
    if config.judge is None and str(spec).partition(":")[0] not in JUDGES.names():
        raise ConfigError(
            f"{benchmark.name}: the judge of its {config.profile} edition, {spec!r}, is not part of this version. Name "
            f"another one with --judge (known: {', '.join(JUDGES.names())}), or compute scores from recorded results "
            "with `run.py rescore`."
        )
    return str(spec)


def check_names(config: EvalConfig) -> None:
    """Looks every name and option up, so that a typing mistake is told before a model is loaded.

    Raises:
        ConfigError: an unknown benchmark, option or judge.
    """
    for name in config.benchmarks or default_benchmarks(config):
        JUDGES.get(judge_spec_of(make_benchmark(name, config), config).partition(":")[0])
    if config.gate_judge is not None:
        JUDGES.get(config.gate_judge.partition(":")[0])
    unused = sorted(set(config.options) - set(BENCHMARKS.names()))
    if unused:
        raise unknown_name("benchmark in options", unused[0], BENCHMARKS.names())


def plan_stages(config: EvalConfig, policy: Policy) -> list[Stage]:
    """Every benchmark's samples; nothing is generated yet.

    Raises:
        ConfigError, DataError: a benchmark cannot be run as configured.
    """
    stages = []
    for name in dict.fromkeys(config.benchmarks or default_benchmarks(config)):
        benchmark = make_benchmark(name, config)
        spec = judge_spec_of(benchmark, config)
        if benchmark.mode == "edit" and "edit" not in policy.capabilities:
            raise ConfigError(
                f"{name} asks for image editing, which model {policy.name!r} cannot do. Choose benchmarks with -b."
            )
        if config.reflect is not None:
            check_refinable(config, policy, benchmark)
            choose(config, policy, benchmark, spec)
        prompts = checked_prompts(benchmark, config.limit)
        jobs = jobs_of(
            benchmark,
            prompts,
            policy,
            gen_seeds=config.seeds,
            samples_per_prompt=config.samples_per_prompt or benchmark.samples_per_prompt,
            params=config.generation,
        )
        stages.append(Stage(benchmark=benchmark, judge_spec=spec, prompts=prompts, jobs=jobs))
    return stages


def default_benchmarks(config: EvalConfig) -> list[str]:
    """All benchmarks that have an edition (and a default judge) for the configured profile."""
    names = [n for n in BENCHMARKS.names() if config.profile in BENCHMARKS.get(n).default_judge]
    if not names:
        raise ConfigError(
            f"No benchmark runs by default with profile {config.profile!r}; name benchmarks and a judge (-b, --judge)."
        )
    return names


def run_directory(config: EvalConfig, spec: str, policy: Policy, *, several: bool) -> Path:
    """Where the evaluation of one model goes."""
    name = f"{short_name(spec)}-{config_hash(config.identity(spec, policy.fingerprint))}"
    if config.out is None:
        return Path("runs") / name
    return Path(config.out) / name if several else Path(config.out)


def evaluate(config: EvalConfig, spec: str, progress: Progress, *, several: bool = False) -> Result:
    """Evaluates one model; repeating the call resumes.

    Raises:
        HarnessError: with everything finished so far stored.
        KeyboardInterrupt: likewise.
    """
    config = with_arguments(config)
    check_names(config)
    policy = load_policy(spec, device=_device(config.device))
    try:
        path = run_directory(config, spec, policy, several=several)
        return evaluate_policy(config, spec, policy, path, progress)
    finally:
        policy.close()


def evaluate_policy(config: EvalConfig, spec: str, policy: Policy, path: Path, progress: Progress) -> Result:
    """Evaluates a policy that is loaded already, into the run directory `path`; it stays open.

    Raises:
        HarnessError: with everything finished so far stored.
        KeyboardInterrupt: likewise.
    """
    with _threads(config):
        stages = plan_stages(config, policy)
        with RunDirectory(path, writable=True) as run:
            return _run_stages(config, spec, policy, stages, run, progress)


def _run_stages(
    config: EvalConfig, spec: str, policy: Policy, stages: Sequence[Stage], run: RunDirectory, progress: Progress
) -> Result:
    manifest = Manifest(run, config.identity(spec, policy.fingerprint), configs.to_plain(config))
    manifest.update()
    run.log("start", benchmarks=[s.benchmark.name for s in stages])
    for log in (run.generations, run.judgements):
        if log.dropped_bytes:
            run.log("torn_tail_dropped", file=log.path.name, bytes=log.dropped_bytes)
    result = Result(path=run.path, summary={}, complete=True)
    blocks: dict[str, Any] = {}
    try:
        known, book = run.load_generations(), JudgementBook(run.load_judgements())
        for stage in stages:
            blocks[stage.benchmark.name] = _run_stage(
                config, stage, policy, run, manifest, known, book, progress, result
            )
    except KeyboardInterrupt:
        manifest.update(status="interrupted")
        run.log("interrupted")
        raise
    except HarnessError as error:
        with contextlib.suppress(HarnessError):
            manifest.update(status="failed", error=str(error))
        raise
    result.summary = summary_object(str(run.path), config.profile, config.protocol, spec, blocks, config.max_missing)
    result.complete = result.summary["complete"]
    scores = [s for own in result.scores.values() for s in own]
    write_derived(run, result.summary, prompts=result.prompts, scores=scores, terms=result.terms)
    manifest.update(status="complete" if result.complete else "incomplete")
    run.log("end", generated=result.n_generated, asked=result.n_asked, complete=result.complete)
    return result


def _run_stage(
    config: EvalConfig,
    stage: Stage,
    policy: Policy,
    run: RunDirectory,
    manifest: Manifest,
    known: dict[str, Generation],
    book: JudgementBook,
    progress: Progress,
    result: Result,
) -> dict[str, Any]:
    benchmark = stage.benchmark
    by_id = {p.id: p for p in stage.prompts}
    if isinstance(policy, ImageFolder):
        policy.use_finder(lambda prompt_id, index: benchmark.find_image(policy.root, by_id[prompt_id], index))
    judge = make_judge(stage.judge_spec)
    try:
        data = {"id": benchmark.data_id, "judge": judge.fingerprint, "n_prompts": len(stage.prompts)}
        manifest.data["data"][benchmark.name] = data
        manifest.update()
        done = BenchmarkPass(
            run=run,
            benchmark=benchmark,
            policy=policy,
            judge=judge,
            jobs=stage.jobs,
            known_generations=known,
            book=book,
            progress=progress,
            batch_size=config.batch_size,
        ).execute()
        terms: dict[str, Terms] = {}
        block = benchmark_block(benchmark, by_id, done.scores, judge=judge.fingerprint, terms=terms)
        if config.reflect is not None:
            from harness.refinement.running import refine

            refined = refine(
                config,
                benchmark=benchmark,
                judge_spec=stage.judge_spec,
                judge=judge,
                make_judge=make_judge,
                prompts=by_id,
                jobs=stage.jobs,
                base=done,
                run=run,
                policy=policy,
                known=known,
                book=book,
                progress=progress,
            )
            block["refinement"] = refined.block
            result.n_generated += refined.n_generated
            result.n_asked += refined.n_asked
    finally:
        judge.close()
    result.n_generated += done.n_generated
    result.n_asked += done.n_asked
    result.terms[benchmark.name] = terms
    result.scores[benchmark.name] = done.scores
    result.generations[benchmark.name] = done.generations
    result.prompts[benchmark.name] = stage.prompts
    result.benchmarks[benchmark.name] = benchmark
    return block


def _device(name: str) -> str:
    """`auto` as what is there; torch is not imported to find out that there is no driver."""
    if name != "auto":
        return name
    if not Path("/dev/nvidiactl").exists() and not Path("/proc/driver/nvidia").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextlib.contextmanager
def _threads(config: EvalConfig) -> Iterator[None]:
    """CPU threads for the model, leaving cores to the judge; the old setting comes back afterwards."""
    torch = sys.modules.get("torch")  # a policy that needs it has imported it
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 2) // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)
