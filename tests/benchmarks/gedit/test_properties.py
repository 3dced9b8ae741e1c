"""Generated replies and tables: the package against the literal second version, without a difference."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.gedit.groups import GROUPS
from benchmarks.gedit.summaries import summarise
from benchmarks.gedit.tally import tally
from harness.judges.base import Unparsed
from harness.viescore.parsing import lowest, parse_official, parse_strict, repair, without_thinking

from . import literal
from .synthetic import prompt, sample, scores_of

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}

PIECES = st.sampled_from(
    [
        *'{}[]":, \n\r\t',
        *"0127",
        "score",
        '"score"',
        '"score": ',
        "score:",
        '"reasoning": "fine"',
        "reasoning: good",
        "[7, 8]",
        "[6,0]",
        "[1, 2, 3]",
        "10",
        "11",
        "-3",
        "7.5",
        "NaN",
        "true",
        "Null",
        "null",
        "'",
        "```json",
        "<think>",
        "</think>",
        literal.MARK,
        "é",
        "７",
        "_",
        "rate_limit_exceeded",
        '{"score": [4, 9], "reasoning": "x"}',
        "{score: 5, reasoning: fine}",
    ]
)
SOUP = st.lists(PIECES, max_size=14).map("".join)
ENTRY = st.one_of(
    st.integers(-2, 12),
    st.floats(-1, 11),
    st.sampled_from([None, True, False, "7", float("nan"), float("inf"), [3], 10**400]),
)
VALUES = st.one_of(st.lists(ENTRY, max_size=4), ENTRY)


@st.composite
def written(draw):
    """A JSON answer in one of the shapes that judges use, whole or cut."""
    answer = {"score": draw(VALUES), "reasoning": draw(st.sampled_from(["ok", 'a "b"', "x, y: {z}", "[1, 2]", ""]))}
    if draw(st.booleans()):
        answer = dict(reversed(answer.items()))
    text = json.dumps(answer, indent=draw(st.sampled_from([None, 2])))
    shape = draw(st.sampled_from(["%s", "```json\n%s\n```", "So: %s.", "<think>a {b}</think>%s", "%s %s"]))
    text = shape.replace("%s", text)
    text = draw(st.sampled_from([text, literal.MARK + text + literal.MARK, text.replace('"', "'"), text[:-1] + ",}"]))
    start, end = draw(st.integers(0, 3)), draw(st.integers(0, 12))
    return text if draw(st.integers(0, 3)) else text[start : len(text) - end]


REPLIES = st.one_of(SOUP, written())


def read(text, **kwargs):
    try:
        return lowest(parse_official(text, **kwargs).scores)
    except Unparsed:
        return None


def read_strictly(text, length):
    try:
        return lowest(parse_strict(text, length=length).scores)
    except Unparsed:
        return None


def check_reply(text):
    scores = literal.read(text)
    assert read(text) == literal.smallest(scores)
    assert read(text, guess=lambda: 6) == literal.smallest(literal.read(text, guess=6))
    assert without_thinking(text) == literal.without_thinking(text)
    for length in (1, 2):
        answer = literal.read(literal.without_thinking(text))
        assert read_strictly(text, length) == (min(answer) if literal.strict(answer, length) else None)


@settings(max_examples=2_000, **SETTINGS)
@given(REPLIES)
def test_replies_are_read_as_by_the_literal_version(text):
    check_reply(text)


@pytest.mark.slow
@settings(max_examples=25_000, **SETTINGS)
@given(REPLIES)
def test_many_replies_are_read_as_by_the_literal_version(text):
    check_reply(text)


@settings(max_examples=1_000, **SETTINGS)
@given(SOUP)
def test_repair_is_that_of_the_literal_version(text):
    text = text.replace("\n", "")
    assert repair(text) == literal.repaired(text)


@settings(max_examples=500, **SETTINGS)
@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text):
    assert read(text) == literal.smallest(literal.read(text))


MARKS = st.integers(0, 10) | st.floats(0, 10)
ITEMS = st.lists(st.none() | st.tuples(MARKS, MARKS), max_size=5)
TABLES = st.dictionaries(st.sampled_from(GROUPS), ITEMS, min_size=1, max_size=11)


def cells(groups, names, **kwargs):
    prompts, scores = {}, []
    for name, items in groups.items():
        for i, item in enumerate(items):
            p = prompt(name, i)
            prompts[p.id] = p
            scores += scores_of(sample(p.id), *(item or (None, 3.0)))
    return {s.metric: s for s in summarise(tally(prompts, scores), expected=names, **kwargs)}


def check_table(groups, missing):
    names = [g for g in GROUPS if g in groups]
    found = cells(groups, names, missing=missing, subset=None)
    means, overall = literal.table(groups, names, zero=missing == "zero")
    for i, column in enumerate(("SC", "PQ", "O")):
        cell = found[f"overall/{column}"]
        assert (cell.value is None) == (overall is None)
        if overall is not None:
            assert math.isclose(cell.value, overall[i], abs_tol=1e-12)
            assert cell.n == sum(len(g) if missing == "zero" else len(g) - g.count(None) for g in groups.values())
            assert cell.ci_low is None or 0 <= cell.ci_low <= cell.value + 1e-9 <= cell.ci_high + 2e-9 <= 10 + 2e-9
        for name in names:
            if not groups[name]:
                continue
            value = found[f"group/{name}/{column}"].value
            assert (value is None) == (means[name] is None)
            assert value is None or math.isclose(value, means[name][i], abs_tol=1e-12)
        assert cell.n_missing == sum(g.count(None) for g in groups.values())
    if overall is not None:
        roots = found["overall/SC"].value * found["overall/PQ"].value
        assert found["overall/O"].value <= math.sqrt(roots) + 1e-9
    if found["overall/O"].extra.get("bounds") and None not in found["overall/O"].extra["bounds"]:
        low, high = found["overall/O"].extra["bounds"]
        assert low <= high
        assert overall is None or low - 1e-9 <= found["overall/O"].value <= high + 1e-9


@settings(max_examples=600, **SETTINGS)
@given(TABLES, st.sampled_from(["leave_out", "zero"]))
def test_tables_are_those_of_the_literal_version(groups, missing):
    check_table(groups, missing)


@pytest.mark.slow
@settings(max_examples=20_000, **SETTINGS)
@given(TABLES, st.sampled_from(["leave_out", "zero"]))
def test_many_tables_are_those_of_the_literal_version(groups, missing):
    check_table(groups, missing)
