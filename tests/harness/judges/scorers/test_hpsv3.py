"""HPSv3 on a tiny random model under the published key names: against a literal forward pass, position by position."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.errors import ConfigError, DataError, JudgeError
from harness.judges import hpsv3
from harness.judges.scorers import pixels
from harness.judges.scorers.hpsv3 import map_keys
from harness.prompttemplates import text_sha256
from harness.registry import JUDGES

from .tiny import answers, picture, random_hpsv3, request, save_hpsv3_base, upstream_state, write_wording

PAIRS = [
    (picture(0, (64, 48)), "a red circle"),
    (picture(1, (1024, 300)), "two blue squares above a {green} triangle, on white"),
    (picture(2, (50, 400)), "x"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """(folder, body, head, tokenizer, upstream text); the wording is pinned to the stand-in."""
    folder = tmp_path_factory.mktemp("hpsv3")
    tokenizer = save_hpsv3_base(folder / "base")
    body, head = random_hpsv3(len(tokenizer))
    save_file(upstream_state(body, head), folder / "HPSv3.safetensors")
    text = write_wording(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hpsv3, "TEXT_SHA256", text_sha256(text))
        yield folder, body, head, tokenizer, text


def judge_of(model, path=None, **options):
    folder = model[0]
    settings = {"base": folder / "base", "data_dir": folder / "data", "dtype": "float32", "device": "cpu", **options}
    listed = ",".join(f"{k}={v}" for k, v in settings.items())
    return JUDGES.get("hpsv3")(f"{path or folder / 'HPSv3.safetensors'},{listed}")


@pytest.fixture(scope="module")
def judge(model):
    return judge_of(model)


def literal(model, image, prompt, *, positions="default of the decoder"):
    """mu by the published recipe: transformers' own image processor, merged embeddings, the bare text decoder."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

    _, body, head, tokenizer, text = model
    high, wide = smart_resize(image.height, image.width, 28, 256 * 28 * 28, 256 * 28 * 28)
    resized = image.convert("RGB").resize((wide, high))
    seen = Qwen2VLImageProcessorPil()(images=[resized], return_tensors="pt")
    n_tokens = int(seen.image_grid_thw.prod()) // 4
    words = text.replace("{text_prompt}", prompt)
    vision = f"<|vision_start|>{'<|image_pad|>' * n_tokens}<|vision_end|>"
    chat = f"<|im_start|>user\n{vision}{words}<|im_end|>\n<|im_start|>assistant\n"
    reward = len(tokenizer)
    before, after = chat.split("<|Reward|>")
    ids = torch.tensor([[*tokenizer(before).input_ids, reward, *tokenizer(after).input_ids]])
    with torch.no_grad():
        embeddings = body.language_model.embed_tokens(ids)
        image_rows = body.visual(seen.pixel_values, grid_thw=seen.image_grid_thw).pooler_output
        is_image = (ids == body.config.image_token_id)[..., None].expand_as(embeddings)
        embeddings = embeddings.masked_scatter(is_image, image_rows)
        if positions == "of the whole model":
            kinds = (ids == body.config.image_token_id).int()
            position_ids, _ = body.get_rope_index(ids, kinds, image_grid_thw=seen.image_grid_thw)
            hidden = body.language_model(inputs_embeds=embeddings, position_ids=position_ids).last_hidden_state
        else:
            hidden = body.language_model(inputs_embeds=embeddings).last_hidden_state
        return head(hidden[ids == reward].float())[0].tolist()


def test_scores_equal_the_published_forward_pass(model, judge):
    for (image, prompt), found in zip(PAIRS, answers(judge, PAIRS), strict=True):
        mean, log_sigma = literal(model, image, prompt)
        assert found.value == pytest.approx(mean, abs=1e-4)
        assert found.payload == pytest.approx({"raw": mean, "log_sigma": log_sigma}, abs=1e-4)


def test_image_positions_would_give_another_score(model, judge):
    image, prompt = PAIRS[0]
    mean = answers(judge, PAIRS[:1])[0].value
    assert abs(literal(model, image, prompt, positions="of the whole model")[0] - mean) > 1e-2


