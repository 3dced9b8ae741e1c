"""What the numbers of recorded results count. Three conventions are in use for the file name `<index>.json`:

- `testmini rows`: the row in the testmini file, 0..k-1 within each type;
- `full-set rows`: the row in the full set, as in the results that the authors publish for testmini; it differs for the
  shuffled types `style` and `real_world`;
- `global numbers`: one count through all rows of all types, in the order in which some directory listed the types.

The set of numbers tells them apart; where it does not, the questions in the records do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.tiif.indices import SHUFFLED_TYPES, full_to_testmini
from benchmarks.tiif.taxonomy import TYPES
from harness.errors import DataError

Matches = Callable[[str, int, int], bool]
"""(type, index, row) -> whether all records of that type and index carry the questions of that row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """How a model's recorded numbers map to rows of the set."""

    convention: str
    rows: dict[tuple[str, int], int | None]
    """(type, recorded index) -> row; None for a full-set row that the set does not hold."""
    mismatches: list[tuple[str, int]] = field(default_factory=list)
    """Numbers whose records carry other questions than their row; empty when there is nothing to compare with."""
    note: str = ""

    @property
    def n_extra(self) -> int:
        """Numbers outside the set."""
        return sum(row is None for row in self.rows.values())


def resolve(
    indices: Mapping[str, Iterable[int]],
    n_rows: Mapping[str, int],
    *,
    n_full: Mapping[str, int] | None,
    matches: Matches | None,
    where: str,
) -> Numbering:
    """Finds the convention of one model's records.

    Args:
        indices: numbers found for each type, both lengths together.
        n_rows: rows of each type in the set.
        n_full: rows of each type in the full set where the set is testmini; None where the set is the full set.
        matches: comparison with the official questions; None without official data.
        where: names the source in messages.

    Raises:
        DataError: the numbers fit no convention, or different ones in different types.
    """
    found = {t: sorted(set(indices[t])) for t in TYPES if t in indices}
    possible = (
        _full_rows(found, n_rows, n_full),
        _set_rows(found, n_rows, n_full),
        _global_numbers(found, n_rows, matches),
    )
    candidates = [c for c in possible if c is not None]
    if not candidates:
        raise DataError(f"{where}: {_misfit(found, n_rows, n_full)}")
    if matches is not None:
        candidates = [_compared(c, matches) for c in candidates]
    best = min(candidates, key=lambda c: (len(c.mismatches), c.n_extra))
    if n_full is not None and best.convention == "full-set rows":
        _reject_mixture(found, n_rows, where)
    return _with_note(best, candidates)


def _set_rows(
    found: dict[str, list[int]], n_rows: Mapping[str, int], n_full: Mapping[str, int] | None
) -> Numbering | None:
    if any(numbers[-1] >= n_rows[t] for t, numbers in found.items()):
        return None
    name = "full-set rows" if n_full is None else "testmini rows"
    return Numbering(convention=name, rows={(t, i): i for t, numbers in found.items() for i in numbers})


def _full_rows(
    found: dict[str, list[int]], n_rows: Mapping[str, int], n_full: Mapping[str, int] | None
) -> Numbering | None:
    if n_full is None or any(numbers[-1] >= n_full[t] for t, numbers in found.items()):
        return None
    rows = {(t, i): full_to_testmini(t, i, n_rows[t]) for t, numbers in found.items() for i in numbers}
    return Numbering(convention="full-set rows", rows=rows)


def _global_numbers(
    found: dict[str, list[int]], n_rows: Mapping[str, int], matches: Matches | None
) -> Numbering | None:
    offsets = _tiled(found, n_rows) or _windows(found, n_rows, matches)
    if offsets is None:
        return None
    rows: dict[tuple[str, int], int | None] = {(t, i): i - offsets[t] for t, numbers in found.items() for i in numbers}
    return Numbering(convention="global numbers", rows=rows)


