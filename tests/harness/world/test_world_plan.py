import pytest
from world_cases import scenes

from harness.errors import DataError
from harness.world.plan import DIAGNOSES, diagnosis_from_words, diagnosis_words, plan_words, scene_from_plan
from harness.world.scene import Scene
from harness.world.vocabulary import WORDS, words_of


def test_plans_round_trip_through_words_and_text():
    for scene in scenes()[:500]:
        words = plan_words(scene)
        assert set(words) <= set(WORDS)
        assert scene_from_plan(words) == scene
        assert words_of(" ".join(words)) == words


def test_an_empty_scene_has_a_plan():
    assert scene_from_plan(plan_words(Scene(2, ()))) == Scene(2, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "white",
        "white background :",
        "white background large red circle cell4 .",
        "purple background : large red circle cell4 .",
        "white background : red circle cell4 .",
        "white background : large red circle .",
        "white background : large red circle cell9 .",
        "white background : large plain red circle cell4 .",
        "white background : large red circle cell4",
        "white background : large red circle cell4 , .",
        "white background : large red circle cell4 small blue star cell2 .",
        "white background : large red circle cell4 , small blue star cell4 .",
        "white background : " + " , ".join(f"small red star cell{c}" for c in range(7)) + " .",
    ],
)
def test_malformed_plans_give_none(text):
    assert scene_from_plan(text.split()) is None


def test_diagnoses_round_trip_and_are_told_apart():
    for name in DIAGNOSES:
        words = diagnosis_words(name)
        assert set(words) <= set(WORDS)
        assert diagnosis_from_words(words) == diagnosis_from_words(words[:2]) == name
    assert len(set(DIAGNOSES.values())) == len(DIAGNOSES)
    assert diagnosis_from_words(["wrong", "circle", "."]) is None
    assert diagnosis_from_words(["wrong", "shape", "and"]) is None
    with pytest.raises(DataError, match="Unknown diagnosis 'angle'"):
        diagnosis_words("angle")


def test_words_are_few_unique_and_split_as_they_are():
    assert len(WORDS) == len(set(WORDS)) <= 300
    assert all(words_of(word) == [word] for word in WORDS)
    assert words_of("A red circle, and: stop.") == ["a", "red", "circle", ",", "and", ":", "stop", "."]
