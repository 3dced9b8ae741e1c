"""The preference scorer: loss and pairs by definition, and the shipped weights as judge and as reward."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from harness import rewards, seeds
from harness.errors import ConfigError
from harness.images import ImageRef, ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.micro_hps import FOLDER, load
from harness.judges.micro_hps.evaluate import evaluate
from harness.judges.micro_hps.network import MAX_WORDS, PAD, UNKNOWN, token_ids
from harness.judges.micro_hps.pairs import FLIP, GROUP, draw, merit_of_facts, preferences
from harness.judges.micro_hps.train import bradley_terry, pairwise_accuracy
from harness.registry import REWARDS
from harness.rewards import RewardItem, make_reward
from harness.types import Prompt, Question
from harness.world.grammar import satisfies
from harness.world.render import render
from harness.world.scene import Scene, SceneObject


def test_loss_is_the_mean_over_pairs_of_minus_log_sigmoid():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 4))
    preferred = preferences(rng, rng.normal(size=(3, 4)))
    expected = [
        -math.log(1 / (1 + math.exp(-(scores[n, i] - scores[n, j]))))
        for n in range(3)
        for i in range(4)
        for j in range(4)
        if i != j and preferred[n, i, j] == 1
    ]
    assert len(expected) == 3 * 6
    found = bradley_terry(torch.from_numpy(scores), torch.from_numpy(preferred))
    assert float(found) == pytest.approx(np.mean(expected))


def test_preferences_follow_merit_with_the_stated_errors():
    drawn = preferences(np.random.default_rng(1), np.tile([[20.0, 0.0]], (20_000, 1)))
    assert (drawn[:, 0, 1] + drawn[:, 1, 0] == 1).all() and (drawn[:, [0, 1], [0, 1]] == 0).all()
    assert drawn[:, 1, 0].mean() == pytest.approx(FLIP, abs=0.006)
    even = preferences(np.random.default_rng(1), np.zeros((20_000, 2)))
    assert even[:, 0, 1].mean() == pytest.approx(0.5, abs=0.02)


def test_pairwise_accuracy_ignores_equal_merits():
    assert pairwise_accuracy(np.array([[3.0, 2.0, 9.0]]), np.array([[1.0, 0.0, 1.0]])) == 1.0
    assert pairwise_accuracy(np.array([[3.0, 2.0, 1.0]]), np.array([[1.0, 0.0, 1.0]])) == 0.5


def test_words_are_padded_cut_and_known():
    ids = token_ids(["a red circle", "zebra", "red " * (MAX_WORDS + 5)])
    assert ids.shape == (3, MAX_WORDS)
    assert (ids[0, 3:] == PAD).all() and (ids[0, :3] > UNKNOWN).all()
    assert ids[1, 0] == UNKNOWN
    assert ids[0, 1] == ids[2, 0]


def test_choices_of_a_prompt_always_hold_a_right_picture():
    choices = draw(seeds.numpy_generator(0, "test-choices"), 6, damaged=0.0)
    assert choices.pictures.shape == (6, GROUP, 48, 48, 3)
    for how, merit in zip(choices.how, choices.merit, strict=True):
        best = max(merit)
        assert how[0] == "right" and merit[0] == best
        for name, value in zip(how, merit, strict=True):
            assert name != "one fact" or value < best
            assert name != "right" or value == best


def test_merit_of_facts_is_one_exactly_where_the_spec_is_shown():
    rng = seeds.numpy_generator(0, "test-merit")
    from harness.judges.micro_cnn.corpus import prompted_scene

    for _ in range(50):
        spec, scene, is_right = prompted_scene(rng)
        assert (merit_of_facts(spec, [scene])[0] == 1.0) == is_right == satisfies(scene, spec)


# The shipped weights


def picture(*objects, background=0):
    return ref_of_image(Image.fromarray(render([Scene(background, objects)], [0])[0]))


RED_CIRCLE, BLUE_STAR = SceneObject(0, 0, 2, 4), SceneObject(5, 4, 1, 0)


@pytest.fixture(scope="module")
def judge():
    return load("")


def request(image, prompt):
    question = Question(id="score", text=prompt)
    return JudgeRequest(kind="score", form="test", questions=(question,), images=(image,))


def test_weights_are_small_and_their_card_states_the_pairwise_accuracy():
    assert (FOLDER / "model.safetensors").stat().st_size <= 1_000_000
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    card = (FOLDER / "CARD.md").read_text()
    assert manifest["training"]["cpu_seconds"] <= 8.5 * 60
    for name, row in manifest["scores"].items():
        assert f"| {name} | {row['pairs']:,} | {row['accuracy']:.3f} |" in card


def test_fresh_benchmark_pairs_are_mostly_ranked_rightly():
    scores = evaluate(FOLDER, 100)
    assert scores["all pairs"]["accuracy"] > 0.75
    assert scores["other prompt"]["accuracy"] > 0.9
    assert scores["one fact"]["accuracy"] > 0.7
    assert scores["damage"]["accuracy"] > 0.6


def test_scores_depend_on_picture_and_prompt_not_on_the_batch(judge):
    images = [picture(RED_CIRCLE), picture(BLUE_STAR), picture(RED_CIRCLE, BLUE_STAR)]
    requests = [request(i, p) for i in images for p in ("a red circle", "a blue star on a white background")]
    together = [r.answers[0].value for r in judge.ask(requests)]
    alone = [judge.ask([r])[0].answers[0].value for r in requests]
    assert together == alone
    assert len(set(together)) == len(together)
    assert together[0] > together[2] and together[3] > together[1]


def test_the_reward_ranks_and_reports_failures_as_missing(judge):
    def broken():
        from harness.errors import DataError

        raise DataError("x.png: cannot be decoded.")

    reward = make_reward("micro-hps")
    prompt = Prompt(id="p", text="a red circle")
    items = [
        RewardItem(prompt=prompt, image=picture(RED_CIRCLE)),
        RewardItem(prompt=prompt, image=picture(BLUE_STAR)),
        RewardItem(prompt=prompt, image=ImageRef("broken", broken)),
        RewardItem(prompt=Prompt(id="q", text=" "), image=picture(BLUE_STAR)),
    ]
    right, wrong, damaged, empty = rewards.score(reward, judge, items).values
    assert right.value > wrong.value and right.parts == {"raw": right.value}
    assert damaged.value is None and "cannot be decoded" in damaged.reason
    assert empty.value is None and "empty" in empty.reason
    assert reward.value_range == (-math.inf, math.inf)
    assert "micro-hps" in REWARDS.names()


def test_arguments_are_refused():
    with pytest.raises(ConfigError, match="takes no argument"):
        load("fast")
