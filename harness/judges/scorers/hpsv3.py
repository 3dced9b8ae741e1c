"""HPSv3's model: the body of Qwen2-VL, one reward token, and a head that gives a mean and a log deviation.

Released weights were trained with plain positions 0, 1, 2, ... on all three rotary axes (transformers 4.45 gave them to
the text decoder when it was called without any); newer releases would compute image positions and give other scores.
So positions are always passed here, and with right padding they are right for every row of a batch.

Shapes: `B` pairs, `L` tokens, `D` hidden, `P` image patches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.judges.scorers import pixels, weights
from harness.judges.scorers.judge import Scorer
from harness.prompttemplates import Template

if TYPE_CHECKING:
    from torch import Tensor, nn

REWARD_TOKEN = "<|Reward|>"
IMAGE_TOKEN = "<|image_pad|>"
AREA_PX = 256 * 28 * 28
"""Every image is brought to about this area, small ones too: 1024x1024 becomes 448x448, 256 image tokens."""
EMBEDDING = "model.embed_tokens.weight"

_TEXT = re.compile(r"model\.((?:embed_tokens|layers|norm)\..+)")
_HEAD = re.compile(r"rm_head\.(.+)")
_DROPPED = frozenset({"lm_head.weight"})
"""The language model's head, which the score does not use."""
_HEAD_LAYERS = ("0", "3", "5")
_HINT = (
    "Expected HPSv3.safetensors of MizzenAI/HPSv3 (keys model.*, visual.*, rm_head.*) and, as base, the configuration "
    "of Qwen/Qwen2-VL-7B-Instruct."
)


