from collections import Counter

import pytest

from harness.synthesis.draw import Draw, NoMatch


def test_the_stream_never_changes():
    draw = Draw(0, "golden")
    assert [draw.below(1000) for _ in range(6)] == [722, 85, 711, 550, 892, 84]


def test_streams_of_other_names_or_seeds_differ():
    first = [Draw(0, "a").below(10**6) for _ in range(1)]
    assert first != [Draw(0, "b").below(10**6)]
    assert first != [Draw(1, "a").below(10**6)]


def test_choices_are_uniform():
    draw = Draw(3, "uniform")
    counts = Counter(draw.below(6) for _ in range(60_000))
    assert all(abs(n - 10_000) < 500 for n in counts.values())


def test_weights_are_kept():
    draw = Draw(3, "weights")
    counts = Counter(draw.weighted({"a": 3, "b": 1, "never": 0}) for _ in range(20_000))
    assert abs(counts["a"] - 15_000) < 400
    assert "never" not in counts


def test_samples_do_not_repeat():
    draw = Draw(0, "sample")
    for _ in range(100):
        assert len(set(draw.sample(range(7), 5))) == 5


def test_nothing_to_choose_from_is_said():
    draw = Draw(0, "empty")
    for call in (lambda: draw.choice([]), lambda: draw.sample([1], 2), lambda: draw.first([1, 3], lambda n: n == 2)):
        with pytest.raises(NoMatch):
            call()


def test_first_finds_the_only_fitting_item():
    assert Draw(0, "rare").first(range(1000), lambda n: n == 777) == 777
