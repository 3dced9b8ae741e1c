import math
import random
import re

import numpy as np
import pytest

from benchmarks.geneval import Thresholds, judge, relative_position
from benchmarks.geneval.filtering import filter_boxes, overlap
from benchmarks.geneval.metadata import RELATIONS, TAGS
from harness.errors import DataError
from tests.benchmarks.geneval import literal

F = np.float32
CLASSES = ("cat", "wine glass", "dog")
EDGES = [
    float(np.nextafter(F(t), F(d))) for t in (0.3, 0.9) for d in (0, 1)
] + [0.3, 0.9, float(F(0.3)), float(F(0.9)), 0.30000001, 0.95, 0.95, 0.99]  # fmt: skip


def make_box(rng):
    kind = rng.random()
    if kind < 0.15:  # no extent
        x, y = rng.randrange(200), rng.randrange(200)
        return [x, y, x, y]
    if kind < 0.5:  # on a diagonal grid, so that many offsets are at 45 degrees
        x, y, s = 20 * rng.randrange(8), 20 * rng.randrange(8), rng.choice((4, 10, 20))
        return [x, y, x + s, y + s]
    if kind < 0.75:
        x, y = rng.randrange(900), rng.randrange(900)
        return [x, y, x + rng.randrange(400), y + rng.randrange(400)]
    x, y = rng.uniform(0, 300), rng.uniform(0, 300)
    return [x, y, x + rng.uniform(-20, 200), y + rng.uniform(-20, 200)]


def make_case(rng):
    detections, colours = {}, {}
    for name in CLASSES:
        if rng.random() < 0.15:
            continue
        n = rng.choice((0, 1, 1, 2, 2, 3, 5, 20))
        few = rng.sample(literal.COLOUR_ORDER, 2)
        detections[name] = [
            [*make_box(rng), rng.choice(EDGES) if rng.random() < 0.5 else rng.random()] for _ in range(n)
        ]
        colours[name] = [rng.choice(few) for _ in range(n)]
    include = []
    for i in range(rng.choice((1, 2, 2, 3))):
        name = rng.choice(CLASSES)
        clause = {"class": name, "count": rng.choice((1, 1, 1, 2, 3))}
        if rng.random() < 0.3:
            clause["color"] = rng.choice(colours.get(name) or literal.COLOUR_ORDER)
        if i and rng.random() < 0.7:
            clause["position"] = [rng.choice(RELATIONS), rng.randrange(i)]
        include.append(clause)
    metadata = {"tag": rng.choice(TAGS), "include": include, "prompt": "p"}
    if rng.random() < 0.4:
        metadata["exclude"] = [{"class": rng.choice(CLASSES), "count": rng.choice((1, 2, 3, 16, 17))}]
    return metadata, detections, colours


def parse_reasons(text):
    """Reason lines, those about relations with the relations as a set."""
    lines = []
    for line in text.split("\n") if text else []:
        match = re.fullmatch(r"expected (.+) (left of|right of|above|below) target, found (.*) target", line)
        lines.append((match[1], match[2], frozenset(r for r in match[3].split(" and ") if r)) if match else line)
    return lines


@pytest.mark.parametrize("block", range(4))
def test_verdict_equals_a_literal_second_implementation(block):
    rng = random.Random(f"verdict-{block}")
    outcomes = {True: 0, False: 0}
    kinds = set()
    for _ in range(1500):
        metadata, detections, colours = make_case(rng)
        for protocol, extra in (("official", {}), ("corrected", {"any_instance": True, "own_length": True})):
            got = judge(metadata, detections, colours, protocol=protocol)
            correct, reasons = literal.evaluate(metadata, detections, colours, **extra)
            assert (got.correct, parse_reasons(got.reason)) == (correct, reasons), (metadata, detections, colours)
        outcomes[correct] += 1
        kinds |= {type(r) if isinstance(r, tuple) else r.split(" ")[0] + ("<" if "<" in r else "") for r in reasons}
    assert min(outcomes.values()) > 150
    assert kinds == {tuple, "expected", "expected<", "no"}