def test_scores_differ_between_images_and_prompts(judge):
    image, prompt = PAIRS[0]
    values = [a.value for a in answers(judge, [(image, prompt), (PAIRS[1][0], prompt), (image, PAIRS[1][1])])]
    assert min(abs(a - b) for i, a in enumerate(values) for b in values[:i]) > 1e-3


def test_a_batch_of_unequal_lengths_equals_single_runs(judge):
    together = [a.value for a in answers(judge, PAIRS)]
    alone = [answers(judge, [pair])[0].value for pair in PAIRS]
    assert together == pytest.approx(alone, abs=1e-5)
    inputs = judge.scorer.inputs([judge.scorer.prepare(i) for i, _ in PAIRS], [p for _, p in PAIRS])
    assert len({int(n) for n in inputs["attention_mask"].sum(-1)}) == 3
    assert bool((inputs["attention_mask"].diff(dim=-1) <= 0).all())  # padding is on the right


def test_an_image_or_prompt_that_cannot_be_scored_fails_alone(judge):
    pairs = [*PAIRS[:1], (picture(3, (1000, 4)), "wide"), (picture(0), "say <|Reward|> twice"), *PAIRS[1:2]]
    first, wide, spelled, last = answers(judge, pairs)
    assert wide.status == "error" and wide.value is None and "200 times" in wide.error
    assert spelled.status == "error" and "special token '<|Reward|>'" in spelled.error
    assert [first.value, last.value] == pytest.approx([a.value for a in answers(judge, PAIRS[:2])], abs=1e-5)


def test_other_kinds_of_questions_are_refused(judge):
    asked = request(*PAIRS[0])
    two = type(asked)(kind="score", form="score", questions=asked.questions, images=(asked.images[0],) * 2)
    assert judge.ask([two])[0].answers[0].status == "error"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1024, 1024), (448, 448)),
        ((512, 512), (448, 448)),
        ((1024, 576), (588, 336)),
        ((576, 1024), (336, 588)),
        ((100, 100), (448, 448)),
        ((1, 1), (448, 448)),
    ],
)
def test_every_image_is_brought_to_one_area(size, expected):
    assert pixels.fixed_area_size(*size, area_px=256 * 28 * 28, factor=28) == expected


def test_sizes_agree_with_transformers_for_random_images():
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    for width, height in np.random.default_rng(0).integers(20, 3000, (500, 2)).tolist():
        expected = smart_resize(height, width, 28, 256 * 28 * 28, 256 * 28 * 28)[::-1]
        if min(expected) >= 28 and min(width, height) >= 28:
            assert pixels.fixed_area_size(width, height, area_px=256 * 28 * 28, factor=28) == expected


def test_patches_equal_those_of_transformers():
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    image = picture(4, (588, 336))
    theirs = Qwen2VLImageProcessorPil()(images=[image], return_tensors="np")
    ours, grid = pixels.patches(image, patch_px=14, merge=2, frames=2)
    assert [[1, *grid]] == theirs["image_grid_thw"].tolist()
    np.testing.assert_allclose(ours, theirs["pixel_values"], atol=1e-5)


def broken(model, change):
    state = upstream_state(model[1], model[2])
    change(state)
    path = model[0] / "broken.safetensors"
    save_file(state, path)
    return judge_of(model, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("model.layers.1.mlp.up_proj.weight"),
            r"missing keys \(1\): language_model.layers.1.mlp",
        ),
        (lambda s: s.update({"model.layers.9.x": torch.zeros(1)}), r"unexpected keys \(1\): language_model.layers.9.x"),
        (lambda s: s.update({"visual.extra": torch.zeros(1)}), "visual.extra"),
        (lambda s: s.update({"model.norm.weight": torch.ones(7)}), r"other shapes.*is \(7,\), expected \(32,\)"),
        (lambda s: s.pop("rm_head.3.bias"), "rm_head.3.bias missing"),
        (lambda s: s.update({"rm_head.7.bias": torch.zeros(1)}), "rm_head.7.bias unexpected"),
        (lambda s: s.update({"rm_head.5.weight": torch.zeros(3, 6), "rm_head.5.bias": torch.zeros(3)}), "expected 2"),
        (lambda s: s.pop("model.embed_tokens.weight"), "model.embed_tokens.weight missing"),
        (
            lambda s: s.update({"model.embed_tokens.weight": torch.zeros(len(s["model.embed_tokens.weight"]) + 6, 32)}),
            "rows in model.embed_tokens.weight, but with <|Reward|> the tokenizer has",
        ),
    ],
)
def test_a_file_with_other_keys_is_refused_by_name(model, change, message):
    with pytest.raises(JudgeError, match=r"broken\.safetensors.*" + message.replace("|", r"\|")):
        answers(broken(model, change), PAIRS[:1])


