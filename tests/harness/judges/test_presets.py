"""Presets, prices, image tokens, and the argument of a server judge."""

import pytest

from harness.errors import ConfigError
from harness.judges.vlm.presets import FormRule, ImageTokens, Price, preset_for, presets, with_price
from harness.judges.vlm.target import parse_target

URL = "http://127.0.0.1:8000/v1"


def test_known_models_are_found_by_name_and_unknown_ones_get_the_default():
    assert preset_for("Qwen/Qwen3-VL-30B-A3B-Instruct")[0] == "qwen3-vl-30b-a3b-instruct"
    assert preset_for("/models/qwen2.5-vl-72b-instruct-awq/")[0] == "qwen2.5-vl-72b-instruct-awq"
    assert preset_for("Qwen3-VL-30B-A3B-Thinking")[0] == "default"
    assert preset_for("x", "gpt-4o-2024-11-20")[0] == "gpt-4o-2024-11-20"
    with pytest.raises(ConfigError, match=r"Did you mean 'gpt-4.1-2025-04-14'"):
        preset_for("x", "gpt-4.1-2025-04-41")


def test_every_hosted_preset_has_a_dated_price_and_every_other_one_none():
    for name, preset in presets().items():
        assert (preset.price is None) == (not preset.base_url), name
        assert (preset.price is None) or preset.price_note
        assert name == "default" or preset.note


def test_forms_have_their_protocols_own_order_codec_and_limits():
    gpt = preset_for("gpt-4.1-2025-04-14")[1]
    sc = gpt.protocol("gedit-sc", 1.0)
    assert (sc.order, sc.codec.label, sc.temperature, sc.max_tokens) == ("text_first", "jpeg75", 1.0, 1400)
    assert gpt.protocol("dvreward", 0.0).order == "image_first"
    wise = preset_for("Qwen3.5-35B-A3B")[1]
    assert wise.protocol("wise-verified", 0.0).max_tokens == 500
    assert wise.extra == {"chat_template_kwargs": {"enable_thinking": False}}
    open_gedit = preset_for("Qwen2.5-VL-72B-Instruct-AWQ")[1].protocol("gedit-sc", 1.0)
    assert (open_gedit.order, open_gedit.codec.label, open_gedit.temperature) == ("image_first", "png", 0.0)


def test_the_users_settings_win_over_form_and_preset():
    gpt = preset_for("gpt-4.1-2025-04-14")[1]
    own = gpt.protocol("gedit-sc", 1.0, FormRule(order="image_first", codec="png", temperature=0.2, max_tokens=7))
    assert (own.order, own.codec.label, own.temperature, own.max_tokens) == ("image_first", "png", 0.2, 7)
    assert gpt.protocol("gedit-sc", 1.0, FormRule(quality=90)).codec.label == "jpeg90"


@pytest.mark.parametrize(
    ("size", "tokens"), [((1024, 1024), 32 * 32), ((512, 768), 16 * 24), ((48, 48), 8 * 8), ((1000, 30), 47 * 2)]
)
def test_patch_tokens_follow_the_processors_resize(size, tokens):
    assert ImageTokens(extra=0).count(*size) == tokens


RECORDED = {
    (1024, 1024): 1225,
    (333, 777): 336,
    (30, 30): 4,
    (2000, 300): 781,
    (56, 57): 4,
    (4000, 3000): 1230,
}
"""Cells of 28 px after `smart_resize` of transformers 5.19 with min_pixels=3136, max_pixels=1_000_000."""


def test_patch_tokens_equal_those_of_the_library():
    rule = ImageTokens(cell_px=28, min_pixels=3136, max_pixels=1_000_000, extra=0)
    assert {size: rule.count(*size) for size in RECORDED} == RECORDED


@pytest.mark.parametrize(
    ("size", "tokens"), [((512, 512), 255), ((1024, 1024), 765), ((2048, 4096), 1105), ((768, 768), 765)]
)
def test_tile_tokens_equal_the_published_examples(size, tokens):
    assert ImageTokens(rule="tiles").count(*size) == tokens


