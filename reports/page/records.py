"""Record files of a run, read in two passes: where each sample's lines are, then the lines of a few samples at a time.

A million judgements do not fit into memory as objects and need not: the first pass keeps four numbers per line, the
second decodes the lines of one data file of the page.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

RowKey = tuple[str, str, int, int]
"""(benchmark, prompt id, gen_seed, index): what the images of several runs and rounds have in common."""


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


class RecordFile(Generic[R]):
    """A JSONL file of records, absent files being empty; the last line counts only when it is finished.

    Args:
        path: the file.
        kind: what a line is.
    """

    def __init__(self, path: Path, kind: type[R]) -> None:
        self.path = path
        self._decoder = msgspec.json.Decoder(kind)
        self._keys = msgspec.json.Decoder(Keyed)
        self._kind = kind
        self._data: mmap.mmap | bytes = b""
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._starts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._ends: NDArray[np.int64] = np.zeros(0, np.int64)
        self._bounds: NDArray[np.int64] = np.zeros(1, np.int64)

    def read(self) -> Iterator[R]:
        """Every record, in order of the file.

        Raises:
            DataError: a line is not such a record.
        """
        for number, (start, end) in enumerate(self._lines(), start=1):
            yield self._decode(self._decoder, start, end, number)

    def index(self, rows: dict[RowKey, int], peek: Callable[[Answered], None] | None = None) -> int:
        """Notes where each row's lines are; lines of other samples are passed over.

        Args:
            rows: number of each row.
            peek: is shown every line that counts.

        Returns:
            Number of lines noted.
        """
        starts, ends, owner = [], [], []
        decoder = self._keys if peek is None else msgspec.json.Decoder(Answered)
        for number, (start, end) in enumerate(self._lines(), start=1):
            line = self._decode(decoder, start, end, number)
            row = rows.get(line.key.row)
            if row is not None:
                if peek is not None:
                    peek(line)
                starts.append(start)
                ends.append(end)
                owner.append(row)
        order = np.argsort(np.asarray(owner, np.int64), kind="stable")
        self._starts, self._ends = np.asarray(starts, np.int64)[order], np.asarray(ends, np.int64)[order]
        counts = np.bincount(np.asarray(owner, np.int64), minlength=len(rows)) if owner else np.zeros(len(rows), int)
        self._bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return len(owner)

    def count(self, row: int) -> int:
        """Lines of a row, after `index`."""
        return int(self._bounds[row + 1] - self._bounds[row])

    def of(self, row: int) -> list[R]:
        """A row's records, in order of the file, after `index`."""
        low, high = int(self._bounds[row]), int(self._bounds[row + 1])
        return [self._decode(self._decoder, int(self._starts[i]), int(self._ends[i]), None) for i in range(low, high)]

    def close(self) -> None:
        """Unmaps the file."""
        if isinstance(self._data, mmap.mmap):
            self._data.close()
        self._data = b""

    def _lines(self) -> Iterator[tuple[int, int]]:
        start, find = 0, self._data.find
        while (end := find(b"\n", start)) >= 0:
            if end > start:
                yield start, end
            start = end + 1

    def _decode(self, decoder: Any, start: int, end: int, number: int | None) -> Any:
        try:
            return decoder.decode(self._data[start:end])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number is None:
                number = self._data[:start].count(b"\n") + 1
            raise DataError(
                f"{self.path}, line {number}: not a record of {self._kind.__name__.removesuffix('Line').lower()}s "
                f"({error}). Restore the file, or repeat the run's `eval` command into a new directory."
            ) from None


def newest(judgements: list[JudgementLine]) -> list[JudgementLine]:
    """The last record of each id, in order of first appearance, without calls that were cut short."""
    last = {(j.id, j.key.round): j for j in judgements}
    members: dict[tuple[str, int], int] = {}
    for j in last.values():
        members[j.call_id, j.key.round] = members.get((j.call_id, j.key.round), 0) + 1
    return [j for j in last.values() if members[j.call_id, j.key.round] == j.call_size]
