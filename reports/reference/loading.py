"""Reading and checking the reference files."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from harness.config import Line, build, read_yaml
from harness.errors import ConfigError, DataError, unknown_name
from reports.reference.data import Claim, Column, Inconsistency, PaperRow, Published, Reference, Source

FOLDER = Path(__file__).parent
NAMES = ("table1", "table2", "table3", "table4", "table5", "crosscheck", "bagel-geneval", "pilot")
"""The shipped tables."""

T = TypeVar("T")

_CONDITIONS = ("unit", "protocol", "judge", "judge_wording", "prompt_set", "resolution_px", "setting")
"""What a value takes from its column unless it says otherwise."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The top level of a file; its parts are read one by one, so that messages name them."""

    title: str
    columns: dict[str, dict[str, Any]]
    rows: dict[str, dict[str, Any]]
    values: list[dict[str, Any]]
    claims: list[dict[str, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Columns and rows, which values refer to."""

    columns: dict[str, Column]
    rows: dict[str, PaperRow]


@lru_cache(maxsize=1)
def sources() -> dict[str, Source]:
    """All sources by their short name."""
    return _entries(FOLDER / "sources.yaml", Source)


@lru_cache(maxsize=1)
def inconsistencies() -> dict[int, Inconsistency]:
    """All known contradictions by number."""
    found = _entries(FOLDER / "inconsistencies.yaml", Inconsistency)
    return {int(number): entry for number, entry in found.items()}


@lru_cache(maxsize=len(NAMES))
def reference(name: str) -> Reference:
    """A shipped table: `table1` ... `table5` and what belongs beside them (`NAMES`).

    Raises:
        ConfigError: no such table.
    """
    if name not in NAMES:
        raise unknown_name("published table", name, NAMES)
    return load_reference(FOLDER / f"{name}.yaml")


def load_reference(path: Path) -> Reference:
    """A table from a YAML file.

    Raises:
        DataError: with file, place and field: an unknown key, a wrong type, a value in no row or column, of no known
            source or inconsistency, printed twice, or not a number in text.
    """
    raw, lines = _read(path)
    file = _build(_File, raw, path, lines)
    frame = _Frame(
        columns={k: _build(Column, v, f"{path}, columns.{k}", {}) for k, v in file.columns.items()},
        rows={k: _build(PaperRow, v, f"{path}, rows.{k}", {}) for k, v in file.rows.items()},
    )
    values = [_value(frame, dict(v), f"{path}, values[{i}]") for i, v in enumerate(file.values)]
    cells = [(v.row, v.column) for v in values]
    twice = next((c for c in cells if cells.count(c) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, values: row {twice[0]!r}, column {twice[1]!r} is printed twice.")
    claims = [_claim(frame, c, f"{path}, claims[{i}]") for i, c in enumerate(file.claims)]
    return Reference(
        name=path.stem,
        title=file.title,
        columns=frame.columns,
        rows=frame.rows,
        values=tuple(values),
        claims=tuple(claims),
    )


def _value(frame: _Frame, raw: dict[str, Any], where: str) -> Published:
    for key in ("row", "column"):
        if not isinstance(raw.get(key), str):
            raise DataError(f"{where}: field {key!r} is missing or no text.")
    _known("row", raw["row"], frame.rows, where)
    _known("column", raw["column"], frame.columns, where)
    column = frame.columns[raw["column"]]
    complete = {**{k: getattr(column, k) for k in _CONDITIONS}, "model": frame.rows[raw["row"]].model, **raw}
    value = _build(Published, complete, where, {})
    _check(value, where)
    return value


def _claim(frame: _Frame, raw: dict[str, Any], where: str) -> Claim:
    claim = _build(Claim, raw, where, {})
    _known("row", claim.row, frame.rows, where)
    _known("over", claim.over, frame.rows, where)
    _known("column", claim.column, frame.columns, where)
    _check(claim, where)
    return claim


def _check(value: Published | Claim, where: str) -> None:
    _known("source", value.source, sources(), where)
    for number in value.inconsistencies:
        _known("inconsistencies", number, inconsistencies(), where)


def _known(field: str, name: Any, known: Any, where: str) -> None:
    if name not in known:
        raise DataError(f"{where}: field {field!r} names {name!r}; known are {', '.join(map(str, known))}.")


def _entries(path: Path, cls: type[T]) -> dict[Any, T]:
    raw, lines = _read(path)
    return {key: _build(cls, value, f"{path}, {key}", lines) for key, value in raw.items()}


def _read(path: Path) -> tuple[dict[Any, Any], dict[str, Line]]:
    try:
        return read_yaml(path)
    except ConfigError as error:
        raise DataError(str(error)) from None


def _build(cls: type[T], raw: Any, where: Path | str, lines: dict[str, Line]) -> T:
    try:
        return build(cls, raw, where=str(where), lines=lines)
    except ConfigError as error:
        raise DataError(str(error)) from None
