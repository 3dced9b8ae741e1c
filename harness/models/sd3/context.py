"""Contexts: the prompt embeddings of a batch, computed once and without gradient.

Shapes: B samples, N text tokens (77 of CLIP, then those of T5), D joint width, P pooled width.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.errors import PolicyError
from harness.models.sd3.parts import quiet

_LOG = logging.getLogger(__name__)
_KEPT = 64


class Embedded(NamedTuple):
    """A batch of embedded prompts."""

    tokens: Tensor
    """(B, N, D)."""
    pooled: Tensor
    """(B, P)."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a batch of samples has read: nothing, or one prompt each."""

    batch_size: int
    prompts: Embedded | None = None

    def select(self, indices: Tensor) -> Context:
        """The samples `indices` (int64), in that order, repeats allowed."""
        if self.prompts is None:
            return Context(len(indices))
        return Context(len(indices), Embedded(*(t[indices.to(t.device)] for t in self.prompts)))


class PromptEncoder:
    """The text encoders of a pipeline. The latest embeddings are kept, so that a group's prompt is read once.

    Args:
        pipeline: an SD3 pipeline; its `encode_prompt` defines the embedding.
        max_sequence_length: of T5.
    """

    def __init__(self, pipeline: Any, max_sequence_length: int) -> None:
        self._pipeline = pipeline
        self._max = max_sequence_length
        self._kept: OrderedDict[str, Embedded] = OrderedDict()
        self._warned = False

    def __call__(self, prompts: Sequence[str]) -> Embedded:
        """Embeddings of one prompt per sample; each is encoded alone, so they do not depend on the batch."""
        rows = [self._one(prompt) for prompt in prompts]
        return Embedded(torch.cat([r.tokens for r in rows]), torch.cat([r.pooled for r in rows]))

    def _one(self, prompt: str) -> Embedded:
        if prompt in self._kept:
            self._kept.move_to_end(prompt)
            return self._kept[prompt]
        self._warn_of_truncation(prompt)
        device = self._pipeline.text_encoder.device
        # Tokenizers remark on every long prompt; truncation is part of the model and said once.
        with quiet(), torch.no_grad(), torch.autocast(device.type, enabled=False):
            tokens, _, pooled, _ = self._pipeline.encode_prompt(
                prompt=prompt,
                prompt_2=None,
                prompt_3=None,
                do_classifier_free_guidance=False,
                max_sequence_length=self._max,
                device=device,
            )
        self._kept[prompt] = Embedded(tokens, pooled)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[prompt]

    def _warn_of_truncation(self, prompt: str) -> None:
        if self._warned or self._pipeline.text_encoder_3 is None:
            return
        with quiet():
            n = len(self._pipeline.tokenizer_3(prompt, truncation=False)["input_ids"])
        if n > self._max:
            self._warned = True
            _LOG.warning(
                "sd3 reads %d T5 tokens of a prompt; one has %d. Raise max_sequence_length (at most 512).", self._max, n
            )


def check_texts(segment: Sequence[Any], context: Context) -> list[str]:
    """`segment` as one prompt per sample of an empty context.

    Raises:
        PolicyError: another number of prompts, something that is no text, or a context that has a prompt already.
    """
    if len(segment) != context.batch_size:
        raise PolicyError(f"sd3: {len(segment)} prompts for a context of {context.batch_size} samples.")
    if context.prompts is not None:
        raise PolicyError("sd3 reads one prompt per sample; the context has one already. Join the texts first.")
    for text in segment:
        if not isinstance(text, str):
            raise PolicyError(f"sd3: a prompt is a {type(text).__name__}, expected text.")
    return list(segment)
