import pytest
from world_cases import layouts, one, specs

from harness.errors import JudgeError
from harness.world.grammar import (
    Description,
    Fact,
    Group,
    Link,
    Spec,
    fact_of,
    holds,
    question_graph,
    question_text,
    questions,
)
from harness.world.scene import Scene
from harness.world.vocabulary import WORDS, words_of

L1 = ("entity - whole", "attribute - color", "attribute - size", "attribute - texture", "relation - spatial")
CATEGORIES = {*L1, "relation - non-spatial", "other - count", "global -"}


def test_every_question_reads_back_as_its_fact_with_known_words():
    for spec in specs():
        for node in question_graph(spec):
            assert fact_of(node.text) == node.fact
            assert set(words_of(node.text)) <= set(WORDS)


def test_every_list_of_questions_ends_with_exclusivity():
    for spec in specs():
        fact = fact_of(questions(spec)[-1][0])
        assert fact == Fact("count", Description(), value=spec.total)


def test_expected_answers_are_the_truth_of_a_satisfying_layout():
    for spec, layout in zip(specs(), layouts(), strict=True):
        for negated in (False, True):
            for text, expected in questions(spec, negated=negated):
                assert holds(layout, fact_of(text)) == (expected == "yes")


def test_negated_lists_ask_for_the_absent_thing_and_expect_no():
    spec = Spec("negation", (Group(Description(0)),), absent=(Description(None, 0),))
    assert ("Is the picture without red objects?", "yes") in questions(spec)
    assert ("Is there a red object in the picture?", "no") in questions(spec, negated=True)


def test_a_small_spec_gives_the_expected_questions_and_graph():
    groups = (Group(Description(0, 0, 2)), Group(Description(1, 4), 3))
    spec = Spec("relation", groups, (Link("relation", 0, 0, 1),), background=0)
    assert [(n.label, n.parents, n.text) for n in question_graph(spec)] == [
        ("global - (white background)", (), "Is the background white?"),
        ("entity - whole (circle)", (), "Is there a circle in the picture?"),
        ("attribute - color (circle, red)", (2,), "Is the circle red?"),
        ("attribute - size (circle, large)", (2,), "Is the circle large?"),
        ("entity - whole (square)", (), "Is there a square in the picture?"),
        ("other - count (square, ==3)", (5,), "Are there exactly three squares in the picture?"),
        ("attribute - color (square, blue)", (5,), "Are the squares blue?"),
        ("relation - spatial (circle, left of, square)", (2, 5), "Is the circle to the left of the squares?"),
        ("other - count (object, ==4)", (), "Are there exactly four objects in the picture?"),
    ]
    asked = [text for text, _ in questions(spec)]
    assert "Is there a square in the picture?" not in asked
    assert len(asked) == 8


def test_graphs_number_questions_from_one_and_parents_come_first():
    for spec in specs():
        nodes = question_graph(spec)
        assert [n.id for n in nodes] == list(range(1, len(nodes) + 1))
        assert all(p < n.id for n in nodes for p in n.parents)
        assert {n.label.split("(")[0].strip() for n in nodes} <= CATEGORIES


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("is there a LARGE striped red circle?", Fact("exists", Description(0, 0, 2, 1))),
        ("Are there any objects in the image?", Fact("exists", Description())),
        ("Is the red object a star?", Fact("attribute", Description(None, 0), attribute="shape", value=5)),
        ("Are the red objects stars?", Fact("attribute", Description(None, 0), attribute="shape", value=5)),
        ("Is the circle in the centre?", Fact("place", Description(0), value=4)),
        ("Is there exactly one cross?", Fact("count", Description(4), value=1)),
    ],
)
def test_variants_of_questions_are_understood(text, fact):
    assert fact_of(text) == fact


@pytest.mark.parametrize(
    "text", ["", "?", "Is it good?", "Is there a dog in the picture?", "Is the circle shiny?", "Is the circle above?"]
)
def test_other_questions_are_not_understood(text):
    assert fact_of(text) is None


def test_facts_hold_by_definition():
    scene = Scene(
        0, (one("circle", "red", "small", 0), one("circle", "blue", "large", 4), one("square", "red", "large", 8, 1))
    )
    circle, square, red = Description(0), Description(1), Description(None, 0)
    truths = {
        Fact("exists", square): True,
        Fact("none", Description(2)): True,
        Fact("count", circle, value=2): True,
        Fact("count", red, value=1): False,
        Fact("attribute", circle, attribute="colour", value=0): False,
        Fact("attribute", square, attribute="texture", value=1): True,
        Fact("attribute", Description(3), attribute="colour", value=0): False,
        Fact("relation", circle, square, value=0): True,
        Fact("relation", square, circle, value=3): True,
        Fact("relation", circle, square, value=3): False,
        Fact("place", square, value=8): True,
        Fact("size", circle, square, value=1): False,
        Fact("size", Description(0, 0), square, value=1): True,
        Fact("number", circle, square, value=0): True,
        Fact("number", red, circle, value=2): True,
        Fact("different", circle, attribute="colour"): True,
        Fact("same", Description(None, 0), attribute="colour"): True,
        Fact("same", square, attribute="colour"): False,
        Fact("background", value=0): True,
        Fact("background", value=1): False,
    }
    assert {fact: holds(scene, fact) for fact in truths} == truths


def test_unknown_kinds_of_fact_are_reported():
    with pytest.raises(JudgeError, match="Unknown kind of fact 'taste'"):
        question_text(Fact("taste"))
    with pytest.raises(JudgeError, match="Unknown kind of fact 'taste'"):
        holds(Scene(0, ()), Fact("taste"))
