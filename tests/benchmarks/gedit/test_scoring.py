"""From judgements to scores, under both protocols, with and without guesses."""

import math

import pytest

from benchmarks.gedit.scoring import GUESSED, read_judgement, score_sample
from harness.viescore.parsing import overall

from .synthetic import judgement, reply, sample

KEY = sample("gedit/x")


def scored(*verdicts, rules="official", guess=None):
    found = score_sample(KEY, verdicts, rules=rules, lost="not judged", guess=guess)
    return {s.metric: (s.value, s.reason) for s in found}


def test_scores_are_the_minima_and_the_root_of_their_product():
    found = scored(judgement("sc", reply(9, 4), 4.0), judgement("pq", reply(9, 9), 9.0))
    assert found == {"sc": (4, ""), "pq": (9, ""), "o": (6, "")}


def test_the_root_is_missing_where_the_product_is_negative():
    assert overall(-1, 5) is None
    assert overall(-4, -9) == 6
    found = scored(judgement("sc", reply(-1, 3)), judgement("pq", reply(5, 5)))
    assert found["o"] == (None, "sc * pq is negative")


def test_one_missing_answer_leaves_the_other_score_and_no_overall():
    found = scored(judgement("sc", reply(9, 4)), judgement("pq", "I cannot judge this.", status="unparsed"))
    assert found["sc"] == (4, "")
    assert found["pq"][0] is None and found["pq"][1].startswith("unparsed: no JSON object")
    assert found["o"][0] is None and "pq: unparsed" in found["o"][1]


def test_failed_calls_name_their_status_and_absent_ones_the_loss():
    found = scored(judgement("sc", status="refused", error="content filter"))
    assert found["sc"] == (None, "refused: content filter")
    assert found["pq"] == (None, "not judged")


def test_both_protocols_come_from_the_same_text():
    lenient, full = judgement("sc", "7", 7.0), judgement("pq", reply(8, 8), 8.0)
    assert scored(lenient, full)["o"] == (math.sqrt(56), "")
    assert scored(lenient, full, rules="strict")["sc"] == (None, "unparsed: 1 scores, expected 2")
    thinking = judgement("sc", "<think>{a}</think>" + reply(6, 5), status="unparsed", error="not valid JSON")
    assert scored(thinking, full)["sc"][0] is None
    assert scored(thinking, full, rules="strict")["sc"] == (5, "")


def test_without_the_text_the_recorded_list_is_checked():
    long = judgement("sc", value=3.0, payload={"scores": [3, 4, 5]})
    assert read_judgement(long, rules="official").value == 3
    assert read_judgement(long, rules="strict").reason == "unparsed: 3 scores, expected 2"
    assert read_judgement(judgement("sc", value=3.5), rules="strict").value == 3.5
    assert read_judgement(judgement("sc", status="unparsed", error="odd"), rules="strict").reason == "unparsed: odd"


def test_repeats_are_averaged_root_by_root():
    verdicts = [judgement("sc", reply(s, s), repeat=i) for i, s in enumerate((0, 4))]
    verdicts += [judgement("pq", reply(9, 9), repeat=i) for i in range(2)]
    assert scored(*verdicts) == {"sc": (2, ""), "pq": (9, ""), "o": (3, "")}


def test_a_repeat_without_its_partner_stays_out_of_the_overall():
    verdicts = [judgement("sc", reply(4, 4)), judgement("sc", reply(0, 0), repeat=1), judgement("pq", reply(9, 9))]
    assert scored(*verdicts)["o"] == (6, "")
    assert scored(judgement("sc", reply(4, 4)), judgement("pq", reply(9, 9), repeat=1))["o"] == (
        None,
        "no repeat has both sc and pq",
    )


@pytest.mark.parametrize(
    "verdict",
    [
        judgement("sc", "I cannot help.", status="unparsed"),
        judgement("sc", "", status="error", error="timeout"),
        judgement("sc", "Sorry.", status="refused"),
    ],
)
def test_guesses_stand_for_refusals_and_failed_calls_only_on_request_and_say_so(verdict):
    calls = []

    def guess(key, question, repeat):
        calls.append((key, question, repeat))
        return 10

    full = judgement("pq", reply(10, 10))
    assert scored(verdict, full)["o"][0] is None
    found = scored(verdict, full, guess=guess)
    assert calls == [(KEY, "sc", 0)]
    assert found["sc"][0] == 10 and found["sc"][1].startswith(GUESSED)
    assert found["o"][0] == 10 and found["o"][1].startswith(GUESSED)


def test_nothing_is_guessed_for_readable_or_braced_replies_and_absent_images():
    def guess(key, question, repeat):
        raise AssertionError("no guess here")

    for verdict in (
        judgement("sc", reply(3, 3)),
        judgement("sc", "[3, 3]"),
        judgement("sc", "{broken}", status="unparsed"),
        judgement("sc", status="skipped"),
    ):
        scored(verdict, judgement("pq", reply(1, 1)), guess=guess)
    assert scored(guess=guess)["sc"] == (None, "not judged")
