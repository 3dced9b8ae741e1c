import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tiif.replies import answers_in, parse_reply
from harness.judges.base import Unparsed


@pytest.mark.parametrize(
    "line", ["Yes.", "yes", "YES: it is", "yes-like", "yEs it is", "yes, no, maybe", "yes\u00a0so"]
)
def test_lines_that_start_with_the_word_yes_count(line):
    assert answers_in(line) == ["yes"]


@pytest.mark.parametrize("line", ["no,", "no's", "NO", "No one is there", "no/yes"])
def test_lines_that_start_with_the_word_no_count(line):
    assert answers_in(line) == ["no"]


def test_yes_or_no_with_a_slash_is_yes():
    assert answers_in("yes/no") == ["yes"]


NOT_ANSWERS = (
    *("None of it", "Nope", "not at all", "no1", "yes_it", "noé", "yesterday", "ye\u017f", "\u200byes", ""),
    *("**Yes**", "- yes", "1. yes", '"yes"', "Answer: yes"),
)


@pytest.mark.parametrize("line", NOT_ANSWERS)
def test_other_lines_do_not_count(line):
    assert answers_in(line) == []


@pytest.mark.parametrize("separator", ["\r", "\u2028", "\x0b", "\x0c", "\x85"])
def test_only_the_line_feed_separates_lines(separator):
    assert answers_in(f"yes{separator}no") == ["yes"]


def test_crlf_blank_lines_and_remarks_are_passed_over():
    assert answers_in("\n  Here you are:\r\n yes, a dog\r\n\r\n  NO cat\r\nThat is all.\n") == ["yes", "no"]


def test_a_reason_continued_with_no_spoils_the_count():
    with pytest.raises(Unparsed, match="2 lines start with yes or no, expected 1"):
        parse_reply("yes, there is a dog.\nNo cat is there.", n_questions=1)


def test_too_few_answers_give_no_partial_credit():
    with pytest.raises(Unparsed):
        parse_reply("yes", n_questions=2)


def test_a_valid_reply_gives_one_value_for_each_question_with_the_payload():
    answers = parse_reply("Yes, a.\nno b", n_questions=2, payload={"template": "t"})
    assert [a.value for a in answers] == [1.0, 0.0]
    assert [a.status for a in answers] == ["ok", "ok"]
    assert answers[1].payload == {"template": "t"}


def literal_answers(reply):
    """The rules one by one, without a regular expression for the answer."""
    found = []
    for line in reply.strip().split("\n"):
        line = line.strip()
        if not line:
            continue
        for word in ("yes", "no"):
            head, rest = line[: len(word)], line[len(word) :]
            if head.lower() == word and not (rest and re.fullmatch(r"\w", rest[0])):
                found.append(word)
    return found


WORDS = ("yes", "no", "Yes", "NO", "nO", "not", "none")
BREAKS = ("\n", "\n\n", "\r\n", "\r", "\u2028", "\x0b", " ", "\t")
SIGNS = (",", ".", "_", "1", "é", "'", "-", "*", "\u0301", "\u017f", "٣")
pieces = st.sampled_from((*WORDS, *BREAKS, *SIGNS))


@given(st.one_of(st.lists(pieces, max_size=30).map("".join), st.text(max_size=40)))
def test_the_parser_follows_the_rules_on_any_text(reply):
    assert answers_in(reply) == literal_answers(reply)
