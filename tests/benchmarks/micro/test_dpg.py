"""DPG's micro edition: dense prompts and their question graphs."""

import re

from benchmarks.micro import dpg
from harness.world.grammar import corrupt, fact_of, holds, sample_layout
from tests.benchmarks.micro.support import look, rng, says_yes

CASES = dpg.cases()
LAYOUTS = [sample_layout(rng("layout", i), c.spec) for i, c in enumerate(CASES)]
CATEGORIES = {
    "entity - whole",
    "attribute - color",
    "attribute - size",
    "attribute - texture",
    "relation - spatial",
    "relation - non-spatial",
    "global -",
    "other - count",
}


def _texts(case: dpg.Case) -> list[str]:
    return [q["question"] for q in case.prompt.meta["questions"]]


def test_ids_count_from_one_and_prompts_have_no_category() -> None:
    assert [c.prompt.id for c in CASES] == [f"dpg/{i + 1:04d}" for i in range(dpg.N_PROMPTS)]
    assert {c.prompt.category for c in CASES} == {""}


def test_parents_stand_before_their_children() -> None:
    for case in CASES:
        for number, question in enumerate(case.prompt.meta["questions"], start=1):
            assert question["proposition_id"] == number
            assert re.fullmatch(r"0|[1-9]\d*(,[1-9]\d*)*", question["dependency"])
            assert all(int(p) < number for p in question["dependency"].split(","))


def test_tuples_carry_the_official_categories() -> None:
    tuples = [q["tuple"] for c in CASES for q in c.prompt.meta["questions"]]
    assert {t.split("(")[0].strip() for t in tuples} == CATEGORIES
    assert all(t.endswith(")") for t in tuples)


def test_prompts_are_dense() -> None:
    n_words = sorted(len(c.prompt.text.split()) for c in CASES)
    assert n_words[len(n_words) // 2] >= 30
    assert min(len(_texts(c)) for c in CASES) >= 6


def test_a_child_is_only_true_where_its_parents_are() -> None:
    for case, layout in list(zip(CASES, LAYOUTS, strict=True))[::4]:
        scene, _ = corrupt(rng("corrupt"), layout, case.spec)
        truth = {q["proposition_id"]: holds(scene, fact_of(q["question"])) for q in case.prompt.meta["questions"]}
        for q in case.prompt.meta["questions"]:
            parents = [int(p) for p in q["dependency"].split(",") if p != "0"]
            assert not truth[q["proposition_id"]] or all(truth[p] for p in parents)


def test_right_pictures_answer_yes_throughout() -> None:
    wrong = [
        (c.prompt.id, text)
        for c, p in zip(CASES, look(LAYOUTS), strict=True)
        for text in _texts(c)
        if not says_yes(p, text)
    ]
    assert wrong == []


def test_pictures_with_one_wrong_fact_get_a_no() -> None:
    scenes = [corrupt(rng("corrupt", i), s, c.spec)[0] for i, (c, s) in enumerate(zip(CASES, LAYOUTS, strict=True))]
    passed = [
        c.prompt.id for c, p in zip(CASES, look(scenes), strict=True) if all(says_yes(p, text) for text in _texts(c))
    ]
    assert passed == []
