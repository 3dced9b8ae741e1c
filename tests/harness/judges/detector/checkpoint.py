"""Random checkpoints under mmdet's names, written down from mmdet's modules, not from the key map under test."""

import torch

SIZES = {
    "embed_dim": 8,
    "depths": (2, 1, 2, 1),
    "heads": (1, 2, 2, 4),
    "window": 5,
    "mlp": 3,
    "feature": 64,  # two channels per normalisation group: with one, biases before it would vanish
    "mask": 24,
    "encoder_layers": 2,
    "decoder_layers": 4,
    "decoder_heads": 4,
    "encoder_ffn": 40,
    "decoder_ffn": 48,
    "queries": 12,
    "classes": 80,
}
OFFICIAL_SIZES = {
    "embed_dim": 96,
    "depths": (2, 2, 18, 2),
    "heads": (3, 6, 12, 24),
    "window": 7,
    "mlp": 4,
    "feature": 256,
    "mask": 256,
    "encoder_layers": 6,
    "decoder_layers": 9,
    "decoder_heads": 8,
    "encoder_ffn": 1024,
    "decoder_ffn": 2048,
    "queries": 100,
    "classes": 80,
}


def shapes(z):
    """Name -> shape of every tensor of an mmdet 2.x checkpoint of these sizes."""
    s = {}

    def linear(name, out, inp, bias=True):
        s[f"{name}.weight"] = (out, inp)
        if bias:
            s[f"{name}.bias"] = (out,)

    def conv(name, out, inp, k, bias=True):
        s[f"{name}.weight"] = (out, inp, k, k)
        if bias:
            s[f"{name}.bias"] = (out,)

    def norm(name, n):
        s[f"{name}.weight"] = s[f"{name}.bias"] = (n,)

    conv("backbone.patch_embed.projection", z["embed_dim"], 3, 4)
    norm("backbone.patch_embed.norm", z["embed_dim"])
    for i, depth in enumerate(z["depths"]):
        c = z["embed_dim"] * 2**i
        for k in range(depth):
            b = f"backbone.stages.{i}.blocks.{k}"
            norm(f"{b}.norm1", c)
            s[f"{b}.attn.w_msa.relative_position_bias_table"] = ((2 * z["window"] - 1) ** 2, z["heads"][i])
            s[f"{b}.attn.w_msa.relative_position_index"] = (z["window"] ** 2, z["window"] ** 2)
            linear(f"{b}.attn.w_msa.qkv", 3 * c, c)
            linear(f"{b}.attn.w_msa.proj", c, c)
            norm(f"{b}.norm2", c)
            linear(f"{b}.ffn.layers.0.0", z["mlp"] * c, c)
            linear(f"{b}.ffn.layers.1", c, z["mlp"] * c)
        if i < 3:
            norm(f"backbone.stages.{i}.downsample.norm", 4 * c)
            linear(f"backbone.stages.{i}.downsample.reduction", 2 * c, 4 * c, bias=False)
        norm(f"backbone.norm{i}", c)
    f, pd, td = z["feature"], "panoptic_head.pixel_decoder", "panoptic_head.transformer_decoder"
    for i in range(3):
        conv(f"{pd}.input_convs.{i}.conv", f, z["embed_dim"] * 2 ** (3 - i), 1)
        norm(f"{pd}.input_convs.{i}.gn", f)
    for n in range(z["encoder_layers"]):
        a = f"{pd}.encoder.layers.{n}"
        linear(f"{a}.attentions.0.sampling_offsets", z["decoder_heads"] * 3 * 4 * 2, f)
        linear(f"{a}.attentions.0.attention_weights", z["decoder_heads"] * 3 * 4, f)
        linear(f"{a}.attentions.0.value_proj", f, f)
        linear(f"{a}.attentions.0.output_proj", f, f)
        linear(f"{a}.ffns.0.layers.0.0", z["encoder_ffn"], f)
        linear(f"{a}.ffns.0.layers.1", f, z["encoder_ffn"])
        norm(f"{a}.norms.0", f)
        norm(f"{a}.norms.1", f)
    s[f"{pd}.level_encoding.weight"] = (3, f)
    conv(f"{pd}.lateral_convs.0.conv", f, z["embed_dim"], 1, bias=False)
    norm(f"{pd}.lateral_convs.0.gn", f)
    conv(f"{pd}.output_convs.0.conv", f, f, 3, bias=False)
    norm(f"{pd}.output_convs.0.gn", f)
    conv(f"{pd}.mask_feature", z["mask"], f, 1)
    for n in range(z["decoder_layers"]):
        a = f"{td}.layers.{n}"
        for k in range(2):
            s[f"{a}.attentions.{k}.attn.in_proj_weight"] = (3 * f, f)
            s[f"{a}.attentions.{k}.attn.in_proj_bias"] = (3 * f,)
            linear(f"{a}.attentions.{k}.attn.out_proj", f, f)
        linear(f"{a}.ffns.0.layers.0.0", z["decoder_ffn"], f)
        linear(f"{a}.ffns.0.layers.1", f, z["decoder_ffn"])
        for k in range(3):
            norm(f"{a}.norms.{k}", f)
    norm(f"{td}.post_norm", f)
    s["panoptic_head.query_embed.weight"] = s["panoptic_head.query_feat.weight"] = (z["queries"], f)
    s["panoptic_head.level_embed.weight"] = (3, f)
    linear("panoptic_head.cls_embed", z["classes"] + 1, f)
    linear("panoptic_head.mask_embed.0", f, f)
    linear("panoptic_head.mask_embed.2", f, f)
    linear("panoptic_head.mask_embed.4", z["mask"], f)
    return s


def position_index(window):
    """mmdet's way: two step sequences added crosswise, then mirrored."""
    rows = torch.arange(0, (2 * window - 1) * window, 2 * window - 1)
    sequence = (rows[:, None] + torch.arange(window)[None, :]).reshape(1, -1)
    return (sequence + sequence.T).flip(1).contiguous()


def random_checkpoint(seed=0, dtype=torch.float32, **changes):
    """Every parameter random, norms, biases and tables too, so that no exchange goes unnoticed."""
    sizes = {**SIZES, **changes}
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes(sizes).items():
        if name.endswith("relative_position_index"):
            state[name] = position_index(sizes["window"])
            continue
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        if len(shape) == 1:
            is_scale = name.endswith(".weight")
            values = 1 + 0.3 * values if is_scale else 0.3 * values
        elif "bias_table" not in name and "level_e" not in name and "query_" not in name:
            values = values * 1.5 / torch.tensor(shape[1:]).prod().sqrt()
        if name.endswith("sampling_offsets.bias"):
            values = values * 5
        state[name] = values.to(dtype)
    return state


def third_edition(state):
    """The same tensors under the names of mmdet 3.x."""
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("panoptic_head.pixel_decoder.encoder"):
            name = name.replace("attentions.0.", "self_attn.").replace("ffns.0.", "ffn.")
        elif name.startswith("panoptic_head.transformer_decoder.layers"):
            name = name.replace("attentions.0.", "cross_attn.").replace("attentions.1.", "self_attn.")
            name = name.replace("ffns.0.", "ffn.")
        renamed[name] = tensor
    return renamed
