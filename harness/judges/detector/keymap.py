"""Which tensor of an mmdet checkpoint becomes which of the transformers model.

Names on the right are module names of transformers 5.16 to 5.23. (`save_pretrained` writes older ones for Swin and
`from_pretrained` maps them back; here only modules are filled, so that files of the library never matter.) mmdet's
names were read from mmdet 2.27/2.28 (edition 2.x) and 3.3 (edition 3.x, which renames the decoders' attention and
feed-forward modules).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from harness.errors import JudgeError
from harness.judges.detector.config import N_LEVELS, N_STAGES, DetectorConfig

Change = Literal["copy", "cut", "merge", "drop"]
"""`copy`; `cut` axis 0 into three equal parts, in the order q, k, v; `merge`: reorder the last axis, see
`convert.merge_order`; `drop`: checked and left out (positions that follow from the window size)."""

Edition = Literal["mmdet-2.x", "mmdet-3.x"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of the checkpoint."""

    source: str
    targets: tuple[str, ...]
    change: Change = "copy"


UNFILLED = (
    "criterion.empty_weight",
    "model.pixel_level_module.encoder.swin.layernorm.bias",
    "model.pixel_level_module.encoder.swin.layernorm.weight",
)
"""Tensors of the transformers model without a source: a norm that the backbone's outputs do not pass, and the loss."""

_BOTH = ("weight", "bias")
_ENCODER = "model.pixel_level_module.encoder"
_PIXEL = "model.pixel_level_module.decoder"
_QUERY = "model.transformer_module"
_PD = "panoptic_head.pixel_decoder"
_TD = "panoptic_head.transformer_decoder"

_RENAMED_IN_3X = (
    (re.compile(rf"^({re.escape(_PD)}\.encoder\.layers\.\d+)\.self_attn\."), r"\1.attentions.0."),
    (re.compile(rf"^({re.escape(_TD)}\.layers\.\d+)\.cross_attn\."), r"\1.attentions.0."),
    (re.compile(rf"^({re.escape(_TD)}\.layers\.\d+)\.self_attn\."), r"\1.attentions.1."),
    (re.compile(r"^(panoptic_head\..*\.layers\.\d+)\.ffn\."), r"\1.ffns.0."),
)


