import functools
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.wise.calculation import calculate
from benchmarks.wise.variants import N_PROMPTS, RANGES, SCALES, overall, unweighted, weights, wiscore

from . import literal
from .synthetic import score_lines

MANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}

ODD_IDS = st.sampled_from([None, "7", 7.0, True, False, 0, 1001, -3, 10**20, [1], {}])
IDS = st.integers(1, N_PROMPTS) | ODD_IDS
VALUES = st.sampled_from([0, 1, 2, 0.0, 1.0, 0.5, 3, 9.9, -1, True, False, None, "1", [1]])
ODD_LINES = st.sampled_from(["", "   ", "{", "nonsense", '{"prompt_id": 5}', "{}"])
REJECTING = st.sampled_from(["[]", "1", "null", '"text"', "true"])


@functools.cache
def complete_lines(variant, seed):
    rng = random.Random(seed)
    top = 1 if variant == "verified" else 2
    return tuple(
        json.dumps({"prompt_id": i, **{s: rng.randint(0, top) for s in SCALES[variant]}})
        for i in range(1, N_PROMPTS + 1)
    )


@st.composite
def score_files(draw):
    """Nearly complete score files of either variant, cut in pieces, with all kinds of odd lines."""
    variant = draw(st.sampled_from(["verified", "legacy"]))
    lines = list(complete_lines(variant, draw(st.integers(0, 7))))
    for place in draw(st.lists(st.integers(0, N_PROMPTS - 1), max_size=draw(st.sampled_from([0, 0, 0, 3])))):
        lines[place] = "{}"
    if draw(st.integers(0, 9)) == 0:
        for i in RANGES[variant][draw(st.sampled_from(sorted(RANGES[variant])))]:
            lines[i - 1] = json.dumps({"prompt_id": i})
    for _ in range(draw(st.integers(0, 6))):
        odd = {"prompt_id": draw(IDS), **{s: draw(VALUES) for s in SCALES[variant]}}
        lines.insert(draw(st.integers(0, len(lines))), draw(ODD_LINES | st.just(json.dumps(odd))))
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(lines) - 1))
        lines[place] = json.dumps({"prompt_id": place + 1, **{s: draw(VALUES) for s in SCALES[variant]}})
    cuts = sorted(draw(st.lists(st.integers(0, len(lines)), max_size=2)))
    parts = [lines[a:b] for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    if draw(st.integers(0, 7)) == 0:
        parts.append([draw(REJECTING)])
    files = ["\n".join(p).encode() for p in parts]
    if draw(st.integers(0, 7)) == 0:
        files.append(None)
    return variant, draw(st.sampled_from(["all", "all", "culture", "space-time", "science"])), files


def check(case):
    variant, scope, files = case
    found = calculate({str(i): f for i, f in enumerate(files)}, variant, scope)
    outcome, means, total = literal.calculate(files, variant, scope)
    assert found.outcome == outcome
    assert found.means == pytest.approx(means, abs=1e-12)
    assert found.overall == (None if total is None else pytest.approx(total, abs=1e-12))


@settings(max_examples=1000, derandomize=True, **MANY)
@given(score_files())
def test_the_calculation_equals_the_literal_program(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=20_000, **MANY)
@given(score_files())
def test_the_calculation_equals_the_literal_program_on_many_files(case):
    check(case)


def run(data, variant="verified", scope="all"):
    return calculate({"f": data}, variant, scope)


def test_a_complete_file_has_an_overall_equal_to_the_mean_over_images():
    found = run(score_lines("verified", value=lambda i: [(i % 3 == 0 and 1) or 0]))
    assert found.outcome == "overall"
    assert found.overall == pytest.approx(333 / 1000)
    assert found.counts == {c: len(ids) for c, ids in RANGES["verified"].items()}


def test_one_missing_id_blanks_everything():
    found = run(score_lines("verified", [*range(1, 7), *range(8, 1001)]))
    assert (found.outcome, found.missing, found.means, found.overall) == ("missing_ids", [7], {}, None)


def test_a_present_id_without_a_score_shrinks_the_denominator():
    found = run(score_lines("verified", i7={"prompt_id": 7, "score": None}, i8={"prompt_id": 8, "score": 0.5}))
    assert (found.outcome, found.counts["CULTURE"], found.overall) == ("overall", 398, 1.0)


def test_booleans_are_numbers_and_true_is_the_first_id():
    lines = score_lines("verified", range(2, 1001)) + b'{"prompt_id": true, "score": true}\n'
    assert run(lines).overall == 1.0


def test_repeated_ids_count_again():
    found = run(score_lines("verified") + b'{"prompt_id": 1, "score": 0}\n' * 3)
    assert found.counts["CULTURE"] == 403
    assert found.means["CULTURE"] == pytest.approx(400 / 403)


def test_legacy_values_beyond_the_scale_are_used_as_they_are():
    odd = {"prompt_id": 1, "consistency": 9.9, "realism": 9.9, "aesthetic_quality": -1}
    found = run(score_lines("legacy", i1=odd), "legacy")
    assert found.means["CULTURE"] == pytest.approx((399 * 0.5 + (0.7 * 9.9 + 0.2 * 9.9 - 0.1) / 2) / 400)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_finite_number_is_no_score(value):
    lines = score_lines(
        "legacy", i1=f'{{"prompt_id": 1, "consistency": {value}, "realism": 1, "aesthetic_quality": 1}}'
    )
    found = run(lines, "legacy")
    assert (found.outcome, found.counts["CULTURE"]) == ("overall", 399)


def test_a_line_that_is_no_object_rejects_its_file():
    found = run(score_lines("verified", i5="[1]"))
    assert found.outcome == "missing_ids"
    assert found.rejected == {"f": "line 5 is list, not an object"}


def test_a_single_file_of_a_category_must_be_complete_and_several_need_not():
    part = score_lines("verified", range(401, 640))
    assert run(part, scope="space-time").outcome == "missing_ids"
    found = calculate({"a": part, "b": b""}, "verified", "space-time")
    assert (found.outcome, sorted(found.means)) == ("no_overall", ["SPACE", "TIME"])


def test_absent_files_are_rejected_and_the_others_go_on():
    found = calculate({"a": score_lines("verified"), "b": None}, "verified", "all")
    assert (found.outcome, found.rejected) == ("overall", {"b": "no such file"})
    assert calculate({"a": None}, "verified", "culture").outcome == "no_valid_data"


def test_the_same_id_lies_in_other_categories_in_the_two_variants():
    assert 567 in RANGES["legacy"]["TIME"] and 567 in RANGES["verified"]["SPACE"]
    assert [len(r) for r in RANGES["legacy"].values()] == [400, 167, 133, 100, 100, 100]
    for variant in ("verified", "legacy"):
        assert sum(weights(variant).values()) == pytest.approx(1)
        assert [w * 1000 for w in weights(variant).values()] == pytest.approx(
            [len(r) for r in RANGES[variant].values()]
        )


def test_wiscore_reaches_from_0_to_1_over_the_scales():
    assert wiscore("legacy", {"consistency": 2, "realism": 2, "aesthetic_quality": 2}) == pytest.approx(1)
    assert wiscore("legacy", {"consistency": 1, "realism": 0, "aesthetic_quality": 2}) == pytest.approx(0.45)
    assert wiscore("verified", {"score": 1.0}) == 1.0


def by_category(*values):
    return dict(zip(weights("verified"), values, strict=True))


@pytest.mark.parametrize(
    ("listed", "categories"),
    [
        (0.8760, (0.8975, 0.8167, 0.9333, 0.8167, 0.8667, 0.8750)),
        (0.6280, (0.7800, 0.6333, 0.5667, 0.3750, 0.5500, 0.5083)),
        (0.5100, (0.6275, 0.5250, 0.5583, 0.3417, 0.4833, 0.2500)),
        (0.3520, (0.4125, 0.3500, 0.3083, 0.2000, 0.4417, 0.2583)),
        (0.2650, (0.3050, 0.2333, 0.2333, 0.2167, 0.3083, 0.2000)),
    ],
)
def test_rows_of_the_verified_leaderboard_follow_the_official_weights(listed, categories):
    assert overall("verified", by_category(*categories)) == pytest.approx(listed, abs=6e-5)


@pytest.mark.parametrize(
    ("listed", "categories"),
    [
        (0.50, (0.48, 0.58, 0.62, 0.42, 0.51, 0.35)),
        (0.80, (0.81, 0.71, 0.89, 0.83, 0.79, 0.74)),
        (0.35, (0.30, 0.37, 0.49, 0.36, 0.42, 0.26)),
        (0.73, (0.72, 0.81, 0.70, 0.67, 0.82, 0.66)),
    ],
)
def test_rows_of_the_legacy_table_follow_the_official_weights(listed, categories):
    assert overall("legacy", by_category(*categories)) == pytest.approx(listed, abs=0.01)


def test_the_bagel_row_of_the_legacy_table_is_the_unweighted_mean():
    row = by_category(0.44, 0.55, 0.68, 0.44, 0.60, 0.39)
    assert round(unweighted(row), 2) == 0.52
    assert round(overall("legacy", row), 2) == 0.50
