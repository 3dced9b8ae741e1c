"""The training loop: deterministic steps, averaged weights, resumable state.

Nothing random survives a step: batch and noise of step n derive from the seed and n, so a resumed run continues
exactly where it was killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from harness import seeds
from harness.errors import StoreError
from harness.models.micro.network import MicroNetwork, NetworkConfig
from trainers.pretrain.config import PretrainConfig
from trainers.pretrain.corpus import Corpus
from trainers.pretrain.objective import losses
from trainers.pretrain.optimiser import Optimiser

STATE, METRICS = "state.pt", "metrics.jsonl"

Diagnose = Callable[[MicroNetwork], dict[str, float]]
Progress = Callable[[dict[str, Any]], None]


class Training:
    """Network, averaged weights and optimiser at some step."""

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config
        self.step = 0
        self.seconds = 0.0
        """CPU seconds of this process and the ones it continues, evaluation excluded."""
        self.pending: dict[str, tuple[float, int]] = {}
        """Sums and counts of metrics since the last line of the log."""
        self.network = new_network(config)
        self.averaged = new_network(config)
        self.optimiser = Optimiser(self.network, config)

    def advance(self, corpus: Corpus) -> dict[str, float]:
        """One optimiser step; returns its metrics."""
        started = time.process_time()
        config = self.config
        batch = corpus.batch(self.step)
        parts = losses(self.network, batch, config, seeds.generator(config.seed, "pretrain-noise", self.step))
        loss = config.text_weight * parts.text + config.flow_weight * parts.flow
        self.network.zero_grad()
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        factor = schedule(config, self.step)
        self.optimiser.step(factor)
        self.step += 1
        self._average()
        self.seconds += time.process_time() - started
        metrics = {f"flow/{batch.task}": parts.flow.item(), "grad_norm": norm.item(), "schedule": factor}
        return metrics if batch.thought is None else {f"text/{batch.task}": parts.text.item(), **metrics}

    @torch.no_grad()
    def _average(self) -> None:
        n = self.step
        decay = n / (n + 20) if n < 200 else min(self.config.ema_decay, 0.99 if n < 2000 else 1.0)
        targets: list[torch.Tensor] = list(self.averaged.parameters())
        sources: list[torch.Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(targets, sources, 1.0 - decay)

    def save(self, path: Path) -> None:
        """Writes the whole state in one rename."""
        state = {
            "config": self.config.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "pending": self.pending,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        new = path.with_suffix(".new")
        torch.save(state, new)
        new.replace(path)

    def restore(self, path: Path) -> None:
        """Continues from a saved state.

        Raises:
            StoreError: the state belongs to another configuration or cannot be read.
        """
        try:
            state = torch.load(path, weights_only=True)
        except Exception as error:
            raise StoreError(f"{path} is not a readable training state ({error}). Delete it to start again.") from error
        if state["config"] != self.config.as_dict():
            changed = {k: (state["config"].get(k), v) for k, v in self.config.as_dict().items()}
            names = ", ".join(f"{k}: {a!r} -> {b!r}" for k, (a, b) in changed.items() if a != b)
            raise StoreError(f"{path} belongs to another configuration ({names}). Choose another output directory.")
        self.step, self.seconds, self.pending = state["step"], state["seconds"], state["pending"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])


def new_network(config: PretrainConfig) -> MicroNetwork:
    """The network with its initial weights, which depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(config.seed, "pretrain-init"))
        return MicroNetwork(NetworkConfig.current(width=config.width, layers=config.layers, heads=config.heads))


def schedule(config: PretrainConfig, step: int) -> float:
    """The factor on the learning rates: linear warm-up, constant, linear decay over the last `decay_fraction`."""
    left = (config.steps - step) / max(1.0, config.decay_fraction * config.steps)
    return min(1.0, (step + 1) / config.warmup_steps) * max(config.final_lr_fraction, min(1.0, left))


def train(config: PretrainConfig, out_dir: Path, *, diagnose: Diagnose, progress: Progress | None = None) -> Training:
    """Trains to `config.steps`, from the state in `out_dir` where there is one.

    Raises:
        StoreError: `out_dir` holds the state of another configuration.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    training, corpus = Training(config), Corpus(config)
    if (out_dir / STATE).exists():
        training.restore(out_dir / STATE)
    log = out_dir / METRICS
    _drop_lines_after(log, training.step)
    while training.step < config.steps:
        metrics: dict[str, float] = dict(training.advance(corpus))
        step = training.step
        if step % config.diagnose_every == 0 or step == config.steps:
            metrics |= {f"diagnose/{k}": v for k, v in diagnose(training.averaged).items()}
        for name, value in metrics.items():
            total, n = training.pending.get(name, (0.0, 0))
            training.pending[name] = total + value, n + 1
        if step % config.log_every == 0 or step == config.steps:
            _write_line(log, training, progress)
        if step % config.checkpoint_every == 0 or step == config.steps:
            training.save(out_dir / STATE)
    return training


def _write_line(log: Path, training: Training, progress: Progress | None) -> None:
    """Appends the means of the pending metrics as one JSON line."""
    row: dict[str, Any] = {"step": training.step, "cpu_seconds": round(training.seconds, 1)}
    row |= {name: round(total / n, 5) for name, (total, n) in training.pending.items()}
    training.pending.clear()
    with log.open("a") as file:
        file.write(json.dumps(row) + "\n")
    if progress is not None:
        progress(row)


def _drop_lines_after(log: Path, step: int) -> None:
    """Removes lines of steps that a restored run will do again, and a torn last line."""
    kept = []
    for line in log.read_text().splitlines() if log.exists() else []:
        with suppress(json.JSONDecodeError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    log.write_text("".join(kept))
