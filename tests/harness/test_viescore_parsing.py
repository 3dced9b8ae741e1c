"""Replies of every shape: read as specified, or unparsed with the reason."""

import json
import time

import pytest

from harness.judges.base import Unparsed
from harness.viescore.parsing import (
    MAX_REASONING,
    answers_of,
    lowest,
    parse_official,
    parse_strict,
    without_thinking,
    would_guess,
)

D = "||V^=^V||"

READ = {
    '{"score": [7, 8], "reasoning": "ok"}': [7, 8],
    '```json\n{"score": [7, 8],\n "reasoning": "ok"}\n```': [7, 8],
    'Sure! Here it is: {"score": [7, 8]} I hope this helps.': [7, 8],
    f'{D}{{"score": [1, 2]}}{D}': [1, 2],
    f'{{"score": [9, 9]}} {D} {{"score": [1, 2]}} {D} {{"score": [3, 3]}}': [1, 2],
    f'{D} {{"score": [1, 2]}}': [1, 2],
    '{"score": 6}': [6],
    '{"score": "6"}': ["6"],
    '{"score": [11, -1, 7.5, true]}': [11, -1, 7.5, True],
    '{"score": [5]}': [5],
    '{"score": [4, 5, 6], "more": {"a": 1}}': [4, 5, 6],
    '{"score": [1, 1], "score": [2, 3]}': [2, 3],
    '{"score":\r\n [7, 8]}': [7, 8],
    "{score: 5, reasoning: fine}": [5],
    "{score: 5.5, reasoning: null}": [5.5],
    "{score: 5, reasoning: NULL}": None,
    '{"score": 5, "reasoning": no quotes at all}': [5],
    "[6, 0]": [6, 0],
    "I give [6,0].": [6, 0],
    "The scores are [12, 345]": [12, 345],
    '"score": [7, 8], "reasoning": "cut off befo': [7, 8],
    '{"score": [7, 8], "reasoning": "half': [7, 8],
    " 7\n": [7],
    "+7": [7],
    "1_0": [10],
    "７": [7],
    "٣": [3],
}
"""Reply -> scores by the official rules; None where it is not read."""

NOT_READ = [
    "",
    "rate_limit_exceeded",
    "I'm sorry, but I can't assist with that request.",
    "11",
    "-1",
    "7.0",
    "7/10",
    "[6]",
    "[6, 0, 1]",
    "[6,  0]",
    "[6 ,0]",
    "[06, 0]",
    "[６, ０]",
    "[7.5, 8]",
    "[-1, 5]",
    "{'score': [7, 8], 'reasoning': 'single quotes'}",
    '{"score": [7, 8],}',
    '{"score": [7, 8], "reasoning": "trailing",}',
    '{"score": [7, 8]} {"score": [1, 2]}',
    '{"score": [7,',
    '{"score": [7, 8], "reasoning": "cut off after [1] a list',
    '{"score": [7, 8], "reasoning": "tab\tinside"}',
    '{"score": [7, 8], "reasoning": "a "quoted" word"}',
    '<think>maybe {7}</think> {"score": [7, 8]}',
    "{score: [7, 8], reasoning: fine}",
    '{"scores": [7, 8]}',
    '{"reasoning": "no score"}',
    "{}",
    "}{",
    "} text {",
    "{" * 50,
    f"{D}[7, 8]{D}",
    f"{D}{D}",
    f"{D}no{D}",
    "[7, 8]]",
    "[[7, 8]]",
]


@pytest.mark.parametrize(("text", "scores"), READ.items())
def test_official_rules_read(text, scores):
    if scores is None:
        with pytest.raises(Unparsed):
            parse_official(text)
    else:
        assert parse_official(text).scores == scores


@pytest.mark.parametrize("text", NOT_READ)
def test_official_rules_do_not_read(text):
    with pytest.raises(Unparsed, match=r"."):
        parse_official(text)


@pytest.mark.parametrize("text", [*NOT_READ, *(t for t, s in READ.items() if s is None or len(s) != 2)])
def test_strict_rules_read_nothing_but_pairs_that_the_official_rules_read(text):
    if "<think>" in text:
        assert parse_strict(text, length=2).scores == [7, 8]
    else:
        with pytest.raises(Unparsed):
            parse_strict(text, length=2)


@pytest.mark.parametrize(
    "scores",
    ["[11, 5]", "[-1, 5]", "[true, 5]", "[null, 5]", "[NaN, 5]", "[Infinity, 5]", '["7", 5]', "[[7], 5]", "[]"],
)
def test_strict_rules_refuse_entries_that_are_no_numbers_within_the_scale(scores):
    with pytest.raises(Unparsed, match=r"score"):
        parse_strict(f'{{"score": {scores}, "reasoning": "x"}}', length=2)


