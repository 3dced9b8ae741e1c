"""A run directory: append-only records, atomic files, one writer, resume.

A record is one JSON line. Lines are only ever appended, so stopping at any moment loses at most the last, torn line,
which the next writer cuts off. The records of one judge call are written together and carry the call's size: a call
of which only a part reached the disk is asked again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import msgspec

from harness import images
from harness.errors import StoreError
from harness.types import Generation, Judgement, SampleKey

R = TypeVar("R")


def _os_error(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{path}: the disk is full. Everything finished is stored; free space and repeat the command."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"{path}: not writable ({error.strerror}). Choose another directory with -o DIR.")
    return StoreError(f"{path}: {error.strerror or error}.")


class RecordLog(Generic[R]):
    """One JSONL file of records of one type.

    Args:
        path: the file; created on the first append.
        kind: dataclass of the records.
        writable: cut a torn last line off now; readers only skip it.
    """

    def __init__(self, path: Path, kind: type[R], *, writable: bool) -> None:
        self.path = path
        self._kind = kind
        self._encoder = msgspec.json.Encoder()
        self._fd: int | None = None
        self._lock = threading.Lock()
        self.dropped_bytes = self._cut_torn_tail() if writable else 0

    def _cut_torn_tail(self) -> int:
        """Bytes of a last line without a line end, removed from the file."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise _os_error(self.path, error) from error
        keep = data.rfind(b"\n") + 1
        if keep < len(data):
            try:
                os.truncate(self.path, keep)
            except OSError as error:
                raise _os_error(self.path, error) from error
        return len(data) - keep

    def read(self) -> Iterator[R]:
        """All records in file order; a torn last line is skipped.

        Raises:
            StoreError: a complete line that is not a record (file and line are named).
        """
        decoder = msgspec.json.Decoder(self._kind)
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise StoreError(
                    f"{self.path}, line {number}: not a {self._kind.__name__} record ({error}). The file was changed "
                    "by something else; remove the line or restore the file."
                ) from None

    def append(self, records: Sequence[R]) -> None:
        """Appends the records with one write.

        Raises:
            StoreError: the disk is full or the file not writable; the file is left as it was before.
        """
        data = b"".join(self._encoder.encode(r) + b"\n" for r in records)
        with self._lock:
            try:
                if self._fd is None:
                    self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
                before = os.fstat(self._fd).st_size
                view = memoryview(data)
                try:
                    while view:
                        view = view[os.write(self._fd, view) :]
                except OSError:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._fd, before)
                    raise
            except OSError as error:
                raise _os_error(self.path, error) from error

    def close(self) -> None:
        """Flushes to the disk and closes."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = None


class RunDirectory:
    """A run directory opened for reading or (one process at a time) for writing.

    Args:
        path: the directory; created when `writable`.
        writable: take the lock and repair a torn tail.

    Raises:
        StoreError: not writable, or another process holds the lock (who is named).
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._lock_file: Any = None
        if writable:
            try:
                path.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            except OSError as error:
                raise _os_error(path, error) from error
        elif not path.is_dir():
            raise StoreError(f"{path}: no such run directory.")
        self.generations: RecordLog[Generation] = RecordLog(path / "generations.jsonl", Generation, writable=writable)
        self.judgements: RecordLog[Judgement] = RecordLog(path / "judgements.jsonl", Judgement, writable=writable)

    def _take_lock(self) -> None:
        lock = (self.path / ".lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise StoreError(
                f"{self.path}: in use by {holder}. Wait for it, stop it, or choose another directory with -o DIR."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        lock.flush()
        self._lock_file = lock

    def load_generations(self) -> dict[str, Generation]:
        """The newest record of each generation id, in order of first appearance."""
        return {g.id: g for g in self.generations.read()}

    def load_judgements(self) -> dict[tuple[str, SampleKey], Judgement]:
        """The newest record of each (judgement id, sample); records of calls that were cut short are left out."""
        found: dict[tuple[str, SampleKey], Judgement] = {}
        members: dict[str, set[str]] = {}
        for judgement in self.judgements.read():
            found[judgement.id, judgement.key] = judgement
            members.setdefault(judgement.call_id, set()).add(judgement.id)
        return {k: j for k, j in found.items() if len(members[j.call_id]) == j.call_size}

    def image_path(self, generation: Generation) -> Path:
        """Absolute path of a generation's image.

        Raises:
            StoreError: the record names a path outside the run directory.
        """
        relative = PurePosixPath(generation.image)
        if relative.is_absolute() or ".." in relative.parts or "\\" in generation.image:
            raise StoreError(
                f"{self.path}: generation {generation.id} names an image outside the run: {generation.image!r}."
            )
        return self.path / relative

    def write_image(self, relative: str, data: bytes) -> str:
        """Stores image bytes atomically; returns their sha256."""
        try:
            images.write_atomic(self.path / relative, data)
        except OSError as error:
            raise _os_error(self.path / relative, error) from error
        return images.sha256(data)

    def adopt_image(self, relative: str, file: Path) -> str:
        """Copies an existing image file into the run, byte for byte; returns its sha256."""
        try:
            data = file.read_bytes()
        except OSError as error:
            raise _os_error(file, error) from error
        return self.write_image(relative, data)

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file, whole or absent."""
        data = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        self.write_file(name, data)

    def write_file(self, name: str, data: bytes) -> None:
        """Any derived file, whole or absent."""
        try:
            images.write_atomic(self.path / name, data)
        except OSError as error:
            raise _os_error(self.path / name, error) from error

    def write_records(self, name: str, records: Iterable[Any]) -> None:
        """A derived JSONL file, written anew."""
        encoder = msgspec.json.Encoder()
        self.write_file(name, b"".join(encoder.encode(r) + b"\n" for r in records))

    def read_json(self, name: str) -> Any:
        """The value in a JSON file, or None when there is none.

        Raises:
            StoreError: the file is not JSON.
        """
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreError(f"{self.path / name}: not valid JSON ({error}).") from None

    def log(self, event: str, **fields: Any) -> None:
        """Appends an event with its time to log.jsonl."""
        line = json.dumps({"time": time.time(), "event": event, **fields}, ensure_ascii=False, default=str)
        try:
            with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise _os_error(self.path / "log.jsonl", error) from error

    def close(self) -> None:
        """Closes the record files and releases the lock."""
        self.generations.close()
        self.judgements.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