def edition_of(names: Iterable[str]) -> Edition:
    """Whether names are those of mmdet 2.x or 3.x; 2.x where they are neither."""
    return "mmdet-3.x" if any(p.match(n) for n in names for p, _ in _RENAMED_IN_3X) else "mmdet-2.x"


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Each name, and what it is called in the 2.x edition.

    Raises:
        JudgeError: names of both editions are mixed.
    """
    result = {}
    for name in names:
        new = name
        for pattern, replacement in _RENAMED_IN_3X:
            new = pattern.sub(replacement, new)
        result[name] = new
    both = sorted(old for old, new in result.items() if old != new and new in result)
    if both:
        raise JudgeError(f"Names of mmdet 2.x and 3.x are mixed: {both[0]!r} and {result[both[0]]!r} are both there.")
    return result


def key_map(config: DetectorConfig) -> list[Entry]:
    """Every tensor that a checkpoint of these sizes has, 649 for the official one, under its 2.x name."""
    return [*_backbone(config), *_pixel_decoder(config), *_query_decoder(config)]


def _pairs(source: str, target: str, parts: Iterable[str] = _BOTH) -> Iterator[Entry]:
    for part in parts:
        yield Entry(f"{source}.{part}", (f"{target}.{part}",))


def _backbone(config: DetectorConfig) -> Iterator[Entry]:
    embeddings = f"{_ENCODER}.swin.embeddings"
    yield from _pairs("backbone.patch_embed.projection", f"{embeddings}.patch_embeddings.projection")
    yield from _pairs("backbone.patch_embed.norm", f"{embeddings}.norm")
    for stage, depth in enumerate(config.depths):
        layer = f"{_ENCODER}.swin.encoder.layers.{stage}"
        for k in range(depth):
            yield from _swin_block(f"backbone.stages.{stage}.blocks.{k}", f"{layer}.blocks.{k}", config.qkv_bias)
        if stage < N_STAGES - 1:
            source = f"backbone.stages.{stage}.downsample"
            for part in ("norm.weight", "norm.bias", "reduction.weight"):
                yield Entry(f"{source}.{part}", (f"{layer}.downsample.{part}",), "merge")
        yield from _pairs(f"backbone.norm{stage}", f"{_ENCODER}.hidden_states_norms.stage{stage + 1}")


def _swin_block(source: str, target: str, qkv_bias: bool) -> Iterator[Entry]:
    attention, table = f"{target}.attention", "relative_position_bias_table"
    yield from _pairs(f"{source}.norm1", f"{target}.layernorm_before")
    yield from _pairs(f"{source}.norm2", f"{target}.layernorm_after")
    yield Entry(f"{source}.attn.w_msa.{table}", (f"{attention}.relative_position_bias.{table}",))
    yield Entry(f"{source}.attn.w_msa.relative_position_index", (), "drop")
    for part in _BOTH if qkv_bias else ("weight",):
        yield Entry(f"{source}.attn.w_msa.qkv.{part}", tuple(f"{attention}.{p}_proj.{part}" for p in "qkv"), "cut")
    yield from _pairs(f"{source}.attn.w_msa.proj", f"{attention}.o_proj")
    yield from _pairs(f"{source}.ffn.layers.0.0", f"{target}.mlp.fc1")
    yield from _pairs(f"{source}.ffn.layers.1", f"{target}.mlp.fc2")


def _pixel_decoder(config: DetectorConfig) -> Iterator[Entry]:
    for i in range(N_LEVELS):  # 0 is stride 32 in both
        yield from _pairs(f"{_PD}.input_convs.{i}.conv", f"{_PIXEL}.input_projections.{i}.0")
        yield from _pairs(f"{_PD}.input_convs.{i}.gn", f"{_PIXEL}.input_projections.{i}.1")
    for n in range(config.encoder_layers):
        source, target = f"{_PD}.encoder.layers.{n}", f"{_PIXEL}.encoder.layers.{n}"
        for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj"):
            yield from _pairs(f"{source}.attentions.0.{part}", f"{target}.self_attn.{part}")
        yield from _pairs(f"{source}.norms.0", f"{target}.self_attn_layer_norm")
        yield from _pairs(f"{source}.norms.1", f"{target}.final_layer_norm")
        yield from _feed_forward(source, target)
    yield Entry(f"{_PD}.level_encoding.weight", (f"{_PIXEL}.level_embed",))
    for source, target in (("lateral_convs", "adapter_1"), ("output_convs", "layer_1")):
        yield from _pairs(f"{_PD}.{source}.0.conv", f"{_PIXEL}.{target}.0", ("weight",))
        yield from _pairs(f"{_PD}.{source}.0.gn", f"{_PIXEL}.{target}.1")
    yield from _pairs(f"{_PD}.mask_feature", f"{_PIXEL}.mask_projection")


def _query_decoder(config: DetectorConfig) -> Iterator[Entry]:
    for n in range(config.decoder_layers):
        source, target = f"{_TD}.layers.{n}", f"{_QUERY}.decoder.layers.{n}"
        for part in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"):
            yield Entry(f"{source}.attentions.0.attn.{part}", (f"{target}.cross_attn.{part}",))
        for part in _BOTH:
            names = tuple(f"{target}.self_attn.{p}_proj.{part}" for p in "qkv")
            yield Entry(f"{source}.attentions.1.attn.in_proj_{part}", names, "cut")
        yield from _pairs(f"{source}.attentions.1.attn.out_proj", f"{target}.self_attn.out_proj")
        for i, norm in enumerate(("cross_attn_layer_norm", "self_attn_layer_norm", "final_layer_norm")):
            yield from _pairs(f"{source}.norms.{i}", f"{target}.{norm}")
        yield from _feed_forward(source, target)
    yield from _pairs(f"{_TD}.post_norm", f"{_QUERY}.decoder.layernorm")
    yield Entry("panoptic_head.query_embed.weight", (f"{_QUERY}.queries_embedder.weight",))
    yield Entry("panoptic_head.query_feat.weight", (f"{_QUERY}.queries_features.weight",))
    yield Entry("panoptic_head.level_embed.weight", (f"{_QUERY}.level_embed.weight",))
    yield from _pairs("panoptic_head.cls_embed", "class_predictor")
    for i in range(3):
        yield from _pairs(f"panoptic_head.mask_embed.{2 * i}", f"{_QUERY}.decoder.mask_predictor.mask_embedder.{i}.0")


def _feed_forward(source: str, target: str) -> Iterator[Entry]:
    yield from _pairs(f"{source}.ffns.0.layers.0.0", f"{target}.fc1")
    yield from _pairs(f"{source}.ffns.0.layers.1", f"{target}.fc2")
