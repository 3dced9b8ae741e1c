import pytest
import torch

from harness.errors import JudgeError
from harness.judges.detector import OFFICIAL, build_model, config_from_state_dict, convert_state_dict
from harness.judges.detector.convert import merge_order, position_index
from harness.judges.detector.keymap import UNFILLED, edition_of, key_map
from tests.harness.judges.detector import checkpoint, reference

HEADS = checkpoint.SIZES["decoder_heads"]
CONFIG = config_from_state_dict(checkpoint.random_checkpoint())


@pytest.fixture(scope="module")
def source():
    return checkpoint.random_checkpoint(dtype=torch.float64)


@pytest.fixture(scope="module")
def converted(source):
    return convert_state_dict(source)


@pytest.fixture(scope="module")
def model(converted):
    return build_model(CONFIG, torch.float64, converted)


def pixels(h=96, w=64, seed=1):
    return torch.randn(1, 3, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def run(model, x):
    with torch.no_grad():
        out = model(pixel_values=x)
    return out.class_queries_logits[0], out.masks_queries_logits[0]


def distance(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


# -- the map -----------------------------------------------------------------------------------------------------------


def test_official_map_takes_649_tensors_to_757_of_760():
    entries = key_map(OFFICIAL)
    sources, targets = [e.source for e in entries], [t for e in entries for t in e.targets]
    assert (len(sources), len(set(sources))) == (649, 649)
    assert (len(targets), len(set(targets))) == (757, 757)
    assert set(sources) == set(checkpoint.shapes(checkpoint.OFFICIAL_SIZES))
    from transformers import Mask2FormerForUniversalSegmentation

    with torch.device("meta"):
        state = Mask2FormerForUniversalSegmentation(OFFICIAL.to_transformers()).state_dict()
    assert len(state) == 760
    assert set(state) - set(targets) == set(UNFILLED)
    assert set(targets) <= set(state)


def test_official_map_fits_every_shape():
    shapes = checkpoint.shapes(checkpoint.OFFICIAL_SIZES)
    source = {n: torch.empty(s, device="meta") for n, s in shapes.items() if not n.endswith("position_index")}
    source |= {n: checkpoint.position_index(7) for n in shapes if n.endswith("position_index")}
    assert sum(t.numel() for t in source.values()) == 68_797_171
    assert config_from_state_dict(source) == OFFICIAL
    from transformers import Mask2FormerForUniversalSegmentation

    with torch.device("meta"):
        state = Mask2FormerForUniversalSegmentation(OFFICIAL.to_transformers()).state_dict()
    for entry in key_map(OFFICIAL):
        shape = shapes[entry.source]
        for target in entry.targets:
            expected = (shape[0] // 3, *shape[1:]) if entry.change == "cut" else shape
            assert tuple(state[target].shape) == expected


def test_merge_order_moves_each_row_column_channel_where_the_other_layout_has_it():
    channels = 5
    order = merge_order(channels).tolist()
    for c in range(channels):
        for r in range(2):
            for s in range(2):
                assert order[(2 * s + r) * channels + c] == 4 * c + 2 * r + s
    assert sorted(order) == list(range(4 * channels))


def test_fused_rows_are_cut_into_queries_keys_values(source, converted):
    fused = source["backbone.stages.1.blocks.0.attn.w_msa.qkv.weight"]
    prefix = "model.pixel_level_module.encoder.swin.encoder.layers.1.blocks.0.attention"
    for i, name in enumerate("qkv"):
        assert torch.equal(converted[f"{prefix}.{name}_proj.weight"], fused[16 * i : 16 * (i + 1)])
    biases = source["panoptic_head.transformer_decoder.layers.2.attentions.1.attn.in_proj_bias"]
    prefix = "model.transformer_module.decoder.layers.2.self_attn"
    for i, name in enumerate("qkv"):
        assert torch.equal(converted[f"{prefix}.{name}_proj.bias"], biases[64 * i : 64 * (i + 1)])


@pytest.mark.parametrize("window", [2, 5, 7])
def test_position_index_is_mmdets(window):
    assert torch.equal(position_index(window), checkpoint.position_index(window))


def test_third_edition_gives_the_same_tensors(source, converted):
    renamed = checkpoint.third_edition(source)
    assert len(set(renamed) - set(source)) > 50
    assert (edition_of(source), edition_of(renamed)) == ("mmdet-2.x", "mmdet-3.x")
    again = convert_state_dict(renamed)
    assert again.keys() == converted.keys()
    assert all(torch.equal(again[n], converted[n]) for n in converted)


def test_converted_tensors_do_not_share_memory_with_the_source(converted):
    pointers = [t.data_ptr() for t in converted.values()]
    assert len(set(pointers)) == len(pointers)
    assert all(t.is_contiguous() for t in converted.values())


def test_building_a_model_leaves_the_global_generator_alone(converted):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build_model(CONFIG, torch.float64, converted)
    assert torch.equal(torch.get_rng_state(), before)


# -- the same function -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 64), (64, 160), (128, 96), (32, 224)])
def test_converted_model_equals_mmdets_arithmetic_in_double_precision(source, model, size):
    x = pixels(*size)
    assert distance(run(model, x), reference.logits(source, x, HEADS)) < 1e-9


def test_other_sizes_convert_too():
    sizes = {"embed_dim": 12, "heads": (3, 2, 4, 6), "depths": (1, 2, 1, 3), "window": 7, "mlp": 2, "mask": 8}
    sizes |= {"decoder_heads": 2, "encoder_layers": 1, "decoder_layers": 3, "queries": 5, "classes": 7}
    source = checkpoint.random_checkpoint(seed=4, dtype=torch.float64, **sizes)
    model = build_model(config_from_state_dict(source), torch.float64, convert_state_dict(source))
    x = pixels(64, 96, seed=5)
    assert distance(run(model, x), reference.logits(source, x, 2)) < 1e-9


def test_single_precision_stays_within_rounding():
    source = checkpoint.random_checkpoint()
    model = build_model(CONFIG, tensors=convert_state_dict(source))
    x = pixels().float()
    assert distance(run(model, x), reference.logits(source, x, HEADS)) < 1e-3


def test_moving_any_tensor_by_one_element_changes_the_output(model, converted):
    x = pixels(64, 64)
    expected = run(model, x)
    state = model.state_dict()
    ignored = []
    for name, tensor in converted.items():
        state[name].copy_(tensor.flatten().roll(1).view_as(tensor))
        change = distance(run(model, x), expected)
        state[name].copy_(tensor)
        if change < 1e-6:
            ignored.append(name)
    # A bias of the keys alone adds the same number to every score of a query, which softmax ignores.
    keys = [n for n in converted if n.endswith("k_proj.bias")]
    assert len(keys) == sum(CONFIG.depths) + CONFIG.decoder_layers
    assert ignored == keys
    assert distance(run(model, x), expected) == 0


def swapped(tensors, first, second):
    """Exchanges tensors whose names differ in one part."""
    result = dict(tensors)
    pairs = [(n, n.replace(first, second)) for n in tensors if first in n and n.replace(first, second) in tensors]
    assert pairs
    for a, b in pairs:
        result[a], result[b] = tensors[b], tensors[a]
    return result


def reordered(tensors, order):
    """Another order of the patch-merging axis than the right one."""
    result = dict(tensors)
    for name in (n for n in tensors if "downsample" in n):
        channels = tensors[name].shape[-1] // 4
        source = tensors[name][..., torch.argsort(merge_order(channels))]
        result[name] = source[..., order(channels)]
    return result


def flipped(tensors, end):
    return {n: t.flip(0) if n.endswith(end) else t for n, t in tensors.items()}


def transposed_tables(tensors):
    side = 2 * CONFIG.window_size - 1
    return {
        n: t.view(side, side, -1).transpose(0, 1).reshape_as(t) if "bias_table" in n else t for n, t in tensors.items()
    }


WRONG_TENSORS = {
    "no merge reorder": lambda t: reordered(t, lambda c: torch.arange(4 * c)),
    "rows and columns of the merge exchanged": lambda t: reordered(
        t, lambda c: torch.arange(4 * c).view(c, 2, 2).permute(1, 2, 0).reshape(-1)
    ),
    "queries and keys exchanged": lambda t: swapped(t, ".q_proj.", ".k_proj."),
    "bias table transposed": transposed_tables,
    "block norms exchanged": lambda t: swapped(t, "layernorm_before", "layernorm_after"),
    "query tables exchanged": lambda t: swapped(t, "queries_embedder", "queries_features"),
    "pixel decoder levels reversed": lambda t: flipped(t, "decoder.level_embed"),
    "query decoder levels reversed": lambda t: flipped(t, "transformer_module.level_embed.weight"),
    "decoder norms exchanged": lambda t: swapped(t, ".cross_attn_layer_norm", ".self_attn_layer_norm"),
    "no object first": lambda t: {n: v.roll(1, 0) if "class_predictor" in n else v for n, v in t.items()},
}


@pytest.mark.parametrize("fault", WRONG_TENSORS)
def test_wrong_tensors_are_caught(model, converted, fault):
    x = pixels()
    expected = run(model, x)
    model.load_state_dict(WRONG_TENSORS[fault](converted), strict=False)
    try:
        assert distance(run(model, x), expected) > 1e-4
    finally:
        model.load_state_dict(converted, strict=False)


def test_wrong_settings_are_caught(model, source):
    x = pixels()
    right = reference.logits(source, x, HEADS)
    mlps = [m for m in model.modules() if type(m).__name__ == "SwinMLP"]
    kept = [m.activation_fn for m in mlps]
    for mlp in mlps:
        mlp.activation_fn = torch.nn.GELU(approximate="tanh")
    assert distance(run(model, x), right) > 1e-7
    for mlp, activation in zip(mlps, kept, strict=True):
        mlp.activation_fn = activation
    norms = [m for m in model.modules() if isinstance(m, torch.nn.LayerNorm)]
    for norm in norms:
        norm.eps = 1e-6
    assert distance(run(model, x), right) > 1e-7
    for norm in norms:
        norm.eps = 1e-5
    layers = model.model.transformer_module.decoder.layers
    for layer in layers:
        layer.pre_norm = True
    assert distance(run(model, x), right) > 1e-2
    for layer in layers:
        layer.pre_norm = False
    assert distance(run(model, x), right) < 1e-9


def test_activation_and_epsilons_are_said_and_arrive():
    model = build_model(CONFIG)
    assert {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm | torch.nn.GroupNorm)} == {1e-5}
    assert model.model.pixel_level_module.encoder.config._attn_implementation == "sdpa"
    assert not model.training


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_missing_and_left_over_tensors_are_named(source):
    lacking = {n: t for n, t in source.items() if n != "backbone.norm2.bias"}
    with pytest.raises(JudgeError, match=r"1 missing \(backbone\.norm2\.bias\).*instance Mask2Former"):
        convert_state_dict(lacking)
    with pytest.raises(JudgeError, match=r"1 left over \(panoptic_head\.extra\)"):
        convert_state_dict({**source, "panoptic_head.extra": torch.zeros(1)})


def test_position_index_of_another_layout_is_refused(source):
    name = "backbone.stages.0.blocks.1.attn.w_msa.relative_position_index"
    with pytest.raises(JudgeError, match=r"blocks\.1\..*5x5 window"):
        convert_state_dict({**source, name: source[name].T})


def test_mixed_editions_are_refused(source):
    mixed = {**source, **checkpoint.third_edition(source)}
    with pytest.raises(JudgeError, match=r"2\.x and 3\.x are mixed"):
        convert_state_dict(mixed)


def test_tensors_of_other_sizes_are_refused(converted):
    other = config_from_state_dict(checkpoint.random_checkpoint(queries=11))
    with pytest.raises(JudgeError, match=r"queries_.*\(12, 64\), expected \(11, 64\)"):
        build_model(other, torch.float64, converted)


def test_half_precision_is_refused():
    with pytest.raises(JudgeError, match="float32"):
        build_model(CONFIG, torch.float16)
