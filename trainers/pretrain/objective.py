"""The pretraining loss of one batch.

Shapes: B samples, N tokens of the whole sequence (source image, prompt, thought), C = 9 cells, V = 768, K noise draws.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.micro import tokenizer
from harness.models.micro.context import PROMPT, THOUGHT
from harness.models.micro.network import KeysValues, MicroNetwork
from harness.world.plan import CELL_WORDS
from harness.world.scene import BACKGROUNDS, SIZES
from trainers.pretrain.config import PretrainConfig


class Batch(NamedTuple):
    """Samples of one task."""

    task: str
    source: Tensor | None
    """(B, C, V) float32 in [-1, 1]."""
    prompt: Tensor
    """(B, N1) int64."""
    thought: Tensor | None
    """(B, N2) int64, start token first."""
    target: Tensor
    """(B, C, V) float32 in [-1, 1]."""


class Losses(NamedTuple):
    """Parts of the loss; both scalars."""

    text: Tensor
    """Weighted mean cross-entropy of the thought's words in nats; 0 without a thought."""
    flow: Tensor
    """Mean weighted squared error of the velocity."""


def read(network: MicroNetwork, batch: Batch) -> tuple[Tensor | None, KeysValues, Tensor]:
    """All segments in one pass.

    Returns:
        Logits (B, N2, tokens) of the thought or None, keys and values of the sequence, and its (B, N) visibility.
    """
    parts, visible = [], []
    if batch.source is not None:
        parts.append(network.embed_image(batch.source))
        visible.append(torch.ones(parts[0].shape[:2], dtype=torch.bool))
    for ids, segment in ((batch.prompt, PROMPT), (batch.thought, THOUGHT)):
        if ids is not None:
            parts.append(network.embed_text(ids, segment))
            visible.append(ids != tokenizer.PAD)
    seen = torch.cat(visible, 1)
    mask = _sequence_mask(seen, 0 if batch.source is None else batch.source.shape[1])
    states, layers = network.understand(torch.cat(parts, 1), mask)
    logits = None if batch.thought is None else network.logits(states[:, -batch.thought.shape[1] :])
    return logits, layers, seen


def _sequence_mask(seen: Tensor, n_image: int) -> Tensor:
    """(B, N, N) bool: causal, but image tokens in front see each other; padding sees itself only."""
    n = seen.shape[1]
    mask = torch.ones(n, n, dtype=torch.bool).tril()
    mask[:n_image, :n_image] = True
    return (mask & seen[:, None]) | torch.eye(n, dtype=torch.bool)


def losses(network: MicroNetwork, batch: Batch, config: PretrainConfig, generator: torch.Generator) -> Losses:
    """Both parts of the loss of one batch; all noise comes from `generator`."""
    logits, layers, seen = read(network, batch)
    text = torch.zeros(())
    if logits is not None and batch.thought is not None:
        text = _text_loss(logits, batch.thought, config.layout_weight)
    shape = (batch.target.shape[0], config.noise_draws)
    visible = _drop_condition(seen, batch, shape, config, generator)
    data = batch.target[:, None]
    sigma = config.sigma_min + (1.0 - config.sigma_min) * torch.rand(shape, generator=generator)
    level = sigma[..., None, None]
    noise = torch.randn((*shape, *batch.target.shape[1:]), generator=generator)
    predicted = network.predict_data((1 - level) * data + level * noise, sigma, layers, visible)
    # v - v* = (data - predicted) / sigma: the velocity loss, with its weight held below the floor.
    flow = (((predicted - data) / level.clamp(min=config.sigma_weight_floor)) ** 2).mean()
    return Losses(text, flow)


_LAYOUT_WORDS = tokenizer.encode_words((*CELL_WORDS, *SIZES, *BACKGROUNDS))


def _text_loss(logits: Tensor, thought: Tensor, layout_weight: float) -> Tensor:
    """Weighted mean cross-entropy; a word's weight changes how fast it is learned, not what is learned."""
    weights = torch.ones(logits.shape[-1])
    weights[_LAYOUT_WORDS] = layout_weight
    weights[tokenizer.PAD] = 0.0
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), thought[:, 1:].reshape(-1), weight=weights)


def _drop_condition(
    seen: Tensor, batch: Batch, shape: tuple[int, int], config: PretrainConfig, generator: torch.Generator
) -> Tensor:
    """(B, K, N) bool: `seen`, but nothing for some draws; half of those with a source image still see it."""
    u = torch.rand(shape, generator=generator)[..., None]
    visible = seen[:, None] & (u >= config.condition_dropout)
    if batch.source is not None:
        n = batch.source.shape[1]
        visible[:, :, :n] |= u < 0.5 * config.condition_dropout
    return visible
