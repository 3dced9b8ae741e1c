"""Mask2Former in mmdet's own tensor layout: a second route to the same logits, plain functions of the state dict."""

import math

import torch
from torch.nn import functional as F


def logits(state, pixels, heads):
    """Class and mask logits of a batch of one. `heads`: of both decoders."""
    features = swin(state, pixels)
    mask_features, levels = pixel_decoder(state, features, heads)
    return query_decoder(state, mask_features, levels, heads)


def part(state, prefix):
    return {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(prefix + ".")}


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0)


def layer_norm(p, name, x):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def group_norm(p, name, x):
    b, c, h, w = x.shape
    g = x.reshape(b, 32, -1)
    mean = g.mean(-1, keepdim=True)
    g = (g - mean) / torch.sqrt(((g - mean) ** 2).mean(-1, keepdim=True) + 1e-5)
    return g.reshape(b, c, h, w) * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]


# -- backbone ----------------------------------------------------------------------------------------------------------


def swin(state, pixels):
    p = part(state, "backbone")
    x = F.conv2d(pixels, p["patch_embed.projection.weight"], p["patch_embed.projection.bias"], stride=4)
    h, w = x.shape[2:]
    x = layer_norm(p, "patch_embed.norm", x.flatten(2).transpose(1, 2))
    outputs = []
    for s in range(4):
        k = 0
        while f"stages.{s}.blocks.{k}.norm1.weight" in p:
            x = block(part(p, f"stages.{s}.blocks.{k}"), x, h, w, shifted=k % 2 == 1)
            k += 1
        out = layer_norm(p, f"norm{s}", x)
        outputs.append(out.transpose(1, 2).reshape(1, -1, h, w))
        if s < 3:
            x, h, w = merge(part(p, f"stages.{s}.downsample"), x, h, w)
    return outputs


def block(p, x, h, w, shifted):
    y = layer_norm(p, "norm1", x).reshape(h, w, -1)
    x = x + window_attention(part(p, "attn.w_msa"), y, shifted).reshape(1, h * w, -1)
    y = linear(p, "ffn.layers.0.0", layer_norm(p, "norm2", x))
    y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
    return x + linear(p, "ffn.layers.1", y)


