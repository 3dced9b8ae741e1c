import math
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from benchmarks.tiif.aggregation import (
    corrected_chain,
    leaf_weights,
    mean_of_nine,
    official_chain,
    round_half_even,
    round_text,
)
from benchmarks.tiif.taxonomy import GROUPS, LEVELS, TYPES, types_of_level
from harness.errors import DataError
from harness.stats import score_interval
from harness.types import Score

from . import synthetic

LEAVES = {
    "Basic/Attribute": 4,
    "Basic/Relation": 4,
    "Basic/Reasoning": 4,
    "Advanced/Attribute+Relation": 8,
    "Advanced/Attribute+Reasoning": 8,
    "Advanced/Relation+Reasoning": 8,
    "Advanced/Text Generation": 1,
    "Advanced/Style Control": 1,
    "Real World/Complex": 1,
}


def table(prompts, scores, protocol="official", **options):
    return {s.metric: s for s in synthetic.adapter(protocol=protocol, **options).aggregate(prompts, scores)}


def test_the_taxonomy_has_39_types_in_nine_groups_and_three_levels():
    assert {g.key: len(g.types) for g in GROUPS} == LEAVES
    assert len(set(TYPES)) == 39
    assert [len(types_of_level(v)) for v in LEVELS] == [12, 26, 1]
    assert {"action+color", "action+texture"} <= set(GROUPS[3].types)
    assert {"action+2d", "action+3d"} <= set(GROUPS[1].types)


def test_levels_average_types_and_overall_averages_groups():
    values = dict.fromkeys(TYPES, 0.0) | {"style": 1.0}
    chain = official_chain(values)
    assert chain.levels["Advanced"] == pytest.approx(1 / 26)
    assert chain.overall == pytest.approx(1 / 9)


def test_official_rounds_types_before_averaging_and_corrected_does_not():
    values = {"shape+color": 1 / 3, "color+texture": 2 / 3, "texture+color": 1 / 7}
    official, corrected = official_chain(values), corrected_chain(values)
    assert official.groups["Basic/Attribute"] == (0.3333 + 0.6667 + 0.1429) / 3
    assert corrected.groups["Basic/Attribute"] == (1 / 3 + 2 / 3 + 1 / 7) / 3
    assert official.types == corrected.types == values


def test_a_type_without_answers_leaves_official_means_and_empties_corrected_ones():
    values = dict.fromkeys(TYPES, 0.5) | {"style": None, "numeracy": None, "negation": 1.0}
    official, corrected = official_chain(values), corrected_chain(values)
    assert official.groups["Basic/Reasoning"] == pytest.approx(2 / 3)
    assert official.groups["Advanced/Style Control"] is None
    assert official.overall == pytest.approx((7 * 0.5 + 2 / 3) / 8)
    assert corrected.groups["Basic/Reasoning"] is None
    assert corrected.levels["Basic"] is None
    assert corrected.overall is None
    assert corrected.groups["Basic/Attribute"] == 0.5


def test_types_that_were_never_asked_empty_nothing():
    values = {"shape+color": 0.25, "numeracy": 0.75}
    assert corrected_chain(values).overall == official_chain(values).overall == 0.5


def test_rounding_of_text_and_of_printing_differ_at_ties():
    assert round_text(0.00005) == 0.0001  # the binary float lies above the tie
    assert round_half_even(0.00025) == 0.0002
    assert round_half_even(0.00035) == float(np.round(0.00035, 4))


@given(st.lists(st.none() | st.floats(0, 1), min_size=9, max_size=9))
def test_nine_groups_are_added_as_numpy_adds_them(values):
    n = sum(v is not None for v in values)
    expected = float(np.sum(np.array([v or 0.0 for v in values]))) / n if n else None
    assert mean_of_nine(values) == expected


@given(st.floats(0, 1))
def test_printing_rounds_as_numpy_does(value):
    assert round_half_even(value) == float(np.round(value, 4))


@given(st.sets(st.sampled_from(TYPES), min_size=1), st.booleans())
def test_leaf_weights_sum_to_one_and_give_the_chain(available, by_group):
    weights = leaf_weights(TYPES, available, by_group=by_group)
    assert set(weights) == available
    assert sum(weights.values()) == pytest.approx(1)
    if by_group:
        values = {t: 0.125 * (i % 8) for i, t in enumerate(TYPES) if t in available}
        assert sum(weights[t] * v for t, v in values.items()) == pytest.approx(official_chain(values).overall)


