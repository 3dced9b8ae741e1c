"""Loading a vision-language model for judging in this process: weights, tokenizer, image processor.

For Qwen's families the tokenizer and the image processor are loaded by themselves, because the combined processor
cannot be built without torchvision (its video part needs it), which a CPU installation does well without.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.judges.scorers.weights import quietly
from harness.judges.vlm.transformers_identity import first_line, model_config, require_transformers

if TYPE_CHECKING:
    import torch

QWEN_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
"""Model types whose prompt layout and positions are known here, so that questions can share an image's prefix."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode with what turns text and pictures into its inputs."""

    name: str
    """Folder or hub repository."""
    model: Any
    tokenizer: Any
    image_processor: Any
    processor: Any
    """The combined one; None for Qwen's families."""
    device: torch.device

    @property
    def is_qwen(self) -> bool:
        """Whether the questions on an image can share its prefix."""
        return self.model.config.model_type in QWEN_FAMILIES

    @property
    def template(self) -> Any:
        """What has the chat template: the processor, else the tokenizer."""
        return self.processor or self.tokenizer


def load_model(name: str, *, dtype: str = "auto", device: str = "auto") -> LoadedModel:
    """A model from a folder or the hub; weights in safetensors only, and no code from the repository is run.

    Args:
        name: folder or hub repository.
        dtype: `auto` (as stored) or the name of a torch type.
        device: `auto` (CUDA where there is one) or a torch device.

    Raises:
        JudgeError: not found, not an image-and-text model, no safetensors, or no room on the device.
    """
    transformers = require_transformers()
    import torch

    config = model_config(name)
    try:
        where = torch.device(_device(device))
        exact = dtype if dtype == "auto" else getattr(torch, dtype)
        model = quietly(
            lambda: transformers.AutoModelForImageTextToText.from_pretrained(
                name, config=config, dtype=exact, use_safetensors=True
            )
        )
        if config.model_type in QWEN_FAMILIES:
            processor = None
            tokenizer = transformers.AutoTokenizer.from_pretrained(name)
            image_processor = transformers.AutoImageProcessor.from_pretrained(name)
        else:
            processor = transformers.AutoProcessor.from_pretrained(name)
            tokenizer, image_processor = processor.tokenizer, processor.image_processor
        model = model.to(where).eval()
    except torch.OutOfMemoryError as error:
        raise JudgeError(f"{name}: does not fit on {where}; use a vLLM server instead. ({first_line(error)})") from None
    except (OSError, ValueError, ImportError, AttributeError, KeyError, RuntimeError) as error:
        raise JudgeError(
            f"{name} ({config.model_type}): cannot be loaded as an image-and-text model with safetensors weights: "
            f"{first_line(error)}"
        ) from None
    give_template(processor or tokenizer, name)
    return LoadedModel(name, model, tokenizer, image_processor, processor, where)


def _device(name: str) -> str:
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def give_template(holder: Any, name: str) -> None:
    """Sets the chat template from the older file `chat_template.json` where the tokenizer has none."""
    if holder.chat_template:
        return
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(name, "chat_template.json", _raise_exceptions_for_missing_entries=False)
    except OSError:
        found = None
    if found is None:
        raise JudgeError(f"{name}: has no chat template, so it is no model that answers questions.")
    holder.chat_template = json.loads(Path(found).read_text(encoding="utf-8"))["chat_template"]
