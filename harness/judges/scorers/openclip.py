"""open_clip's names for the weights of a CLIP model with a transformer for the text, as transformers names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")
_PLAIN = {
    "logit_scale": "logit_scale",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    **{
        f"{ours}.{part}": f"{theirs}.{part}"
        for ours, theirs in (
            ("visual.ln_pre", "vision_model.pre_layrnorm"),
            ("visual.ln_post", "vision_model.post_layernorm"),
            ("ln_final", "text_model.final_layer_norm"),
        )
        for part in ("weight", "bias")
    },
}
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text_projection": "text_projection.weight"}
_IN_BLOCK = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
DROPPED = frozenset({"attn_mask"})
"""The causal mask, a constant that some files hold."""


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `CLIPModel`'s keys; a key that is not known keeps its name, so that a strict load refuses it.

    Queries, keys and values of a block are the thirds of one matrix, in this order; projections are transposed.
    """
    mapped: dict[str, Tensor] = {}
    for key, tensor in state.items():
        block = _BLOCK.fullmatch(key)
        if key in DROPPED:
            continue
        if key in _TRANSPOSED:
            mapped[_TRANSPOSED[key]] = tensor.T.contiguous()
        elif block is None:
            mapped[_PLAIN.get(key, key)] = tensor
        else:
            mapped.update(_of_block(key, block[1] is not None, block[2], block[3], tensor))
    return mapped


def _of_block(key: str, is_visual: bool, number: str, name: str, tensor: Tensor) -> dict[str, Tensor]:
    layer = f"{'vision' if is_visual else 'text'}_model.encoder.layers.{number}"
    if name in ("attn.in_proj_weight", "attn.in_proj_bias"):
        part = name.rpartition("_")[2]
        thirds = zip("qkv", tensor.chunk(3), strict=True)
        return {f"{layer}.self_attn.{letter}_proj.{part}": third.contiguous() for letter, third in thirds}
    module, _, part = name.rpartition(".")
    return {f"{layer}.{_IN_BLOCK[module]}.{part}": tensor} if module in _IN_BLOCK else {key: tensor}
