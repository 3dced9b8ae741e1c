"""TIIF's micro edition: types of the taxonomy, two wordings of one case, questions that right pictures answer."""

from collections import Counter

from benchmarks.micro import tiif
from benchmarks.tiif.taxonomy import TYPES, prompt_id
from harness.world.grammar import corrupt, fact_of, sample_layout
from tests.benchmarks.micro.support import look, rng, says_yes

CASES = tiif.cases()
SHORT = [c for c in CASES if c.prompt.meta["length"] == "short"]


def _right(case: tiif.Case, perception) -> list[bool]:
    meta = case.prompt.meta
    return [says_yes(perception, q) == (a == "yes") for q, a in zip(meta["questions"], meta["answers"], strict=True)]


def test_types_are_official_and_in_the_official_order() -> None:
    assert list(tiif.TYPES) == [t for t in TYPES if t in tiif.TYPES]
    assert len(tiif.TYPES) == 24
    assert not [t for t in tiif.TYPES if "3d" in t or "action" in t]


def test_every_case_has_both_wordings_with_the_same_questions() -> None:
    by_id = {c.prompt.id: c for c in CASES}
    assert len(by_id) == 2 * len(tiif.TYPES) * tiif.N_PER_TYPE
    for type_ in tiif.TYPES:
        for row in range(tiif.N_PER_TYPE):
            short, long = (by_id[prompt_id(type_, row, length)].prompt for length in ("short", "long"))
            assert short.category == long.category == short.meta["type"] == type_
            assert short.meta["row"] == row
            assert [short.meta[k] for k in ("questions", "answers")] == [long.meta[k] for k in ("questions", "answers")]
            assert len(long.text) > len(short.text)


def test_questions_are_of_the_grammar_and_end_with_exclusivity() -> None:
    for case in SHORT:
        assert all(fact_of(q) is not None for q in case.prompt.meta["questions"])
        assert case.prompt.meta["questions"][-1].endswith(("object in the picture?", "objects in the picture?"))


def test_few_questions_expect_no_and_only_negations_do() -> None:
    answers = Counter(a for c in SHORT for a in c.prompt.meta["answers"])
    assert set(answers) == {"yes", "no"}
    assert 0.03 <= answers["no"] / answers.total() <= 0.10
    with_no = {c.prompt.category for c in SHORT if "no" in c.prompt.meta["answers"]}
    assert with_no == {t for t in tiif.TYPES if t.startswith("negation")}


def test_types_ask_for_what_they_are_named_for() -> None:
    for case in SHORT:
        spec, parts = case.spec, case.prompt.category.split("+")
        whats = [g.what for g in spec.groups]
        counts = [g.count for g in spec.groups]
        varied = {v.attribute for v in spec.varieties}
        assert ("2d" in parts or parts == ["2d_spatial_relation"]) == any(k.kind == "relation" for k in spec.links)
        assert ("texture" in parts) == any(w.texture is not None for w in whats)
        assert ("negation" in parts) == bool(spec.absent)
        assert ("comparison" in parts) == any(k.kind in ("size", "number") for k in spec.links)
        assert ("differentiation" in parts) == bool(spec.varieties)
        if "color" in parts:
            assert all(w.colour is not None for w in whats) or varied == {"colour"}
        if "numeracy" in parts:
            assert max(counts) > 1


def test_right_pictures_answer_every_question_as_expected() -> None:
    seen = look([sample_layout(rng("layout", i), c.spec) for i, c in enumerate(SHORT)])
    assert [c.prompt.id for c, p in zip(SHORT, seen, strict=True) if not all(_right(c, p))] == []


def test_pictures_with_one_wrong_fact_fail_a_question() -> None:
    scenes = [
        corrupt(rng("corrupt", i), sample_layout(rng("layout", i), c.spec), c.spec)[0] for i, c in enumerate(SHORT)
    ]
    seen = look(scenes)
    assert [c.prompt.id for c, p in zip(SHORT, seen, strict=True) if all(_right(c, p))] == []
