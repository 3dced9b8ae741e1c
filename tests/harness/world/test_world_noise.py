import numpy as np
import pytest
from world_cases import layouts, specs

from harness.errors import ConfigError, DataError
from harness.world.degrade import DEGRADATIONS, degrade
from harness.world.grammar import questions
from harness.world.noise import NoiseModel
from harness.world.parse import perceive
from harness.world.render import render
from harness.world.verifier import all_right


def _answers(noise, p, n=4000):
    return np.array([noise.answer(p, f"image{i}", "Is there a circle?") for i in range(n)])


def test_the_default_model_changes_nothing():
    noise = NoiseModel()
    assert noise.answer(0.37, "a", "b") == 0.37
    images = render(layouts()[:3], range(3))
    assert (noise.view(images[0], "a") == images[0]).all()


def test_flip_turns_the_stated_share_of_answers():
    answers = _answers(NoiseModel(flip=0.2), 0.99)
    assert set(np.round(answers, 6)) == {0.01, 0.99}
    assert np.mean(answers < 0.5) == pytest.approx(0.2, abs=0.02)


def test_bias_and_temperature_act_on_the_logit():
    logit = np.log(0.8 / 0.2)
    assert NoiseModel(bias=1.5).answer(0.8, "a", "b") == pytest.approx(1 / (1 + np.exp(-logit - 1.5)))
    assert NoiseModel(temperature=4).answer(0.8, "a", "b") == pytest.approx(1 / (1 + np.exp(-logit / 4)))


def test_jitter_is_the_standard_deviation_of_the_logit():
    answers = _answers(NoiseModel(jitter=0.7), 0.6)
    logits = np.log(answers / (1 - answers))
    assert logits.std() == pytest.approx(0.7, rel=0.05)
    assert logits.mean() == pytest.approx(np.log(1.5), abs=0.05)


def test_noise_depends_on_seed_image_and_question_only():
    noise = NoiseModel(flip=0.3, jitter=1.0)
    first = [noise.answer(0.7, f"i{i}", q) for i in range(20) for q in ("a", "b")]
    again = [noise.answer(0.7, f"i{i}", q) for i in reversed(range(20)) for q in ("b", "a")][::-1]
    assert first == again
    assert len(set(first)) == len(first)
    assert first != [NoiseModel(flip=0.3, jitter=1.0, seed=1).answer(0.7, f"i{i}", q) for i in range(20) for q in "ab"]


def test_a_certain_answer_stays_a_probability():
    for p in (0.0, 1.0):
        for value in _answers(NoiseModel(flip=0.5, bias=30.0, temperature=0.01, jitter=3.0), p, 50):
            assert 0.0 <= value <= 1.0


def test_a_coarser_view_answers_fewer_questions_right():
    images = render(layouts()[:150], range(150))
    shares = []
    for resolution in (48, 24, 12):
        noise = NoiseModel(resolution=resolution)
        seen = perceive(np.stack([noise.view(image, "a") for image in images]))
        shares.append(np.mean([all_right(p, questions(s)) for p, s in zip(seen, specs(), strict=False)]))
    assert shares[0] == 1.0
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": -0.1},
        {"flip": 1.1},
        {"flip": float("nan")},
        {"bias": float("inf")},
        {"temperature": 0.0},
        {"jitter": -1.0},
        {"resolution": 3},
        {"resolution": 64},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NoiseModel(**wrong)


@pytest.mark.parametrize("how", DEGRADATIONS)
def test_degradations_are_seeded_and_grow_with_strength(how):
    images = render(layouts()[:20], range(20))
    damaged = degrade(images, how, range(20))
    assert (damaged == degrade(images, how, range(20))).all()
    assert (damaged[5] == degrade(images[5:6], how, [5])[0]).all()
    change = [np.abs(degrade(images, how, range(20), strength=s).astype(int) - images).mean() for s in (0.3, 1.0)]
    assert 0 < change[0] < change[1]


def test_unknown_degradations_and_wrong_numbers_are_refused():
    images = render(layouts()[:2])
    with pytest.raises(DataError, match="Unknown degradation 'rust'"):
        degrade(images, "rust", [0, 1])
    with pytest.raises(DataError, match="one seed per picture"):
        degrade(images, "blur", [0])
