"""The question table `dpg_bench.csv`: identified by its git blob id, read as text, checked.

Every row is kept, also the first one that the official reader loses; it is marked, so that both protocols come from the
same judgements.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dpg.graph import graph_order, nodes_of, parse_number, parse_parents
from benchmarks.dpg.lock import Lock
from harness.errors import DataError
from harness.types import Protocol

_NEEDED = ("item_id", "text", "proposition_id", "dependency", "question_natural_language")
_LABEL = "tuple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question as the table has it."""

    where: str
    item_id: str
    text: str
    number: int
    dependency: str
    label: str
    """The `tuple` column; empty where the table lacks it."""
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The questions of all prompts."""

    blob_id: str
    is_official: bool
    first_row_item: str
    """The item whose first question the official reader loses."""
    texts: dict[str, str]
    """The prompts as the table repeats them, by item, in table order."""
    questions: dict[str, list[dict[str, Any]]]
    """By item: dicts with `proposition_id`, `dependency`, `tuple`, `question`, and `first_row` on the first data row;
    the form of `Prompt.meta["questions"]`."""

    @property
    def data_id(self) -> str:
        """`dpg@BLOB` for the official table, `dpg-like@BLOB` for any other."""
        return f"{'dpg' if self.is_official else 'dpg-like'}@{self.blob_id[:12]}"


def git_blob_id(data: bytes) -> str:
    """The id under which git stores a file with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def read_table(path: Path, protocol: Protocol, lock: Lock) -> Table:
    """The table in a CSV file.

    `official` follows the official reader where a table is irregular: a second block of a prompt replaces the first,
    a repeated number overwrites its question and keeps the place. `corrected` refuses such tables, and unknown parents,
    questions that are their own parents, and cycles.

    Raises:
        DataError: the file is missing or no such table (file, line, field); a re-export that lacks the first question
            or the `tuple` column under `official`; an irregular table under `corrected`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}). Bring the question table with `run.py data prepare dpg` "
            f"({lock.repository} at {lock.revision[:8]}, {lock.table_path}), or name yours with dpg.table=PATH."
        ) from None
    blob = git_blob_id(data)
    is_official = blob == lock.table_blob
    rows = list(_rows(data, path, protocol))
    if not rows:
        raise DataError(f"{path}: the table has no rows.")
    if protocol == "official" and not is_official:
        _refuse_cut_table(rows, path, blob, lock)
    blocks = _official_blocks(rows) if protocol == "official" else _checked_blocks(rows)
    questions = {item: [_question(r, is_first=r is rows[0]) for r in block] for item, block in blocks.items()}
    if protocol == "corrected":
        for item, block in questions.items():
            graph_order(nodes_of(block, f"{path}, item {item!r}"), f"{path}, item {item!r}")
    texts = {item: block[0].text for item, block in blocks.items()}
    return Table(
        blob_id=blob,
        is_official=is_official,
        first_row_item=rows[0].item_id,
        texts=texts,
        questions=questions,
    )


def _rows(data: bytes, path: Path, protocol: Protocol) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(_decoded(data, path), newline=""), strict=True)
    columns: dict[str, int] = {}
    width, before = 0, 0
    try:
        for cells in reader:
            where, before = f"{path}, line {before + 1}", reader.line_num
            if not cells:
                continue
            if not columns:
                columns, width = _columns(cells, path, protocol), len(cells)
            elif len(cells) != width:
                raise DataError(f"{where}: {len(cells)} cells, expected {width} as in the header.")
            else:
                yield _row(cells, columns, where)
    except csv.Error as error:
        raise DataError(f"{path}, line {before + 1}: not valid CSV ({error}).") from None


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error}).") from None


def _columns(header: Sequence[str], path: Path, protocol: Protocol) -> dict[str, int]:
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise DataError(f"{path}, line 1: no column {', '.join(missing)}; found {', '.join(header)[:200]}.")
    if _LABEL not in header and protocol == "official":
        raise DataError(
            f"{path}, line 1: no column 'tuple'. Categories come from it; this is a re-export, not the official table. "
            "Use the table of the upstream repository, or protocol=corrected for totals without categories."
        )
    return {name: header.index(name) for name in (*_NEEDED, _LABEL) if name in header}


def _row(cells: Sequence[str], columns: Mapping[str, int], where: str) -> Row:
    cell = {name: cells[i] for name, i in columns.items()}
    number = parse_number(cell["proposition_id"], where, "proposition_id")
    if number == 0:
        raise DataError(f"{where}, field 'proposition_id': 0, but questions are numbered from 1 (0 means no parent).")
    parse_parents(cell["dependency"], where)
    for name in ("item_id", "question_natural_language"):
        if not cell[name].strip():
            raise DataError(f"{where}, field {name!r}: empty.")
    return Row(
        where=where,
        item_id=cell["item_id"],
        text=cell["text"],
        number=number,
        dependency=cell["dependency"].strip(),
        label=cell.get(_LABEL, ""),
        question=cell["question_natural_language"],
    )


def _refuse_cut_table(rows: Sequence[Row], path: Path, blob: str, lock: Lock) -> None:
    of_first = [r.number for r in rows if r.item_id == lock.first_row_prompt]
    if rows[0].number != 1 or (of_first and 1 not in of_first):
        raise DataError(
            f"{path}: git blob {blob}, expected {lock.table_blob}. The table begins with question {rows[0].number} of "
            f"{rows[0].item_id!r}: a re-export that already lacks the first question, of which the official reader "
            "would drop another one. Use the table of the upstream repository."
        )


def _official_blocks(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """What the official reader has after the first row is gone, with that row put back in front of its block."""
    blocks: dict[str, dict[int, Row]] = {}
    starts: dict[str, int] = {}
    previous = None
    for i, row in enumerate(rows[1:], start=1):
        if row.item_id != previous:
            blocks[row.item_id], starts[row.item_id] = {}, i
        blocks[row.item_id][row.number] = row
        previous = row.item_id
    found = {item: list(block.values()) for item, block in blocks.items()}
    first = rows[0]
    if first.item_id not in found:
        return {first.item_id: [first], **found}
    if starts[first.item_id] == 1 and first.number not in blocks[first.item_id]:
        found[first.item_id].insert(0, first)
    return found


def _checked_blocks(rows: Sequence[Row]) -> dict[str, list[Row]]:
    blocks: dict[str, dict[int, Row]] = {}
    previous = None
    for row in rows:
        if row.item_id in blocks and row.item_id != previous:
            raise DataError(f"{row.where}, field 'item_id': {row.item_id!r} again; rows of a prompt must be together.")
        previous = row.item_id
        block = blocks.setdefault(row.item_id, {})
        if row.number in block:
            raise DataError(
                f"{row.where}, field 'proposition_id': {row.number} again in {row.item_id!r} "
                f"(first in {block[row.number].where})."
            )
        block[row.number] = row
    return {item: list(block.values()) for item, block in blocks.items()}


def _question(row: Row, *, is_first: bool) -> dict[str, Any]:
    found = {
        "proposition_id": row.number,
        "dependency": row.dependency,
        "tuple": row.label,
        "question": row.question,
    }
    return {**found, "first_row": True} if is_first else found
