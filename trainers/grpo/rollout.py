"""Drawing trajectories: text token by token, images by a sampler that is stochastic at the trained steps.

Shapes: B samples of one chunk, T trained steps, L tokens, `...` one image's latents. Every random number of a sample
derives from its own seed, so chunks, devices and order of work cannot change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from PIL.Image import Image
from torch import Tensor

from harness import flow, seeds
from harness.models.base import Contexts, GenerationParams, TrainablePolicy
from harness.types import Prompt
from trainers.grpo.config import SamplingConfig
from trainers.grpo.rewarding import Scored
from trainers.grpo.steps import Step, given, text_kind, with_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One trajectory to draw."""

    index: int
    """Place in the step's list of samples, over all devices."""
    group: int
    """Samples of one draw of one prompt have the same."""
    prompt: Prompt
    steps: tuple[Step, ...]
    seed: int
    """Of this sample; text, initial noise and each stochastic step derive from it."""
    noise_seed: int
    """Of the initial noise; the group's where a group shares it."""
    source: Image | None = None
    """The image that this one refines."""
    initial: Scored | None = None
    """Its rewards."""


@dataclass(slots=True, kw_only=True)
class Drawn:
    """What was drawn for a chunk of samples."""

    samples: Sequence[Sample]
    ids: Tensor | None
    """(B, L) int64, column 0 possibly a given start token; None for trajectories without text."""
    text_mask: Tensor | None
    """(B, L) bool: drawn tokens."""
    text_log_probs: Tensor | None
    """(B, L) float32 at the sampling temperature."""
    stopped: Tensor | None
    """(B,) bool: ended by itself, not by the length limit."""
    window: tuple[int, ...]
    x: Tensor
    """(T, B, ...) float32: states before the trained steps."""
    x_next: Tensor
    """(T, B, ...): states after them."""
    log_probs: Tensor
    """(T, B) float32."""
    means: Tensor | None
    """(T, B, ...) means of the steps, where the loss needs them."""
    images: list[Image]
    texts: list[str]
    well_formed: list[bool]
    extra: dict[str, Tensor] = field(default_factory=dict)
    """(B,) or (T, B) tensors that later stages add: recomputed log-probabilities."""


def guidance_at(sampling: SamplingConfig, sigma: float, *, refining: bool) -> GenerationParams:
    """The guidance at one noise level; off outside its interval. Image guidance acts on refinements."""
    low, high = sampling.guidance_interval
    if not low < sigma <= high:
        return GenerationParams(guidance_scale=1.0, image_guidance_scale=1.0)
    return GenerationParams(
        guidance_scale=sampling.guidance_scale,
        image_guidance_scale=sampling.image_guidance_scale if refining else 1.0,
        extra={"cfg_renorm": sampling.guidance_renorm},
    )


def beginnings(samples: Sequence[Sample]) -> tuple[list[tuple[Step, ...]], Tensor]:
    """The distinct beginnings of a chunk, and which one each sample has (B,): a group is read once."""
    found: dict[int, int] = {}
    rows: list[int] = []
    distinct: list[tuple[Step, ...]] = []
    for sample in samples:
        if id(sample.steps) not in found:  # one list of steps is shared by the samples of one draw
            found[id(sample.steps)] = len(distinct)
            distinct.append(sample.steps)
        rows.append(found[id(sample.steps)])
    return distinct, torch.tensor(rows)


