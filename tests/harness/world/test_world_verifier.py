import itertools

import numpy as np
import pytest
from world_cases import N_SPECS, corruptions, layouts, look, one, perceptions, scenes, specs

from harness.errors import JudgeError
from harness.world.degrade import DEGRADATIONS, degrade
from harness.world.grammar import Description, Fact, facts_of, holds, questions
from harness.world.parse import perceive
from harness.world.render import render
from harness.world.scene import BACKGROUNDS, COLOURS, SHAPES, Scene
from harness.world.verifier import (
    QUALITY_QUESTIONS,
    all_right,
    answer,
    believe,
    count_distribution,
    detections,
    quality,
    understands,
)


def test_all_questions_about_clean_pictures_are_answered_right():
    seen = perceive(render(layouts(), range(N_SPECS)))
    for spec, perception in zip(specs(), seen, strict=True):
        for negated in (False, True):
            assert all_right(perception, questions(spec, negated=negated))


def test_a_corrupted_fact_turns_its_answer_in_2000_corruptions():
    assert N_SPECS >= 2000
    seen = perceive(render([scene for scene, _ in corruptions()], range(N_SPECS)))
    n_turned = 0
    for spec, (scene, _), perception in zip(specs(), corruptions(), seen, strict=True):
        violated = [fact for fact in facts_of(spec) if not holds(scene, fact)]
        assert violated
        n_turned += all(believe(perception, fact) < 0.5 for fact in violated)
    assert n_turned >= 0.97 * N_SPECS


def test_answers_agree_with_the_truth_on_facts_drawn_independently_of_the_scene():
    others = [fact for spec in specs()[:400] for fact in facts_of(spec)]
    rng = np.random.default_rng(0)
    n_true = 0
    for scene, perception in zip(scenes()[:600], perceptions(), strict=False):
        for fact in (others[i] for i in rng.integers(0, len(others), 8)):
            truth = holds(scene, fact)
            n_true += truth
            assert (believe(perception, fact) > 0.5) == truth
    assert n_true > 300


def test_answers_do_not_rise_as_the_picture_fades_or_blurs():
    scene = Scene(0, (one("circle", "red", cell=3), one("square", "blue", cell=5)))
    image = render([scene])
    asked = ["Is there a red circle in the picture?", "Is the circle to the left of the square?", "Is the circle red?"]
    for how in ("fade", "desaturate"):
        seen = [perceive(degrade(image, how, [0], strength=s))[0] for s in np.linspace(0, 1, 9)]
        for text in asked:
            values = [answer(p, text) for p in seen]
            if how == "fade":
                assert all(b <= a + 0.05 for a, b in itertools.pairwise(values))
            assert values[0] > 0.95
    assert answer(seen[-1], "Is the circle red?") < 0.1


def test_graded_answers_lie_between_the_extremes():
    image = render([Scene(0, (one("circle", "red"),))])
    seen = [perceive(degrade(image, "fade", [0], strength=s))[0] for s in np.linspace(0.1, 0.4, 13)]
    values = [answer(p, "Is there a red circle in the picture?") for p in seen]
    assert sum(0.1 < v < 0.9 for v in values) >= 2


def test_existence_is_doubtful_in_pictures_of_nothing():
    rng = np.random.default_rng(1)
    pictures = np.stack([rng.integers(0, 256, (48, 48, 3)), np.zeros((48, 48, 3)), np.full((48, 48, 3), 255)])
    for perception in perceive(pictures.astype(np.uint8)):
        for shape in SHAPES:
            assert answer(perception, f"Is there a {shape} in the picture?") < 0.05
        assert answer(perception, "Is there exactly one object in the picture?") < 0.05
    noise, black, _ = perceive(pictures.astype(np.uint8))
    assert answer(black, "Is the picture without red objects?") > 0.95
    assert answer(noise, "Is the picture without red objects?") < 0.05
    assert max(answer(noise, f"Is the background {name}?") for name in BACKGROUNDS) < 0.05


def test_a_cut_object_is_not_surely_there():
    image = render([Scene(0, (one("star", "green"),))])
    image[:, :, 24:] = image[0, 0, 0]
    assert answer(perceive(image)[0], "Is there a green star in the picture?") < 0.5


def test_count_distribution_is_binomial_for_equal_chances():
    p = count_distribution(np.full(4, 0.3))
    assert p == pytest.approx([0.2401, 0.4116, 0.2646, 0.0756, 0.0081])
    assert count_distribution(np.array([])) == pytest.approx([1.0])


def test_counts_of_a_doubtful_object_follow_its_membership():
    seen = look(one("circle", cell=0), one("circle", cell=8))
    for n, expected in ((1, 0.0), (2, 1.0), (3, 0.0)):
        assert believe(seen, Fact("count", Description(0), value=n)) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("how", "strength", "name"),
    [
        ("grain", 0.6, "uniform"),
        ("grain", 1.0, "texture"),
        ("specks", 1.0, "speckle"),
        ("desaturate", 1.0, "saturation"),
        ("blur", 1.0, "saturation"),
        ("stain", 0.5, "uniform"),
        ("fade", 1.0, "geometry"),
    ],
)
def test_each_damage_lowers_the_quality_answer_that_names_it(how, strength, name):
    images = render(layouts()[:60], range(60))
    clean = np.mean([quality(p)[name] for p in perceive(images)])
    damaged = np.mean([quality(p)[name] for p in perceive(degrade(images, how, range(60), strength=strength))])
    assert clean > 0.95
    assert damaged < 0.35


def test_merged_objects_are_not_whole_and_odd_backgrounds_are_not_plain_ones():
    image = render([Scene(0, (one("square", cell=3), one("circle", cell=4)))])
    image[:, 22:27, 12:20] = image[0, 24, 8]
    assert quality(perceive(image)[0])["whole"] < 0.1
    image = render([Scene(0, (one("square"),))])
    image[(image == image[0, 0, 0]).all(-1)] = (120, 40, 90)
    assert quality(perceive(image)[0])["backdrop"] < 0.1


def test_quality_of_clean_pictures_is_near_one_and_questions_reach_it_by_text():
    for perception in perceptions()[:300]:
        values = quality(perception)
        assert min(values.values()) > 0.95
        assert {name: answer(perception, text) for name, text in QUALITY_QUESTIONS.items()} == values
    assert set(DEGRADATIONS) >= {"grain", "blur", "desaturate", "specks", "fade"}


def test_questions_outside_the_grammar_are_an_error():
    assert not understands("Is this art?")
    assert understands("Is there a star in the picture?")
    with pytest.raises(JudgeError, match="'Is this art"):
        answer(perceptions()[0], "Is this art?")


def test_detections_list_every_drawn_object_above_the_counting_threshold_with_its_colour():
    for scene, perception in zip(scenes()[:500], perceptions(), strict=False):
        boxes, colours = detections(perception)
        sure = {
            name: [(box, colour) for box, colour in zip(boxes[name], colours[name], strict=True) if box[4] > 0.9]
            for name in boxes
        }
        for shape, name in enumerate(SHAPES):
            drawn = sorted(COLOURS[o.colour] for o in scene.objects if o.shape == shape)
            assert sorted(colour for _, colour in sure.get(name, [])) == drawn
        assert sum(len(found) for found in boxes.values()) == len(perception.objects)


def test_detections_are_sorted_and_empty_without_objects():
    boxes, _ = detections(look(one("circle", cell=0), one("circle", "blue", "small", cell=5)))
    scores = [b[4] for b in boxes["circle"]]
    assert scores == sorted(scores, reverse=True)
    assert detections(look()) == ({}, {})
