"""PickScore, CLIPScore and HPSv2 on a tiny random CLIP, against literal computations with transformers' own parts."""

import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from harness.errors import ConfigError, JudgeError
from harness.images import ref_of_image
from harness.judges.scorers import pixels
from harness.judges.scorers.clip import embedding
from harness.judges.scorers.openclip import to_transformers
from harness.registry import JUDGES
from harness.rewards import RewardItem, make_reward, score
from harness.types import Prompt

from .tiny import answers, clip_config, picture, random_clip, save_clip

PAIRS = [
    (picture(0, (64, 48)), "red circle"),
    (picture(1, (30, 90)), "a green triangle and much more text than the model has places for"),
    (picture(2, (28, 28)), "x"),
]


@pytest.fixture(scope="module")
def model():
    return random_clip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    return save_clip(tmp_path_factory.mktemp("clip") / "model", model)


@pytest.fixture(scope="module")
def judge(folder):
    return JUDGES.get("pickscore")(f"{folder},device=cpu")


def literal(model, folder, image, prompt):
    """(logit, cosine) by the whole model's forward and transformers' own image processor."""
    from transformers import CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = {"shortest_edge": 28}
    processor = CLIPImageProcessorPil(size=side, crop_size={"height": 28, "width": 28})
    seen = processor(images=[image], return_tensors="pt")
    words = CLIPTokenizer.from_pretrained(folder)([prompt], truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        out = model(pixel_values=seen.pixel_values, **words)
    return float(out.logits_per_image[0, 0]), float((out.image_embeds * out.text_embeds).sum())


def test_pickscore_is_the_scaled_cosine_of_the_whole_model(judge, model, folder):
    for (image, prompt), found in zip(PAIRS, answers(judge, PAIRS), strict=True):
        logit, cosine = literal(model, folder, image, prompt)
        assert found.value == pytest.approx(logit, abs=1e-4)
        assert found.payload["cosine"] == pytest.approx(cosine, abs=1e-5)
        assert found.payload["scale"] == pytest.approx(math.exp(model.logit_scale.item()), rel=1e-6)


def test_a_cut_prompt_is_seen_in_the_payload(judge):
    lengths = [a.payload["n_tokens"] for a in answers(judge, PAIRS)]
    assert lengths[2] == 3 and lengths[1] > 16


def test_a_score_does_not_see_the_rest_of_the_batch(judge):
    together = [a.value for a in answers(judge, PAIRS)]
    assert together == pytest.approx([answers(judge, [p])[0].value for p in PAIRS], abs=1e-5)
    assert [a.value for a in answers(judge, PAIRS[::-1])] == pytest.approx(together[::-1], abs=1e-5)
    assert len({round(v, 3) for v in together}) == 3


def test_batches_are_of_the_size_asked_for(folder, monkeypatch):
    small = JUDGES.get("pickscore")(f"{folder},device=cpu,batch_size=2")
    sizes = []
    score = small.scorer.score
    monkeypatch.setattr(small.scorer, "score", lambda i, p: sizes.append(len(i)) or score(i, p))
    assert len(answers(small, PAIRS)) == 3 and sizes == [2, 1]


def test_a_score_that_is_no_number_is_a_failure(judge, monkeypatch):
    monkeypatch.setattr(judge.scorer, "score", lambda images, prompts: [{"raw": math.nan, "cosine": 0.5}] * len(images))
    found = answers(judge, PAIRS[:1])[0]
    assert found.value is None and found.status == "error" and "raw is nan" in found.error


def test_too_little_memory_says_what_to_change(judge, monkeypatch):
    def full(images, prompts):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(judge.scorer, "score", full)
    with pytest.raises(JudgeError, match="lower batch_size"):
        answers(judge, PAIRS)


def test_clipscore_is_the_cosine_of_the_same_files(judge, folder):
    other = JUDGES.get("clipscore")(f"{folder},device=cpu")
    assert [a.value for a in answers(other, PAIRS)] == [a.payload["cosine"] for a in answers(judge, PAIRS)]
    assert other.fingerprint.removeprefix("clipscore") == judge.fingerprint.removeprefix("pickscore")


def test_the_reward_of_the_same_name_divides_what_the_judge_gives(judge):
    image, prompt = PAIRS[0]
    item = RewardItem(prompt=Prompt(id="p/0", text=prompt), image=ref_of_image(image))
    batch = score(make_reward("pickscore"), judge, [item, item])
    assert batch.n_calls == 1  # equal questions about equal pictures are asked once
    raw = answers(judge, PAIRS[:1])[0].value
    assert [v.value for v in batch.values] == pytest.approx([raw / 26] * 2)
    assert batch.values[0].parts["raw"] == pytest.approx(raw)


def test_an_embedding_is_a_tensor_or_within_an_object(model):
    values = torch.zeros(1, 3, 28, 28)
    output = model.get_image_features(pixel_values=values)
    assert embedding(output).shape == (1, 16) and embedding(embedding(output)) is embedding(output)


@pytest.mark.parametrize("size", [(64, 48), (30, 91), (28, 28), (17, 200), (333, 100)])
def test_cropped_pixels_equal_those_of_transformers(size):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    image = picture(6, size)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    theirs = processor(images=[image], return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(pixels.centre_crop(image, 28), theirs, atol=1e-5)


def test_a_letterboxed_image_keeps_its_sides_between_black_borders():
    found = pixels.letterbox(Image.new("RGB", (60, 30), "white"), 28)
    levels = found * np.array(pixels.CLIP_STD, "f4")[:, None, None] + np.array(pixels.CLIP_MEAN, "f4")[:, None, None]
    np.testing.assert_allclose(levels[:, 7:21], 1.0, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([levels[:, :7], levels[:, 21:]], axis=1), 0.0, atol=1e-6)


def openclip_state(model):
    """The model's weights under open_clip's names, written out by hand from its module structure."""
    state = {}
    for tower, prefix in ((model.vision_model, "visual."), (model.text_model, "")):
        for i, layer in enumerate(tower.encoder.layers):
            block = f"{prefix}transformer.resblocks.{i}"
            q, k, v = layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj
            state[f"{block}.attn.in_proj_weight"] = torch.cat([q.weight, k.weight, v.weight])
            state[f"{block}.attn.in_proj_bias"] = torch.cat([q.bias, k.bias, v.bias])
            for name, module in (
                ("attn.out_proj", layer.self_attn.out_proj),
                ("ln_1", layer.layer_norm1),
                ("ln_2", layer.layer_norm2),
                ("mlp.c_fc", layer.mlp.fc1),
                ("mlp.c_proj", layer.mlp.fc2),
            ):
                state[f"{block}.{name}.weight"], state[f"{block}.{name}.bias"] = module.weight, module.bias
    vision, text = model.vision_model, model.text_model
    for name, module in (
        ("visual.ln_pre", vision.pre_layrnorm),
        ("visual.ln_post", vision.post_layernorm),
        ("ln_final", text.final_layer_norm),
    ):
        state[f"{name}.weight"], state[f"{name}.bias"] = module.weight, module.bias
    state |= {
        "visual.class_embedding": vision.embeddings.class_embedding,
        "visual.positional_embedding": vision.embeddings.position_embedding.weight,
        "visual.conv1.weight": vision.embeddings.patch_embedding.weight,
        "visual.proj": model.visual_projection.weight.T,
        "token_embedding.weight": text.embeddings.token_embedding.weight,
        "positional_embedding": text.embeddings.position_embedding.weight,
        "text_projection": model.text_projection.weight.T,
        "logit_scale": model.logit_scale,
    }
    return {k: v.detach().clone().contiguous() for k, v in state.items()}


@pytest.fixture(scope="module")
def hpsv2(tmp_path_factory, model, folder):
    """A folder with the weights under open_clip's names, and the pickle as published."""
    home = tmp_path_factory.mktemp("hpsv2")
    save_file(openclip_state(model), home / "weights.safetensors")
    torch.save({"epoch": 1, "state_dict": openclip_state(model)}, home / "HPS_v2.1_compressed.pt")
    return home


def test_hpsv2_is_the_cosine_on_letterboxed_pixels(hpsv2, model, folder):
    found = answers(JUDGES.get("hpsv2")(f"{hpsv2}/weights.safetensors,base={folder},device=cpu"), PAIRS)
    for (image, prompt), answer in zip(PAIRS, found, strict=True):
        boxed = pixels.letterbox(image, 28)
        levels = boxed.transpose(1, 2, 0) * np.array(pixels.CLIP_STD) + np.array(pixels.CLIP_MEAN)
        square = Image.fromarray(np.round(levels * 255).astype(np.uint8))
        assert answer.value == pytest.approx(literal(model, folder, square, prompt)[1], abs=1e-5)


def test_open_clips_names_map_to_every_key_of_the_model(model):
    mapped = to_transformers({**openclip_state(model), "attn_mask": torch.zeros(1)})
    expected = model.state_dict()
    assert mapped.keys() == expected.keys()
    assert all(torch.equal(mapped[k], expected[k]) for k in expected)
    assert list(to_transformers({"visual.transformer.resblocks.0.new.weight": torch.zeros(1)})) == [
        "visual.transformer.resblocks.0.new.weight"
    ]


def test_a_pickle_is_only_read_when_allowed(hpsv2, folder):
    path = hpsv2 / "HPS_v2.1_compressed.pt"
    with pytest.raises(JudgeError, match=r"HPS_v2.1_compressed.pt: a pickle can run code.*allow_pickle=true"):
        answers(JUDGES.get("hpsv2")(f"{path},base={folder}"), PAIRS)
    with pytest.raises(JudgeError, match="name it in full with allow_pickle=true"):
        answers(JUDGES.get("hpsv2")(f"{hpsv2},base={folder}"), PAIRS)
    allowed = answers(JUDGES.get("hpsv2")(f"{path},base={folder},allow_pickle=true,device=cpu"), PAIRS)
    plain = answers(JUDGES.get("hpsv2")(f"{hpsv2}/weights.safetensors,base={folder},device=cpu"), PAIRS)
    assert [a.value for a in allowed] == [a.value for a in plain]


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [pickle.dumps(Evil()), b"", b"no pickle"])
def test_a_pickle_of_anything_else_is_refused_and_not_run(content, tmp_path, folder):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(JudgeError, match=r"bad\.pt: not a pickle of tensors"):
        answers(JUDGES.get("hpsv2")(f"{tmp_path}/bad.pt,base={folder},allow_pickle=true"), PAIRS)


def test_hpsv2_refuses_a_base_of_another_activation(hpsv2, folder, tmp_path):
    save_clip(tmp_path, random_clip(clip_config("quick_gelu")))
    with pytest.raises(JudgeError, match="quick_gelu"):
        answers(JUDGES.get("hpsv2")(f"{hpsv2}/weights.safetensors,base={tmp_path}"), PAIRS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("visual_projection.weight"), r"model\.safetensors: missing keys \(1\): visual_projection"),
        (lambda s: s.update(extra=torch.zeros(1)), r"unexpected keys \(1\): extra"),
        (lambda s: s.update(logit_scale=torch.zeros(2)), r"logit_scale is \(2,\), expected \(\)"),
    ],
)
def test_other_keys_are_refused_by_name(model, tmp_path, change, message):
    save_clip(tmp_path, model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(JudgeError, match=message):
        answers(JUDGES.get("pickscore")(f"{tmp_path}"), PAIRS)


def test_a_damaged_file_and_an_incomplete_folder_are_named(model, tmp_path):
    save_clip(tmp_path, model)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(JudgeError, match="not a readable safetensors file"):
        answers(JUDGES.get("pickscore")(f"{tmp_path}"), PAIRS)
    (tmp_path / "config.json").unlink()
    with pytest.raises(JudgeError, match=r"has no config\.json"):
        _ = JUDGES.get("pickscore")(f"{tmp_path}").fingerprint
    (tmp_path / "empty").mkdir()
    with pytest.raises(JudgeError, match="no weights in"):
        _ = JUDGES.get("pickscore")(f"{tmp_path}/empty").fingerprint


def test_a_tokenizer_of_its_own_is_asked_for_by_name(model, folder, tmp_path):
    save_clip(tmp_path / "bare", model)
    for name in ("tokenizer.json", "vocab.json"):
        (tmp_path / "bare" / name).unlink(missing_ok=True)
    given = JUDGES.get("pickscore")(f"{tmp_path / 'bare'},processor={folder},device=cpu")
    assert answers(given, PAIRS[:1])[0].status == "ok"
    with pytest.raises(JudgeError, match="processor"):
        _ = JUDGES.get("pickscore")(f"{tmp_path / 'bare'},processor={tmp_path}").fingerprint


def test_what_is_neither_here_nor_on_the_hub_is_named(monkeypatch):
    import huggingface_hub

    def offline(*args, **options):
        raise OSError("no route\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(JudgeError, match=r"'owner/name' is not here and the hub does not give it \(no route\)"):
        _ = JUDGES.get("pickscore")("owner/name").fingerprint


def test_a_device_that_is_not_there_is_named(folder):
    with pytest.raises(ConfigError, match="device: 'cuda:77' cannot be used here"):
        answers(JUDGES.get("pickscore")(f"{folder},device=cuda:77"), PAIRS)


def test_fingerprints_tell_weights_and_precision_apart(folder, model, tmp_path, judge):
    changed = save_clip(tmp_path / "changed", model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["logit_scale"] += 0.1
    save_file(state, changed / "model.safetensors")
    fingerprints = [
        JUDGES.get("pickscore")(a).fingerprint for a in (f"{folder}", f"{changed}", f"{folder},dtype=bfloat16")
    ]
    assert len(set(fingerprints)) == 3 and fingerprints[0] == judge.fingerprint
