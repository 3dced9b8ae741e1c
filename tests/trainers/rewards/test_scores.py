"""Rewards of directly scoring models (hpsv3, pickscore, hpsv2, clipscore): what they ask and how they scale."""

import math

import pytest

from harness.errors import ConfigError
from harness.judges.base import Answer
from harness.rewards import make_reward, score

from .judges import PICTURE, Scorer, item

NAMES = ("hpsv3", "pickscore", "hpsv2", "clipscore")


@pytest.mark.parametrize("name", NAMES)
def test_one_question_whose_text_is_the_prompt(name):
    (request,) = make_reward(name).requests(item())
    assert (request.kind, request.form, request.images) == ("score", name, (PICTURE,))
    assert [q.text for q in request.questions] == ["a dog {in} a <prompt>"]


@pytest.mark.parametrize(
    ("name", "options", "raw", "value"),
    [
        ("hpsv3", {}, -2.5, -2.5),
        ("hpsv3", {"scale": "normalised"}, 10.43, 1.043),
        ("pickscore", {}, 20.8, 0.8),
        ("pickscore", {"scale": "raw"}, 20.8, 20.8),
        ("hpsv2", {}, 0.28, 0.28),
        ("clipscore", {}, 0.27, 0.9),
        ("clipscore", {"scale": "raw"}, 0.27, 0.27),
        ("clipscore", {"variant": "paper"}, 0.3, 0.75),
        ("clipscore", {"variant": "paper"}, -0.3, 0.0),
        ("clipscore", {"variant": "cosine"}, -0.3, -0.3),
    ],
)
def test_a_raw_score_becomes_the_published_reward(name, options, raw, value):
    reward = make_reward(name, options)
    (found,) = score(reward, Scorer(raw), [item()]).values
    assert found.value == pytest.approx(value) and found.parts == {"raw": raw}
    low, high = reward.value_range
    assert low <= found.value <= high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer", [Answer(status="error", error="cut file"), Answer(value=math.nan), Answer(value=None)]
)
def test_a_failure_is_a_missing_value_with_its_reason(name, answer):
    found = make_reward(name).value(item(), {"score": answer})
    assert found.value is None and (found.n_asked, found.n_failed) == (1, 1)
    assert found.reason == f"score: {answer.status} {answer.error}".strip()
    assert make_reward(name).value(item(), {}).reason == "score: not asked"


def test_the_papers_variant_puts_its_prefix_before_the_caption_and_names_its_model():
    reward = make_reward("clipscore", {"variant": "paper"})
    (request,) = reward.requests(item("a cat"))
    assert request.questions[0].text == "A photo depicts a cat"
    assert reward.default_judge == {"official": "clipscore:openai/clip-vit-base-patch32"}


def test_settings_are_in_the_fingerprint():
    made = [
        make_reward(name, options).fingerprint
        for name, options in (
            ("hpsv3", {}),
            ("hpsv3", {"scale": "normalised"}),
            ("pickscore", {}),
            ("clipscore", {}),
            ("clipscore", {"variant": "cosine"}),
        )
    ]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_mistyped_option_is_named(name):
    with pytest.raises(ConfigError, match=f"{name}'s scale 'normalized'.*Did you mean 'normalised'"):
        make_reward(name, {"scale": "normalized"})
    with pytest.raises(ConfigError, match="sclae"):
        make_reward(name, {"sclae": "raw"})


@pytest.mark.parametrize("name", NAMES)
def test_the_default_judge_of_the_official_profile_is_a_registered_one(name):
    from harness.registry import JUDGES

    spec = make_reward(name).default_judge["official"]
    judge, _, argument = spec.partition(":")
    assert JUDGES.get(judge)(argument).name == name
