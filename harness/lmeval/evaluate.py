"""lm-eval tasks into a run directory: the same summary, terms and scores as `run.py eval`, one benchmark per task."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.derived import write_derived
from harness.errors import ConfigError, DataError, unknown_name
from harness.evalconfig import config_hash
from harness.manifest import Manifest
from harness.models.load import load_policy, short_name
from harness.store import RunDirectory
from harness.summary import summary_object, value_object
from harness.terms import Terms, make_terms
from harness.types import Prompt, SampleKey, Score, Summary

TASKS = Path(__file__).parent / "tasks"
"""Folder of the shipped tasks."""
DEFAULT = ("micro_plan_choice", "micro_plan_cloze", "micro_plan_write", "micro_plan_likelihood")
PREFIX = "lm-eval/"
"""Of the benchmark names in the run directory."""
_BOUNDED = frozenset({"acc", "acc_norm", "acc_mutual_info", "exact_match", "em", "f1"})
"""Metrics whose scores lie between 0 and 1; a task's `metadata: {bounded: [...]}` names more."""
_BITS = "bits_per_byte"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """One evaluation of a policy's text."""

    model: str = "micro"
    """As `run.py eval` takes it."""
    tasks: list[str] = field(default_factory=lambda: list(DEFAULT))
    """Names of lm-eval tasks, groups or tags."""
    task_dirs: list[str] = field(default_factory=list)
    """More folders with task files."""
    limit: int | None = None
    """First documents of each task only."""
    num_fewshot: int | None = None
    """Examples before each document; None takes the task's own number."""
    batch_size: int | None = None
    """None takes the policy's own; results do not depend on it."""
    device: str = "cpu"
    seed: int = 0
    """Of sampled text and of the choice of examples."""
    out: str | None = None
    """Run directory; None makes one below `runs/`."""

    def identity(self, fingerprint: str) -> dict[str, Any]:
        """What gives the records of a run directory their meaning."""
        kept = {k: getattr(self, k) for k in ("model", "tasks", "limit", "num_fewshot", "seed")}
        return {"kind": "lm-eval", "policy": fingerprint, "lm_eval": lm_eval_version(), **kept}


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
            "lm-eval is not installed; it comes with the extra: pip install 'ummbench[lm-eval]'."
        ) from None


def evaluate_text(config: TextConfig) -> dict[str, Any]:
    """Evaluates the policy's text on the tasks and returns the summary; writes the run directory.

    Raises:
        ConfigError: lm-eval is missing, or has no task of a name.
        PolicyError: the model has no text side.
        StoreError: the directory belongs to another evaluation.
    """
    lm_eval_version()
    manager, names = _task_manager(config)
    policy = load_policy(config.model, device=config.device)
    try:
        from harness.lmeval.model import UmmbenchLM

        model = UmmbenchLM(policy, batch_size=config.batch_size, seed=config.seed)
        identity = config.identity(policy.fingerprint)
        path = Path(config.out) if config.out else _default_path(config, identity)
        with RunDirectory(path, writable=True) as run:
            manifest = Manifest(run, identity, {k: getattr(config, k) for k in config.__slots__})
            manifest.update()
            output = _run_tasks(config, model, manager, names)
            return _write(run, manifest, config.model, output, model.n_truncated)
    finally:
        policy.close()


def _default_path(config: TextConfig, identity: dict[str, Any]) -> Path:
    return Path("runs") / f"text-{short_name(config.model)}-{config_hash(identity)}"


def _task_manager(config: TextConfig) -> tuple[Any, list[str]]:
    """Knows the shipped and given tasks; lm-eval's own, which take seconds to index, only where one is asked for."""
    from lm_eval.tasks import TaskManager

    folders = [str(TASKS), *config.task_dirs]
    missing = [f for f in folders if not Path(f).is_dir()]
    if missing:
        raise ConfigError(f"{missing[0]}: no such folder with task files.")
    manager = TaskManager(include_path=folders, include_defaults=False)
    if not set(config.tasks) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folders, include_defaults=True)
    for name in config.tasks:
        if name not in manager.all_tasks:
            raise unknown_name("lm-eval task", name, _near(name, manager.all_tasks))
    return manager, list(dict.fromkeys(config.tasks))


def _near(name: str, known: Sequence[str]) -> list[str]:
    """A handful of the thousands of names: the shipped ones and those that begin alike."""
    from harness.errors import near_misses

    return [*DEFAULT, *(k for k in near_misses(name, known, n=5) if k not in DEFAULT)]


def _run_tasks(config: TextConfig, model: Any, manager: Any, names: list[str]) -> dict[str, Any]:
    """lm-eval's results and samples.

    Its `simple_evaluate` is not used: it seeds the process's global generators, and lists all installed packages in
    another process, which takes longer than the shipped tasks; what it sets on the tasks is set here.
    """
    from lm_eval.evaluator import evaluate

    with _quiet():
        loaded = manager.load(names)
        for task in loaded["tasks"].values():
            own = task.get_config("num_fewshot")
            # A task that says 0 has no examples to give.
            if own is None or (config.num_fewshot is not None and own != 0):
                task.set_config(key="num_fewshot", value=config.num_fewshot or 0)
            task.set_fewshot_seed(seed=config.seed)
        found = evaluate(lm=model, task_dict=loaded, limit=config.limit, bootstrap_iters=0, log_samples=True)
    if found is None:
        raise DataError("lm-eval returned nothing; it does so on all but the first of several processes.")
    return dict(found)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval's prints go to standard error, where its bars are; of its log only errors are shown."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logger.setLevel(before)


def _write(
    run: RunDirectory, manifest: Manifest, model: str, output: dict[str, Any], n_truncated: int
) -> dict[str, Any]:
    tasks = {name: task_result(name, output) for name in output["samples"]}
    if n_truncated:
        for t in tasks.values():
            t.block["notes"] = [f"{n_truncated} contexts of this run were too long and were cut at their beginning."]
    blocks = {PREFIX + name: t.block for name, t in tasks.items()}
    manifest.data["data"] = {PREFIX + n: {"id": t.block["data"], "n_prompts": len(t.prompts)} for n, t in tasks.items()}
    summary = summary_object(str(run.path), "text", "official", model, blocks, 0.0)
    run.write_records("samples.jsonl", [s for name in tasks for s in _samples(name, output["samples"][name])])
    write_derived(
        run,
        summary,
        prompts={PREFIX + name: t.prompts for name, t in tasks.items()},
        scores=[s for t in tasks.values() for s in t.scores],
        terms={PREFIX + name: t.terms for name, t in tasks.items()},
    )
    manifest.update(status="complete")
    return summary


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


def _samples(name: str, samples: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
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
