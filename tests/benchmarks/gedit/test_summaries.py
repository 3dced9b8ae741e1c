"""The result table: official averaging, what is missing, and what makes a number unusable."""

import math

import numpy as np
import pytest

from benchmarks.gedit.groups import GROUPS, N_ROWS, ROWS
from benchmarks.gedit.summaries import summarise
from benchmarks.gedit.tally import tally
from harness.errors import DataError
from harness.stats import score_interval
from harness.types import Score

from .synthetic import full_prompts, prompt, sample, scores_of


def table(prompts, scores, **kwargs):
    groups = tally(prompts, scores)
    kwargs = {"expected": GROUPS, "missing": "leave_out", "subset": "full"} | kwargs
    return {s.metric: s for s in summarise(groups, **kwargs)}


def full_run(rng=None, sc=None, pq=None):
    rng = rng or np.random.default_rng(0)
    prompts = full_prompts()
    values = {id_: (int(rng.integers(0, 11)), int(rng.integers(0, 11))) for id_ in prompts}
    if sc is not None:
        values = dict.fromkeys(prompts, (sc, pq))
    return prompts, values, [s for id_, v in values.items() for s in scores_of(sample(id_), *v)]


def test_groups_have_their_official_sizes_and_order():
    assert N_ROWS == 606
    assert list(ROWS.items())[:5] == [
        ("background_change", 40),
        ("color_alter", 40),
        ("material_alter", 40),
        ("motion_change", 40),
        ("ps_human", 70),
    ]
    assert tuple(sorted(GROUPS)) == GROUPS


def test_overall_is_the_mean_of_group_means_not_of_rows():
    prompts = full_prompts()
    scores = [
        s for id_, p in prompts.items() for s in scores_of(sample(id_), *[10 * (p.category == "text_change")] * 2)
    ]
    found = table(prompts, scores)
    assert found["overall/SC"].value == pytest.approx(10 / 11)
    assert found["group/text_change/O"].value == 10
    assert found["overall/SC"].printed == "0.909"
    assert list(found)[:4] == ["overall/SC", "overall/PQ", "overall/O", "group/background_change/SC"]
    assert len(found) == 3 * 12


def test_the_root_is_taken_per_image():
    a, b = prompt(number=0), prompt(number=1)
    scores = [*scores_of(sample(a.id), 10, 0), *scores_of(sample(b.id), 10, 10)]
    found = table({a.id: a, b.id: b}, scores, expected=["color_alter"], subset=None)
    assert [found[f"overall/{c}"].value for c in ("SC", "PQ", "O")] == [10, 5, 5]
    assert found["overall/O"].value < math.sqrt(10 * 5)


def test_values_equal_numpy_means_in_row_order():
    prompts, values, scores = full_run()
    found = table(prompts, scores)
    groups = {g: [values[i] for i, p in prompts.items() if p.category == g] for g in GROUPS}
    roots = {g: np.mean([math.sqrt(a * b) for a, b in v]) for g, v in groups.items()}
    assert {g: found[f"group/{g}/O"].value for g in GROUPS} == roots
    assert found["overall/O"].value == np.mean(list(roots.values()))
    assert found["overall/O"].extra == {"items": 606, "groups": 11, "complete": True}
    assert (found["overall/O"].n, found["overall/O"].n_missing) == (606, 0)


def test_the_interval_is_the_score_interval_over_groups_of_equal_weight():
    prompts, values, scores = full_run()
    cell = table(prompts, scores)["overall/PQ"]
    cat = [GROUPS.index(p.category) for p in prompts.values()]
    expected = score_interval([v[1] for v in values.values()], cat, [1 / 11] * 11, lo=0, hi=10)
    assert (cell.ci_low, cell.ci_high) == pytest.approx((expected.low, expected.high))
    assert cell.method == "score interval"


def test_all_at_the_top_has_an_interval_with_width():
    prompts, _, scores = full_run(sc=10, pq=10)
    cell = table(prompts, scores)["overall/O"]
    assert cell.value == cell.ci_high == 10
    assert 9.8 < cell.ci_low < 10


def test_an_item_with_one_score_enters_no_mean_and_is_named():
    a, b = prompt(number=0), prompt(number=1)
    scores = [*scores_of(sample(a.id), 4, 4), *scores_of(sample(b.id), 10, None)]
    found = table({a.id: a, b.id: b}, scores, expected=["color_alter"], subset=None)
    cell = found["overall/SC"]
    assert (cell.value, cell.n, cell.n_missing) == (4, 1, 1)
    assert cell.extra["missing_prompts"] == [b.id]
    assert cell.extra["bounds"] == [2, 7]
    assert not cell.extra["complete"]
    assert "incomplete: 1 of 2" in cell.extra["note"]


