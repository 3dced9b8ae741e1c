"""DVReward's arithmetic on plain numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.rewards.questions.scoring import binary, binary_of_text, combine, is_saturated, too_many_missing

shares = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("semantic", "quality", "expected"),
    [
        ([1.0, 1.0], [1.0], 1.0),
        ([0.0, 0.0], [1.0], 0.0),
        ([1.0], [0.0], 0.0),
        ([0.25], [1.0], 0.5),
        ([0.5, 1.0], [0.6, 0.4], math.sqrt(0.75 * 0.5)),
    ],
)
def test_geometric_mean_of_the_two_means(semantic, quality, expected):
    assert combine(semantic, quality) == pytest.approx(expected, abs=1e-15)


def test_mean_weights_the_two_sides_equally_and_pooled_weights_the_questions():
    semantic, quality = [0.0, 0.0, 0.0], [1.0]
    assert combine(semantic, quality, "mean") == 0.5
    assert combine(semantic, quality, "pooled") == 0.25


@pytest.mark.parametrize(
    ("aggregation", "as_one", "left_out"),
    [("geometric", 0.5, 0.25), ("mean", 0.625, 0.25), ("pooled", 0.25, 0.25)],
)
def test_an_empty_list_counts_as_one_or_leaves_the_other_alone(aggregation, as_one, left_out):
    for lists in (([0.25, 0.25], []), ([], [0.25, 0.25])):
        assert combine(*lists, aggregation, empty_is_one=True) == as_one
        assert combine(*lists, aggregation) == left_out


def test_no_scores_at_all_are_refused():
    for empty_is_one in (True, False):
        with pytest.raises(ValueError, match="no scores"):
            combine([], [], empty_is_one=empty_is_one)


@given(shares, shares, st.sampled_from(["geometric", "mean", "pooled"]))
def test_the_reward_stays_in_range_and_does_not_fall_when_a_score_rises(semantic, quality, aggregation):
    value = combine(semantic, quality, aggregation)
    assert 0.0 <= value <= 1.0
    assert combine([1.0, *semantic[1:]], quality, aggregation) >= value - 1e-12


@given(shares, shares)
def test_the_geometric_mean_never_exceeds_the_arithmetic_one(semantic, quality):
    assert combine(semantic, quality) <= combine(semantic, quality, "mean") + 1e-12


def test_binary_needs_more_than_one_half():
    assert [binary(p) for p in (0.0, 0.5, 0.5000001, 1.0)] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("yes", 1), (" Yes.\n", 1), ("YES!", 1), ("yes, it is", 0), ("no", 0), ("", 0), ("yes yes", 0), ("？yes", 0)],
)
def test_a_written_answer_counts_only_as_the_bare_word(text, expected):
    assert binary_of_text(text) == expected


def test_saturation_is_exact():
    assert [is_saturated(p) for p in (0.0, 1.0, 1e-12, 1 - 1e-12)] == [True, True, False, False]


def test_the_limit_on_missing_answers_is_inclusive():
    assert not too_many_missing(1, 20, 0.05)
    assert too_many_missing(2, 20, 0.05)
    assert too_many_missing(1, 19, 0.05)
    assert not too_many_missing(0, 19, 0.0)
    assert too_many_missing(1, 1000, 0.0)
