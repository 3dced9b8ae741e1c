"""The training loop: draw, reward, update; resumable at any moment.

A step derives from (seed, step) and the weights alone. So a run that stopped, however it stopped, redoes the steps
since its newest checkpoint and ends with the same weights, bit for bit on the CPU.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from harness import seeds
from harness.errors import PolicyError
from harness.models.base import TrainablePolicy
from trainers.grpo import checkpoint
from trainers.grpo.advantages import Bools, Floats, Ints, dead_groups, estimate
from trainers.grpo.config import GrpoConfig
from trainers.grpo.ema import Ema
from trainers.grpo.health import Clock, check_ratio, text_statistics
from trainers.grpo.heldout import group_diversity
from trainers.grpo.parallel import Parallel, whole_tensor
from trainers.grpo.prompts import PromptSource
from trainers.grpo.rewarding import Credit, RewardPool, Scored, check_failures, credit, total
from trainers.grpo.rollout import Drawn, Sample, chunks, draw, initial_sampling
from trainers.grpo.signals import StopRequest
from trainers.grpo.tasks import (
    choose_initial,
    initial_samples,
    prompts_of,
    refine_samples,
    t2i_samples,
    task_of,
)
from trainers.grpo.update import Updater, Weights, learning_rate_factor, padding, parts_of
from trainers.grpo.windows import sde_window

_LOG = logging.getLogger(__name__)

Report = Callable[[dict[str, Any]], None]


class Trainer:
    """Policy, optimiser and rewards at some optimiser step.

    Args:
        policy: loaded; its parameters start to train here.
        pool: scores this process's images.
    """

    def __init__(
        self, policy: TrainablePolicy, config: GrpoConfig, pool: RewardPool, source: PromptSource, parallel: Parallel
    ) -> None:
        self.policy, self.config, self.pool, self.source, self.parallel = policy, config, pool, source, parallel
        policy.prepare_training(config.policy)
        parallel.wrap(policy.trainable_module)
        self.parameters = {n: p for n, p in policy.trainable_module.named_parameters() if p.requires_grad}
        self.optimiser = _optimiser(policy, config, foreach=parallel.kind != "fsdp")
        self.ema = (
            None
            if config.optim.ema_decay is None
            else Ema(self.parameters, decay=config.optim.ema_decay, every=config.optim.ema_every)
        )
        self.updater = Updater(policy, config, parallel)
        self.step = 0
        """Optimiser steps that are done."""
        self.clock = Clock()
        self.last: list[Drawn] = []
        """The newest step's trajectories, for pictures."""

    # One step

    def advance(self, stop: StopRequest) -> dict[str, Any]:
        """One optimiser step; returns its metrics.

        Raises:
            JudgeError: too many questions without an answer; nothing was learned.
            PolicyError: the log-probabilities of the first pass are not those of the rollout.
            KeyboardInterrupt: `stop` was requested; the weights are those before the step.
        """
        self.clock.restart()
        judged_before = self.pool.busy_s
        samples, metrics = self._plan(stop)
        own = list(self.parallel.share(samples))
        window = self._window()
        with self.clock.stage("rollout"):
            drawn, futures = self._draw(own, window, stop)
        with self.clock.stage("reward_wait"):
            scored = self.parallel.gather([s for f in futures for s in f.result()])
        with self.clock.stage("credit"):
            well_formed = np.array(self.parallel.gather([w for d in drawn for w in d.well_formed]), dtype=bool)
            groups = np.array([s.group for s in samples], dtype=np.int64)
            before = [s.initial for s in samples]
            metrics |= check_failures(scored, self.config.reward.max_failed)
            earned = self._credit(scored, groups, well_formed, before)
            advantages = self._advantages(earned, groups)
        metrics |= self._reward_metrics(scored, groups, earned, before)
        metrics |= text_statistics(drawn, self.parallel)
        own_groups = [s.group for d in drawn for s in d.samples]
        metrics["images/group_diversity"] = group_diversity([i for d in drawn for i in d.images], own_groups)
        metrics["text/well_formed"] = float(well_formed.mean()) if len(well_formed) else 0.0
        counted = earned.valid
        skipped = not bool(np.any(advantages[counted] != 0.0)) or (
            self.config.refine.skip_all_bad and bool(earned.bad.any()) and bool(earned.bad[counted].all())
        )
        with self.clock.stage("update"):
            if not skipped:
                metrics |= self._update(drawn, advantages, counted, stop)
        self.step += 1
        self.last = drawn
        metrics |= {"step": self.step, "skipped": float(skipped), "window_start": window[0], "window_end": window[-1]}
        metrics |= self._timing(len(own), self.pool.busy_s - judged_before)
        return metrics

    def _plan(self, stop: StopRequest) -> tuple[list[Sample], dict[str, Any]]:
        """The step's samples, and what is known of the initial images."""
        prompts = prompts_of(self.source, self.config, self.step)
        if task_of(self.config, self.step) != "srr":
            return t2i_samples(self.policy, prompts, self.config, self.step), {}
        with self.clock.stage("initial"):
            candidates = initial_samples(self.policy, prompts, self.config, self.step)
            sampling = initial_sampling(self.config.sampling, self.config.refine.grid_points)
            own = list(self.parallel.share(candidates))
            drawn: list[Drawn] = []
            futures: list[Future[list[Scored]]] = []
            with self.parallel.whole():
                for chunk in chunks(own, self.config.rollout_batch):
                    self._tick(stop)
                    drawn.append(draw(self.policy, chunk, sampling, ()))
                    futures.append(self._submit(drawn[-1]))
            images = self.parallel.gather([i for d in drawn for i in d.images])
            scored = self.parallel.gather([s for f in futures for s in f.result()])
        chosen = choose_initial(scored, self.config, self.step)
        n = self.config.refine.candidates
        places = [None if c is None else g * n + c for g, c in enumerate(chosen)]
        picked = [None if p is None else images[p] for p in places]
        rewards: list[Scored | None] = [None if p is None else scored[p] for p in places]
        if self.config.refine.rescore_init:
            rewards = self._rescored(prompts, picked, rewards)
        samples = refine_samples(self.policy, prompts, picked, rewards, self.config, self.step)
        metrics = {
            "initial/reward_mean": _mean_total(scored, self.config),
            "initial/chosen_mean": _mean_total([r for r in rewards if r is not None], self.config),
        }
        return samples, metrics

    def _rescored(
        self, prompts: Sequence[Any], images: Sequence[Image | None], rewards: list[Scored | None]
    ) -> list[Scored | None]:
        """Independent rewards of the chosen images: their first ones are the lowest of several, hence biased low."""
        kept = [i for i, image in enumerate(images) if image is not None]
        pictures = [image for image in images if image is not None]
        again = self.pool.submit([prompts[i] for i in kept], pictures, [None for _ in kept], repeat=1).result()
        for i, scored in zip(kept, again, strict=True):
            rewards[i] = scored
        return rewards

    def _draw(
        self, own: Sequence[Sample], window: tuple[int, ...], stop: StopRequest
    ) -> tuple[list[Drawn], list[Future[list[Scored]]]]:
        """Trajectories chunk by chunk; a chunk is judged while the next one is drawn."""
        drawn: list[Drawn] = []
        futures: list[Future[list[Scored]]] = []
        keep_means = "old_mean" in self.updater.image_loss.needs
        with self.parallel.whole():
            for chunk in chunks(own, self.config.rollout_batch):
                self._tick(stop)
                drawn.append(draw(self.policy, chunk, self.config.sampling, window, keep_means=keep_means))
                futures.append(self._submit(drawn[-1]))
        return drawn, futures

    def _submit(self, drawn: Drawn) -> Future[list[Scored]]:
        return self.pool.submit([s.prompt for s in drawn.samples], drawn.images, [s.source for s in drawn.samples])

    def _window(self) -> tuple[int, ...]:
        low, high = self.config.sampling.window_range
        return sde_window(
            self.config.sampling.window,
            size=self.config.sampling.window_size,
            low=low,
            high=high,
            seed=self.config.seed,
            step=self.step,
        )

    def _credit(
        self, scored: Sequence[Scored], groups: Ints, well_formed: Bools, before: Sequence[Scored | None]
    ) -> Credit:
        permutation = None
        if self.config.reward.permute:
            rng = seeds.numpy_generator(seeds.derive("placebo", self.config.seed, self.step), "permutation")
            permutation = np.arange(len(scored))
            for group in np.unique(groups):
                members = np.flatnonzero(groups == group)
                permutation[members] = rng.permutation(members)
        return credit(
            scored,
            groups,
            well_formed,
            self.config.reward,
            initial=before,
            floor=self.config.refine.floor,
            margin=self.config.refine.margin,
            permutation=permutation,
        )

    def _advantages(self, earned: Credit, groups: Ints) -> Floats:
        if earned.advantages is not None:
            return earned.advantages
        loss = self.config.loss
        return estimate(loss.estimator, earned.rewards, earned.valid, groups, std_over=loss.std_over)

    # The update

    def _update(self, drawn: Sequence[Drawn], advantages: Floats, counted: Bools, stop: StopRequest) -> dict[str, Any]:
        config, device = self.config, self.updater._device
        parts = parts_of(
            drawn,
            advantages,
            counted,
            size=config.micro_batch,
            clip_to=config.loss.adv_clip_max,
            device=device,
        )
        # Collective passes must be equal in number everywhere.
        parts += [padding(parts[-1])] * (self.parallel.largest(len(parts)) - len(parts))
        if config.loss.recompute_log_prob or config.precision == "bf16" or config.loss.top_entropy_quantile < 1:
            with self.parallel.whole():
                self.updater.recompute(parts)
            if not config.loss.recompute_log_prob and config.precision == "fp32":
                for d in drawn:  # only the entropies were wanted
                    d.extra.pop("log_probs", None)
                    d.extra.pop("text_log_probs", None)
        weights = Weights(
            n_samples=int(counted.sum()),
            n_tokens=sum(self.parallel.gather([_tokens(d, counted) for d in drawn])),
            entropy_threshold=self.updater.entropy_threshold(parts),
        )
        metrics: dict[str, Any] = {}
        factor = learning_rate_factor(config, self.step)
        for epoch in range(config.inner_epochs):
            self.optimiser.zero_grad(set_to_none=True)
            self._tick(stop)
            health = self.updater.accumulate(parts, weights)
            if epoch == 0:
                means = health.means()
                check_ratio(means, config, self.step)
                metrics |= {f"health/{k}": v for k, v in means.items()}
            self._tick(stop)
            metrics["grad_norm"] = self.parallel.clip_norm(list(self.parameters.values()), config.optim.max_grad_norm)
            if not np.isfinite(metrics["grad_norm"]):
                raise PolicyError(
                    f"Step {self.step + 1}: the gradient is not finite ({metrics['grad_norm']}). The weights are those "
                    "before this step. Lower the learning rate or set precision=fp32, then run the same command again."
                )
            for group in self.optimiser.param_groups:
                group["lr"] = group["base_lr"] * factor
            self.optimiser.step()
        if self.ema is not None:
            self.ema.update(self.step + 1)
        return metrics | {"lr_factor": factor}

    def _tick(self, stop: StopRequest) -> None:
        """Stops here if that was asked for; with several processes only between whole steps."""
        if self.parallel.size == 1 and stop.requested:
            raise KeyboardInterrupt

    # Reports

    def _reward_metrics(
        self,
        scored: Sequence[Scored],
        groups: Ints,
        earned: Credit,
        before: Sequence[Scored | None],
    ) -> dict[str, Any]:
        valid = earned.valid
        raw = earned.raw[valid]
        spreads = [raw_g.std() for g in np.unique(groups) if len(raw_g := earned.raw[valid & (groups == g)])]
        metrics: dict[str, Any] = {
            "reward/mean": float(raw.mean()) if len(raw) else 0.0,
            "reward/std": float(raw.std()) if len(raw) else 0.0,
            "reward/group_std": float(np.mean(spreads)) if spreads else 0.0,
            "reward/missing": int((~valid).sum()),
            "reward/dead_groups": dead_groups(earned.rewards, valid, groups),
            "group/n": len(np.unique(groups)),
        }
        for name in self.config.reward.weights:
            values = [s.values[name] for s in scored if s.values[name] is not None]
            metrics[f"reward/{name}"] = float(np.mean(values)) if values else 0.0  # type: ignore[arg-type]
        names = sorted({k for s in scored for k in s.parts})
        metrics |= {f"reward_part/{k}": float(np.mean([s.parts[k] for s in scored if k in s.parts])) for k in names}
        if any(b is not None for b in before):
            metrics["refine/improved"] = float((~earned.bad[valid]).mean()) if valid.any() else 0.0
        return metrics

    def _timing(self, n_images: int, judged_s: float) -> dict[str, Any]:
        waited = self.clock.seconds.get("reward_wait", 0.0)
        times = self.clock.report()
        hidden = max(0.0, 1.0 - waited / judged_s) if judged_s > 0 else 1.0
        return times | {
            "judge_s": round(judged_s, 4),
            "judge_hidden": round(hidden, 4),
            "images_per_s": round(n_images / max(self.clock.seconds.get("rollout", 0.0), 1e-9), 2),
        }

    # Checkpoints

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside: the whole weights are in place, averaged ones where an average is kept; all processes must enter."""
        means = {} if self.ema is None else {n: whole_tensor(t) for n, t in self.ema.mean.items()}
        with self.parallel.whole(), torch.no_grad():
            module = dict(self.policy.trainable_module.named_parameters())
            own = {n: module[n].detach().clone() for n in means}
            for name, mean in means.items():
                module[name].copy_(mean)
            try:
                yield
            finally:
                for name, value in own.items():
                    module[name].copy_(value)

    def save(self, out_dir: Path, info: dict[str, Any]) -> Path:
        """Writes the checkpoint of the steps done so far; all processes must call it."""
        folder = checkpoint.step_folder(out_dir, self.step)
        tensors = checkpoint.collect(self.parameters, self.optimiser, None if self.ema is None else self.ema.mean)
        training = {"command": "train grpo", "steps": self.step, **info}
        with self.averaged():
            if self.parallel.is_main:
                self.policy.save_checkpoint(folder, training)
        if self.parallel.is_main:
            state = {"step": self.step, "config": self.config.as_dict(), "prompts": self.source.id, **info}
            checkpoint.write_trainer_state(folder, tensors, state)
            checkpoint.prune(out_dir, self.config.keep_checkpoints)
        self.parallel.barrier()
        return folder

    def resume(self, folder: Path, state: dict[str, Any]) -> None:
        """Continues from a checkpoint of this run.

        Raises:
            StoreError: it cannot be read or belongs to another policy.
        """
        mean = checkpoint.restore(folder, self.parameters, self.optimiser)
        if self.ema is not None:
            self.ema.load(mean)
        self.step = int(state["step"])


def _optimiser(policy: TrainablePolicy, config: GrpoConfig, *, foreach: bool) -> torch.optim.AdamW:
    # Sharded and replicated parameters do not mix in one fused loop.
    optim = config.optim
    groups = []
    for name, parameters in policy.param_groups().items():
        trained = [p for p in parameters if p.requires_grad]
        if not trained:
            continue
        lr = optim.lr if name == "generation" or optim.lr_understanding is None else optim.lr_understanding
        groups.append({"params": trained, "lr": lr, "base_lr": lr, "name": name})
    return torch.optim.AdamW(
        groups,
        lr=optim.lr,
        betas=(optim.beta1, optim.beta2),
        eps=optim.eps,
        weight_decay=optim.weight_decay,
        foreach=foreach,
    )


def _tokens(drawn: Drawn, counted: Bools) -> int:
    if drawn.text_mask is None:
        return 0
    rows = [i for i, s in enumerate(drawn.samples) if counted[s.index]]
    return int(drawn.text_mask[rows].sum())


def _mean_total(scored: Sequence[Scored], config: GrpoConfig) -> float:
    values = [t for t in (total(s, config.reward.weights) for s in scored) if t is not None]
    return float(np.mean(values)) if values else 0.0


@contextlib.contextmanager
def memory_errors(config: GrpoConfig) -> Iterator[None]:
    """Turns running out of memory into a message that says what to change.

    Raises:
        PolicyError: in place of torch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PolicyError(
            f"Out of memory with micro_batch={config.micro_batch} and rollout_batch={config.rollout_batch} "
            f"({str(error).splitlines()[0]}). Lower them (results stay the same) or set "
            "policy.gradient_checkpointing=true, then run the same command again: it resumes."
        ) from None
