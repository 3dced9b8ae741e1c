"""Sizes of the detector, read off a checkpoint's tensors; and the same as a transformers configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError

if TYPE_CHECKING:
    from torch import Tensor

N_LEVELS = 3
N_POINTS = 4
"""Feature levels and sampling points per head and level of the pixel decoder; the library fixes both."""
PATCH_SIZE = 4
N_STAGES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """Sizes of a Mask2Former with a Swin backbone; the defaults are the official detector's."""

    embed_dim: int = 96
    """Channels of the first backbone stage; each later stage doubles them."""
    depths: tuple[int, ...] = (2, 2, 18, 2)
    """Blocks per stage."""
    backbone_heads: tuple[int, ...] = (3, 6, 12, 24)
    """Attention heads per stage."""
    window_size: int = 7
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    feature_size: int = 256
    """Channels of the pixel decoder and of the query decoder; a multiple of 32."""
    mask_feature_size: int = 256
    encoder_layers: int = 6
    """Layers of the pixel decoder."""
    decoder_layers: int = 9
    """Layers of the query decoder, as counted in the checkpoint; the library's option of this name is one more."""
    heads: int = 8
    """Heads of both decoders."""
    encoder_feedforward_dim: int = 1024
    feedforward_dim: int = 2048
    n_classes: int = 80
    n_queries: int = 100

    @property
    def label(self) -> str:
        """Short name for messages and fingerprints, e.g. `swin-s`."""
        backbone = _BACKBONES.get((self.embed_dim, self.depths))
        sizes = "x".join(map(str, self.depths))
        return f"{backbone or f'swin {self.embed_dim}-{sizes}'}, {self.n_classes} classes, {self.n_queries} queries"

    def to_transformers(self) -> Any:
        """A `Mask2FormerConfig` in which everything that matters is said, whatever the library's defaults are."""
        import transformers

        swin: Any = transformers.SwinConfig  # typed without the arguments that its base class takes
        mask2former: Any = transformers.Mask2FormerConfig
        backbone = swin(
            image_size=224,
            patch_size=PATCH_SIZE,
            embed_dim=self.embed_dim,
            depths=list(self.depths),
            num_heads=list(self.backbone_heads),
            window_size=self.window_size,
            mlp_ratio=self.mlp_ratio,
            qkv_bias=self.qkv_bias,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            use_absolute_embeddings=False,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            drop_path_rate=0.0,
            out_features=[f"stage{i + 1}" for i in range(N_STAGES)],
        )
        # The eager attention of the backbone takes its softmax in float32 even for float64 weights.
        backbone._attn_implementation = "sdpa"
        return mask2former(
            backbone_config=backbone,
            num_labels=self.n_classes,
            num_queries=self.n_queries,
            feature_size=self.feature_size,
            hidden_dim=self.feature_size,
            mask_feature_size=self.mask_feature_size,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers + 1,
            num_attention_heads=self.heads,
            encoder_feedforward_dim=self.encoder_feedforward_dim,
            dim_feedforward=self.feedforward_dim,
            activation_function="relu",
            pre_norm=False,
            dropout=0.0,
            common_stride=4,
            feature_strides=[4, 8, 16, 32],
            enforce_input_projection=False,
            use_auxiliary_loss=True,  # the library's forward pass fails without
        )


OFFICIAL = DetectorConfig()
"""The detector of GenEval."""

_BACKBONES: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "swin-t",
    (96, (2, 2, 18, 2)): "swin-s",
    (128, (2, 2, 18, 2)): "swin-b",
    (192, (2, 2, 18, 2)): "swin-l",
}


def config_from_state_dict(source: Mapping[str, Tensor]) -> DetectorConfig:
    """The sizes of an mmdet checkpoint, from its tensors' shapes.

    Args:
        source: tensors under mmdet's names, of the 2.x or the 3.x edition.

    Raises:
        JudgeError: it is no Mask2Former with a four-stage Swin backbone under these names; says what it looks like.
    """
    from harness.judges.detector.identity import describe
    from harness.judges.detector.keymap import canonical_names

    shapes = {new: tuple(source[old].shape) for old, new in canonical_names(source).items()}
    try:
        config = _read(shapes)
    except (KeyError, IndexError) as error:
        raise JudgeError(
            f"Not a Mask2Former of mmdet with a Swin backbone: tensor {error.args[0]!r} is missing. "
            f"It looks like {describe(shapes)}."
        ) from None
    _check(config, shapes)
    return config


def _read(shapes: Mapping[str, tuple[int, ...]]) -> DetectorConfig:
    pd, td = "panoptic_head.pixel_decoder", "panoptic_head.transformer_decoder"
    depths = tuple(_count(shapes, f"backbone.stages.{s}.blocks.") for s in range(N_STAGES))
    tables = [shapes[f"backbone.stages.{s}.blocks.0.attn.w_msa.relative_position_bias_table"] for s in range(N_STAGES)]
    embed_dim = shapes["backbone.patch_embed.projection.weight"][0]
    return DetectorConfig(
        embed_dim=embed_dim,
        depths=depths,
        backbone_heads=tuple(t[1] for t in tables),
        window_size=(round(tables[0][0] ** 0.5) + 1) // 2,
        mlp_ratio=shapes["backbone.stages.0.blocks.0.ffn.layers.0.0.weight"][0] / embed_dim,
        qkv_bias="backbone.stages.0.blocks.0.attn.w_msa.qkv.bias" in shapes,
        feature_size=shapes["panoptic_head.query_feat.weight"][1],
        mask_feature_size=shapes[f"{pd}.mask_feature.weight"][0],
        encoder_layers=_count(shapes, f"{pd}.encoder.layers."),
        decoder_layers=_count(shapes, f"{td}.layers."),
        heads=shapes[f"{pd}.encoder.layers.0.attentions.0.attention_weights.weight"][0] // (N_LEVELS * N_POINTS),
        encoder_feedforward_dim=shapes[f"{pd}.encoder.layers.0.ffns.0.layers.0.0.weight"][0],
        feedforward_dim=shapes[f"{td}.layers.0.ffns.0.layers.0.0.weight"][0],
        n_classes=shapes["panoptic_head.cls_embed.weight"][0] - 1,
        n_queries=shapes["panoptic_head.query_feat.weight"][0],
    )


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbered modules there are under a prefix."""
    return len({name[len(prefix) :].split(".")[0] for name in shapes if name.startswith(prefix)})


def _check(config: DetectorConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """What the library cannot express."""
    projection = shapes["backbone.patch_embed.projection.weight"]
    if projection[2:] != (PATCH_SIZE, PATCH_SIZE):
        raise JudgeError(f"Patches of {projection[2]}x{projection[3]} pixels; expected {PATCH_SIZE}x{PATCH_SIZE}.")
    if config.feature_size % 32 or config.feature_size % config.heads:
        raise JudgeError(
            f"{config.feature_size} channels in {config.heads} heads and 32 normalisation groups do not divide evenly."
        )
    rows = shapes["backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table"][0]
    if (2 * config.window_size - 1) ** 2 != rows:
        raise JudgeError(f"A position bias table of {rows} rows belongs to no square attention window.")