def test_prices_count_cached_tokens_apart():
    price = Price(input=2.0, cached_input=0.5, output=8.0)
    assert price.usd(1_000_000, 1_000_000) == pytest.approx(10.0)
    assert price.usd(1_000_000, 0, cached=500_000) == pytest.approx(1.25)
    assert Price(input=2.0, output=8.0).usd(1_000_000, 0, cached=500_000) == pytest.approx(2.0)
    assert with_price(preset_for("x")[1], "1/4").price == Price(input=1.0, output=4.0)
    with pytest.raises(ConfigError, match="INPUT/OUTPUT"):
        with_price(preset_for("x")[1], "cheap")


def test_argument_is_model_at_address_and_settings():
    target = parse_target(f"Qwen/Qwen3-VL-30B-A3B-Instruct@{URL},concurrency=64,timeout_s=30,codec=jpeg,quality=90")
    assert target.model == "Qwen/Qwen3-VL-30B-A3B-Instruct" and target.base_url == URL
    assert (target.concurrency, target.timeout_s, target.preset_name) == (64, 30.0, "qwen3-vl-30b-a3b-instruct")
    assert target.preset.protocol("f", 0.0, target.form_rule).codec.label == "jpeg90"
    assert parse_target("gpt-4o-2024-11-20").base_url == "https://api.openai.com/v1"
    assert parse_target(f"name@host@{URL}").model == "name@host"


def test_a_preset_file_takes_the_place_of_a_shipped_one(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("max_tokens: 77\nimage_tokens: {cell_px: 28}\n")
    target = parse_target(f"m@{URL},preset={file}")
    assert target.preset_name == "own" and target.preset.max_tokens == 77
    file.write_text("max_token: 77\n")
    with pytest.raises(ConfigError, match=r"line 1: unknown key 'max_token'. Did you mean 'max_tokens'"):
        parse_target(f"m@{URL},preset={file}")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "expected MODEL@URL"),
        (URL, "expected MODEL@URL"),
        ("concurrency=3", "expected MODEL@URL"),
        ("model-x", "no server for model 'model-x'"),
        ("m@http://127.0.0.1:8000", "lacks its path, usually /v1: http://127.0.0.1:8000/v1"),
        ("m@http://:8000/v1", "is not an address"),
        ("m@http://127.0.0.1:port/v1", "port of the server's address is not a number"),
        (f"m@{URL},concurency=3", "Did you mean 'concurrency'"),
        (f"m@{URL},concurrency=many", "concurrency"),
        (f"m@{URL},concurrency=0", "positive"),
        (f"m@{URL},64", "has no '='"),
        (f"m@{URL},codec=webp", "codec"),
        (f"m@{URL},quality=80", "lossless"),
        (f"m@{URL},p_yes=maybe", "p_yes"),
        (f"m@{URL},top_k=3,top_k=4", "'top_k' is given twice"),
        (f"m@{URL},preset=qwen", "Unknown judge preset 'qwen'"),
    ],
)
def test_mistakes_in_the_argument_are_explained(argument, message):
    with pytest.raises(ConfigError, match=message):
        parse_target(argument)


@pytest.mark.parametrize("secret", ["sk-proj-abc123", "hf_AbCdEf"])
def test_a_key_in_the_wrong_place_is_refused_without_being_repeated(secret):
    for argument in (f"m@{URL},key_env={secret}", f"m@{URL},key={secret}", f"m@http://user:{secret}@host/v1"):
        with pytest.raises(ConfigError) as caught:
            parse_target(argument)
        assert secret not in str(caught.value)


def test_the_key_comes_from_the_named_variable_only(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret-1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-2")
    assert parse_target(f"m@{URL}").key() is None
    assert parse_target(f"m@{URL},key_env=JUDGE_KEY").key() == "secret-1"
    assert parse_target("gpt-4o-2024-11-20").key() == "secret-2"
    assert parse_target(f"gpt-4o-2024-11-20@{URL},key_env=").key() is None
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        parse_target(f"m@{URL},key_env=JUDGE_KEY").key()
