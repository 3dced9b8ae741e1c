"""Where a user's copy keeps a file: a checkout, a folder with some of its files (perhaps gzipped), or an archive.

A file is recognised by its name and its digest, so that the layout of the copy does not matter. Archives are read in
memory and never extracted.
"""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from benchmarks.sources import ARCHIVES, MAX_FILE_BYTES, read_files
from harness.errors import DataError

_ARCHIVES = (*ARCHIVES, ".whl")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be the wanted one."""

    path: PurePosixPath
    """In the copy, without `.gz`."""
    where: str
    """For messages."""
    read: Callable[[], bytes]
    """Its content, unpacked."""
    file: Path | None = None
    """Where it lies on disk as it is; None if packed."""


class Place:
    """One `--source`: a folder, an archive or a single file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def candidates(self, names: Iterable[str]) -> list[Candidate]:
        """Files called like one of `names` (paths count by their last part), unpacked ones first.

        Raises:
            DataError: an archive is damaged, or a member's path leaves it.
        """
        wanted = {PurePosixPath(n).name for n in names}
        loose = [c for name in wanted for c in self._loose.get(name, ())]
        return loose + [c for archive in self._archives for c in self._members(archive, wanted)]

    def texts_below(self, folder: str, suffix: str) -> dict[str, bytes]:
        """Name -> content of the files with a suffix that lie directly in `folder`, or in one called like it.

        Raises:
            DataError: as `candidates`.
        """
        ending = PurePosixPath(folder)
        groups: dict[PurePosixPath, list[Candidate]] = {}
        for found in (c for cs in self._loose.values() for c in cs if c.path.suffix == suffix):
            groups.setdefault(found.path.parent, []).append(found)
        for archive in self._archives if not any(_ends(g, ending) for g in groups) else ():
            for member in read_files(archive, (suffix,)):
                groups.setdefault(member.path.parent, []).append(_packed(member.path, member.where, member.data))
        best = max(groups, key=lambda g: common_tail(g, ending), default=None)
        if best is None or not _ends(best, ending):
            return {}
        return {c.path.name: c.read() for c in groups[best]}

    @cached_property
    def _loose(self) -> dict[str, list[Candidate]]:
        """Files on disk by name without `.gz`; hidden folders are passed by."""
        found: dict[str, list[Candidate]] = {}
        files = [self.root] if self.root.is_file() else list(_walk(self.root))
        for file in files:
            relative = PurePosixPath(file.name if file == self.root else file.relative_to(self.root).as_posix())
            if self.root.is_dir():
                relative = PurePosixPath(self.root.absolute().name, relative)
            if file.name.endswith(".gz") and not file.name.endswith(".tar.gz"):
                path = relative.with_name(file.name[:-3])
                found.setdefault(path.name, []).append(Candidate(path, str(file), partial(_unpacked, file)))
            else:
                candidate = Candidate(relative, str(file), partial(read_limited, file), file)
                found.setdefault(relative.name, []).append(candidate)
        return found

    @cached_property
    def _archives(self) -> list[Path]:
        """The source itself, or the archives directly in it and in its `data` folder."""
        if self.root.is_file():
            return [self.root] if self.root.name.lower().endswith(_ARCHIVES) else []
        folders = (self.root, self.root / "data")
        return [f for d in folders if d.is_dir() for f in sorted(d.iterdir()) if f.name.lower().endswith(_ARCHIVES)]

    def _members(self, archive: Path, wanted: set[str]) -> list[Candidate]:
        if archive.name.lower().endswith(".whl"):
            return _wheel_members(archive, wanted)
        files = read_files(archive, tuple(name.lower() for name in wanted))
        packed = [_packed(f.path, f.where, f.data) for f in files]
        return [c for c in packed if c.path.name in wanted]


def common_tail(a: PurePosixPath, b: PurePosixPath) -> int:
    """How many last parts two paths share."""
    n = 0
    for x, y in zip(reversed(a.parts), reversed(b.parts), strict=False):
        if x != y:
            break
        n += 1
    return n


def read_limited(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        DataError: it cannot be read, or is larger than any benchmark file.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes, the limit is {MAX_FILE_BYTES:,}.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _walk(root: Path) -> Iterable[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(folder, f) for f in sorted(files) if not f.startswith("."))


def _ends(path: PurePosixPath, ending: PurePosixPath) -> bool:
    """Whether a path is `ending` as far as both have parts."""
    return common_tail(path, ending) >= min(len(path.parts), len(ending.parts)) > 0


def _packed(path: PurePosixPath, where: str, data: bytes) -> Candidate:
    plain = path.with_name(path.name[:-3]) if path.name.endswith(".gz") else path
    return Candidate(plain, where, partial(bytes, data))


def _unpacked(file: Path) -> bytes:
    try:
        with gzip.open(file) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: damaged or cut gzip file ({error}).") from None
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"{file}: more than {MAX_FILE_BYTES:,} bytes unpacked.")
    return data


def _wheel_members(wheel: Path, wanted: set[str]) -> list[Candidate]:
    found = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                path = PurePosixPath(info.filename)
                if path.name in wanted and info.file_size <= MAX_FILE_BYTES:
                    with archive.open(info) as stream:
                        found.append(_packed(path, f"{wheel}: {path}", stream.read(MAX_FILE_BYTES)))
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{wheel}: damaged or unreadable wheel ({error}).") from None
    return found
