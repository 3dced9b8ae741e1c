"""Settings of `train micro-pretrain`; the defaults here are those of the shipped weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import ConfigError

_SHARES = (
    *("share_plain", "share_edit", "share_reflect", "edit_think", "caption_noise", "image_noise", "degraded_images"),
    *("unknown_words", "indirect", "share_describe", "condition_dropout", "decay_fraction"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """Everything that determines the weights (with the world version and one CPU thread)."""

    kind: str = "micro-pretrain"
    """Names the trainer in a configuration file."""
    seed: int = 0
    """Of the initial weights, the corpus and all noise."""
    steps: int = 9000
    """Optimiser steps; the budget is steps, never time."""
    threads: int = 1
    """CPU threads of torch; another number changes the last bits of the result."""

    width: int = 96
    """Width of the transformer."""
    layers: int = 4
    """Layers of the transformer."""
    heads: int = 3
    """Attention heads."""

    batch_size: int = 16
    """Prompts per step."""
    noise_draws: int = 3
    """Noisy images per prompt; they share one pass over the text."""
    lr: float = 4e-3
    """Peak learning rate of AdamW (embeddings, inputs, outputs, biases)."""
    muon_lr: float = 0.02
    """Peak learning rate of Muon (matrices of the transformer's layers)."""
    beta1: float = 0.9
    """Of AdamW."""
    beta2: float = 0.95
    """Of AdamW."""
    weight_decay: float = 0.01
    """Of both optimisers."""
    warmup_steps: int = 100
    """Steps of linear warm-up."""
    decay_fraction: float = 0.3
    """Last share of the steps, over which the learning rate falls linearly."""
    final_lr_fraction: float = 0.02
    """Learning rates at the end, as a share of the peak."""
    clip_norm: float = 1.0
    """Largest gradient norm."""
    ema_decay: float = 0.995
    """Of the averaged weights that are saved; shorter averages in the first 2,000 steps."""
    text_weight: float = 1.0
    """Of the cross-entropy of thoughts."""
    layout_weight: float = 3.0
    """Weight of a thought's cell, size and background words relative to its other words: hardest to learn, since most
    prompts leave them open."""
    flow_weight: float = 3.0
    """Of the velocity loss."""
    sigma_min: float = 0.07
    """Lowest noise level in training; levels are uniform up to 1."""
    sigma_weight_floor: float = 0.3
    """The velocity weight 1 / sigma^2 on the predicted image stays constant below this level."""
    condition_dropout: float = 0.1
    """Share of noisy images that see no context (half of them keep a source image)."""

    binding_steps: int = 1000
    """First steps, which show crowded plans and their images without prompts or noise, most of them with the picture
    in front: objects learn to stand in their planned cells, plans to use a cell once, and pictures to be read, before
    anything else competes for attention."""
    simple_steps: int = 2600
    """Until this step prompts have short wordings only and the corpus is clean; afterwards all wordings, all noise."""
    share_plain: float = 0.12
    """Share of batches that draw from the prompt alone, without a thought."""
    share_edit: float = 0.22
    """Share of batches with a source image and an instruction."""
    share_reflect: float = 0.13
    """Share of batches with a picture, its prompt, a diagnosis and a corrected plan. The rest think, then draw."""
    share_describe: float = 0.06
    """Share of batches that describe a picture (after the simple steps)."""
    edit_think: float = 0.65
    """Share of edit batches that write the target's plan first."""

    caption_noise: float = 0.3
    """Corpus dial: share of scenes with one fact that contradicts their prompt (plan and image agree)."""
    image_noise: float = 0.07
    """Corpus dial: share of images with one fact that contradicts their plan."""
    degraded_images: float = 0.3
    """Corpus dial: share of images with grain, faded colours, blur or speckle."""
    unknown_words: float = 0.005
    """Share of prompt words replaced by the unknown word."""
    indirect: float = 0.3
    """Share of prompts that name things indirectly."""

    log_every: int = 20
    """Steps between lines of `metrics.jsonl`."""
    diagnose_every: int = 500
    """Steps between binding diagnostics (objects drawn in their planned cells)."""
    checkpoint_every: int = 250
    """Steps between resumable states."""
    eval_prompts: int = 1024
    """Benchmark-split prompts of the final evaluation; 0 leaves it out."""
    half_precision: bool = True
    """Store the final weights as float16 (they load as float32)."""

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch_size",
            "noise_draws",
            "log_every",
            "diagnose_every",
            "checkpoint_every",
            "threads",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"micro-pretrain: {name} is {getattr(self, name)}, expected 1 or more.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"micro-pretrain: {name} is {getattr(self, name)}, expected a share from 0 to 1.")
        if self.share_plain + self.share_edit + self.share_reflect + self.share_describe > 1:
            raise ConfigError("micro-pretrain: the shares of tasks add up to more than 1.")

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