def window_attention(p, x, shifted):
    """(h, w, c) -> (h, w, c), one window after the other."""
    h, w, c = x.shape
    size = math.isqrt(p["relative_position_index"].shape[0])
    shift = size // 2 if shifted else 0
    x = F.pad(x, (0, 0, 0, -w % size, 0, -h % size))
    hp, wp = x.shape[:2]
    x = torch.roll(x, (-shift, -shift), (0, 1))
    regions = torch.zeros(hp, wp)
    if shift:
        for n, rows in enumerate((slice(0, -size), slice(-size, -shift), slice(-shift, None))):
            for m, columns in enumerate((slice(0, -size), slice(-size, -shift), slice(-shift, None))):
                regions[rows, columns] = 3 * n + m
    heads = p["relative_position_bias_table"].shape[1]
    bias = p["relative_position_bias_table"][p["relative_position_index"]].permute(2, 0, 1)
    out = torch.zeros_like(x)
    for top in range(0, hp, size):
        for left in range(0, wp, size):
            here = (slice(top, top + size), slice(left, left + size))
            qkv = linear(p, "qkv", x[here].reshape(size * size, c)).reshape(-1, 3, heads, c // heads)
            q, k, v = qkv.permute(1, 2, 0, 3)
            region = regions[here].reshape(-1)
            apart = -100.0 * (region[:, None] != region[None, :]).to(x.dtype)
            weights = (q * (c // heads) ** -0.5 @ k.transpose(1, 2) + bias + apart).softmax(-1)
            out[here] = linear(p, "proj", (weights @ v).transpose(0, 1).reshape(-1, c)).reshape(size, size, c)
    return torch.roll(out, (shift, shift), (0, 1))[:h, :w]


def merge(p, x, h, w):
    """Each 2 x 2 block becomes one place; its values in the order channel, row, column."""
    c = x.shape[-1]
    grid = F.pad(x.reshape(h, w, c), (0, 0, 0, w % 2, 0, h % 2))
    h, w = grid.shape[0] // 2, grid.shape[1] // 2
    gathered = grid.reshape(h, 2, w, 2, c).permute(0, 2, 4, 1, 3).reshape(1, h * w, 4 * c)
    return linear(p, "reduction", layer_norm(p, "norm", gathered)), h, w


# -- pixel decoder -----------------------------------------------------------------------------------------------------


def sine(h, w, n):
    """(2n, h, w) float32, rows first."""
    y = torch.arange(1, h + 1, dtype=torch.float32)[:, None].expand(h, w)
    x = torch.arange(1, w + 1, dtype=torch.float32)[None, :].expand(h, w)
    y, x = y / (h + 1e-6) * 2 * math.pi, x / (w + 1e-6) * 2 * math.pi
    steps = 10000 ** (2 * (torch.arange(n, dtype=torch.float32) // 2) / n)
    halves = []
    for grid in (y, x):
        angle = grid[..., None] / steps
        halves.append(torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), -1).flatten(-2))
    return torch.cat(halves, -1).permute(2, 0, 1)


def pixel_decoder(state, features, heads):
    p = part(state, "panoptic_head.pixel_decoder")
    tokens, positions, places, sizes = [], [], [], []
    for i in range(3):
        x = features[3 - i]
        x = F.conv2d(x, p[f"input_convs.{i}.conv.weight"], p[f"input_convs.{i}.conv.bias"])
        x = group_norm(p, f"input_convs.{i}.gn", x)
        c, h, w = x.shape[1:]
        sizes.append((h, w))
        tokens.append(x[0].flatten(1).T)
        positions.append(sine(h, w, c // 2).flatten(1).T + p["level_encoding.weight"][i])
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        places.append(torch.stack(((x + 0.5).double() / w, (y + 0.5).double() / h), -1).reshape(-1, 2))
    x, position, place = torch.cat(tokens), torch.cat(positions), torch.cat(places).to(tokens[0].dtype)
    n = 0
    while f"encoder.layers.{n}.norms.0.weight" in p:
        q = part(p, f"encoder.layers.{n}")
        x = layer_norm(q, "norms.0", x + deformable(part(q, "attentions.0"), x, x + position, place, sizes, heads))
        x = layer_norm(q, "norms.1", x + linear(q, "ffns.0.layers.1", linear(q, "ffns.0.layers.0.0", x).relu()))
        n += 1
    outputs, start = [], 0
    for h, w in sizes:
        outputs.append(x[start : start + h * w].T.reshape(1, -1, h, w))
        start += h * w
    side = group_norm(p, "lateral_convs.0.gn", F.conv2d(features[0], p["lateral_convs.0.conv.weight"]))
    y = side + F.interpolate(outputs[-1], size=side.shape[2:], mode="bilinear", align_corners=False)
    y = group_norm(p, "output_convs.0.gn", F.conv2d(y, p["output_convs.0.conv.weight"], padding=1)).relu()
    return F.conv2d(y, p["mask_feature.weight"], p["mask_feature.bias"]), outputs


def deformable(p, x, query, place, sizes, heads):
    n, c = x.shape
    value = linear(p, "value_proj", x).reshape(n, heads, c // heads)
    offsets = linear(p, "sampling_offsets", query).reshape(n, heads, 3, 4, 2)
    weights = linear(p, "attention_weights", query).reshape(n, heads, 12).softmax(-1).reshape(n, heads, 3, 4)
    out = torch.zeros(n, heads, c // heads, dtype=x.dtype)
    start = 0
    for level, (h, w) in enumerate(sizes):
        grid = value[start : start + h * w].reshape(h, w, heads, -1)
        start += h * w
        # In pixels: (place + offset / size) * size - 1/2
        column = place[:, None, None, 0] * w + offsets[:, :, level, :, 0] - 0.5
        row = place[:, None, None, 1] * h + offsets[:, :, level, :, 1] - 0.5
        for dr in (0, 1):
            for dc in (0, 1):
                r, s = row.floor() + dr, column.floor() + dc
                share = (1 - (row - r).abs()) * (1 - (column - s).abs()) * weights[:, :, level]
                inside = (r >= 0) & (r < h) & (s >= 0) & (s < w)
                r, s = r.clamp(0, h - 1).long(), s.clamp(0, w - 1).long()
                head = torch.arange(heads)[None, :, None].expand_as(r)
                out += ((share * inside)[..., None] * grid[r, s, head]).sum(2)
    return linear(p, "output_proj", out.reshape(n, c))


# -- query decoder -----------------------------------------------------------------------------------------------------


def query_decoder(state, mask_features, levels, heads):
    p = part(state, "panoptic_head")
    memory = [x[0].flatten(1).T + p["level_embed.weight"][i] for i, x in enumerate(levels)]
    positions = [sine(*x.shape[2:], x.shape[1] // 2).flatten(1).T for x in levels]
    query, place = p["query_feat.weight"], p["query_embed.weight"]

    def predict(query):
        y = layer_norm(p, "transformer_decoder.post_norm", query)
        e = linear(p, "mask_embed.2", linear(p, "mask_embed.0", y).relu()).relu()
        return linear(p, "cls_embed", y), torch.einsum("qc,chw->qhw", linear(p, "mask_embed.4", e), mask_features[0])

    n = 0
    while f"transformer_decoder.layers.{n}.norms.0.weight" in p:
        q, i = part(p, f"transformer_decoder.layers.{n}"), n % 3
        masks = predict(query)[1]
        small = F.interpolate(masks[None], size=levels[i].shape[2:], mode="bilinear", align_corners=False)[0]
        hidden = (small.sigmoid() < 0.5).flatten(1)
        hidden[hidden.all(1)] = False
        a = attention(part(q, "attentions.0.attn"), query + place, memory[i] + positions[i], memory[i], heads, hidden)
        query = layer_norm(q, "norms.0", query + a)
        a = attention(part(q, "attentions.1.attn"), query + place, query + place, query, heads, None)
        query = layer_norm(q, "norms.1", query + a)
        y = linear(q, "ffns.0.layers.1", linear(q, "ffns.0.layers.0.0", query).relu())
        query = layer_norm(q, "norms.2", query + y)
        n += 1
    return predict(query)


def attention(p, query, key, value, heads, hidden):
    c = query.shape[1]
    weights, biases = p["in_proj_weight"].split(c), p["in_proj_bias"].split(c)
    q, k, v = (
        (x @ w.T + b).reshape(-1, heads, c // heads).transpose(0, 1)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    scores = q @ k.transpose(1, 2) / math.sqrt(c // heads)
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return linear(p, "out_proj", (scores.softmax(-1) @ v).transpose(0, 1).reshape(-1, c))