def test_filtering_equals_a_literal_second_implementation_also_with_overlap_removal():
    rng = random.Random("filter")
    n_dropped = 0
    for _ in range(1500):
        boxes = [make_box(rng) for _ in range(rng.randrange(1, 12))]
        rows = [[*rng.choice(boxes), rng.choice(EDGES)] for _ in range(rng.randrange(0, 25))]
        limit, most = rng.choice((0.3, 0.9)), rng.choice((1.0, 1.0, 0.5, 0.1))
        got = filter_boxes(np.asarray(rows, dtype=F).reshape(-1, 5), threshold=limit, max_overlap=most)
        expected = literal.kept_indices(rows, limit, max_overlap=most)
        assert list(got.indices) == expected
        assert got.boxes.tolist() == [[literal.f32(v) for v in rows[i]] for i in expected]
        n_dropped += len(literal.kept_indices(rows, limit)) - len(expected)
    assert n_dropped > 500


def test_relations_equal_a_literal_second_implementation_and_a_library_norm_on_whole_pixels():
    rng = random.Random("relations")
    n_two = 0
    for _ in range(3000):
        a, b = np.asarray(make_box(rng), dtype=F), np.asarray(make_box(rng), dtype=F)
        held = set(relative_position(a, b))
        assert held == literal.relations(a.tolist(), b.tolist())
        corrected = set(relative_position(a, b, protocol="corrected"))
        assert corrected == literal.relations(a.tolist(), b.tolist(), own_length=True)
        assert held <= corrected
        n_two += len(held) == 2
        if (a == a.round()).all() and (b == b.round()).all():
            boxes = np.stack([a, b]).reshape(2, 2, 2)
            ca, cb = boxes.mean(axis=-2)
            sa, sb = np.abs(np.diff(boxes, axis=-2))[:, 0, :]
            o = ca - cb
            r = np.maximum(np.abs(o) - F(0.1) * (sa + sb), 0) * np.sign(o)
            d = r / np.linalg.norm(o) if (np.abs(r) >= 1e-3).any() else np.zeros(2)
            where = {"left of": d[0] < -0.5, "right of": d[0] > 0.5, "above": d[1] < -0.5, "below": d[1] > 0.5}
            assert held == {k for k, v in where.items() if v}
    assert n_two > 100


ONE_CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}]}


@pytest.mark.parametrize(
    ("score", "correct"),
    [
        (F(0.3), False),
        (0.3, False),  # rounds to the threshold, although float32(0.3) exceeds 0.3 in double precision
        (float(F(0.3)), False),
        (np.nextafter(F(0.3), F(1)), True),
        (np.nextafter(F(0.3), F(0)), False),
    ],
)
def test_score_must_exceed_the_threshold_in_float32(score, correct):
    assert judge(ONE_CAT, {"cat": [[0, 0, 9, 9, score]]}, {}).correct is correct


def test_counting_threshold_applies_to_every_class_of_a_counting_prompt():
    metadata = {**ONE_CAT, "tag": "counting"}
    assert not judge(metadata, {"cat": [[0, 0, 9, 9, 0.9]]}, {}).correct
    assert judge(metadata, {"cat": [[0, 0, 9, 9, np.nextafter(F(0.9), F(1))]]}, {}).correct


def test_counting_wants_the_exact_number_and_reports_all_found():
    metadata = {
        "tag": "counting",
        "include": [{"class": "cat", "count": 2}],
        "exclude": [{"class": "cat", "count": 3}],
    }
    rows = [[10 * i, 0, 10 * i + 5, 5, 0.95] for i in range(20)]
    assert [judge(metadata, {"cat": rows[:n]}).correct for n in range(5)] == [False, False, True, False, False]
    assert judge(metadata, {"cat": rows[:1]}).reason == "expected cat>=2, found 1"
    assert judge(metadata, {"cat": rows}).reason == "expected cat<3, found 16"


