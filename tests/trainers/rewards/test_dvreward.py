"""DVReward: what it asks, under which instruction, and what it makes of the answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from harness.decompose.micro import draw
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.judges.base import Answer, Judge, failed
from harness.judges.micro import MicroJudge
from harness.registry import JUDGES
from harness.rewards import RewardItem, make_reward, score
from harness.types import Prompt
from harness.world.grammar import corrupt, sample_layout
from harness.world.render import render
from tests.harness.judges.servers import FakeVLM, micro_answer, serving
from trainers.rewards.questions.wording import NEGATIVE

META = {
    "semantic_questions": [
        {"question_type": "semantic", "question": "Is there a dog?", "is_valid": True, "tag": "Existence"},
        {"question_type": "semantic", "question": "Are there two dogs?", "is_valid": False, "tag": "Count"},
        {"question_type": "semantic", "question": "Is the scene without cats?", "is_valid": True, "tag": "Negative"},
        {"question_type": "semantic", "question": "Is the dog brown?", "is_valid": True, "tag": "Attribute"},
    ],
    "quality_questions": [
        {"question_type": "quality", "question": "Is the dog's body well formed?", "is_valid": True, "tag": "Anatomy"},
        "Is the light consistent?",
    ],
}
IMAGE = ref_of_image(Image.new("RGB", (8, 8)))


def item(meta=None, image=IMAGE):
    return RewardItem(prompt=Prompt(id="p/1", text="a dog", meta=META if meta is None else meta), image=image)


def value(reward, values, meta=None, **payload):
    """The reward when the questions get `values` in the order in which they are asked."""
    ids = [q.id for r in reward.requests(item(meta)) for q in r.questions]
    answers = {
        i: Answer(status="error", error="time-out") if v is None else Answer(value=v, payload=payload)
        for i, v in zip(ids, values, strict=True)
    }
    return reward.value(item(meta), answers)


def test_official_code_asks_every_question_in_one_request_under_one_instruction():
    (request,) = make_reward("dvreward", {"behaviour": "official_code"}).requests(item())
    assert request.kind == "yesno" and request.form == "dvreward"
    assert [q.id for q in request.questions] == [*(f"semantic/0{i}" for i in range(4)), "quality/00", "quality/01"]
    assert [q.tag for q in request.questions] == ["Existence", "Count", "Negative", "Attribute", "Anatomy", ""]


def test_corrected_leaves_invalid_questions_out_and_asks_negatives_under_their_own_instruction():
    general, negative = make_reward("dvreward").requests(item())
    assert (general.form, negative.form) == ("dvreward", "dvreward-negative")
    assert [q.id for q in general.questions] == ["semantic/00", "semantic/03", "quality/00", "quality/01"]
    assert [(q.id, q.text) for q in negative.questions] == [("semantic/02/negative", "Is the scene without cats?")]
    assert general.system != negative.system
    assert "does not appear" in general.system and "does not appear" not in negative.system


def test_a_prompt_without_questions_is_refused_by_name():
    for meta in ({}, {"semantic_questions": []}, {"semantic_questions": [{"question": "Is it?", "is_valid": False}]}):
        with pytest.raises(DataError, match=r"p/1.*dvreward needs questions"):
            make_reward("dvreward").requests(item(meta))


@pytest.mark.parametrize(
    ("field", "raw", "message"),
    [
        ("semantic_questions", "Is it?", "field 'semantic_questions': expected a list"),
        ("quality_questions", [3], "question 1: expected a text or an object"),
        ("quality_questions", ["ok?", {"tag": "Texture"}], "question 2: expected 'question' to be a text, got nothing"),
        ("semantic_questions", [{"question": "a?", "is_valid": "yes"}], "expected 'is_valid' to be true or false"),
        ("semantic_questions", [" "], "the question is empty"),
    ],
)
def test_malformed_questions_are_refused_with_place_and_field(field, raw, message):
    with pytest.raises(DataError, match=message):
        make_reward("dvreward").requests(item({field: raw}))


def test_corrected_reward_by_hand():
    # semantic/00, semantic/03, quality/00, quality/01, then the negative.
    found = value(make_reward("dvreward"), [0.9, 0.3, 0.8, 0.6, 0.6])
    s, q = (0.9 + 0.3 + 0.6) / 3, 0.7
    assert found.value == pytest.approx(math.sqrt(s * q))
    assert (found.n_asked, found.n_failed) == (5, 0)
    assert found.parts == pytest.approx(
        {
            "semantic": s,
            "quality": q,
            "semantic/Existence": 0.9,
            "semantic/Attribute": 0.3,
            "semantic/Negative": 0.6,
            "quality/Anatomy": 0.8,
            "all_yes": 0.0,
            "n_saturated": 0.0,
            "n_low_mass": 0.0,
        }
    )


def test_official_code_counts_the_invalid_question_too():
    found = value(make_reward("dvreward", {"behaviour": "official_code"}), [0.9, 0.0, 0.6, 0.3, 0.8, 0.6])
    assert found.value == pytest.approx(math.sqrt(0.45 * 0.7))
    assert found.parts["semantic/Count"] == 0.0 and found.parts["n_saturated"] == 1.0


@pytest.mark.parametrize(
    ("aggregation", "expected"), [("mean", (0.6 + 0.7) / 2), ("pooled", 3.2 / 5), ("geometric", math.sqrt(0.42))]
)
def test_aggregations(aggregation, expected):
    found = value(make_reward("dvreward", {"aggregation": aggregation}), [0.9, 0.3, 0.8, 0.6, 0.6])
    assert found.value == pytest.approx(expected)


def test_an_absent_list_counts_as_one_only_in_the_official_code():
    meta = {"semantic_questions": ["Is there a dog?"]}
    assert value(make_reward("dvreward"), [0.25], meta).value == 0.25
    official = value(make_reward("dvreward", {"behaviour": "official_code"}), [0.25], meta)
    assert official.value == 0.5 and "quality" not in official.parts


def test_binary_scoring_by_confidence_and_in_the_official_code_by_the_written_answer():
    binary = make_reward("dvreward", {"scoring": "binary", "aggregation": "pooled"})
    assert value(binary, [0.9, 0.3, 0.8, 0.5, 0.6]).value == pytest.approx(3 / 5)
    official = make_reward("dvreward", {"scoring": "binary", "aggregation": "pooled", "behaviour": "official_code"})
    values = [0.9, 0.3, 0.8, 0.5, 0.6, 0.1]
    assert value(official, values).value == pytest.approx(3 / 6)
    assert value(official, values, text="Yes.").value == 1.0
    assert value(binary, values[:5], text="Yes.").value == pytest.approx(3 / 5)


def long_meta(n):
    return {"semantic_questions": [f"Is thing {i} there?" for i in range(n)], "quality_questions": ["Is it sharp?"]}


def test_a_missing_answer_leaves_the_means_below_the_limit():
    found = value(make_reward("dvreward"), [None, *[0.5] * 19, 1.0], long_meta(20))
    assert found.value == pytest.approx(math.sqrt(0.5)) and found.n_failed == 1
    assert "all_yes" not in found.parts


def test_too_many_missing_answers_are_a_missing_reward_with_its_reason():
    found = value(make_reward("dvreward"), [None, None, *[0.5] * 18, 1.0], long_meta(20))
    assert found.value is None and found.parts == {} and found.n_failed == 2
    assert found.reason.startswith("2 of 21 questions without an answer (limit 5%); first: semantic/00: error time-out")


def test_a_side_that_lost_all_its_answers_is_missing_whatever_the_limit():
    found = value(make_reward("dvreward", {"max_missing": 0.5}), [*[0.5] * 20, None], long_meta(20))
    assert found.value is None and "quality/00: error" in found.reason


def test_saturated_and_low_mass_answers_are_counted():
    found = value(make_reward("dvreward"), [1.0, 0.0, 0.5, 1.0, 0.5], mass=0.2)
    assert found.parts["n_saturated"] == 3 and found.parts["n_low_mass"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scoring": "confidense"}, "Did you mean 'confidence'"),
        ({"aggregation": "sum"}, "Known: geometric, mean, pooled"),
        ({"behaviour": "official"}, "Known: corrected, official_code"),
        ({"max_missing": 5}, "expected a share between 0 and 1, got 5"),
        ({"weight": 1}, "Unknown option.*'weight'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make_reward("dvreward", options)


def test_equal_settings_have_equal_fingerprints():
    options = [{}, {"scoring": "binary"}, {"behaviour": "official_code"}, {"max_missing": 0.1}, {"aggregation": "mean"}]
    prints = [make_reward("dvreward", o).fingerprint for o in options]
    assert len(set(prints)) == len(prints)
    assert make_reward("dvreward", {"scoring": "confidence"}).fingerprint == prints[0]


def test_the_exact_verifier_rewards_right_pictures_more_than_corrupted_ones():
    rng = np.random.default_rng(0)
    drawn = [draw(0, i) for i in range(24)]
    right = [sample_layout(rng, d.spec) for d in drawn]
    wrong = [corrupt(rng, scene, d.spec)[0] for scene, d in zip(right, drawn, strict=True)]
    images = [Image.fromarray(a) for a in render([*right, *wrong], range(48))]
    items = [RewardItem(prompt=d.prompt, image=ref_of_image(i)) for d, i in zip([*drawn, *drawn], images, strict=True)]
    batch = score(make_reward("dvreward"), MicroJudge(), items)
    values = np.array([v.value for v in batch.values], dtype=float)
    assert batch.n_valid == 48 and values[:24].min() > 0.9
    assert np.mean(values[:24] > values[24:]) > 0.95
    assert all(v.parts["all_yes"] == 1.0 for v in batch.values[:24])


def test_a_judge_that_fails_gives_missing_rewards_not_zeros():
    class Broken(Judge):
        name, kinds = "broken", frozenset({"yesno"})
        fingerprint = "broken"

        def ask(self, requests):
            return [failed(len(r.questions), "error", "down") for r in requests]

    (found,) = score(make_reward("dvreward"), Broken(), [item()]).values
    assert found.value is None and "down" in found.reason


def test_a_vision_language_judge_behind_a_server_answers_like_the_verifier_it_asks():
    rng = np.random.default_rng(1)
    drawn = [draw(1, i, kinds=["negation"]) for i in range(3)]
    images = [Image.fromarray(a) for a in render([sample_layout(rng, d.spec) for d in drawn], range(3))]
    items = [RewardItem(prompt=d.prompt, image=ref_of_image(i)) for d, i in zip(drawn, images, strict=True)]
    reward = make_reward("dvreward")
    exact = score(reward, MicroJudge(), items).values
    model = FakeVLM(answer=micro_answer)
    with serving(model) as server:
        judge = JUDGES.get("openai")(f"fake@{server.url}/v1")
        try:
            served = score(reward, judge, items).values
        finally:
            judge.close()
    for a, b in zip(exact, served, strict=True):
        assert b.value == pytest.approx(a.value, abs=0.02)
        assert b.parts["n_low_mass"] == 0 and b.n_failed == 0
    systems = {r["messages"][0]["content"] for r in model.requests if "picture without" in str(r["messages"][-1])}
    assert systems == {NEGATIVE}
