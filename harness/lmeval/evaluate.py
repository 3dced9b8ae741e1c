"""lm-eval tasks into a run directory: the same summary, terms and scores as `run.py eval`, one benchmark per task."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.derived import write_derived
from harness.errors import ConfigError, DataError, unknown_name
from harness.evalconfig import config_hash
from harness.lmeval.results import PREFIX, lm_eval_version, sample_records, task_result
from harness.manifest import Manifest
from harness.models.load import load_policy, short_name
from harness.store import RunDirectory
from harness.summary import summary_object

TASKS = Path(__file__).parent / "tasks"
"""Folder of the shipped tasks."""
DEFAULT = ("micro_plan_choice", "micro_plan_cloze", "micro_plan_write", "micro_plan_likelihood")


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
    run.write_records("samples.jsonl", [s for name in tasks for s in sample_records(name, output["samples"][name])])
    write_derived(
        run,
        summary,
        prompts={PREFIX + name: t.prompts for name, t in tasks.items()},
        scores=[s for t in tasks.values() for s in t.scores],
        terms={PREFIX + name: t.terms for name, t in tasks.items()},
    )
    manifest.update(status="complete")
    return summary
