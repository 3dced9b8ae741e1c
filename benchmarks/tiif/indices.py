"""Row numbers: which full-set row a testmini row is, and the two orders of the full set's `comparison` questions."""

from __future__ import annotations

# fmt: off
_TESTMINI_TO_FULL: dict[str, tuple[int, ...]] = {
    "real_world": (27, 0, 8, 9, 71, 22, 68, 3, 85, 53, 6, 50, 96, 80, 64, 1, 94, 4, 7, 67, 48, 2, 16, 95, 5),
    "style": (
        228, 217, 11, 254, 41, 19, 171, 275, 166, 36, 83, 282, 258, 255, 134,
        39, 186, 118, 23, 104, 144, 193, 84, 154, 204, 95, 79, 135, 239, 290,
    ),
}
# fmt: on

SHUFFLED_TYPES: tuple[str, ...] = tuple(_TESTMINI_TO_FULL)
"""Types whose testmini rows are not the first rows of the full set."""

_COMPARISON_ROWS = 75
_DISPLACED = {23: 65, 26: 70, 38: 53}
"""Prompt row -> row of its questions in the 2025-06-30 snapshot; all other rows keep their relative order."""


def testmini_to_full(type_: str, row: int) -> int:
    """The full-set row of testmini row `row`.

    Raises:
        IndexError: a shuffled type has no such testmini row.
    """
    rows = _TESTMINI_TO_FULL.get(type_)
    return row if rows is None else rows[row]


def full_to_testmini(type_: str, row: int, n_testmini: int) -> int | None:
    """The testmini row of full-set row `row`; None when testmini (of `n_testmini` rows) does not hold it."""
    rows = _TESTMINI_TO_FULL.get(type_)
    if rows is None:
        return row if row < n_testmini else None
    return rows.index(row) if row in rows else None


def comparison_order() -> list[int]:
    """Entry i: the snapshot's row that holds the `comparison` questions of full-set prompt i."""
    rest = [row for row in range(_COMPARISON_ROWS) if row not in _DISPLACED.values()]
    for prompt_row, snapshot_row in sorted(_DISPLACED.items()):
        rest.insert(prompt_row, snapshot_row)
    return rest