def literal_table(rows):
    """Section by section, on plain lists: rows are (type, length, [value or None, ...])."""
    out = {}
    for length in ("short", "long"):
        acc = {}
        for type_ in TYPES:
            values = [v for t, n, vs in rows if (t, n) == (type_, length) for v in vs if v is not None]
            if values:
                acc[type_] = sum(values) / len(values)
                text = Decimal(acc[type_]).quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
                out[f"type/{type_}/{length}"] = f"{text}"
                acc[type_] = float(text)
        groups = []
        for group in GROUPS:
            there = [acc[t] for t in group.types if t in acc]
            total = 0.0
            for v in there:
                total += v
            groups.append(total / len(there) if there else None)
            if there:
                out[f"{group.key}/{length}"] = f"{np.round(total / len(there), 4):.4f}"
        for level in LEVELS:
            there = [acc[t] for g in GROUPS if g.level == level for t in g.types if t in acc]
            total = 0.0
            for v in there:
                total += v
            if there:
                out[f"{level}/avg/{length}"] = f"{np.round(total / len(there), 4):.4f}"
        n = sum(g is not None for g in groups)
        if n:
            overall = np.sum(np.array([g if g is not None else 0.0 for g in groups])) / n
            out[f"overall/{length}"] = f"{np.round(overall, 4):.4f}"
    return out


cell_values = st.lists(st.lists(st.sampled_from([0.0, 1.0, 1.0, None]), min_size=1, max_size=7), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from(TYPES), st.sampled_from(["short", "long"])), cell_values, min_size=1))
def test_the_table_equals_a_literal_reading_of_the_official_operations(cells):
    prompts, scores, rows = {}, [], []
    for (type_, length), images in cells.items():
        made = synthetic.prompts_of({type_: len(images)}, lengths=[length])
        prompts |= made
        for prompt, values in zip(made.values(), images, strict=True):
            scores += synthetic.scores_of(prompt, values)
            rows.append((type_, length, values))
    found = {k: s.printed for k, s in table(prompts, scores).items() if s.printed and k != "mean_accuracy"}
    assert found == literal_table(rows)


def test_questions_of_a_type_are_pooled_over_images():
    prompts = synthetic.prompts_of({"text": 2}, lengths=["short"])
    a, b = prompts.values()
    cell = table(prompts, [*synthetic.scores_of(a, [1.0]), *synthetic.scores_of(b, [0.0, 0.0, 1.0])])["type/text/short"]
    assert (cell.value, cell.printed, cell.extra["correct"], cell.extra["total"], cell.n) == (0.5, "0.5000", 2, 4, 2)


def test_missing_and_unparsed_images_are_counted_and_flagged_and_bounded():
    prompts = synthetic.prompts_of({"text": 4}, lengths=["short"])
    a, b, c, _ = prompts.values()
    scores = [
        *synthetic.scores_of(a, [1.0, 1.0]),
        *synthetic.scores_of(b, [None, None]),
        *(
            Score(key=s.key, metric=s.metric, value=None, reason="error: no connection")
            for s in synthetic.scores_of(c, [0, 0])
        ),
    ]
    cell = table(prompts, scores)["overall/short"]
    assert (cell.value, cell.n, cell.n_missing) == (1.0, 1, 3)
    assert (cell.extra["images_unparsed"], cell.extra["images_missing"], cell.extra["questions_missing"]) == (1, 3, 6)
    assert cell.extra["bounds"] == [0.25, 1.0]
    assert not cell.extra["complete"]
    assert "1 of 4 images and 2 of 8 short questions" in cell.extra["note"]


def test_a_complete_micro_run_is_not_flagged():
    prompts = synthetic.prompts_of({"numeracy": 2})
    found = table(prompts, [s for p in prompts.values() for s in synthetic.scores_of(p, [1.0, 0.0])])
    assert all(s.extra["complete"] and "note" not in s.extra for k, s in found.items() if k != "mean_accuracy")
    assert list(found)[:2] == ["overall/short", "overall/long"]
    assert "Advanced/avg/short" not in found


def test_part_of_an_official_set_is_flagged_even_when_all_of_it_was_judged():
    prompts = synthetic.prompts_of({"numeracy": 2}, lengths=["long"], set_name="testmini")
    cell = table(prompts, [s for p in prompts.values() for s in synthetic.scores_of(p, [1.0, 0.0])])["overall/long"]
    assert cell.n_missing == 0
    assert not cell.extra["complete"]
    assert "2 of 277 images and 4 of 1446 long questions of the testmini set" in cell.extra["note"]