@torch.no_grad()
def draw(
    policy: TrainablePolicy,
    samples: Sequence[Sample],
    sampling: SamplingConfig,
    window: tuple[int, ...],
    *,
    keep_means: bool = False,
) -> Drawn:
    """Draws one chunk; an empty `window` makes every step deterministic.

    Args:
        samples: of one task: all with or all without text, all with or all without source.
        keep_means: store the means of the trained steps.
    """
    distinct, rows = beginnings(samples)
    contexts = given(policy, distinct, rows)
    kind = text_kind(samples[0].steps)
    ids = mask = log_probs = stopped = None
    texts, well_formed = [""] * len(samples), [True] * len(samples)
    if kind is not None:
        sampled = policy.sample_text(
            contexts.gen,
            [s.seed for s in samples],
            kind=kind,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_text_tokens or policy.resolve_params(GenerationParams()).max_text_tokens or 1024,
        )
        ids, log_probs, mask, stopped = sampled.ids, sampled.log_probs, sampled.mask, sampled.stopped_by_eos
        contexts = with_text(policy, contexts, ids)
        rows_of_ids = [
            [i for i, drawn in zip(row, kept, strict=True) if drawn]
            for row, kept in zip(ids.tolist(), mask.tolist(), strict=True)
        ]
        texts = [policy.text_of(row) for row in rows_of_ids]
        well_formed = [
            policy.is_well_formed(row, kind=kind) and bool(end)
            for row, end in zip(rows_of_ids, stopped.tolist(), strict=True)
        ]
    path = draw_images(policy, contexts, samples, sampling, window, keep_means=keep_means)
    return Drawn(
        samples=samples,
        ids=ids,
        text_mask=mask,
        text_log_probs=log_probs,
        stopped=stopped,
        window=window,
        x=path.x,
        x_next=path.x_next,
        log_probs=path.log_probs,
        means=path.means,
        images=policy.decode(path.end),
        texts=texts,
        well_formed=well_formed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The image part of a chunk's trajectories; see `Drawn`."""

    end: Tensor
    x: Tensor
    x_next: Tensor
    log_probs: Tensor
    means: Tensor | None


@torch.no_grad()
def draw_images(
    policy: TrainablePolicy,
    contexts: Contexts,
    samples: Sequence[Sample],
    sampling: SamplingConfig,
    window: tuple[int, ...],
    *,
    keep_means: bool = False,
) -> Path:
    """Latents from noise to data, stochastic at the steps of `window`, deterministic elsewhere."""
    grid = flow.time_grid(sampling.grid_points, sampling.shift)
    shape = policy.latent_shape(sampling.size_px)
    device = next(policy.trainable_module.parameters()).device
    noise = [torch.randn(shape, generator=seeds.generator(s.noise_seed, "initial_noise")) for s in samples]
    x = torch.stack(noise).to(device)
    dtype = getattr(torch, sampling.latents_dtype)
    refining = samples[0].source is not None
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for i, sigma in enumerate(grid[:-1]):
        levels = torch.full((len(samples),), sigma, device=device)
        v = policy.velocity(x, levels, contexts, guidance_at(sampling, sigma, refining=refining))
        if i not in window:
            x = flow.ode_step(x, v, sigma, grid[i + 1])
            continue
        c = flow.step_coefficients(sampling.sampler, grid, i, sampling.noise_level)
        draws = [torch.randn(shape, generator=seeds.generator(s.seed, "sde", i)) for s in samples]
        step = flow.stochastic_step(x, v, c, torch.stack(draws).to(device))
        # A narrower storage type rounds the state; its log-probability is that of the rounded state.
        after = step.x.to(dtype).float()
        log_prob = flow.gaussian_log_prob(after, step.mean, c.std)
        kept.append((x, after, log_prob, step.mean))
        x = after
    empty = x.new_zeros((0, *x.shape))
    return Path(
        end=x,
        x=torch.stack([k[0] for k in kept]) if kept else empty,
        x_next=torch.stack([k[1] for k in kept]) if kept else empty,
        log_probs=torch.stack([k[2] for k in kept]) if kept else x.new_zeros((0, len(samples))),
        means=torch.stack([k[3] for k in kept]) if kept and keep_means else None,
    )


def chunks(samples: Sequence[Sample], size: int) -> list[Sequence[Sample]]:
    """Runs of at most `size` samples."""
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def initial_sampling(sampling: SamplingConfig, grid_points: int) -> SamplingConfig:
    """Settings of initial images: the same guidance, their own grid, no stochastic step."""
    return replace(sampling, grid_points=grid_points)
