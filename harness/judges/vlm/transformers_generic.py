"""Models other than Qwen's families: inputs by the model's own processor, one forward pass per question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from harness.errors import JudgeError
from harness.judges.vlm.messages import Chat
from harness.judges.vlm.transformers_identity import first_line
from harness.judges.vlm.transformers_load import LoadedModel
from harness.judges.vlm.transformers_prompt import chat_text, refuse_length, refuse_marks

if TYPE_CHECKING:
    import torch


def generic_inputs(
    loaded: LoadedModel, images: Sequence[Image.Image], chat: Chat, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Model inputs of one chat.

    Raises:
        DataError: the text contains one of the model's marks, or the prompt is too long.
        JudgeError: the processor cannot make inputs of it.
    """
    refuse_marks(loaded, chat)
    try:
        text = chat_text(loaded.template, chat, options)
        made = loaded.processor(text=[text], images=list(images) or None, add_special_tokens=False, return_tensors="pt")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise JudgeError(f"{loaded.name}: its processor does not take the chat: {first_line(error)}") from None
    refuse_length(loaded, made["input_ids"].shape[1])
    return {k: v.to(loaded.device) for k, v in made.items()}


def generic_log_probs(loaded: LoadedModel, inputs: Mapping[str, Any], wanted: Sequence[int]) -> torch.Tensor:
    """(len(wanted),) float32 on the CPU: log-probabilities of the first answer token over the full vocabulary."""
    import torch

    with torch.inference_mode():
        logits = loaded.model(**inputs, use_cache=False).logits[0, -1]
        return logits.float().log_softmax(-1)[torch.tensor(list(wanted), device=logits.device)].cpu()