def test_strict_rules_take_fractions_and_the_asked_length():
    assert parse_strict('{"score": [7.5, 0]}', length=2).scores == [7.5, 0]
    assert parse_strict('{"score": 7}', length=1).scores == [7]
    with pytest.raises(Unparsed, match="2 scores, expected 1"):
        parse_strict('{"score": [7, 8]}', length=1)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a<think>b</think>c", "ac"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("thoughts</think>answer", "answer"),
        ("answer<think>cut off", "answer"),
        ("<think><think>a</think>b</think>c", "c"),
        ("plain", "plain"),
    ],
)
def test_thinking_blocks_are_taken_out(text, rest):
    assert without_thinking(text) == rest


@pytest.mark.parametrize(
    ("scores", "value"),
    [([7, 3], 3), ([True, 5], 1), ([5, float("nan")], 5), ([5, float("inf")], 5), ([1, 10**400], 1), ([-1, 2], -1)],
)
def test_the_score_is_the_minimum_by_pythons_comparison(scores, value):
    assert lowest(scores) == value


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [float("nan"), 5],
        [float("inf")],
        [10**400],
        [None],
        ["7"],
        [5, "7"],
        [[1], [2]],
        [{}],
        [5, None],
        [10**5000],
    ],
)
def test_lists_without_a_finite_minimum_are_unparsed(scores):
    with pytest.raises(Unparsed):
        lowest(scores)


def test_a_guess_is_drawn_only_where_upstream_would_and_only_if_asked_for():
    def guess():
        return 4

    assert parse_official("I cannot help with that.", guess=guess).scores == [4]
    assert parse_official("[7, 8]", guess=guess).scores == [4]
    assert parse_official('{"score": [7, 8]}', guess=guess).scores == [7, 8]
    for text in ("rate_limit_exceeded", "{no json}", f"{D}none{D}"):
        assert not would_guess(text)
        with pytest.raises(Unparsed):
            parse_official(text, guess=guess)
    assert would_guess("") and would_guess("[7, 8]")


def test_an_answer_carries_the_minimum_the_list_and_the_reasoning():
    (answer,) = answers_of('{"score": [7, 3], "reasoning": "dull"}', rules="official")
    assert (answer.value, answer.payload) == (3.0, {"scores": [7, 3], "reasoning": "dull"})


def test_payloads_can_always_be_stored_as_json():
    odd = '{"score": [2, NaN, 1e999, 1HUGE, "x"], "reasoning": "\\ud800 alone"}'.replace("HUGE", "0" * 30)
    with pytest.raises(Unparsed):
        answers_of(odd, rules="official")
    (answer,) = answers_of(odd.replace(', "x"', ""), rules="official")
    assert answer.value == 2
    json.dumps(answer.payload, allow_nan=False).encode()
    answer.payload["reasoning"].encode()
    (answer,) = answers_of('{"score": [2, 2], "reasoning": {"a": [1]}}', rules="official")
    assert answer.payload["reasoning"] == "{'a': [1]}"
    (answer,) = answers_of(reply_with("x" * 10**6), rules="official")
    assert len(answer.payload["reasoning"]) == MAX_REASONING + 3


def reply_with(reasoning):
    return json.dumps({"score": [1, 2], "reasoning": reasoning})


MEGABYTE = 10**6
HUGE = {
    "word": "{" + "a" * MEGABYTE + "}",
    "quotes": "{" + '"' * MEGABYTE + "}",
    "quoted keys": "{" + '"a":' * (MEGABYTE // 4) + "}",
    "keys": "{" + "a:1," * (MEGABYTE // 4) + "}",
    "open keys": "{x}" + '"a":' * (MEGABYTE // 4),
    "open braces": "{" * MEGABYTE + "}" * 3,
    "nested lists": '{"score": ' + "[" * MEGABYTE + "}",
    "digits": '{"score": ' + "9" * MEGABYTE + "}",
    "bare digits": "9" * MEGABYTE,
    "brackets": "[" * MEGABYTE + "]",
    "number pair": "[" + "1" * MEGABYTE + ", 2",
    "think tags": "<think>" * (MEGABYTE // 7),
    "delimiters": D * (MEGABYTE // 8),
    "blanks": " " * MEGABYTE,
    "colons": "{" + ":" * MEGABYTE + "}",
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_megabyte_of_anything_is_refused_quickly(kind):
    started = time.process_time()
    with pytest.raises(Unparsed):
        parse_strict(HUGE[kind], length=2)
    with pytest.raises(Unparsed):
        lowest(parse_official(HUGE[kind]).scores)
    assert time.process_time() - started < 20


def test_a_megabyte_around_an_answer_does_not_hide_it():
    assert parse_official("bla " * 250_000 + '{"score": [7, 8]}' + " bla" * 250_000).scores == [7, 8]