def _tiled(found: dict[str, list[int]], n_rows: Mapping[str, int]) -> dict[str, int] | None:
    """First numbers of the types if all types are there and lie one behind the other."""
    if set(found) != set(n_rows):
        return None
    offsets, start = {}, 0
    for type_ in sorted(found, key=lambda t: found[t][0]):
        offsets[type_] = start
        if found[type_][0] < start or found[type_][-1] >= start + n_rows[type_]:
            return None
        start += n_rows[type_]
    return offsets


def _windows(found: dict[str, list[int]], n_rows: Mapping[str, int], matches: Matches | None) -> dict[str, int] | None:
    """First numbers of the types one by one: forced by a complete type, or by the questions."""
    offsets: dict[str, int] = {}
    for type_, numbers in found.items():
        k = n_rows[type_]
        fits = [
            start
            for start in range(max(0, numbers[-1] - k + 1), numbers[0] + 1)
            if matches is None or all(matches(type_, i, i - start) for i in numbers)
        ]
        if len(fits) != 1:
            return None
        offsets[type_] = fits[0]
    spans = sorted((start, start + n_rows[t]) for t, start in offsets.items())
    disjoint = all(end <= start for (_, end), (start, _) in pairwise(spans))
    return offsets if disjoint and spans[-1][1] <= sum(n_rows.values()) else None


def _compared(numbering: Numbering, matches: Matches) -> Numbering:
    wrong = [(t, i) for (t, i), row in numbering.rows.items() if row is not None and not matches(t, i, row)]
    return Numbering(convention=numbering.convention, rows=numbering.rows, mismatches=wrong)


def _with_note(best: Numbering, candidates: list[Numbering]) -> Numbering:
    key = (len(best.mismatches), best.n_extra)
    rivals = [c for c in candidates if (len(c.mismatches), c.n_extra) == key and c.rows != best.rows]
    if not rivals:
        return best
    note = (
        f"Row numbers also fit the convention '{rivals[0].convention}'; taken as '{best.convention}'. Scores are the "
        "same, but the pairing with other models by prompt may be wrong."
    )
    return Numbering(convention=best.convention, rows=best.rows, mismatches=best.mismatches, note=note)


def _reject_mixture(found: dict[str, list[int]], n_rows: Mapping[str, int], where: str) -> None:
    short = [t for t in SHUFFLED_TYPES if t in found and _is_testmini_only(t, found[t], n_rows[t])]
    full = [t for t in SHUFFLED_TYPES if t in found and found[t][-1] >= n_rows[t]]
    if short and full:
        raise DataError(
            f"{where}: mixed numbering. {short[0]!r} is numbered by testmini row ({_span(found[short[0]])}), "
            f"{full[0]!r} is not ({_span(found[full[0]])}). Import the parts that were numbered alike separately."
        )


def _is_testmini_only(type_: str, numbers: list[int], n_testmini: int) -> bool:
    return numbers[-1] < n_testmini and any(full_to_testmini(type_, i, n_testmini) is None for i in numbers)


def _misfit(found: dict[str, list[int]], n_rows: Mapping[str, int], n_full: Mapping[str, int] | None) -> str:
    limit = n_full or n_rows
    outside = [f"{t} {_span(numbers)} (0..{limit[t] - 1})" for t, numbers in found.items() if numbers[-1] >= limit[t]]
    inside = [f"{t} {_span(numbers)}" for t, numbers in found.items() if numbers[-1] < limit[t]]
    return (
        f"the row numbers fit no convention, or several mixed. Beyond the rows of their type: {', '.join(outside[:5])}"
        f"{' ...' if len(outside) > 5 else ''}; within: {', '.join(inside[:5]) or 'none'}"
        f"{' ...' if len(inside) > 5 else ''}. Numbers that count through all types need all {len(n_rows)} types, "
        "or the official data to compare questions with (`run.py data prepare tiif`); check also tiif.set."
    )


def _span(numbers: list[int]) -> str:
    return f"{numbers[0]}..{numbers[-1]}"