def map_keys(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(body, head): the tensors under the keys of `Qwen2VLModel`, and of the head without `rm_head.`.

    A key that is not known keeps its name in the body, so that a strict load refuses it.
    """
    body: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for key, tensor in state.items():
        of_text, of_head = _TEXT.fullmatch(key), _HEAD.fullmatch(key)
        if of_head:
            head[of_head[1]] = tensor
        elif key not in _DROPPED:
            body[f"language_model.{of_text[1]}" if of_text else key] = tensor
    return body, head


def build_head(state: Mapping[str, Tensor], hidden: int, *, where: str) -> nn.Sequential:
    """Three linear layers in float32 with their widths read from the file: D -> ... -> ... -> 2.

    Raises:
        JudgeError: a key is missing or unexpected, or the layers do not fit together.
    """
    from torch import nn

    names = {f"{layer}.{part}" for layer in _HEAD_LAYERS for part in ("weight", "bias")}
    strange = sorted(names ^ state.keys())
    if strange:
        word = "missing" if strange[0] in names else "unexpected"
        raise JudgeError(f"{where}: key rm_head.{strange[0]} {word}. {_HINT}")
    wide = hidden
    layers: dict[str, nn.Linear] = {}
    for name in _HEAD_LAYERS:
        shape = tuple(state[f"{name}.weight"].shape)
        if len(shape) != 2 or shape[1] != wide:
            raise JudgeError(f"{where}: rm_head.{name}.weight is {shape}, expected (..., {wide}). {_HINT}")
        layers[name] = nn.Linear(wide, shape[0])
        wide = shape[0]
    if wide != 2:
        raise JudgeError(f"{where}: the head gives {wide} numbers, expected 2 (mean and log deviation). {_HINT}")
    first, second, third = layers.values()
    head = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.05), second, nn.ReLU(), third)
    head.load_state_dict({k: v.float() for k, v in state.items()}, strict=True)
    return head.eval().requires_grad_(False)


def build_model(state: Mapping[str, Tensor], config: Any, *, dtype: str, where: str) -> tuple[Any, nn.Sequential]:
    """(body, head) on the CPU; the vocabulary has as many rows as the file.

    Raises:
        JudgeError: a key is missing, unexpected, or of another shape.
    """
    from transformers import Qwen2VLModel

    if EMBEDDING not in state:
        raise JudgeError(f"{where}: key {EMBEDDING} missing. {_HINT}")
    config.text_config.vocab_size = int(state[EMBEDDING].shape[0])
    body_state, head_state = map_keys(state)
    head = build_head(head_state, int(config.text_config.hidden_size), where=where)
    return weights.build(Qwen2VLModel, config, body_state, dtype=dtype, where=where, hint=_HINT), head


def add_reward_token(tokenizer: Any, n_rows: int, *, where: str) -> int:
    """The id of the reward token, after adding it to the base model's tokenizer.

    Raises:
        JudgeError: the tokenizer then has another length than the file's embedding table.
    """
    from transformers import AddedToken

    tokenizer.add_tokens([AddedToken(REWARD_TOKEN, special=True, normalized=False)], special_tokens=True)
    if len(tokenizer) != n_rows:
        raise JudgeError(
            f"{where}: {n_rows} rows in {EMBEDDING}, but with {REWARD_TOKEN} the tokenizer has {len(tokenizer)} "
            "tokens. Take the tokenizer of Qwen/Qwen2-VL-7B-Instruct as base."
        )
    return int(tokenizer.convert_tokens_to_ids(REWARD_TOKEN))


class HPSv3Scorer(Scorer):
    """The loaded model.

    Args:
        body: `transformers.Qwen2VLModel`.
        head: see `build_head`, on the same device, float32.
        tokenizer: the base model's, with the reward token added.
        template: upstream's text, with the field `prompt`.
    """

    def __init__(self, body: Any, head: nn.Sequential, tokenizer: Any, template: Template) -> None:
        self.body = body
        self.head = head
        self.tokenizer = tokenizer
        self._template = template
        self._reward_id = int(tokenizer.convert_tokens_to_ids(REWARD_TOKEN))
        self._special = sorted(tokenizer.get_added_vocab())
        vision = body.config.vision_config
        self._patch_px, self._merge = int(vision.patch_size), int(vision.spatial_merge_size)
        self._frames = int(vision.temporal_patch_size)

    def refusal(self, prompt: str) -> str:
        """A prompt that spells a special token would be read as that token."""
        spelled = next((t for t in self._special if t in prompt), None)
        return "" if spelled is None else f"the prompt holds the model's special token {spelled!r}"

    def prepare(self, image: Any) -> tuple[pixels.Floats, tuple[int, int]]:
        """((P, values) float32, (patches down, across)) of the image at about `AREA_PX`."""
        from PIL import Image

        rgb = pixels.as_rgb(image)
        size = pixels.fixed_area_size(*rgb.size, area_px=AREA_PX, factor=self._patch_px * self._merge)
        resized = rgb.resize(size, Image.Resampling.BICUBIC)
        return pixels.patches(resized, patch_px=self._patch_px, merge=self._merge, frames=self._frames)

    def text(self, prompt: str, grid: tuple[int, int]) -> str:
        """The conversation as the model reads it, with one image token for each merged patch.

        Raises:
            JudgeError: the tokenizer's chat template places no image, or several.
        """
        content = [{"type": "image"}, {"type": "text", "text": self._template.render(prompt=prompt)}]
        chat = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        if chat.count(IMAGE_TOKEN) != 1:
            raise JudgeError(
                f"hpsv3: the base's chat template writes {chat.count(IMAGE_TOKEN)} image tokens, expected 1."
            )
        return str(chat.replace(IMAGE_TOKEN, IMAGE_TOKEN * (grid[0] * grid[1] // self._merge**2)))

    def inputs(self, images: Sequence[Any], prompts: Sequence[str]) -> dict[str, Tensor]:
        """The body's arguments: right-padded tokens (B, L), plain positions (3, B, L), patches (sum of P, values).

        Raises:
            JudgeError: a row has not exactly one reward token.
        """
        import numpy as np
        import torch

        texts = [self.text(p, grid) for p, (_, grid) in zip(prompts, images, strict=True)]
        tokens = self.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        n_rewards = (tokens.input_ids == self._reward_id).sum(-1)
        if not bool((n_rewards == 1).all()):
            raise JudgeError(f"hpsv3: {n_rewards.tolist()} reward tokens in the rows of a batch, expected one in each.")
        n, length = tokens.input_ids.shape
        return {
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
            "position_ids": torch.arange(length).expand(3, n, length),
            "pixel_values": torch.from_numpy(np.concatenate([values for values, _ in images])),
            "image_grid_thw": torch.tensor([[1, *grid] for _, grid in images]),
        }

    def score(self, images: Sequence[Any], prompts: Sequence[str]) -> list[dict[str, float]]:
        """`raw` (the mean of the predicted normal distribution) and `log_sigma` (the log of its deviation)."""
        arguments = {k: v.to(self.body.device) for k, v in self.inputs(images, prompts).items()}
        arguments["pixel_values"] = arguments["pixel_values"].to(self.body.dtype)
        hidden = self.body(**arguments, use_cache=False).last_hidden_state
        at_reward = hidden[arguments["input_ids"] == self._reward_id]
        return [{"raw": mean, "log_sigma": s} for mean, s in self.head(at_reward.float()).tolist()]
