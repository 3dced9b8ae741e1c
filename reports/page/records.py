"""Record files of a run, read in two passes: where each sample's lines are, then the lines of a few samples at a time.

A million judgements do not fit into memory as objects and need not: the first pass keeps two numbers per piece of lines
of one sample, the second decodes the lines of one data file of the page.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from harness.errors import DataError

RowKey = tuple[str, str, int, int]
"""(benchmark, prompt id, gen_seed, index): what the images of several runs and rounds have in common."""

_LINE_END = ord("\n")


class Key(msgspec.Struct):
    """`harness.types.SampleKey`, without its checks and hashing."""

    benchmark: str
    prompt_id: str
    gen_seed: int = 0
    index: int = 0
    round: int = 0

    @property
    def row(self) -> RowKey:
        """The key without the round."""
        return self.benchmark, self.prompt_id, self.gen_seed, self.index


class Keyed(msgspec.Struct):
    """Only the key of any record."""

    key: Key


class Answered(msgspec.Struct):
    """What tells a question's scale, beside the key."""

    key: Key
    question_id: str = ""
    value: float | None = None


class ScoreLine(msgspec.Struct):
    """A line of scores.jsonl."""

    key: Key
    metric: str
    value: float | None
    reason: str = ""


class GenerationLine(msgspec.Struct):
    """A line of generations.jsonl."""

    id: str
    key: Key
    seed: int = 0
    params: msgspec.Raw = msgspec.Raw(b"{}")
    status: str = "ok"
    error: str = ""
    image: str = ""
    image_sha256: str = ""
    text: str = ""
    parent: str = ""
    gate: str = ""
    seconds: float = 0.0


class JudgementLine(msgspec.Struct):
    """A line of judgements.jsonl; the payload stays undecoded."""

    id: str
    key: Key
    question_id: str
    judge: str = ""
    question: str = ""
    tag: str = ""
    status: str = "ok"
    value: float | None = None
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    raw: str = ""
    error: str = ""
    call_id: str = ""
    call_size: int = 1
    attempts: int = 1
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class PromptLine(msgspec.Struct):
    """A line of prompts.jsonl."""

    benchmark: str
    id: str
    text: str = ""
    category: str = ""
    source_images: tuple[str, ...] = ()


R = TypeVar("R", bound=msgspec.Struct)


_BLOCK = 1 << 22
"""Bytes that are decoded at once: one call per block, not per line, makes reading three times as fast."""


class RecordFile(Generic[R]):
    """A JSONL file of records, absent files being empty.

    Args:
        path: the file.
        kind: what a line is.
        is_derived: it is written as a whole, so that an unfinished last line is damage. In the files that a run appends
            to, such a line is what an interrupted run leaves, and does not count.
    """

    def __init__(self, path: Path, kind: type[R], *, is_derived: bool = False) -> None:
        self.path = path
        self._is_derived = is_derived
        self._decoder = msgspec.json.Decoder(kind)
        self._kind = kind
        self._data: mmap.mmap | bytes = b""
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._pieces: dict[int, list[tuple[int, int]]] = {}
        self._counts: dict[int, int] = {}

    def read(self) -> Iterator[R]:
        """Every record, in order of the file.

        Raises:
            DataError: a line is not such a record.
        """
        for _, _, lines in self._blocks(self._decoder):
            yield from lines

    def index(self, rows: dict[RowKey, int], beyond: set[tuple[str, str]] | None = None) -> int:
        """Notes where each row's lines are, as pieces of the file; lines of other samples are passed over.

        Args:
            rows: number of each row.
            beyond: takes (benchmark, family of question) of every value outside 0 to 1; the family is the question's id
                up to the first `/`.

        Returns:
            Number of lines noted.

        Raises:
            DataError: a line has no key.
        """
        decoder = msgspec.json.Decoder(Keyed if beyond is None else Answered)
        current: int | None = None
        piece_start = piece_end = n = total = 0
        for start, ends, lines in self._blocks(decoder):
            for end, line in zip(ends, lines, strict=True):
                key = line.key
                row = rows.get((key.benchmark, key.prompt_id, key.gen_seed, key.index))
                if row != current:
                    self._note(current, piece_start, piece_end, n)
                    current, piece_start, n = row, start, 0
                start = piece_end = end
                if row is None:
                    continue
                n += 1
                total += 1
                if beyond is not None and line.value is not None and not 0.0 <= line.value <= 1.0:
                    beyond.add((key.benchmark, line.question_id.partition("/")[0]))
        self._note(current, piece_start, piece_end, n)
        return total

    def count(self, row: int) -> int:
        """Lines of a row, after `index`."""
        return self._counts.get(row, 0)

    def of(self, row: int) -> list[R]:
        """A row's records, in order of the file, after `index`.

        Raises:
            DataError: a line is not such a record.
        """
        found: list[R] = []
        for start, end in self._pieces.get(row, ()):
            found += self._lines(self._decoder, start, end)
        return found

    def close(self) -> None:
        """Unmaps the file."""
        if isinstance(self._data, mmap.mmap):
            self._data.close()
        self._data = b""

    def _note(self, row: int | None, start: int, end: int, n: int) -> None:
        if row is not None:
            self._pieces.setdefault(row, []).append((start, end))
            self._counts[row] = self._counts.get(row, 0) + n

    def _blocks(self, decoder: Any) -> Iterator[tuple[int, list[int], list[Any]]]:
        """Start of a block, where each of its lines ends, and the lines decoded."""
        data, start = self._data, 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + _BLOCK) + 1
            if end == 0:  # a line longer than a block, or the unfinished last one
                end = data.find(b"\n", start) + 1
                if end == 0:
                    if self._is_derived:
                        number = self._data[:start].count(b"\n") + 1
                        raise DataError(f"{self.path}, line {number}: the line is cut off. {self._advice}")
                    return
            ends = np.flatnonzero(np.frombuffer(data[start:end], np.uint8) == _LINE_END) + (start + 1)
            lines = self._lines(decoder, start, end)
            if len(lines) != len(ends):
                raise self._damaged(decoder, start, end)
            yield start, ends.tolist(), lines
            start = end

    def _lines(self, decoder: Any, start: int, end: int) -> list[Any]:
        try:
            found: list[Any] = decoder.decode_lines(self._data[start:end])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._damaged(decoder, start, end) from None
        return found

    def _damaged(self, decoder: Any, start: int, end: int) -> DataError:
        """The error that names the first line between `start` and `end` that cannot be decoded."""
        number, why = self._data[:start].count(b"\n"), "a blank line"
        for line in self._data[start:end].split(b"\n"):
            number += 1
            try:
                decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                why = str(error) if line.strip() else why
                break
        return DataError(
            f"{self.path}, line {number}: not a record of {self._kind.__name__.removesuffix('Line').lower()}s ({why}). "
            f"{self._advice}"
        )

    @property
    def _advice(self) -> str:
        if self._is_derived:
            return "Repeat the run's `eval` command, which writes the file anew."
        return "Restore the file, or repeat the run's `eval` command into a new directory."


def newest(judgements: list[JudgementLine]) -> list[JudgementLine]:
    """The last record of each id, in order of first appearance, without calls that were cut short."""
    last = {(j.id, j.key.round): j for j in judgements}
    members: dict[tuple[str, int], int] = {}
    for j in last.values():
        members[j.call_id, j.key.round] = members.get((j.call_id, j.key.round), 0) + 1
    return [j for j in last.values() if members[j.call_id, j.key.round] == j.call_size]
