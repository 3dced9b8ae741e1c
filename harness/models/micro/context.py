"""Contexts: the keys and values of what has been read so far, and the functions that read more.

Shapes: see `network`. A context is immutable; reading returns a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.models.micro import tokenizer
from harness.models.micro.network import PROMPT, THOUGHT, KeysValues, MicroNetwork, text_mask


@dataclass(frozen=True, slots=True)
class Context:
    """What a batch of samples has read."""

    layers: KeysValues | None
    """None before the first segment."""
    visible: Tensor
    """(B, P) bool: False at padding."""

    @property
    def batch_size(self) -> int:
        """B."""
        return self.visible.shape[0]

    @classmethod
    def empty(cls, batch_size: int, device: torch.device | str = "cpu") -> Context:
        """Nothing read yet."""
        return cls(None, torch.zeros(batch_size, 0, dtype=torch.bool, device=device))

    def detach(self) -> Context:
        """The same values outside the autograd graph."""
        if self.layers is None:
            return self
        return Context([(k.detach(), v.detach()) for k, v in self.layers], self.visible)

    def select(self, indices: Tensor) -> Context:
        """The samples `indices` (int64), in that order, repeats allowed."""
        layers = None if self.layers is None else [(k[indices], v[indices]) for k, v in self.layers]
        return Context(layers, self.visible[indices])

    def append(self, new: KeysValues, visible: Tensor) -> Context:
        """The context followed by a segment's keys, values and (B, N) visibility."""
        if self.layers is not None:
            new = [
                (torch.cat([a, c], 2), torch.cat([b, d], 2)) for (a, b), (c, d) in zip(self.layers, new, strict=True)
            ]
        return Context(new, torch.cat([self.visible, visible], 1))


def pad_ids(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tensor:
    """Rows of ids to (B, longest) int64, padded on the right."""
    ids = torch.full((len(rows), max(map(len, rows), default=0)), tokenizer.PAD, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return ids.to(device)


def read_text(network: MicroNetwork, context: Context, ids: Tensor, segment: str) -> tuple[Context, Tensor]:
    """`context` after a text segment (B, N), and the last states (B, N, D)."""
    x = network.embed_text(ids, segment)
    states, new = network.understand(x, text_mask(ids, context.visible), context.layers)
    return context.append(new, ids != tokenizer.PAD), states


def read_image(network: MicroNetwork, context: Context, patches: Tensor) -> Context:
    """`context` after a clean image (B, C, V)."""
    x = network.embed_image(patches)
    own = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    mask = torch.cat([context.visible, own], 1)[:, None].expand(-1, x.shape[1], -1)
    return context.append(network.understand(x, mask, context.layers)[1], own)


__all__ = ["PROMPT", "THOUGHT", "Context", "pad_ids", "read_image", "read_text"]