def test_exclude_limit_above_sixteen_never_fires():
    metadata = {"tag": "counting", "include": [], "exclude": [{"class": "cat", "count": 17}]}
    assert judge(metadata, {"cat": [[0, 0, 9, 9, 0.95]] * 40}).correct


def test_among_equal_scores_the_later_detection_decides_the_colour():
    metadata = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]}
    rows = [[0, 0, 9, 9, 0.8], [20, 0, 29, 9, 0.8]]
    assert judge(metadata, {"cat": rows}, {"cat": ["blue", "red"]}).correct
    got = judge(metadata, {"cat": rows}, {"cat": ["red", "blue"]})
    assert (got.correct, got.reason) == (False, "expected red cat>=1, found 0 red; and 1 blue")


def test_corrected_protocol_accepts_the_colour_on_any_instance_that_counts():
    metadata = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]}
    detections = {"cat": [[0, 0, 9, 9, 0.8], [20, 0, 29, 9, 0.5], [40, 0, 49, 9, 0.2]]}
    assert not judge(metadata, detections, {"cat": ["blue", "red", None]}).correct
    assert judge(metadata, detections, {"cat": ["blue", "red", None]}, protocol="corrected").correct
    got = judge(metadata, detections, {"cat": ["blue", "green", "red"]}, protocol="corrected")
    assert got.reason == "expected red cat>=1, found 0 red; and 1 green, 1 blue"


def test_corrected_protocol_reads_the_direction_of_large_objects_near_each_other():
    above, below = F([0, 0, 100, 100]), F([0, 30, 100, 130])  # 30 apart, reduced to 10: a third of the length
    assert relative_position(above, below) == ()
    assert relative_position(above, below, protocol="corrected") == ("above",)


def test_two_relations_hold_near_the_diagonal():
    assert relative_position(F([0, 0, 2, 2]), F([50, 50, 52, 52])) == ("left of", "above")
    assert relative_position(F([50, 50, 52, 52]), F([0, 0, 2, 2])) == ("right of", "below")


def test_no_relation_between_objects_at_one_place():
    assert relative_position(F([5, 5, 5, 5]), F([5, 5, 5, 5])) == ()


def test_failed_reference_leaves_no_target_and_every_failing_clause_adds_its_reason():
    metadata = {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}],
        "exclude": [{"class": "cat", "count": 1}],
    }
    got = judge(metadata, {"cat": [[0, 0, 9, 9, 0.8]], "dog": []})
    expected = ["expected dog>=1, found 0", "no target for cat to be left of", "expected cat<1, found 1"]
    assert got.reason.split("\n") == expected


def test_reason_has_two_spaces_where_no_relation_holds():
    metadata = {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["above", 0]}],
    }
    same = [[0, 0, 9, 9, 0.8]]
    assert judge(metadata, {"cat": same, "dog": same}).reason == "expected cat above target, found  target"


def test_details_hold_filtered_float32_boxes_best_first():
    got = judge(ONE_CAT, {"dog": [[0, 0, 1, 1, 0.1]], "cat": [[0, 0, 1, 1, 0.4], [2, 2, 3, 3, 0.7]]})
    assert got.details == {"cat": [[2, 2, 3, 3, float(F(0.7))], [0, 0, 1, 1, float(F(0.4))]]}


def test_colour_function_is_asked_only_for_the_detections_that_decide():
    asked = []

    def classify(name, indices):
        asked.append((name, list(indices)))
        return ["red"] * len(indices)

    metadata = {
        "tag": "colors",
        "include": [{"class": "cat", "count": 1, "color": "red"}, {"class": "dog", "count": 1}],
    }
    detections = {name: [[0, 0, 9, 9, 0.5], [9, 9, 20, 20, 0.8], [0, 0, 1, 1, 0.1]] for name in ("cat", "dog")}
    assert judge(metadata, detections, classify).correct
    assert judge(metadata, detections, classify, protocol="corrected").correct
    assert asked == [("cat", [1]), ("cat", [1, 0])]


