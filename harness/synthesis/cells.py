"""How many prompts each task and difficulty gets: exact in both directions, for any total."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from harness.synthesis.scene import DIFFICULTIES, Difficulty

RATIO: tuple[int, int, int] = (3, 5, 2)
"""easy : medium : hard"""


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in shares proportional to `weights`, as whole numbers.

    Every share is its exact value rounded down or up; the ones with the largest remainders are rounded up, among equal
    remainders the earlier ones.
    """
    exact = [Fraction(total * w, sum(weights)) for w in weights]
    shares = [int(e) for e in exact]
    order = sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


def cell_counts(total: int, tasks: Sequence[str]) -> dict[str, dict[Difficulty, int]]:
    """Number of prompts by task and difficulty.

    Tasks get equal shares (the first ones one more where `total` is not divisible), difficulties 3:5:2 of the total by
    largest remainder. Inside, a cell is its task's exact share rounded down, or that plus one, such that both sums are
    met: tasks with the most left to place go first, and place it in the difficulties with the most left to receive
    (a 0-1 matrix with given margins, Gale and Ryser).
    """
    rows = largest_remainder(total, [1] * len(tasks))
    columns = largest_remainder(total, RATIO)
    cells = [[row * w // sum(RATIO) for w in RATIO] for row in rows]
    missing = [column - sum(c[j] for c in cells) for j, column in enumerate(columns)]
    for i in sorted(range(len(rows)), key=lambda i: (sum(cells[i]) - rows[i], i)):
        wanted = sorted(range(len(RATIO)), key=lambda j: (-missing[j], -(rows[i] * RATIO[j] % sum(RATIO)), j))
        for j in wanted[: rows[i] - sum(cells[i])]:
            cells[i][j] += 1
            missing[j] -= 1
    assert not any(missing), f"margins of {total} over {len(tasks)} tasks cannot be met: {missing}"
    return {task: dict(zip(DIFFICULTIES, cells[i], strict=True)) for i, task in enumerate(tasks)}
