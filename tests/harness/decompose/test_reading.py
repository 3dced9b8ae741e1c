"""Prompts read back into specs: every wording of the grammar, and honest refusals of everything else."""

from __future__ import annotations

import pytest

from harness import seeds
from harness.decompose.micro import draw_spec, semantic_questions
from harness.decompose.reading import NotUnderstood, spec_of
from harness.world.grammar import STYLES, canonical, hint_categories, wording


@pytest.mark.parametrize("style", STYLES)
def test_every_wording_is_read_back_into_what_it_words(style):
    for i in range(300):
        rng = seeds.numpy_generator(11, f"reading/{style}", i)
        spec = draw_spec(rng, None, ("train", "bench")[i % 2])
        known = hint_categories(spec)
        category = known[i % len(known)] if style == "indirect" and known and i % 3 else None
        text = wording(spec, rng, style, category=category)
        found = spec_of(text)
        assert canonical(found) == canonical(spec), text
        assert found.total == spec.total


def questions(text):
    return [q["question"] for q in semantic_questions(spec_of(text))]


def test_a_prompt_written_by_hand_gets_its_questions():
    assert questions("A small red circle  above two blue squares, with no star on a grey background") == [
        "Is the background grey?",
        "Is there a circle in the picture?",
        "Is the circle red?",
        "Is the circle small?",
        "Is there a square in the picture?",
        "Are there exactly two squares in the picture?",
        "Are the squares blue?",
        "Is the circle above the squares?",
        "Is the picture without stars?",
        "Are there exactly three objects in the picture?",
    ]


def test_sentences_and_a_phrase_that_ask_for_the_same_are_the_same():
    phrase = spec_of("a large striped red circle and a star in the middle")
    sentences = spec_of(
        "You can see a red circle and a star in the middle. The circle is large. The circle is striped."
    )
    assert canonical(phrase) == canonical(sentences)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a photo of a dog", "expected the name of an object at 'dog'"),
        ("a red circle on a purple background", "expected the end of the prompt or of the sentence at ' on a purple"),
        ("a red circle and", "expected the end of the prompt or of the sentence at ' and'"),
        ("a red circle above", "at ' above'"),
        ("circles", "expected a number of objects at 'circles'"),
        ("five objects, circles and squares, with more circles than stars", "compared than are listed"),
        ("a red circle and a circle", "could belong to two of the groups"),
        ("six circles and a square", "7 objects are asked for, the world holds 1 to 6"),
        ("two circles in the middle", "a place is for a single object"),
        ("a red circle, with no red objects", "no picture of the world can show this"),
        ("a circle in the top left corner to the right of a square", "no picture of the world can show this"),
        ("The picture shows a circle. There are exactly two objects.", "the numbers do not add up"),
        ("The picture shows a circle. The square is striped.", "a reference fits 0 of the groups"),
        ("You can see a red circle and a blue circle. The circle is large.", "a reference fits 2 of the groups"),
        ("On a white background you can see a circle. The background is black.", "two backgrounds"),
        ("You can see a small circle. The circle is large.", "two sizes of one group"),
        ("", "expected the name of an object at the end"),
        ("There is nothing else in the picture.", "the world holds 1 to 6"),
    ],
)
def test_what_is_not_a_prompt_of_the_world_is_refused_with_the_place(text, message):
    with pytest.raises(NotUnderstood) as refusal:
        spec_of(text)
    assert message in str(refusal.value)
