"""Reading what the decomposing model writes, and the instructions it gets."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import pytest

from harness.decompose import replies, wording
from harness.decompose.replies import UnusableReply


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a?"]', ["a?"]),
        ('```json\n["a?", "b?"]\n```', ["a?", "b?"]),
        ('Here they are:\n["  a \n b? "]\nDone.', ["a b?"]),
        ('["Is it red?", "b?", "is it RED?"]', ["Is it red?", "b?"]),
        ('["a [1] {x}?"]', ["a [1] {x}?"]),
    ],
)
def test_questions_are_read_with_fences_and_words_around_them(text, expected):
    assert replies.questions(text) == expected


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (replies.questions, "I cannot do that.", "no JSON in the reply"),
        (replies.questions, "] [", "no JSON in the reply"),
        (replies.questions, '["a?",', "not valid JSON|no JSON"),
        (replies.questions, "[]", "expected a list of questions"),
        (replies.questions, '{"a": 1}', "expected a list of questions"),
        (replies.questions, "[1]", "question 1 is not a text"),
        (replies.questions, str(["q"] * 61).replace("'", '"'), "61 questions, expected at most 60"),
        (replies.facts, '[{"kind": "entity"}]', "entry 1 has no 'fact'"),
        (replies.verdict, '{"valid": "yes"}', "'valid' is 'yes', expected true or false"),
        (replies.verdict, "[true]", "expected an object"),
        (replies.tag, '{"tag": "Colour"}', "tag 'Colour' is none of Style, Environment"),
        (replies.quality, '[{"question": "a?", "tag": "Count"}]', "tag 'Count' is none of Geometry"),
        (replies.quality, '[{"tag": "Texture", "question": " "}]', "question 1 is not a text"),
    ],
)
def test_what_does_not_fit_is_unusable_and_never_guessed(read, text, message):
    with pytest.raises(UnusableReply, match=message):
        read(text)


def test_verdicts_tags_and_quality_questions_are_read():
    assert replies.verdict('{"valid": false, "reason": "no  colour\\nis named"}') == replies.Verdict(
        False, "no colour is named"
    )
    assert replies.tag('{"tag": " negative "}') == "Negative"
    assert replies.quality(
        '[{"tag": "ANATOMY", "question": "Two legs?"}, {"tag": "Texture", "question": "two legs?"}]'
    ) == [("Two legs?", "Anatomy")]


def test_every_template_has_both_parts_and_is_known_by_the_hash_of_its_file():
    for name in wording.NAMES:
        template = wording.template(name)
        data = (files("harness.decompose") / "templates" / f"{name}.txt").read_bytes()
        assert template.sha256 == wording.hashes()[name] == hashlib.sha256(data).hexdigest()
        assert len(template.system) > 100 and template.user.startswith("Request: {{prompt}}")
        assert "[user]" not in template.system + template.user


def test_places_inside_a_value_are_not_filled():
    system, user = wording.template("necessity").render(prompt="a sign {{question}}", question="Is it there?")
    assert user == "Request: a sign {{question}}\n\nQuestion: Is it there?"
    assert "{{" not in system
    with pytest.raises(KeyError):
        wording.template("necessity").render(prompt="a")
