import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.synthesis.cells import RATIO, cell_counts, largest_remainder
from harness.synthesis.scene import DIFFICULTIES
from harness.synthesis.tasks import TASKS


def test_the_published_numbers_are_exact():
    counts = cell_counts(19_500, list(TASKS))
    assert len(counts) == 39
    assert all(cell == {"easy": 150, "medium": 250, "hard": 100} for cell in counts.values())


def test_1024_over_39_tasks():
    counts = cell_counts(1_024, list(TASKS))
    assert [sum(cell.values()) for cell in counts.values()] == [27] * 10 + [26] * 29
    assert [sum(cell[d] for cell in counts.values()) for d in DIFFICULTIES] == [307, 512, 205]


def test_largest_remainder_by_hand():
    assert largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(1_024, RATIO) == [307, 512, 205]
    assert largest_remainder(0, RATIO) == [0, 0, 0]


@settings(max_examples=300, deadline=None)
@given(total=st.integers(0, 30_000), n_tasks=st.integers(1, 39))
def test_both_sums_are_exact_for_any_total(total, n_tasks):
    tasks = list(TASKS)[:n_tasks]
    counts = cell_counts(total, tasks)
    rows = largest_remainder(total, [1] * n_tasks)
    assert [sum(counts[t].values()) for t in tasks] == rows
    assert [sum(counts[t][d] for t in tasks) for d in DIFFICULTIES] == largest_remainder(total, RATIO)
    for task, row in zip(tasks, rows, strict=True):
        for difficulty, weight in zip(DIFFICULTIES, RATIO, strict=True):
            floor = row * weight // sum(RATIO)
            assert counts[task][difficulty] in (floor, floor + 1)


@pytest.mark.parametrize("total", [1, 2, 5, 38, 39, 40])
def test_small_totals_place_every_prompt(total):
    assert sum(sum(cell.values()) for cell in cell_counts(total, list(TASKS)).values()) == total
