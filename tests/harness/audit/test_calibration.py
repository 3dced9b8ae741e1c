"""Accuracy, bias and calibration of judges whose faults are known."""

import numpy as np
import pytest

from harness.audit.asking import Asker
from harness.audit.calibration import Asked, ask_about_pairs, measure
from harness.audit.cases import PLAIN_FLAWS, flawed, pairs
from harness.audit.table import share_row
from harness.stats import calibration_error
from harness.world.grammar import holds, question_graph, satisfies
from harness.world.verifier import QUALITY_QUESTIONS
from tests.harness.audit.toys import Toy


def rows_of(section):
    return {row.measure: row for row in section.rows}


def asked(p, truth):
    return [
        Asked("exists", bool(t), v, f"p{i // 4}", i % 2 == 1) for i, (v, t) in enumerate(zip(p, truth, strict=True))
    ]


def test_a_perfect_judge_has_no_error():
    truth = np.arange(200) % 3 == 0
    rows = rows_of(measure(asked(truth.astype(float), truth)))
    assert rows["right answers"].value == 1.0 and rows["right answers"].low > 0.9
    assert rows["calibration error (RMS)"].value == 0.0
    assert rows["yes-bias"].value == pytest.approx(0)


def test_a_judge_that_always_says_yes_is_found_out():
    truth = np.arange(200) % 4 == 0
    rows = rows_of(measure(asked(np.ones(200), truth)))
    assert rows["right answers"].value == pytest.approx(0.25)
    assert rows["yes where no is right"].value == 1.0
    assert rows["no where yes is right"].value == 0.0
    assert rows["yes-bias"].value == pytest.approx(0.75)
    assert rows["calibration error (RMS)"].value == pytest.approx(0.75, abs=0.01)


def test_calibration_is_that_of_the_statistics_package_over_prompts():
    rng = np.random.default_rng(0)
    p = rng.random(400)
    truth = rng.random(400) < p**2
    items = asked(p, truth)
    expected = calibration_error(p, truth.astype(float), clusters=[a.cluster for a in items])
    row = rows_of(measure(items))["calibration error (RMS)"]
    assert (row.value, row.low, row.high) == (expected.rms, expected.low, expected.high)
    assert expected.low > 0


def test_missing_answers_are_counted_and_change_no_share():
    truth = np.arange(100) % 2 == 0
    p = [None if i < 10 else float(t) for i, t in enumerate(truth)]
    rows = rows_of(measure(asked(p, truth)))
    assert rows["right answers"].value == 1.0
    assert (rows["right answers"].n, rows["right answers"].n_missing) == (90, 10)
    assert measure(asked([None] * 100, truth)).skipped


def test_share_rows_are_wider_when_items_belong_together():
    values = [1.0] * 40 + [0.0] * 40
    apart = share_row("s", "m", values, list(range(80)))
    together = share_row("s", "m", values, [i // 20 for i in range(80)])
    assert apart.value == together.value == 0.5
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_truth_is_what_was_drawn():
    found = pairs(40, 0)
    assert len({p.prompt.id for p in found}) == 40 and pairs(40, 0) == found and pairs(40, 1) != found
    for pair in found:
        assert satisfies(pair.right.scene, pair.spec) and not satisfies(pair.wrong.scene, pair.spec)
        assert not all(truth for _, _, truth in pair.questions(pair.wrong.scene))
        facts = {node.text: node.fact for node in question_graph(pair.spec)}
        for _, text, truth in pair.questions(pair.wrong.scene):
            assert truth == holds(pair.wrong.scene, facts[text])
    assert {bool(p.damage) for p in found} == {True, False}


def test_plain_flaws_are_asked_about_with_their_own_question():
    found = flawed(20, 0)
    assert sum(truth for *_, truth in found) == 10 * len(QUALITY_QUESTIONS)
    lost = {text for _, text, truth in found if not truth}
    assert lost == {QUALITY_QUESTIONS[name] for name in PLAIN_FLAWS.values()}


def test_equal_calls_are_asked_once_and_failures_keep_their_reason():
    calls = []

    def p_yes(judge, request, text):
        calls.append(text)
        return None if text.startswith("Is there") else 0.5

    asker = Asker(Toy(p_yes))
    image = pairs(2, 0)[0].right.image
    answers = asker.ask([(image, ["Is there a b?", "c"]), (image, ["Is there a b?", "c"])])
    assert answers == [[None, 0.5], [None, 0.5]]
    assert calls == ["Is there a b?", "c"]
    assert asker.reasons == {"error: toy fails": 2}


def test_every_kind_of_question_is_reported():
    section = measure(ask_about_pairs(Asker(Toy(lambda *_: 0.4)), 60, 0))
    assert {"exists", "count", "attribute", "relation", "background", "quality"} <= set(
        section.details["accuracy_by_kind"]
    )
    assert sum(b["n"] for b in section.details["reliability"]) == rows_of(section)["right answers"].n