def test_missing_items_count_as_zero_on_request():
    a, b = prompt(number=0), prompt(number=1)
    scores = scores_of(sample(a.id), 4, 4)
    found = table({a.id: a, b.id: b}, scores, expected=["color_alter"], subset=None, missing="zero")
    assert (found["overall/O"].value, found["overall/O"].n, found["overall/O"].n_missing) == (2, 2, 1)
    assert found["overall/O"].extra["missing_as"] == "zero"


@pytest.mark.parametrize("drop_prompts", [True, False])
def test_a_group_without_scored_items_refuses_the_overall(drop_prompts):
    prompts, _, scores = full_run()
    scores = [s for s in scores if "ps_human" not in s.key.prompt_id]
    if drop_prompts:
        prompts = {i: p for i, p in prompts.items() if p.category != "ps_human"}
    found = table(prompts, scores)
    assert found["overall/O"].value is None
    assert found["overall/O"].method == "none: no scored item in ps_human (1 of 11 groups)"
    assert found["group/color_alter/O"].value is not None


def test_fewer_rows_than_the_official_set_are_marked():
    prompts, _, scores = full_run()
    gone = next(iter(prompts))
    prompts = {i: p for i, p in prompts.items() if i != gone}
    cell = table(prompts, [s for s in scores if s.key.prompt_id != gone])["overall/O"]
    assert cell.value is not None and not cell.extra["complete"]
    assert cell.extra["note"] == "incomplete: 605 of 606 rows are scored"


def test_the_intersection_is_complete_with_whatever_rows_are_flagged():
    prompts = {i: p for i, p in full_prompts().items() if p.meta["Intersection_exist"]}
    scores = [s for i in prompts for s in scores_of(sample(i), 5, 5)]
    found = table(prompts, scores, subset="intersection")
    assert found["overall/O"].value == 5 and found["overall/O"].extra["complete"]


def test_fewer_groups_are_averaged_and_said_where_the_edition_has_fewer():
    prompts = {p.id: p for p in (prompt("subject-add"), prompt("color_alter"))}
    scores = [s for i, id_ in enumerate(prompts) for s in scores_of(sample(id_), i * 10, i * 10)]
    cell = table(prompts, scores, expected=["color_alter", "subject-add"], subset=None)["overall/O"]
    assert cell.value == 5
    assert cell.extra["note"] == "mean over 2 of the 11 groups: color_alter, subject-add"


def test_scores_outside_the_scale_keep_their_value_and_change_the_interval():
    a, b = prompt(number=0), prompt(number=1)
    scores = [*scores_of(sample(a.id), 11, 5), *scores_of(sample(b.id), 7, 5)]
    cell = table({a.id: a, b.id: b}, scores, expected=["color_alter"], subset=None)["overall/SC"]
    assert cell.value == 9
    assert cell.method == "stratified t; scores outside 0..10"


def test_several_samples_of_a_prompt_are_pooled_and_count_as_one_prompt():
    a, b = prompt(number=0), prompt(number=1)
    scores = [*scores_of(sample(a.id), 0, 0), *scores_of(sample(a.id, index=1), 0, 0), *scores_of(sample(b.id), 9, 9)]
    cell = table({a.id: a, b.id: b}, scores, expected=["color_alter"], subset=None)["overall/SC"]
    assert (cell.value, cell.n, cell.extra["items"]) == (3, 2, 3)


def test_guessed_items_are_counted_in_the_note():
    a = prompt()
    scores = [
        Score(key=sample(a.id), metric=m, value=3.0, reason="guessed (x)" * (m != "pq")) for m in ("sc", "pq", "o")
    ]
    cell = table({a.id: a}, scores, expected=["color_alter"], subset=None)["overall/SC"]
    assert cell.extra["guessed"] == 1
    assert "1 items rest on guessed scores" in cell.extra["note"]


def test_foreign_scores_are_refused():
    a = prompt()
    with pytest.raises(DataError, match="not among the prompts"):
        tally({}, scores_of(sample(a.id), 1, 1))
    with pytest.raises(DataError, match="unknown metric 'correct'"):
        tally({a.id: a}, [Score(key=sample(a.id), metric="correct", value=1.0)])
    odd = prompt("subject_add")
    with pytest.raises(DataError, match="Did you mean 'subject-add'"):
        tally({odd.id: odd}, [])


def test_no_prompts_give_a_table_without_values():
    found = table({}, [], expected=[], subset=None)
    assert found["overall/O"].value is None
    assert found["overall/O"].method == "none: no group has rows"
