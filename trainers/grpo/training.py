"""A whole training run: load, resume, step, evaluate, save."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.errors import ConfigError, StoreError
from harness.models.base import TrainablePolicy
from harness.models.load import load_policy
from trainers.grpo import checkpoint, heldout
from trainers.grpo.config import GrpoConfig
from trainers.grpo.loop import Trainer, memory_errors
from trainers.grpo.metrics import MetricsLog
from trainers.grpo.parallel import Parallel, process_group
from trainers.grpo.pictures import sample_grid
from trainers.grpo.prompts import make_source
from trainers.grpo.rewarding import RewardPool
from trainers.grpo.signals import StopRequest
from trainers.grpo.tasks import check_capabilities

MANIFEST = "training.json"


def train(config: GrpoConfig, out_dir: Path, report: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """See `trainers.grpo.run`."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = _device(config.device)
    with process_group(device), memory_errors(config):
        parallel = Parallel(config.parallel, device)
        policy = load_policy(config.model, device=device)
        if not isinstance(policy, TrainablePolicy):
            raise ConfigError(f"model: {config.model!r} can be evaluated but not trained.")
        check_capabilities(policy, config)
        info = {"base": policy.fingerprint, "model": config.model, "torch": torch.__version__}
        pool = RewardPool(config.reward)
        try:
            source = make_source(config.prompts, config.seed, config.prompt_options)
            trainer = Trainer(policy, config, pool, source, parallel)
            return _steps(trainer, out_dir, report, info | {"rewards": pool.fingerprints, "config": config.as_dict()})
        finally:
            pool.close()
            policy.close()


def _steps(
    trainer: Trainer, out_dir: Path, report: Callable[[dict[str, Any]], None] | None, info: dict[str, Any]
) -> dict[str, Any]:
    config, parallel = trainer.config, trainer.parallel
    _resume(trainer, out_dir)
    if parallel.is_main:
        out_dir.mkdir(parents=True, exist_ok=True)
        manifest = info | {
            "prompts": trainer.source.id,
            "world_size": parallel.size,
            "machine": platform.machine(),
            "device": str(trainer.updater._device),
        }
        (out_dir / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    log = MetricsLog(out_dir, trainer.step, config.log_to) if parallel.is_main else None
    folder: Path | None = None
    with StopRequest() as stop, contextlib.ExitStack() as stack:
        if log is not None:
            stack.enter_context(log)
        if trainer.step == 0:
            _look(trainer, out_dir, log)
        try:
            while trainer.step < config.steps:
                if parallel.any(stop.requested):
                    raise KeyboardInterrupt
                metrics = trainer.advance(stop)
                if log is not None:
                    log.write(metrics)
                    if report is not None:
                        report(metrics)
                is_last = trainer.step == config.steps
                if is_last or trainer.step % config.checkpoint_every == 0:
                    folder = trainer.save(out_dir, info)
                _look(trainer, out_dir, log, is_last=is_last)
        except KeyboardInterrupt:
            if trainer.step > 0:
                trainer.save(out_dir, info)
            raise
    final = folder or checkpoint.step_folder(out_dir, trainer.step)
    trained = json.loads((final / "manifest.json").read_text()).get("fingerprint", "")
    return {"checkpoint": str(final), "steps": trainer.step, "fingerprint": trained}


def _look(
    trainer: Trainer,
    out_dir: Path,
    log: MetricsLog | None,
    *,
    is_last: bool = False,
) -> None:
    """Pictures and held-out evaluation, where their turn has come; on the main process, with the whole weights."""
    config, step = trainer.config, trainer.step
    draw_now = config.samples_every > 0 and (step % config.samples_every == 0 or is_last)
    judge_now = config.held_out.every > 0 and (step % config.held_out.every == 0 or is_last)
    if not draw_now and not judge_now:
        return
    with trainer.averaged():
        if log is not None and draw_now:
            sample_grid(trainer.policy, trainer.source, config, out_dir / "samples" / f"step-{step:06d}.png")
        if log is not None and judge_now:
            log.write(heldout.evaluate(trainer.policy, config, out_dir / "held_out" / f"step-{step:06d}", step))
    trainer.parallel.barrier()


def _resume(trainer: Trainer, out_dir: Path) -> None:
    """Continues from the newest checkpoint of `out_dir`.

    Raises:
        StoreError: the directory belongs to another configuration.
    """
    folder = checkpoint.newest(out_dir)
    if folder is None:
        return
    state = checkpoint.read_state(folder)
    stored, wanted = _identity(state["config"]), _identity(json.loads(json.dumps(trainer.config.as_dict())))
    if stored != wanted:
        changed = [
            f"{k}: {stored.get(k)!r} -> {wanted.get(k)!r}"
            for k in sorted({*stored, *wanted})
            if stored.get(k) != wanted.get(k)
        ]
        raise StoreError(
            f"{folder} belongs to another configuration ({'; '.join(changed[:5])}). Choose another output directory."
        )
    trainer.resume(folder, state)


_FREE = {
    "steps",
    "micro_batch",
    "rollout_batch",
    "device",
    "threads",
    "parallel",
    "checkpoint_every",
    "keep_checkpoints",
    "samples_every",
    "held_out",
    "log_to",
}
"""Settings that may change when a run is resumed: none of them changes what a step computes."""


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for k, v in value.items():
                walk(f"{prefix}.{k}" if prefix else k, v)
        else:
            flat[prefix] = value

    walk("", {k: v for k, v in config.items() if k not in _FREE})
    # A schedule that depends on the length ties the length to the run.
    if config["optim"]["final_lr_fraction"] < 1:
        flat["steps"] = config["steps"]
    return flat


def _device(name: str) -> str:
    import os

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name
