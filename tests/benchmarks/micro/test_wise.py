"""WISE's micro edition: indirect wordings, ids that decide the category, facts of the intended picture."""

from collections import Counter

import pytest

from benchmarks.micro import wise
from harness.errors import ConfigError
from harness.world.grammar import CATEGORIES, HINTS, corrupt, sample_layout
from harness.world.scene import COLOURS, SHAPES
from harness.world.vocabulary import PLURALS, words_of
from tests.benchmarks.micro.support import look, rng, says_yes

CASES = wise.cases()
LAYOUTS = [sample_layout(rng("layout", i), c.spec) for i, c in enumerate(CASES)]


def test_ids_are_the_first_of_each_official_range() -> None:
    assert Counter(c.prompt.category for c in CASES) == dict.fromkeys(CATEGORIES, wise.N_PER_CATEGORY)
    for category, ids in wise.ID_RANGES.items():
        own = [c.prompt for c in CASES if c.prompt.category == category]
        assert [p.meta["prompt_id"] for p in own] == list(ids)[: wise.N_PER_CATEGORY]
        assert [p.id for p in own] == [f"wise/{p.meta['prompt_id']:04d}" for p in own]


def test_ranges_cover_the_thousand_ids_once() -> None:
    assert sorted(i for ids in wise.ID_RANGES.values() for i in ids) == list(range(1, 1001))


def test_more_prompts_than_the_smallest_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="from 1 to 120, got 121"):
        wise.prompts(121)


def test_every_object_hides_behind_a_hint_of_the_category() -> None:
    for case in CASES:
        hints = [h.phrase for h in HINTS if h.category == case.prompt.category]
        foreign = [h.phrase for h in HINTS if h.category != case.prompt.category]
        assert sum(case.prompt.text.count(h) for h in hints) >= len(case.spec.groups)
        own = [h for h in hints if h in case.prompt.text]
        assert [h for h in foreign if h in case.prompt.text and not any(h in o for o in own)] == []


def test_hinted_names_do_not_appear() -> None:
    for case in CASES:
        text = case.prompt.text
        for hint in sorted((h.phrase for h in HINTS), key=len, reverse=True):
            text = text.replace(hint, "")
        words = set(words_of(text))
        hinted = wise._hinted(case.spec, case.prompt.category)
        for group, names in zip(case.spec.groups, hinted, strict=True):
            what = group.what
            if "colour" in names:
                assert COLOURS[what.colour] not in words
            if "shape" in names:
                assert not {SHAPES[what.shape], PLURALS[what.shape]} & words


def test_explanations_name_everything_plainly() -> None:
    for case in CASES:
        words = set(words_of(case.prompt.meta["Explanation"]))
        for what in (g.what for g in case.spec.groups):
            assert what.shape is None or {SHAPES[what.shape], PLURALS[what.shape]} & words
            assert what.colour is None or COLOURS[what.colour] in words
        assert case.prompt.meta["Subcategory"]


def test_right_pictures_have_all_facts_and_clean_quality() -> None:
    wrong = [
        (c.prompt.id, text)
        for c, p in zip(CASES, look(LAYOUTS), strict=True)
        for text in (*c.prompt.meta["facts"], *c.prompt.meta["quality"])
        if not says_yes(p, text)
    ]
    assert wrong == []


def test_pictures_with_one_wrong_fact_miss_a_fact() -> None:
    scenes = [corrupt(rng("corrupt", i), s, c.spec)[0] for i, (c, s) in enumerate(zip(CASES, LAYOUTS, strict=True))]
    passed = [
        c.prompt.id
        for c, p in zip(CASES, look(scenes), strict=True)
        if all(says_yes(p, text) for text in c.prompt.meta["facts"])
    ]
    assert passed == []
