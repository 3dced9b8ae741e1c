"""Sizes of a Stable Diffusion 3 policy without its weights: parameters, arithmetic, activations. For plans only.

The transformer is built on torch's meta device from its configuration, so nothing is read or downloaded but a small
JSON file of a local folder; released models are known by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_SHARED = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "attention_head_dim": 64,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
}
RELEASED: dict[str, dict[str, Any]] = {
    "stabilityai/stable-diffusion-3-medium-diffusers": {
        **_SHARED,
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 192,
    },
    "stabilityai/stable-diffusion-3.5-medium": {
        **_SHARED,
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 384,
        "qk_norm": "rms_norm",
        "dual_attention_layers": tuple(range(13)),
    },
    "stabilityai/stable-diffusion-3.5-large": {
        **_SHARED,
        "num_layers": 38,
        "num_attention_heads": 38,
        "caption_projection_dim": 2432,
        "pos_embed_max_size": 192,
        "qk_norm": "rms_norm",
    },
}
"""Transformer configurations. Source: `transformer/config.json` of the model repositories."""
_RELEASED_ENCODERS = 124_000_000 + 695_000_000 + 4_762_000_000
"""CLIP-L, CLIP-G and T5-XXL (encoder)."""
_RELEASED_VAE = 84_000_000
_CLIP_TOKENS = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a plan needs to know of a diffusion transformer with joint attention."""

    n_params: int
    """Of the transformer."""
    n_image: int
    """Parameters that meet every image token."""
    n_text: int
    """Parameters that meet every text token; the others are used once per image."""
    n_lora: int
    """Of an adapter of rank 1."""
    n_layers: int
    n_dual: int
    """Layers with a second attention among image tokens."""
    width: int
    patch_px: int
    """Pixels of a patch's side."""
    channels: int
    """Of the latents."""
    latent_px: int
    """Pixels per latent side."""
    default_px: int
    other_bytes: int
    """Text encoders and VAE."""

    def latent_scalars(self, size_px: int) -> int:
        """D of one image."""
        return self.channels * (size_px // self.latent_px) ** 2

    def tokens(self, size_px: int, text_tokens: int) -> tuple[int, int]:
        """Image and text tokens of one sequence."""
        return (size_px // self.patch_px) ** 2, _CLIP_TOKENS + text_tokens

    def forward_flops(self, size_px: int, text_tokens: int) -> float:
        """FLOPs of one sequence's forward pass.

        2 per parameter and token that it meets, and 4 n^2 width per layer for attention over n tokens.
        """
        image, text = self.tokens(size_px, text_tokens)
        once = self.n_params - self.n_image - self.n_text
        attention = 4.0 * self.width * (self.n_layers * (image + text) ** 2 + self.n_dual * image**2)
        return 2.0 * (self.n_image * image + self.n_text * text + once) + attention

    def activation_bytes(self, size_px: int, text_tokens: int, *, checkpointing: bool) -> float:
        """Bytes that one sequence's forward pass keeps for its backward pass, in 16-bit numbers.

        34 bytes per token, layer and unit of width (attention scores are not kept); with checkpointing the inputs of
        all layers and one layer's activations. An upper estimate for frozen weights.

        Source: Korthikanti et al., arXiv 2205.05198, equation 2 without the attention scores, and section 5.
        """
        tokens = sum(self.tokens(size_px, text_tokens))
        per_layer = 34.0 * tokens * self.width
        if checkpointing:
            return 2.0 * tokens * self.width * self.n_layers + per_layer
        return per_layer * self.n_layers


def released(name: str, dtype_bytes: int, *, with_t5: bool) -> Architecture | None:
    """The architecture of a released model; None for a name that is not known."""
    if name not in RELEASED:
        return None
    encoders = _RELEASED_ENCODERS if with_t5 else _RELEASED_ENCODERS - 4_762_000_000
    other = encoders * dtype_bytes + _RELEASED_VAE * 4
    return _measure(RELEASED[name], latent_px=8, other_bytes=other)


def local(folder: Path) -> Architecture | None:
    """The architecture of a pipeline folder, other parts as large as their files; None where there is none."""
    config = folder / "transformer" / "config.json"
    vae = folder / "vae" / "config.json"
    if not config.is_file() or not vae.is_file():
        return None
    blocks: Sequence[int] = json.loads(vae.read_text())["block_out_channels"]
    parts = [f for f in folder.rglob("*.safetensors") if f.parent.name != "transformer"]
    settings = {k: v for k, v in json.loads(config.read_text()).items() if not k.startswith("_")}
    return _measure(settings, latent_px=2 ** (len(blocks) - 1), other_bytes=sum(f.stat().st_size for f in parts))


def _measure(settings: Mapping[str, Any], *, latent_px: int, other_bytes: int) -> Architecture:
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    from harness.models.sd3.lora import TARGETS

    with torch.device("meta"):
        model: Any = SD3Transformer2DModel(**settings)
    image = text = 0
    for name, p in model.transformer_blocks.named_parameters():
        part = name.split(".", 1)[1]
        if part.startswith(("norm1.linear", "norm1_context.linear")):
            continue  # modulation: once per image
        if "context" in part or ".add_" in part or "to_add_out" in part:
            text += p.numel()
        else:
            image += p.numel()
    lora = sum(
        m.in_features + m.out_features
        for n, m in model.named_modules()
        if isinstance(m, torch.nn.Linear) and any(n.endswith("." + t) for t in TARGETS)
    )
    c = model.config
    return Architecture(
        n_params=sum(p.numel() for p in model.parameters()),
        n_image=image,
        n_text=text,
        n_lora=lora,
        n_layers=c.num_layers,
        n_dual=len(c.dual_attention_layers),
        width=c.num_attention_heads * c.attention_head_dim,
        patch_px=c.patch_size * latent_px,
        channels=c.in_channels,
        latent_px=latent_px,
        default_px=c.sample_size * latent_px,
        other_bytes=other_bytes,
    )


def find(model: str) -> tuple[Architecture | None, int, int]:
    """Architecture, bytes per weight, and T5 tokens of a model argument such as `sd3:FOLDER?dtype=bfloat16`."""
    from harness.models.sd3.source import parse_argument

    where, options = parse_argument(model.partition(":")[2], model="sd3")
    size = 4 if options.dtype == "float32" else 2
    with_t5 = options.text_encoder_3 != "none"
    found = local(Path(where).expanduser()) or released(where, size, with_t5=with_t5)
    return found, size, options.max_sequence_length
