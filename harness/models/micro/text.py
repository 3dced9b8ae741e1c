"""Drawing thoughts token by token, and their log-probabilities under teacher forcing.

Shapes: B samples, L tokens of a thought, column 0 its start token (given, not drawn).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness import seeds as seeds_module
from harness.models.base import SampledText, TextLogProbs
from harness.models.micro import tokenizer
from harness.models.micro.context import THOUGHT, Context, read_text
from harness.models.micro.network import CONV_WIDTH, MicroNetwork

_NEVER = (tokenizer.PAD, tokenizer.UNK, tokenizer.BOS, tokenizer.THINK, tokenizer.REFLECT)
_MAX_UNIFORMS = 256


def log_distribution(logits: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (..., tokens) float32 of the next token; special tokens but the end are impossible.

    Temperature 0 stands for the arg-max, whose log-probability is reported at temperature 1.
    """
    banned = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    banned[list(_NEVER)] = True
    scaled = logits.float() / (temperature if temperature > 0 else 1.0)
    return scaled.masked_fill(banned, -1e9).log_softmax(-1)


def draw(log_probs: Tensor, uniform: Tensor, *, greedy: bool, top_p: float) -> Tensor:
    """One token per sample by inversion of the cumulative distribution.

    Args:
        log_probs: (B, tokens).
        uniform: (B,) float64 in [0, 1).
        top_p: keep the most probable tokens up to this mass (at least one).

    Returns:
        (B,) int64.
    """
    if greedy:
        return log_probs.argmax(-1)
    p = log_probs.double().exp()
    if top_p < 1:
        ordered, order = p.sort(dim=-1, descending=True, stable=True)
        kept = ordered * (ordered.cumsum(-1) - ordered < top_p)
        p = torch.zeros_like(p).scatter_(-1, order, kept)
    cumulative = p.cumsum(-1)
    chosen = torch.searchsorted(cumulative, (uniform * cumulative[:, -1])[:, None], right=True)[:, 0]
    # Rounding may put the target at the very end of the distribution, behind the last possible token.
    last = p.shape[-1] - 1 - (p.flip(-1) > 0).int().argmax(-1)
    return torch.minimum(chosen, last)


def uniforms(seeds: Sequence[int], n: int) -> Tensor:
    """(B, n) float64 in [0, 1), one per token, each sample's from its own generator; a longer row starts the same."""
    rows = [
        torch.rand(_MAX_UNIFORMS, dtype=torch.float64, generator=seeds_module.generator(seed, "text")) for seed in seeds
    ]
    return torch.stack(rows)[:, :n]


@torch.no_grad()
def sample(
    network: MicroNetwork,
    context: Context,
    seeds: Sequence[int],
    *,
    kind: str,
    temperature: float,
    max_tokens: int,
    top_p: float,
) -> SampledText:
    """A thought of at most `max_tokens` drawn tokens per sample; see `TrainablePolicy.sample_text`."""
    batch, device = context.batch_size, context.visible.device
    random = uniforms(seeds, max_tokens).to(device)
    cache = _Cache(network, context, max_tokens)
    current = torch.full((batch,), tokenizer.STARTS[kind], dtype=torch.long, device=device)
    done = torch.zeros(batch, dtype=torch.bool, device=device)
    ids, log_probs, drawn = [current], [torch.zeros(batch, device=device)], [done]
    for i in range(max_tokens):
        distribution = log_distribution(cache.step(current), temperature)
        chosen = draw(distribution, random[:, i], greedy=temperature <= 0, top_p=top_p)
        drawn.append(~done)
        log_probs.append(distribution.gather(1, chosen[:, None])[:, 0].masked_fill(done, 0.0))
        current = chosen.masked_fill(done, tokenizer.PAD)
        ids.append(current)
        done = done | (current == tokenizer.EOS)
        if bool(done.all()):
            break
    return SampledText(torch.stack(ids, 1), torch.stack(log_probs, 1), torch.stack(drawn, 1), done)


def log_probs(
    network: MicroNetwork, context: Context, ids: Tensor, *, temperature: float
) -> tuple[TextLogProbs, Context]:
    """Log-probabilities of a thought (B, L) as `sample` would have drawn it, and the context after it."""
    after, states = read_text(network, context, ids, THOUGHT)
    distribution = log_distribution(network.logits(states[:, :-1]), temperature)
    mask = ids != tokenizer.PAD
    mask[:, 0] = False
    picked = distribution.gather(2, ids[:, 1:, None])[..., 0].masked_fill(~mask[:, 1:], 0.0)
    entropy = -(distribution.exp() * distribution).sum(-1).masked_fill(~mask[:, 1:], 0.0)
    start = picked.new_zeros(ids.shape[0], 1)
    return TextLogProbs(torch.cat([start, picked], 1), mask, torch.cat([start, entropy], 1)), after


class _Cache:
    """Keys and values of context and thought in one buffer that grows in place."""

    def __init__(self, network: MicroNetwork, context: Context, n_tokens: int) -> None:
        config = network.config
        batch, past = context.visible.shape
        shape = (batch, config.heads, past + n_tokens, config.width // config.heads)
        device = context.visible.device
        self._network = network
        self._layers = [(torch.zeros(shape, device=device), torch.zeros(shape, device=device)) for _ in network.blocks]
        for (k, v), (past_k, past_v) in zip(self._layers, context.layers or [], strict=False):
            k[:, :, :past], v[:, :, :past] = past_k, past_v
        seen = torch.ones(batch, n_tokens, dtype=torch.bool, device=device)
        self._visible = torch.cat([context.visible, seen], 1)
        self._past, self._n = past, 0
        self._recent = torch.full((batch, CONV_WIDTH - 1), tokenizer.PAD, dtype=torch.long, device=device)

    def step(self, ids: Tensor) -> Tensor:
        """Reads one token (B,) and returns the logits (B, tokens) of the next."""
        end = self._past + self._n
        x = self._network.embed_text(ids[:, None], THOUGHT, offset=self._n, previous=self._recent)
        past = [(k[:, :, :end], v[:, :, :end]) for k, v in self._layers]
        states, new = self._network.understand(x, self._visible[:, None, : end + 1], past)
        for (k, v), (new_k, new_v) in zip(self._layers, new, strict=True):
            k[:, :, end : end + 1], v[:, :, end : end + 1] = new_k, new_v
        self._recent = torch.cat([self._recent[:, 1:], ids[:, None]], 1)
        self._n += 1
        return self._network.logits(states[:, 0])
