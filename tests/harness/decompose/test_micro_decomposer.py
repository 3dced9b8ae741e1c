"""The grammar decomposer: right pictures answer yes, splits stay apart, any stretch of the list is reproducible."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from benchmarks.micro import dvtest
from harness.decompose import micro
from harness.decompose.dimensions import QUALITY, SEMANTIC
from harness.errors import ConfigError
from harness.world.grammar import KINDS, STYLES, canonical, corrupt, sample_layout, split_of
from harness.world.parse import perceive
from harness.world.render import render
from harness.world.verifier import answer, understands


@pytest.fixture(scope="module")
def drawn() -> list[micro.Drawn]:
    return [micro.draw(3, i) for i in range(120)]


def test_a_right_picture_answers_yes_to_every_question(drawn):
    rng = np.random.default_rng(0)
    scenes = [sample_layout(rng, d.spec) for d in drawn]
    for d, seen in zip(drawn, perceive(render(scenes, range(len(scenes)))), strict=True):
        for q in d.prompt.meta["semantic_questions"] + d.prompt.meta["quality_questions"]:
            assert answer(seen, q["question"]) > 0.5, (d.prompt.text, q)


def test_a_picture_with_one_wrong_fact_answers_no_to_a_semantic_question(drawn):
    rng = np.random.default_rng(1)
    pairs = [(d, corrupt(rng, sample_layout(rng, d.spec), d.spec)[0]) for d in drawn]
    found = perceive(render([scene for _, scene in pairs], range(len(pairs))))
    noticed = [
        any(answer(seen, q["question"]) < 0.5 for q in d.prompt.meta["semantic_questions"])
        for (d, _), seen in zip(pairs, found, strict=True)
    ]
    assert np.mean(noticed) > 0.95


def test_questions_are_of_the_published_form_with_known_tags(drawn):
    for d in drawn:
        for name, tags in (("semantic", SEMANTIC), ("quality", QUALITY)):
            for q in d.prompt.meta[f"{name}_questions"]:
                assert set(q) == {"question_type", "question", "is_valid", "tag"}
                assert q["question_type"] == name and q["is_valid"] is True and q["tag"] in tags
                assert understands(q["question"])


def test_every_semantic_list_ends_with_the_exclusivity_question(drawn):
    for d in drawn:
        last = d.prompt.meta["semantic_questions"][-1]
        assert last["tag"] == "Count" and "exactly" in last["question"] and "object" in last["question"]


def test_every_kind_and_style_occurs_by_default(drawn):
    assert {d.prompt.meta["kind"] for d in drawn} == set(KINDS)
    assert collections.Counter(d.prompt.meta["style"] for d in drawn) == dict.fromkeys(STYLES, 24)


def test_a_prompt_is_a_function_of_seed_and_place():
    assert micro.draw(5, 4) == micro.draw(5, 4)
    assert len({micro.draw(seed, i).prompt.id for seed in (5, 6) for i in (4, 5)}) == 4
    assert micro.draw(5, 4).spec != micro.draw(6, 4).spec


def test_training_and_benchmark_prompts_come_from_disjoint_splits(drawn):
    assert {split_of(d.spec) for d in drawn} == {"train"}
    assert {split_of(case.spec) for case in dvtest.cases(60)} == {"bench"}


def test_kinds_and_styles_can_be_chosen():
    made = [micro.draw(0, i, kinds=["single", "count"], styles=["photo"]).prompt for i in range(40)]
    assert {p.meta["kind"] for p in made} == {"single", "count"}
    assert {p.meta["style"] for p in made} == {"photo"}
    assert all(p.text.split()[0] in ("a", "an") for p in made)


def test_an_unknown_kind_is_refused_with_the_near_miss():
    with pytest.raises(ConfigError, match="Did you mean 'single'"):
        micro.draw(0, 0, kinds=["singel"])
    with pytest.raises(ConfigError, match="wording style"):
        micro.draw(0, 0, styles=["brief"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="No kind of prompt is left"):
        micro.draw(0, 0, kinds=[])


def test_difficulty_follows_the_number_of_semantic_questions(drawn):
    for d in drawn:
        n = len(d.prompt.meta["semantic_questions"])
        expected = "easy" if n <= 5 else "medium" if n <= 8 else "hard"
        assert d.prompt.category == d.prompt.meta["difficulty"] == expected


def test_the_test_edition_has_easy_medium_and_hard_prompts_three_to_five_to_two():
    made = dvtest.prompts(100)
    assert collections.Counter(p.category for p in made) == {"easy": 30, "medium": 50, "hard": 20}
    assert dvtest.prompts(30) == made[:30]
    assert len({canonical(c.spec) for c in dvtest.cases(100)}) == 100
    assert dvtest.data_id(30) == dvtest.data_id(30) != dvtest.data_id(30, 1)


def test_each_difficulty_of_the_test_edition_meets_every_wording():
    pairs = collections.Counter((p.category, p.meta["style"]) for p in dvtest.prompts(100))
    assert set(pairs) == {(d, s) for d in micro.DIFFICULTIES for s in STYLES}


def test_an_evenly_spread_part_of_the_test_edition_has_all_difficulties_and_wordings():
    tenth = dvtest.prompts(200)[::10]
    assert {p.category for p in tenth} == set(micro.DIFFICULTIES)
    assert {p.meta["style"] for p in tenth} == set(STYLES)
