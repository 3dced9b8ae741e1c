"""A chat as a Qwen model's inputs: token ids with the right number of image places, pixels and their grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from harness.errors import DataError
from harness.judges.vlm.messages import Chat
from harness.judges.vlm.transformers_load import LoadedModel

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of a prompt, resized, cut into patches and normalised."""

    pixels: torch.Tensor
    """(patches of all images, values of a patch) float32."""
    grid: torch.Tensor
    """(images, 3) int64: frames, rows and columns of patches."""

    def n_tokens(self, merge_size: int) -> list[int]:
        """Places that each image takes in the text."""
        return [int(n) // merge_size**2 for n in self.grid.prod(-1)]


def chat_messages(chat: Chat) -> list[dict[str, Any]]:
    """`chat` as a chat template reads it; images are places without content."""
    content = [{"type": "image"} if p.image is not None else {"type": "text", "text": p.text} for p in chat.parts]
    turns = [{"role": "system", "content": [{"type": "text", "text": chat.system}]}] if chat.system else []
    return [*turns, {"role": "user", "content": content}]


def chat_text(holder: Any, chat: Chat, options: Mapping[str, Any]) -> str:
    """The prompt up to where the answer begins; `holder` is the tokenizer or processor that has the template."""
    text: str = holder.apply_chat_template(
        chat_messages(chat), tokenize=False, add_generation_prompt=True, **dict(options)
    )
    return text


def encode_pictures(loaded: LoadedModel, images: Sequence[Image.Image]) -> Pictures:
    """Pixels and grid of the images, on the model's device."""
    made = loaded.image_processor(images=list(images), return_tensors="pt")
    return Pictures(made["pixel_values"].to(loaded.device), made["image_grid_thw"].to(loaded.device))


def encode_chat(
    loaded: LoadedModel, chat: Chat, pictures: Pictures | None, options: Mapping[str, Any]
) -> tuple[int, ...]:
    """Token ids of the prompt, each image's place repeated as often as it has tokens.

    Raises:
        DataError: the text itself contains the model's marks for images or turns, which would change the layout; or
            the prompt is longer than the model's positions.
    """
    ids = _expanded(loaded, chat, pictures, options)
    refuse_length(loaded, len(ids))
    return ids


def _expanded(
    loaded: LoadedModel, chat: Chat, pictures: Pictures | None, options: Mapping[str, Any]
) -> tuple[int, ...]:
    """Token ids, each image's place repeated as often as it has tokens."""
    refuse_marks(loaded, chat)
    ids: list[int] = loaded.tokenizer(chat_text(loaded.tokenizer, chat, options), add_special_tokens=False)["input_ids"]
    if pictures is None:
        return tuple(ids)
    place = loaded.model.config.image_token_id
    counts = iter(pictures.n_tokens(loaded.image_processor.merge_size))
    found = ids.count(place)
    if found != len(pictures.grid):
        raise DataError(
            f"{loaded.name}: its chat template makes {found} places for {len(pictures.grid)} images; expected one each."
        )
    return tuple(j for i in ids for j in ([place] * next(counts) if i == place else [i]))


def row_inputs(loaded: LoadedModel, ids: Sequence[int], pictures: Pictures | None) -> dict[str, Any]:
    """Model inputs of one row of tokens that holds all the images."""
    import torch

    row = torch.tensor([list(ids)], device=loaded.device)
    if pictures is None:
        return {"input_ids": row, "attention_mask": torch.ones_like(row)}
    return {
        "input_ids": row,
        "attention_mask": torch.ones_like(row),
        "pixel_values": pictures.pixels,
        "image_grid_thw": pictures.grid,
        "mm_token_type_ids": (row == loaded.model.config.image_token_id).int(),
    }


def refuse_length(loaded: LoadedModel, n_tokens: int) -> None:
    """Raises DataError where a prompt is longer than the positions that the model was made for."""
    most = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if most is not None and n_tokens > most:
        raise DataError(f"{loaded.name}: the prompt has {n_tokens} tokens, the model takes at most {most}.")


def refuse_marks(loaded: LoadedModel, chat: Chat) -> None:
    """Raises DataError where the text itself contains one of the model's marks."""
    problem = marks_problem(loaded.tokenizer, chat)
    if problem:
        raise DataError(f"{loaded.name}: {problem}")


def marks_problem(tokenizer: Any, chat: Chat) -> str:
    """What is wrong with a text that contains a mark of images or turns, which would change the layout; else empty."""
    found = [m for m in tokenizer.all_special_tokens if m in chat.text or m in chat.system]
    return f"the text contains {found[0]!r}, a mark of the model's prompt layout; remove it." if found else ""
