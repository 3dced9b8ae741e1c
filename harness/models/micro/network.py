"""The network: one transformer with an understanding and a generation expert and shared attention.

Shapes: B samples, N tokens of a segment, P tokens of the past, K noise draws per sample, C = 9 cells (image tokens),
V = 768 values of a cell's patch, D width, H heads.

Text and clean images pass through the understanding expert, noisy images through the generation expert; the latter's
queries see the keys of the whole context and of their own image. Four details let image positions bind to the words
of a plan within minutes of training; without them objects land in chance cells:
a causal depthwise convolution over word embeddings (an object's words become one key), the position embedding of an
image token tied to the embedding of its cell word, generation queries that start as the understanding expert's keys,
and a small initial image input projection (positions are not drowned in noise).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.models.micro import tokenizer
from harness.world.scene import CELL_PX, GRID, SIZE_PX

KeysValues = list[tuple[Tensor, Tensor]]
"""Per layer: keys and values, each (B, H, P, D / H)."""

CONV_WIDTH = 4
PROMPT, THOUGHT = "prompt", "thought"
_TIME_FEATURES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """What determines the architecture; stored in every checkpoint."""

    width: int = 96
    layers: int = 4
    heads: int = 3
    mlp: int = 4
    """Hidden width of the feed-forward parts, in widths."""
    head_hidden: int = 256
    """Hidden width of the clean image input and of the image output."""
    max_prompt: int = 224
    """Most tokens of one prompt or instruction, the start token included."""
    max_thought: int = 64
    """Most tokens of one thought, start and end tokens included."""
    vocabulary: str = ""
    """`tokenizer.vocabulary_hash()`."""
    tokens: int = 0
    """Number of tokens."""

    @classmethod
    def current(cls, **changes: Any) -> NetworkConfig:
        """The default configuration for this version's vocabulary."""
        return cls(**{"vocabulary": tokenizer.vocabulary_hash(), "tokens": len(tokenizer.TOKENS), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a manifest."""
        return asdict(self)


def _norm(x: Tensor) -> Tensor:
    """Zero mean, unit variance of the last axis; no learned scale (torch's RMS norm takes twice as long on a CPU)."""
    return F.layer_norm(x, (x.shape[-1],))


class Expert(nn.Module):
    """The weights of one expert in one layer; attention itself is shared."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def heads(self, x: Tensor, n_heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised queries and keys, and values, each (B, H, N, D / H)."""
        batch, n, width = x.shape
        q, k, v = self.qkv(x).view(batch, n, 3, n_heads, width // n_heads).permute(2, 0, 3, 1, 4)
        return _norm(q), _norm(k), v

    def feed_forward(self, x: Tensor) -> Tensor:
        """(…, D) to (…, D)."""
        return self.down(F.silu(self.up(x)))


class Block(nn.Module):
    """One layer with both experts."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.n_heads = config.heads
        self.und = Expert(config.width, config.mlp * config.width)
        self.gen = Expert(config.width, config.mlp * config.width)
        self.modulation = nn.Parameter(torch.zeros(6, config.width))

    def understand(
        self, x: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, N, D) through the understanding expert; also the new keys and values."""
        q, k, v = self.und.heads(_norm(x), self.n_heads)
        x = x + self.und.out(_attend(q, k, v, mask, past))
        return x + self.und.feed_forward(_norm(x)), (k, v)

    def generate(self, x: Tensor, condition: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None) -> Tensor:
        """(B, K, C, D) through the generation expert under time conditions (B, K, 6, D)."""
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (condition + self.modulation)[:, :, :, None].unbind(2)
        q, k, v = self.gen.heads((_norm(x) * (1 + scale_a) + shift_a).flatten(1, 2), self.n_heads)
        x = x + self.gen.out(_attend(q, k, v, mask, past)).view_as(x) * (1 + gate_a)
        return x + self.gen.feed_forward(_norm(x) * (1 + scale_f) + shift_f) * (1 + gate_f)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None) -> Tensor:
    """Attention of (B, H, N, D / H) over past and own keys under a bool mask (B, 1, N, P + N): (B, N, D)."""
    if past is not None:
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
    # Normalised queries and keys have products up to D / H; the factor 2 lets a head be sharp.
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=2.0 / math.sqrt(q.shape[-1]))
    return y.transpose(1, 2).flatten(2)


class MicroNetwork(nn.Module):
    """Text, clean images and noisy images in one sequence."""

    n_cells = GRID * GRID
    patch_values = 3 * CELL_PX * CELL_PX

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.token = nn.Embedding(config.tokens, width)
        self.prompt_position = nn.Parameter(0.02 * torch.randn(config.max_prompt, width))
        self.thought_position = nn.Parameter(0.02 * torch.randn(config.max_thought, width))
        self.conv = nn.Parameter(0.5 * torch.randn(CONV_WIDTH - 1, width))
        self.clean_hidden = nn.Linear(self.patch_values, config.head_hidden)
        self.clean_in = nn.Linear(config.head_hidden, width)
        self.clean_position = nn.Parameter(0.05 * torch.randn(self.n_cells, width))
        self.noisy_in = nn.Linear(self.patch_values, width)
        self.noisy_position = nn.Parameter(0.05 * torch.randn(self.n_cells, width))
        self.time_hidden = nn.Linear(_TIME_FEATURES, width)
        self.time_out = nn.Linear(width, 7 * width)
        self._blocks = [Block(config) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(self._blocks)
        self.head = nn.Linear(width, config.tokens, bias=False)
        self.copy_scale = nn.Parameter(torch.tensor(0.03))
        # One hidden layer: a patch is a product of shape, size and colour, which a linear map draws only slowly.
        self.noisy_hidden = nn.Linear(width, config.head_hidden)
        self.noisy_out = nn.Linear(config.head_hidden, self.patch_values)
        self.cells: Tensor
        cells = torch.tensor(tokenizer.encode_words(f"cell{i}" for i in range(self.n_cells)))
        self.register_buffer("cells", cells, persistent=False)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.normal_(self.token.weight, std=0.7)
        for layer in (self.time_out, self.noisy_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.weight)
        self.noisy_in.weight.mul_(0.3)
        width = self.config.width
        for block in self._blocks:
            block.gen.qkv.weight[:width] = block.und.qkv.weight[width : 2 * width]

    def embed_text(self, ids: Tensor, segment: str, *, offset: int = 0, previous: Tensor | None = None) -> Tensor:
        """Word embeddings of one segment: (B, N) int64 ids to (B, N, D).

        Args:
            segment: `PROMPT` or `THOUGHT`: each counts its positions from 0.
            offset: position of the first id within the segment.
            previous: (B, 3) ids before it in the segment, `PAD` where there are none.
        """
        if previous is None:
            previous = ids.new_full((ids.shape[0], CONV_WIDTH - 1), tokenizer.PAD)
        n = ids.shape[1]
        padded = torch.cat([previous, ids], 1)
        words = self.token(padded) * (padded != tokenizer.PAD)[..., None]
        position = self.prompt_position if segment == PROMPT else self.thought_position
        x = words[:, CONV_WIDTH - 1 :] + position[offset : offset + n]
        for back in range(1, CONV_WIDTH):
            start = CONV_WIDTH - 1 - back
            x = x + self.conv[back - 1] * words[:, start : start + n]
        return x

    def embed_image(self, patches: Tensor) -> Tensor:
        """Embeddings of a clean image: (B, C, V) in [-1, 1] to (B, C, D)."""
        return self.clean_in(F.silu(self.clean_hidden(patches))) + self.clean_position + self.token(self.cells)

    def understand(self, x: Tensor, mask: Tensor, past: KeysValues | None = None) -> tuple[Tensor, KeysValues]:
        """Embeddings (B, N, D) through the understanding experts.

        Args:
            mask: (B, N, P + N) bool, True where a token (row) sees a key (column).
            past: keys and values of the P tokens before.

        Returns:
            The normalised last states (B, N, D), and the N new keys and values per layer.
        """
        new: KeysValues = []
        for i, block in enumerate(self._blocks):
            x, kv = block.understand(x, mask[:, None], None if past is None else past[i])
            new.append(kv)
        return _norm(x), new

    def logits(self, states: Tensor) -> Tensor:
        """(B, N, D) to float32 logits (B, N, tokens).

        A state that holds a word's embedding votes for that word: plans mostly repeat words of their prompt.
        """
        return (self.head(states) + self.copy_scale * F.linear(states, self.token.weight)).float()

    def predict_data(self, x: Tensor, sigma: Tensor, past: KeysValues | None, visible: Tensor) -> Tensor:
        """The predicted clean patches of noisy ones.

        Args:
            x: (B, K, C, V): K noisy images per context.
            sigma: (B, K) noise levels in (0, 1].
            past: the context's P keys and values; None for no context.
            visible: (B, K, P) bool, True where a key of the context may be seen.

        Returns:
            (B, K, C, V) float32.
        """
        condition = self.time_out(F.silu(self.time_hidden(_time_features(sigma)))).view(
            *sigma.shape, 7, self.config.width
        )
        h = self.noisy_in(x) + self.noisy_position + self.token(self.cells) + condition[:, :, 6:]
        mask = self._image_mask(visible)
        for i, block in enumerate(self._blocks):
            h = block.generate(h, condition[:, :, :6], mask, None if past is None else past[i])
        return self.noisy_out(F.silu(self.noisy_hidden(_norm(h)))).float()

    def _image_mask(self, visible: Tensor) -> Tensor:
        """(B, 1, K * C, P + K * C): an image's tokens see their context and themselves, no other draw."""
        batch, draws, _ = visible.shape
        own = torch.eye(draws, dtype=torch.bool, device=visible.device)
        own = own.repeat_interleave(self.n_cells, 0).repeat_interleave(self.n_cells, 1)
        context = visible.repeat_interleave(self.n_cells, 1)
        return torch.cat([context, own.expand(batch, -1, -1)], 2)[:, None]


def _time_features(sigma: Tensor) -> Tensor:
    """(…,) noise levels to (…, 64) sines and cosines, frequencies 1 to 200."""
    frequencies = torch.exp(torch.linspace(0, math.log(200.0), _TIME_FEATURES // 2, device=sigma.device))
    angle = sigma[..., None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], -1)


def text_mask(ids: Tensor, visible_past: Tensor | None = None) -> Tensor:
    """The causal mask (B, N, P + N) of a text segment (B, N) after a past (B, P); padding sees itself only."""
    batch, n = ids.shape
    causal = torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
    own = (causal & (ids != tokenizer.PAD)[:, None]) | torch.eye(n, dtype=torch.bool, device=ids.device)
    if visible_past is None:
        return own
    return torch.cat([visible_past[:, None].expand(batch, n, -1), own], 2)


def to_patches(images: Tensor) -> Tensor:
    """(B, 48, 48, 3) to (B, C, V): one patch per cell, row-major."""
    x = images.reshape(images.shape[0], GRID, CELL_PX, GRID, CELL_PX, 3)
    return x.transpose(2, 3).reshape(images.shape[0], GRID * GRID, -1)


def from_patches(patches: Tensor) -> Tensor:
    """The inverse of `to_patches`."""
    x = patches.reshape(patches.shape[0], GRID, GRID, CELL_PX, CELL_PX, 3)
    return x.transpose(2, 3).reshape(patches.shape[0], SIZE_PX, SIZE_PX, 3)