def test_key_map_drops_the_language_model_head_alone():
    body, head = map_keys({k: torch.zeros(1) for k in ("lm_head.weight", "lm_head.bias", "rm_head.0.bias", "other")})
    assert sorted(body) == ["lm_head.bias", "other"] and list(head) == ["0.bias"]


def test_a_pickle_needs_permission_and_its_model_entry_is_unwrapped(model):
    path = model[0] / "HPSv3.pth"
    torch.save({"model": upstream_state(model[1], model[2])}, path)
    with pytest.raises(JudgeError, match="allow_pickle=true"):
        answers(judge_of(model, path), PAIRS[:1])
    allowed = answers(judge_of(model, path, allow_pickle="true"), PAIRS[:1])[0].value
    assert allowed == pytest.approx(answers(judge_of(model), PAIRS[:1])[0].value, abs=1e-6)


def test_without_the_wording_it_was_trained_with_nothing_is_scored(model, tmp_path):
    judge = judge_of(model, data_dir=tmp_path)
    with pytest.raises(DataError, match=r"run.py data prepare hpsv3.*trained with.*--source"):
        judge.ask([request(*PAIRS[0])])
    write_wording(tmp_path, ("Rate: ", None, " <|Reward|>"))
    with pytest.raises(DataError, match="Another wording is another judge"):
        _ = judge.fingerprint


def test_the_fingerprint_tells_weights_precision_and_wording(model, judge):
    again, other = judge_of(model), judge_of(model, dtype="bfloat16")
    assert judge.fingerprint == again.fingerprint != other.fingerprint
    assert judge.fingerprint.startswith("hpsv3-") and "+float32+wording@" in judge.fingerprint


def test_half_precision_keeps_the_head_in_float32(model, judge):
    half = judge_of(model, dtype="bfloat16")
    assert half.scorer.head[0].weight.dtype == torch.float32
    assert half.scorer.body.language_model.norm.weight.dtype == torch.bfloat16
    # Rounding is visible in a random model; the order of magnitude stays.
    values = [a.value for a in answers(half, PAIRS)]
    assert values == pytest.approx([a.value for a in answers(judge, PAIRS)], abs=0.5)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("here,batchsize=3", "Did you mean 'batch_size'"),
        ("here,dtype=int8", "dtype"),
        ("here,there", "'there' is no option"),
        ("batch_size=0", "positive"),
    ],
)
def test_a_mistyped_option_is_named(argument, message):
    with pytest.raises(ConfigError, match=message):
        JUDGES.get("hpsv3")(argument)


def test_a_path_that_is_not_there_is_named(model, tmp_path):
    with pytest.raises(JudgeError, match="no file or folder here"):
        _ = judge_of(model, tmp_path / "absent.safetensors").fingerprint
    (tmp_path / "HPSv3.pth").touch()
    with pytest.raises(JudgeError, match=r"no weights in .*HPSv3\.pth; name it in full"):
        _ = judge_of(model, tmp_path).fingerprint


def test_images_of_every_mode_are_scored(judge):
    image = picture(5)
    found = answers(judge, [(image.convert(m), "x") for m in ("L", "RGBA", "P", "CMYK")])
    assert all(a.status == "ok" for a in found)
    assert judge.ask([]) == []
