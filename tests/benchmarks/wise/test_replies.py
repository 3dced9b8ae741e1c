import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.wise.replies import (
    bagel_scores,
    legacy_scores,
    parse_legacy,
    parse_verified,
    verified_score,
    without_thinking,
)
from harness.judges.base import Unparsed

from . import literal

MANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}

PIECES = st.sampled_from(
    [
        *("Consistency", "consistency", "REALISM", "Realism", "Aesthetic Quality", "aesthetic  quality", "Realıſm"),
        *("Aesthetic_Quality", "Cons\u0131stency", "Score", "score", "SCORE", "underscore", "WiScore"),
        *("<think>", "</think>", "<Think>", "<think", "think>"),
        *(
            ":",
            "：",
            "*",
            "**",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\t",
            "\r\n",
            "\u00a0",
            "\u2028",
            "=",
            "-",
            "/",
            "|",
            '"',
            ".",
        ),
        *("0", "1", "2", "7", "10", "1.5", "٢", "２", "²", "0\n1\n2", "\n1\n", "1_", "x", "é"),
    ]
)
REPLIES = st.lists(PIECES, max_size=24).map("".join) | st.text(max_size=40)


@settings(max_examples=1000, derandomize=True, **MANY)
@given(REPLIES)
def test_parsers_equal_the_literal_patterns(reply):
    assert legacy_scores(reply) == literal.legacy(reply)
    assert verified_score(reply) == literal.verified(reply)


@pytest.mark.slow
@settings(max_examples=20_000, **MANY)
@given(REPLIES)
def test_parsers_equal_the_literal_patterns_on_many_replies(reply):
    assert legacy_scores(reply) == literal.legacy(reply)
    assert verified_score(reply) == literal.verified(reply)


@pytest.mark.parametrize(
    "fragment",
    [
        *("Consistency: 2", "Consistency 2", "Consistency:2", "Consistency\n2", "**Consistency**: 2"),
        *(
            "- Consistency: 2",
            "CONSISTENCY: 2",
            "Consistency2",
            "Consistency : 2",
            "inconsistency: 2",
            "Consistency:\n\n 2",
        ),
    ],
)
def test_legacy_forms_that_count(fragment):
    assert legacy_scores(fragment) == {"consistency": 2.0}


@pytest.mark.parametrize(
    "fragment",
    [
        *("**Consistency:** 2", "Consistency: **2**", "Consistency (0-2): 2", "Consistency = 2", "Consistency - 2"),
        *("Consistency: -1", 'Consistency: "2"', "| Consistency | 2 |", "Consistency Score: 2", '"Consistency": 2'),
        *("Consistency\uff1a2", "Aesthetic_Quality: 2", "AestheticQuality: 2", "Aesthetic  Quality: 2"),
        *("Aesthetic\nQuality: 2", "Aesthetics: 2", "Consistency:: 2", "", "I cannot judge this."),
    ],
)
def test_legacy_forms_that_do_not_count(fragment):
    assert legacy_scores(fragment) == {}


@pytest.mark.parametrize(
    ("fragment", "value"),
    [
        *(("Consistency: 10", 1), ("Consistency: 1.5", 1), ("Consistency: 1/2", 1), ("Consistency: 0-2: 2", 0)),
        *(("Consistency: 7", 7), ("Consistency: ٢", 2), ("Consistency: 0\nConsistency: 2", 2)),
    ],
)
def test_legacy_takes_the_first_digit_and_the_last_mention(fragment, value):
    assert legacy_scores(fragment) == {"consistency": float(value)}


def test_three_bare_lines_count_only_where_no_scale_is_named():
    assert legacy_scores("2\n 1 \n0\n2") == {"consistency": 2.0, "realism": 1.0, "aesthetic_quality": 0.0}
    assert legacy_scores("2\n1") == {}
    assert legacy_scores("٢\n1\n0") == {}
    assert legacy_scores("Realism: 1\n2\n1\n0") == {"realism": 1.0}


def test_bagel_takes_a_full_width_colon_and_no_bare_lines():
    assert bagel_scores("Consistency\uff1a2\nRealism: 1") == {"consistency": 2.0, "realism": 1.0}
    assert bagel_scores("2\n1\n0") == {}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        *(
            ("Score: 1", 1),
            ("score 0", 0),
            ("**Score**: 1", 1),
            ("WiScore: 1", 1),
            ("underscore 1", 1),
            ("Score\n\n1", 1),
        ),
        *(("Score: 0.5", 0), ("Score: 1.0", 1), ("Score: 1/1", 1), ("Score: 0\nScore: 1", 0)),
        *(("reasoning Score: 0 </think> Score: 1", 0), ("<think>Score: 0</think>Score: 1", 1)),
        *(("<think>a</think> <think>Score: 0\n</think>\nScore: 1", 1), ("why\n 1 \nso", 1), ("<think>1</think>\n0", 0)),
        *(("<think>Score: 1", 1), ("1\n</think>", 1)),
    ],
)
def test_verified_forms_that_count(reply, score):
    assert verified_score(reply) == float(score)


@pytest.mark.parametrize(
    "reply",
    [
        *("Score: 10", "Score: 2", "Score:** 1", "**Score:** 1", "Score: **1**", "Score (0-1): 1", "Score = 1"),
        *('{"Score": 1}', "Score\uff1a 1", "Scores: 1", "Score: ١", "1\n1", "1\n0", "2", "", "<think>Score: 1</think>"),
    ],
)
def test_verified_forms_that_do_not_count(reply):
    assert verified_score(reply) is None


def test_a_lone_closing_tag_leaves_the_text_before_it():
    assert without_thinking("a </think>  b <think>x</think>\n c </think>") == "a b c"
    assert without_thinking("</th<think>x</think>ink> 1") == "1"


def test_answers_come_in_the_order_of_the_questions_with_the_wording_recorded():
    found = parse_legacy("Aesthetic Quality: 0\nConsistency: 2\nRealism: 1", payload={"judge_prompt": "builtin"})
    assert [a.value for a in found] == [2.0, 1.0, 0.0]
    assert all(a.payload == {"judge_prompt": "builtin"} for a in found)
    assert [a.value for a in parse_verified("Score: 0")] == [0.0]


def test_an_incomplete_reply_is_unparsed_as_a_whole():
    with pytest.raises(Unparsed, match="no score for realism, aesthetic_quality"):
        parse_legacy("Consistency: 2")
    with pytest.raises(Unparsed, match="no 'Score: 0'"):
        parse_verified("I would rather not.")


@pytest.mark.parametrize(
    "reply",
    [
        "Score" + " " * 1_000_000,
        "Consistency:" + "\n" * 1_000_000,
        "<think>" * 150_000,
        "</think>" * 120_000,
        "*" * 1_000_000,
        "Score " * 160_000,
        "1\n" * 500_000,
        "<think>x</think> " * 60_000,
    ],
)
def test_a_megabyte_is_read_in_linear_time(reply):
    started = time.process_time()
    verified_score(reply)
    legacy_scores(reply)
    assert time.process_time() - started < 2.0
