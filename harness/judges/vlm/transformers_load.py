"""Loading a vision-language model for judging in this process: weights, tokenizer, image processor, identity.

For Qwen's families the tokenizer and the image processor are loaded by themselves, because the combined processor
cannot be built without torchvision (its video part needs it), which a CPU installation does well without.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import JudgeError

if TYPE_CHECKING:
    import torch

QWEN_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
"""Model types whose prompt layout and positions are known here, so that questions can share an image's prefix."""

DtypeName = Literal["auto", "float32", "bfloat16", "float16"]

_SAMPLE_BYTES = 1 << 16
_N_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode with what turns text and pictures into its inputs."""

    name: str
    """Folder or hub repository."""
    revision: str
    """12 hex digits: of the hub's commit, or of a folder's content (see `folder_revision`)."""
    model: Any
    tokenizer: Any
    image_processor: Any
    """None for other than Qwen's families."""
    processor: Any
    """The combined one; None for Qwen's families."""
    device: torch.device

    @property
    def is_qwen(self) -> bool:
        """Whether the questions on an image can share its prefix."""
        return self.model.config.model_type in QWEN_FAMILIES

    @property
    def vocab_size(self) -> int:
        """Ids that the tokenizer knows; the logits may have more, which stand for nothing."""
        return len(self.tokenizer)

    @property
    def label(self) -> str:
        """Model, revision, precision and the way pictures are resized, for fingerprints."""
        import transformers

        dtype = str(self.model.dtype).removeprefix("torch.")
        resizer = type(self.image_processor or self.processor.image_processor).__name__
        return f"{Path(self.name).name}@{self.revision},{dtype},{resizer},transformers-{transformers.__version__}"


def load_model(name: str, *, dtype: DtypeName = "auto", device: str = "auto") -> LoadedModel:
    """A model from a folder or the hub; weights in safetensors only, and no code from the repository is run.

    Raises:
        JudgeError: not found, not an image-and-text model, no safetensors, or no room on the device.
    """
    try:
        import transformers
    except ImportError:
        raise JudgeError(
            'transformers is not installed; install it: pip install -c constraints.txt -e ".[judges]".'
        ) from None
    import torch

    where = torch.device(_device(device))
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        model = transformers.AutoModelForImageTextToText.from_pretrained(
            name, config=config, dtype=dtype if dtype == "auto" else getattr(torch, dtype), use_safetensors=True
        )
        is_qwen = config.model_type in QWEN_FAMILIES
        processor = None if is_qwen else transformers.AutoProcessor.from_pretrained(name)
        image_processor = transformers.AutoImageProcessor.from_pretrained(name) if is_qwen else None
        tokenizer = transformers.AutoTokenizer.from_pretrained(name) if is_qwen else processor.tokenizer
        model = model.to(where).eval()
    except torch.OutOfMemoryError as error:
        raise JudgeError(f"{name}: does not fit on {where} ({error}); use a vLLM server instead.") from None
    except (OSError, ValueError, ImportError, AttributeError, KeyError, RuntimeError) as error:
        raise JudgeError(f"{name}: cannot be loaded as an image-and-text model: {_first_line(error)}") from None
    _give_template(processor or tokenizer, name)
    return LoadedModel(name, _revision(name, config), model, tokenizer, image_processor, processor, where)


def folder_revision(folder: Path) -> str:
    """12 hex digits that change with a model folder's configuration, tokenizer or weights.

    Of each weight file, its name, its size and 64 samples of 64 KiB at equal distances are hashed, so that the largest
    models are identified in seconds; files of up to 4 MiB are hashed as a whole.
    """
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.jinja"), *folder.glob("*.safetensors")]):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _SAMPLE_BYTES * _N_SAMPLES:
                digest.update(file.read())
                continue
            for i in range(_N_SAMPLES):
                file.seek(i * (size - _SAMPLE_BYTES) // (_N_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]


def _revision(name: str, config: Any) -> str:
    if Path(name).is_dir():
        return folder_revision(Path(name))
    return str(getattr(config, "_commit_hash", None) or "unknown")[:12]


def _device(name: str) -> str:
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _give_template(holder: Any, name: str) -> None:
    """Sets the chat template from the older file `chat_template.json` where the tokenizer has none."""
    if holder.chat_template:
        return
    from transformers.utils import cached_file

    try:
        found = cached_file(name, "chat_template.json", _raise_exceptions_for_missing_entries=False)
    except OSError:
        found = None
    if found is None:
        raise JudgeError(f"{name}: has no chat template, so it is no model that answers questions.")
    holder.chat_template = json.loads(Path(found).read_text(encoding="utf-8"))["chat_template"]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
