"""The typed form of the reference files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

Printed = Annotated[str, msgspec.Meta(pattern=r"^[+-]?\d+(\.\d+)?$")]
"""A number as its source prints it: text, since its decimals say how exact it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where values were read."""

    title: str
    address: str
    primary: bool
    """The publication itself or its authors' page; False: somebody's summary."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconsistency:
    """A contradiction between sources; shown, never repaired."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column holds; conditions that single values override."""

    label: str
    unit: Literal["%", "0-1", "0-10"]
    benchmark: str | None
    """The benchmark here that computes it; None: nothing here is known to be the same quantity."""
    metric: str | None
    """Its key in a summary."""
    scale: float
    """Factor from the summary's unit to the column's."""
    protocol: Literal["official", "corrected"] | None
    """Arithmetic; None here and below: not stated."""
    judge: str | None
    """Model or registered name of the judge."""
    judge_wording: Literal["official", "builtin"] | None
    prompt_set: str | None
    resolution_px: int | None
    setting: str
    """What else is known of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One row of a table."""

    label: str
    model: str
    refinement: bool = False
    """Images refined at inference: never one number, always four gates with their controls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One printed number, complete with its conditions."""

    row: str
    column: str
    value: Printed
    source: str
    model: str
    unit: Literal["%", "0-1", "0-10"]
    protocol: Literal["official", "corrected"] | None
    judge: str | None
    judge_wording: Literal["official", "builtin"] | None
    prompt_set: str | None
    resolution_px: int | None
    setting: str
    rounded: bool = False
    """Rounded further by its source than the publication had it."""
    called: str = ""
    """Its name in the source where that is in doubt."""
    inconsistencies: tuple[int, ...] = ()

    @property
    def number(self) -> float:
        """The value."""
        return float(self.value)

    @property
    def half_unit(self) -> float:
        """Half of the last printed digit: the number before rounding lies within this of it."""
        decimals = len(self.value.partition(".")[2])
        return float(0.5 * 10.0**-decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A difference that a source states without both of its values."""

    row: str
    over: str
    """The row that it is compared with."""
    column: str
    value: Printed
    source: str
    inconsistencies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One published table."""

    name: str
    title: str
    columns: dict[str, Column]
    rows: dict[str, PaperRow]
    values: tuple[Published, ...]
    claims: tuple[Claim, ...] = field(default=())

    def at(self, row: str, column: str) -> Published | None:
        """The printed value of a cell, or None."""
        return next((v for v in self.values if (v.row, v.column) == (row, column)), None)

    def numbers_of_notes(self) -> list[int]:
        """Inconsistencies that concern any value or claim, sorted."""
        found = {n for v in self.values for n in v.inconsistencies}
        return sorted(found | {n for c in self.claims for n in c.inconsistencies})

    def sources(self) -> list[str]:
        """Short names of the sources in use."""
        return list(dict.fromkeys([*(v.source for v in self.values), *(c.source for c in self.claims)]))