def test_several_samples_of_a_prompt_are_one_cluster():
    prompts = synthetic.prompts_of({"style": 3}, lengths=["short"])
    scores = [s for p in prompts.values() for i in range(2) for s in synthetic.scores_of(p, [float(i), 1.0], index=i)]
    cell = table(prompts, scores)["type/style/short"]
    assert (cell.n, cell.extra["images_expected"], cell.extra["total"], cell.value) == (3, 6, 12, 0.75)


def test_the_interval_of_one_type_is_the_score_interval_over_prompts():
    n, right = 60, 24
    prompts = synthetic.prompts_of({"style": n}, lengths=["short"])
    scores = [s for i, p in enumerate(prompts.values()) for s in synthetic.scores_of(p, [float(i < right)])]
    cell = table(prompts, scores)["type/style/short"]
    q, size = right / n, n - 1  # q(1-q) over s^2/n
    t = float(student.ppf(0.975, n - 1))
    centre = (q + t**2 / (2 * size)) / (1 + t**2 / size)
    half = t / (1 + t**2 / size) * math.sqrt(q * (1 - q) / size + t**2 / (4 * size**2))
    assert (cell.ci_low, cell.ci_high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    assert cell.method == "score interval"


def test_intervals_weigh_groups_equally_in_overall_and_types_equally_in_levels():
    sizes = {"shape+color": 30, "color+texture": 30, "2d_spatial_relation": 40}
    prompts = synthetic.prompts_of(sizes, lengths=["short"])
    rng = np.random.default_rng(0)
    right = {p.id: rng.integers(0, 2, 2).astype(float) for p in prompts.values()}
    found = table(prompts, [s for p in prompts.values() for s in synthetic.scores_of(p, right[p.id].tolist())])
    a = [right[p.id].sum() for p in prompts.values()]
    cat = [list(sizes).index(p.meta["type"]) for p in prompts.values()]
    for key, weights in (("overall/short", [0.25, 0.25, 0.5]), ("Basic/avg/short", [1 / 3, 1 / 3, 1 / 3])):
        expected = score_interval(a, cat, weights, den=[2] * 100)
        assert (found[key].ci_low, found[key].ci_high) == (pytest.approx(expected.low), pytest.approx(expected.high))
        assert found[key].value == pytest.approx(expected.theta, abs=1e-4)


def test_one_prompt_has_no_interval_and_says_why():
    prompts = synthetic.prompts_of({"style": 1}, lengths=["short"])
    cell = table(prompts, synthetic.scores_of(next(iter(prompts.values())), [1.0, 0.0]))["overall/short"]
    assert (cell.value, cell.ci_low, cell.ci_high) == (0.5, None, None)
    assert cell.method == "none: one prompt per category"


def test_text_metrics_are_shown_only_when_there_are_some():
    prompts = synthetic.prompts_of({"text": 2})
    scores = [s for p in prompts.values() for s in synthetic.scores_of(p, [1.0, 1.0])]
    assert not [k for k in table(prompts, scores) if k.startswith("text/")]
    keys = [s.key for s in scores if s.metric == "question/0" and s.key.prompt_id.endswith("short")]
    scores += [Score(key=k, metric="text/gned", value=v) for k, v in zip(keys, [0.25, 0.5], strict=True)]
    scores += [Score(key=keys[0], metric="text/recall", value=1.0)]
    scores += [Score(key=keys[1], metric="text/recall", value=None, reason="missing: no words")]
    found = table(prompts, scores)
    assert found["text/gned/short"].value == 0.375
    assert (found["text/recall/short"].value, found["text/recall/short"].n_missing) == (1.0, 1)
    assert found["overall/short"].value == 1.0
    assert "text/gned/long" not in found


def test_a_score_without_its_prompt_is_refused():
    prompts = synthetic.prompts_of({"text": 2}, lengths=["short"])
    first, second = prompts.values()
    with pytest.raises(DataError, match="tiif/text/0001/short"):
        table({first.id: first}, synthetic.scores_of(second, [1.0]))


def test_an_unknown_type_is_refused_with_near_misses():
    prompts = synthetic.prompts_of({"shape+colour": 1}, lengths=["short"])
    with pytest.raises(DataError, match=r"unknown TIIF type 'shape\+colour'. Did you mean 'shape\+color'"):
        table(prompts, [])


def test_sets_do_not_mix():
    prompts = synthetic.prompts_of({"text": 1}, set_name="full") | synthetic.prompts_of(
        {"style": 1}, set_name="testmini"
    )
    with pytest.raises(DataError, match="full, testmini"):
        table(prompts, [])
