"""The update: text and image terms of every sample, accumulated over micro-batches and trained steps.

Loss of a step (alpha = `image_weight`, lambda = `text_weight`, T trained steps, means over all valid samples of all
devices): alpha mean_i mean_t L_img(i, t) + lambda mean_i L_txt(i). One backward pass for a micro-batch's text, one per
trained step of its images, so memory holds one of them at a time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from harness import flow
from harness.models.base import Contexts, TrainablePolicy
from harness.registry import LOSSES
from trainers.grpo.advantages import Bools, Floats
from trainers.grpo.config import GrpoConfig
from trainers.grpo.losses import ImageLoss, high_entropy_mask, image_kl, text_kl, text_loss
from trainers.grpo.parallel import Parallel
from trainers.grpo.rollout import Drawn, Sample, beginnings, guidance_at
from trainers.grpo.steps import detached, given, text_kind, with_text


@dataclass(slots=True)
class Health:
    """Sums behind the numbers of the health panel; every entry is (weighted sum, weight)."""

    sums: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, name: str, value: Tensor | float, weight: float = 1.0) -> None:
        """One observation, or the mean of `weight` of them."""
        number = float(value.detach().float().mean()) if isinstance(value, Tensor) else float(value)
        total, n = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = total + number * weight, n + weight

    def means(self) -> dict[str, float]:
        """Name -> mean."""
        return {k: total / n for k, (total, n) in self.sums.items() if n}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Shares in the step's means, from all devices."""

    n_samples: int
    """Samples with an advantage, over all devices."""
    n_tokens: int
    """Their drawn tokens."""
    entropy_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of one chunk that go through the network together; padding has weight 0."""

    drawn: Drawn
    rows: Tensor
    """(b,) places in the chunk."""
    advantages: Tensor
    """(b,) float32 of the text."""
    image_advantages: Tensor
    """(b,) float32, clipped."""
    weight: Tensor
    """(b,) float32: 1 for samples that count, 0 for others."""


def parts_of(
    drawn: Sequence[Drawn],
    advantages: Floats,
    counted: Bools,
    *,
    size: int,
    clip_to: float | None,
    device: torch.device,
) -> list[Part]:
    """Micro-batches of at most `size` samples.

    Args:
        advantages: (N,) by `Sample.index`.
        counted: (N,) samples that take part.
    """
    parts = []
    for chunk in drawn:
        for start in range(0, len(chunk.samples), size):
            rows = list(range(start, min(start + size, len(chunk.samples))))
            index = np.array([chunk.samples[i].index for i in rows])
            own = torch.tensor(advantages[index], dtype=torch.float32, device=device)
            weight = torch.tensor(counted[index], dtype=torch.float32, device=device)
            image = own if clip_to is None else own.clamp(-clip_to, clip_to)
            parts.append(Part(chunk, torch.tensor(rows, device=device), own, image, weight))
    return parts


def padding(part: Part) -> Part:
    """`part` without any weight: keeps the number of passes equal on all devices."""
    return Part(part.drawn, part.rows, part.advantages * 0, part.image_advantages * 0, part.weight * 0)


class Updater:
    """Computes the gradient of a step's objective.

    Raises:
        ConfigError: an unknown image loss.
    """

    def __init__(self, policy: TrainablePolicy, config: GrpoConfig, parallel: Parallel) -> None:
        self.policy, self.config, self.parallel = policy, config, parallel
        self.image_loss: ImageLoss = LOSSES.get(config.loss.image)
        self._grid = flow.time_grid(config.sampling.grid_points, config.sampling.shift)
        self._device = next(policy.trainable_module.parameters()).device
        self._read: tuple[Part, Contexts] | None = None

    @property
    def trains_text(self) -> bool:
        """Whether the objective has a text term."""
        return self.config.loss.text_weight > 0 and "train_text" in self.policy.capabilities

    @property
    def trains_images(self) -> bool:
        """Whether the objective has an image term."""
        return self.config.loss.image_weight > 0 and "train_image" in self.policy.capabilities

    def accumulate(self, parts: Sequence[Part], weights: Weights) -> Health:
        """Adds the gradient of all `parts`; the parameters do not move."""
        health = Health()
        self._read = None  # the parameters may have moved since
        jobs: list[Callable[[], Tensor]] = []
        for part in parts:
            if self.trains_text and part.drawn.ids is not None:
                jobs.append(lambda part=part: self._text(part, weights, health))  # type: ignore[misc]
            if self.trains_images:
                for t in range(len(part.drawn.window)):
                    jobs.append(lambda part=part, t=t: self._image(part, t, weights, health))  # type: ignore[misc]
        for i, job in enumerate(jobs):
            self.parallel.backward(job, last=i == len(jobs) - 1)
        return health

    # Text

    def _text(self, part: Part, weights: Weights, health: Health) -> Tensor:
        loss, drawn = self.config.loss, part.drawn
        assert drawn.ids is not None and drawn.text_mask is not None and drawn.text_log_probs is not None
        samples, rows, ids, mask = _rows_of(part)
        kind = text_kind(samples[0].steps) or "think"
        before = self._given(samples, gradient=not self.config.defects.detach_prompt)
        with self._autocast():
            now = self.policy.text_log_probs(before.gen, ids, kind=kind, temperature=self.config.sampling.temperature)
        old = drawn.extra.get("text_log_probs", drawn.text_log_probs)[rows]
        old = _fit(old, now.log_probs.shape[1])
        mask = high_entropy_mask(now.entropy, now.mask & mask, weights.entropy_threshold)
        share = part.weight / max(weights.n_samples, 1)
        if loss.mask_truncated and drawn.stopped is not None:
            share = share * drawn.stopped[rows]
        share = share * self._correction(drawn, rows, "text")
        result = text_loss(
            now.log_probs,
            old,
            mask,
            part.advantages,
            importance=loss.text_importance,
            clip_low=loss.text_clip_low,
            clip_high=loss.text_clip_high,
            sequence_weight=share,
            token_weight=1.0 / max(weights.n_tokens, 1) if loss.text_level == "token" else None,
            outer_product=self.config.defects.text_outer_product,
        )
        total = result.loss
        if loss.text_kl > 0:
            with torch.no_grad(), self.policy.adapter(None), self._autocast():
                base = self._given(samples, gradient=False)
                ref = self.policy.text_log_probs(base.gen, ids, kind=kind, temperature=self.config.sampling.temperature)
            kl = text_kl(now.log_probs, ref.log_probs, mask)
            ratio = (((now.log_probs - old) * mask).sum(1) / mask.sum(1).clamp(min=1)).exp().detach()
            total = total + loss.text_kl * (kl * ratio * share).sum()
            health.add("text_kl", kl, len(kl))
        if len(result.ratio):
            health.add("text_ratio", result.ratio, len(result.ratio))
            health.add("text_log_ratio_abs", result.ratio.log().abs(), len(result.ratio))
            health.add("text_clip_fraction", result.clipped.float(), len(result.clipped))
        if bool(now.mask.any()):
            health.add("text_entropy", now.entropy[now.mask], float(now.mask.sum()))
        health.add("text_loss", result.loss, 1.0)
        return total * (loss.text_weight * self._prefactor(part))

    # Images

    def _image(self, part: Part, t: int, weights: Weights, health: Health) -> Tensor:
        loss, drawn = self.config.loss, part.drawn
        samples, rows, _, _ = _rows_of(part)
        index = drawn.window[t]
        c = flow.step_coefficients(self.config.sampling.sampler, self._grid, index, self.config.sampling.noise_level)
        now = self._replay(samples, part, t, gradient_to_text=not loss.detach_text)
        batch: dict[str, Tensor | float] = {
            "advantages": part.image_advantages,
            "log_prob": now.log_prob,
            "old_log_prob": drawn.extra.get("log_probs", drawn.log_probs)[t, rows],
            "mean": now.mean,
            "std": c.std,
        }
        if drawn.means is not None:
            batch["old_mean"] = drawn.means[t, rows]
        result = self.image_loss(batch, loss.image_clip_range)
        share = (
            part.weight / (max(weights.n_samples, 1) * len(drawn.window)) * self._correction(drawn, rows, "image", t)
        )
        total = (result.loss * share).sum()
        health.add("image_loss", total, 1.0)
        if loss.image_kl > 0:
            with torch.no_grad(), self.policy.adapter(None):
                ref = self._replay(samples, part, t, gradient_to_text=False, reference=True)
            kl = image_kl(now.mean, ref.mean, form=loss.image_kl_form, diffusion=c.diffusion, std=c.std, c_v=c.c_v)
            total = total + loss.image_kl * (kl * share).sum()
            health.add("image_kl", kl, len(kl))
        health.add("image_ratio", result.ratio, len(rows))
        health.add("image_log_ratio_abs", result.ratio.log().abs(), len(rows))
        health.add("image_clip_fraction", result.clipped.float(), len(rows))
        return total * (loss.image_weight * self._prefactor(part))

    def _replay(
        self, samples: Sequence[Sample], part: Part, t: int, *, gradient_to_text: bool, reference: bool = False
    ) -> flow.StochasticStep:
        drawn, sampling = part.drawn, self.config.sampling
        with self._autocast():
            contexts = self._after_text(samples, part, gradient=gradient_to_text, reference=reference)
            index = drawn.window[t]
            sigma = self._grid[index]
            x, x_next = drawn.x[t, part.rows], drawn.x_next[t, part.rows]
            levels = torch.full((len(x),), sigma, device=x.device)
            refining = samples[0].source is not None
            v = self.policy.velocity(x, levels, contexts, guidance_at(sampling, sigma, refining=refining))
        c = flow.step_coefficients(sampling.sampler, self._grid, index, sampling.noise_level)
        return flow.replay_step(x, x_next, v.float(), c)

    def _after_text(self, samples: Sequence[Sample], part: Part, *, gradient: bool, reference: bool) -> Contexts:
        if not gradient and not reference and self._read is not None and self._read[0] is part:
            return self._read[1]  # read once for all trained steps of the part
        contexts = self._given(samples, gradient=gradient)
        if part.drawn.ids is not None:
            with contextlib.nullcontext() if gradient else torch.no_grad():
                contexts = with_text(self.policy, contexts, _rows_of(part)[2])
        if gradient:
            return contexts
        contexts = detached(self.policy, contexts)
        if not reference:
            self._read = part, contexts
        return contexts

    def _given(self, samples: Sequence[Sample], *, gradient: bool) -> Contexts:
        distinct, rows = beginnings(samples)
        with contextlib.nullcontext() if gradient else torch.no_grad():
            contexts = given(self.policy, distinct, rows)
        return contexts if gradient else detached(self.policy, contexts)

    # Passes without gradient

    @torch.no_grad()
    def recompute(self, parts: Sequence[Part]) -> None:
        """Old log-probabilities by the training forward, stored with each chunk in place of the rollout's."""
        self._read = None
        for part in parts:
            drawn, rows = part.drawn, part.rows
            samples, _, ids, _ = _rows_of(part)
            if drawn.ids is not None and drawn.text_log_probs is not None:
                kind = text_kind(samples[0].steps) or "think"
                with self._autocast():
                    now = self.policy.text_log_probs(
                        self._given(samples, gradient=False).gen,
                        ids,
                        kind=kind,
                        temperature=self.config.sampling.temperature,
                    )
                store = drawn.extra.setdefault("text_log_probs", drawn.text_log_probs.clone())
                store[rows, : now.log_probs.shape[1]] = now.log_probs
                entropies = drawn.extra.setdefault("entropy", torch.zeros_like(drawn.text_log_probs))
                entropies[rows, : now.entropy.shape[1]] = now.entropy
            for t in range(len(drawn.window)):
                store = drawn.extra.setdefault("log_probs", drawn.log_probs.clone())
                store[t, rows] = self._replay(samples, part, t, gradient_to_text=False).log_prob

    def entropy_threshold(self, parts: Sequence[Part]) -> float | None:
        """The entropy that the kept share of tokens reaches, over all devices; needs `recompute` first."""
        if self.config.loss.top_entropy_quantile >= 1:
            return None
        own: list[float] = []
        for part in parts:
            if "entropy" in part.drawn.extra and part.drawn.text_mask is not None:
                rows = part.rows
                own += part.drawn.extra["entropy"][rows][part.drawn.text_mask[rows]].tolist()
        values = self.parallel.gather(own)
        return float(np.quantile(values, 1 - self.config.loss.top_entropy_quantile)) if values else None

    def _correction(self, drawn: Drawn, rows: Tensor, what: str, t: int = 0) -> Tensor:
        """min(p_recomputed / p_rollout, limit), 1 where it is off; detached."""
        limit = self.config.loss.rollout_correction
        key = "text_log_probs" if what == "text" else "log_probs"
        if limit is None or key not in drawn.extra:
            return torch.ones(len(rows), device=self._device)
        if what == "text" and drawn.text_log_probs is not None and drawn.text_mask is not None:
            mask = drawn.text_mask[rows]
            difference = (drawn.extra[key][rows] - drawn.text_log_probs[rows]) * mask
            return (difference.sum(1) / mask.sum(1).clamp(min=1)).exp().clamp(max=limit)
        return (drawn.extra[key][t, rows] - drawn.log_probs[t, rows]).exp().clamp(max=limit)

    def _prefactor(self, part: Part) -> float:
        steps = len(part.drawn.window)
        return steps / (steps + 1) if self.config.defects.scale_by_steps else 1.0

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:
        if self.config.precision == "bf16":
            with torch.autocast(self._device.type, dtype=torch.bfloat16):
                yield
        else:
            yield


