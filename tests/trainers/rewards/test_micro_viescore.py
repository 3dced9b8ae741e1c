"""The coarse holistic grade of the micro world: from the picture alone, integers, noise on the impression."""

import numpy as np
import pytest
from PIL import Image

from harness.decompose.micro import draw
from harness.errors import ConfigError, DataError
from harness.images import ref_of_image
from harness.judges.micro import MicroJudge
from harness.judges.micro import load as load_micro
from harness.rewards import RewardItem, make_reward, score
from harness.seeds import numpy_generator
from harness.world.grammar import corrupt, sample_layout
from harness.world.render import render
from trainers.rewards.micro_viescore import facts_of

from .judges import item

N = 24


@pytest.fixture(scope="module")
def items():
    """N items with a right picture, then the same N with one fact broken."""
    rng = numpy_generator(0, "test/micro-viescore")
    drawn = [draw(0, i) for i in range(N)]
    right = [sample_layout(rng, d.spec) for d in drawn]
    wrong = [corrupt(rng, scene, d.spec)[0] for scene, d in zip(right, drawn, strict=True)]
    images = [Image.fromarray(a) for a in render([*right, *wrong], range(2 * N))]
    return [RewardItem(prompt=d.prompt, image=ref_of_image(i)) for d, i in zip(drawn * 2, images, strict=True)]


def values(items, judge=None):
    return list(score(make_reward("micro-viescore"), judge or MicroJudge(), items).values)


def test_right_pictures_get_the_full_reward_and_broken_ones_less(items):
    found = values(items)
    right, wrong = found[:N], found[N:]
    assert all(v.value == 1.0 for v in right)
    assert all(v.parts["semantic"] < 1.0 for v in wrong)


def test_grades_are_integers_out_of_ten_with_many_ties(items):
    found = values(items)
    for v in found:
        assert all((10 * v.parts[p]).is_integer() for p in ("semantic", "quality"))
        assert v.value == pytest.approx(np.sqrt(v.parts["semantic"] * v.parts["quality"]))
    assert len({v.value for v in found}) < 10


def test_a_ruined_picture_loses_quality(items):
    noise = numpy_generator(1, "test/ruin").integers(0, 256, (48, 48, 3), dtype=np.uint8)
    half = Image.blend(items[0].image.load(), Image.fromarray(noise), 0.5)
    (found,) = values([RewardItem(prompt=items[0].prompt, image=ref_of_image(half))])
    assert found.parts["quality"] < 0.5


def test_one_call_each_for_consistency_and_quality_without_wording_of_a_language_model(items):
    sc, pq = make_reward("micro-viescore").requests(items[0])
    assert (sc.form, pq.form) == ("micro-viescore-sc", "micro-viescore-pq")
    assert sc.fields["facts"] == facts_of(items[0].prompt) and "facts" not in pq.fields


def test_the_share_of_seen_facts_is_graded_and_not_their_confidence(items):
    class Sure(MicroJudge):
        def believe(self, view, question):
            return {"a?": 0.51, "b?": 0.99, "c?": 0.49, "d?": 0.0}.get(question, 0.6)

    sample = RewardItem(prompt=item(meta={"facts": ["a?", "b?", "c?"], "kept": ["d?"]}).prompt, image=items[0].image)
    (found,) = values([sample], Sure())
    assert found.parts["semantic"] == 0.5 and found.parts["quality"] == 1.0


def test_noise_falls_on_the_impression_and_is_the_same_each_time(items):
    noisy = load_micro("temperature=3,jitter=0.5")
    found = [v.parts["semantic"] for v in values(items, noisy)]
    assert found == [v.parts["semantic"] for v in values(items[::-1], load_micro("temperature=3,jitter=0.5"))][::-1]
    assert len(set(found[:N])) > 1 and np.mean(found[:N]) > np.mean(found[N:])
    flipped = values(items[:N], load_micro("flip=1"))
    assert all(v.parts["semantic"] == 0.0 for v in flipped)


def test_invalid_questions_are_not_asked_and_a_prompt_without_facts_is_named():
    meta = {"semantic_questions": [{"question": "a?", "is_valid": False}, {"question": "b?", "is_valid": True}]}
    assert facts_of(item(meta=meta).prompt) == ["b?"]
    with pytest.raises(DataError, match=r"prompt p/1: micro-viescore needs what the picture should show"):
        make_reward("micro-viescore").requests(item())


def test_questions_outside_the_world_are_missing_and_no_score(items):
    sample = RewardItem(prompt=item(meta={"facts": ["Is there a dog?"]}).prompt, image=items[0].image)
    (found,) = values([sample])
    assert found.value is None and found.n_failed == 1 and "cannot answer" in found.reason


def test_it_has_no_options_and_only_a_judge_of_the_micro_profile():
    reward = make_reward("micro-viescore")
    assert reward.name == reward.fingerprint == "micro-viescore" and set(reward.default_judge) == {"micro"}
    with pytest.raises(ConfigError, match=r"Unknown option.*rules"):
        make_reward("micro-viescore", {"rules": "official"})