def test_detections_as_arrays_and_lists_give_the_same_verdict():
    rng = random.Random("arrays")
    for _ in range(100):
        metadata, detections, colours = make_case(rng)
        arrays = {k: np.asarray(v, dtype=F).reshape(-1, 5) for k, v in detections.items()}
        assert judge(metadata, detections, colours) == judge(metadata, arrays, colours)


def test_leaving_out_detections_below_the_threshold_changes_nothing():
    rng = random.Random("subset")
    for _ in range(300):
        metadata, detections, colours = make_case(rng)
        keep = {k: [i for i, row in enumerate(v) if F(row[4]) > F(0.3)] for k, v in detections.items()}
        fewer = {k: [detections[k][i] for i in keep[k]] for k in detections}
        fewer_colours = {k: [colours[k][i] for i in keep[k]] for k in colours}
        assert judge(metadata, detections, colours) == judge(metadata, fewer, fewer_colours)


def test_overlap_counts_both_edges():
    assert overlap(F([0, 0, 9, 9]), F([5, 0, 14, 9])) == pytest.approx(50 / 150)
    assert overlap(F([0, 0, 0, 0]), F([0, 0, 0, 0])) == 1
    assert overlap(F([5, 5, 0, 0]), F([9, 9, 0, 0])) == 0
    rows = F([[0, 0, 9, 9, 0.9], [0, 0, 9, 9, 0.8], [50, 50, 59, 59, 0.7]])
    assert filter_boxes(rows, threshold=0.3, max_overlap=1.0).indices == (0, 1, 2)
    assert filter_boxes(rows, threshold=0.3, max_overlap=0.9).indices == (0, 2)


def test_thresholds_can_be_changed():
    rows = {"cat": [[0, 0, 9, 9, 0.5]]}
    assert not judge(ONE_CAT, rows, thresholds=Thresholds(threshold=0.5)).correct
    assert judge(ONE_CAT, rows, thresholds=Thresholds(threshold=0.4)).correct


@pytest.mark.parametrize(
    ("metadata", "detections", "colours", "message"),
    [
        ({"tag": "colours", "include": []}, {}, {}, "tag"),
        ({"include": []}, {}, {}, "tag"),
        ({"tag": "colors", "include": [{"class": "cat"}]}, {}, {}, "count"),
        ({"tag": "colors", "include": [{"class": "cat", "count": True}]}, {}, {}, "count"),
        ({"tag": "colors", "include": [{"class": "cat", "count": 1, "colour": "red"}]}, {}, {}, "colour"),
        (
            {"tag": "position", "include": [{"class": "cat", "count": 1, "position": ["near", 0]}]},
            {},
            {},
            r"include\[0\]",
        ),
        ({"tag": "position", "include": [{"class": "cat", "count": 1, "position": ["above", 0]}]}, {}, {}, "earlier"),
        (ONE_CAT, {"cat": [[0, 0, 1, 1]]}, {}, "'cat'"),
        (ONE_CAT, {"cat": [[0, 0, 1, 1, math.nan]]}, {}, "not finite"),
        (ONE_CAT, {"cat": [[0, 0, 1e39, 1, 0.5]]}, {}, "not finite"),
        (ONE_CAT, {"cat": [["a", 0, 1, 1, 0.5]]}, {}, "five numbers"),
        (
            {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]},
            {"cat": [[0, 0, 1, 1, 1]]},
            {},
            "'cat' has a colour clause",
        ),
        (
            {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]},
            {"cat": [[0, 0, 1, 1, 1]]},
            {"cat": []},
            "expected 1 names",
        ),
        (
            {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]},
            {"cat": [[0, 0, 1, 1, 1]]},
            {"cat": [None]},
            "no colour name",
        ),
    ],
)  # fmt: skip
def test_malformed_input_is_refused_by_name(metadata, detections, colours, message):
    with pytest.raises(DataError, match=message):
        judge(metadata, detections, colours)