def _rows_of(part: Part) -> tuple[list[Sample], Tensor, Tensor, Tensor]:
    """The samples of a part, their rows, ids and text mask, cut to the longest text among them."""
    drawn, rows = part.drawn, part.rows
    samples = [drawn.samples[int(i)] for i in rows]
    if drawn.ids is None or drawn.text_mask is None:
        empty = torch.zeros((len(rows), 0), dtype=torch.long, device=rows.device)
        return samples, rows, empty, empty.bool()
    mask = drawn.text_mask[rows]
    used = int(mask.any(0).nonzero().max()) + 1 if bool(mask.any()) else 1
    return samples, rows, drawn.ids[rows, :used], mask[:, :used]


def _fit(values: Tensor, length: int) -> Tensor:
    return values[:, :length]


def learning_rate_factor(config: GrpoConfig, step: int) -> float:
    """The factor on the learning rates at optimiser step `step` (from 0): linear warm-up, then linear decay."""
    optim = config.optim
    factor = min(1.0, (step + 1) / optim.warmup_steps) if optim.warmup_steps else 1.0
    if optim.final_lr_fraction < 1:
        factor *= 1.0 - (1.0 - optim.final_lr_fraction) * step / max(config.steps - 1, 1)
    return factor if math.isfinite(factor) else 1.0
