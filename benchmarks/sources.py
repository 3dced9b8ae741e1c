"""Reading result files from a file, a folder or an archive, without writing anything to disk.

Archive members are read in memory and never extracted, so none can leave its folder; links and devices are skipped and
sizes are limited by the bytes actually unpacked.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import DataError

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
MAX_FILE_BYTES = 256 * 2**20
MAX_TOTAL_BYTES = 2**30
MAX_MEMBERS = 200_000


@dataclass(frozen=True, slots=True)
class File:
    """One result file, unpacked."""

    path: PurePosixPath
    """Relative to the source; of a single file, its name below its parent folder's name."""
    where: str
    """For messages."""
    data: bytes

    @property
    def stem(self) -> str:
        """File name without `.gz` and without the last suffix before it."""
        name = strip_suffix(self.path.name, (".gz",))
        return name.rpartition(".")[0] or name


def read_files(source: Path, suffixes: tuple[str, ...]) -> list[File]:
    """The files of `source` that may hold results (by suffix), sorted by path.

    Args:
        source: one such file, a folder, or a tar or zip archive.
        suffixes: lower-case endings, e.g. `(".jsonl",)`; each is taken with `.gz` behind it too, and unpacked.

    Raises:
        DataError: nothing there, an unknown kind of file, a damaged archive, a member path that leaves the archive, or
            more bytes or members than the limits.
    """
    suffixes = (*suffixes, *(f"{s}.gz" for s in suffixes))
    if source.is_dir():
        files = list(_from_folder(source, suffixes))
    elif not source.is_file():
        raise DataError(f"{source}: no such file or folder.")
    elif source.name.lower().endswith(ARCHIVES):
        files = list(_from_archive(source, suffixes))
    elif source.name.lower().endswith(suffixes):
        path = PurePosixPath(source.absolute().parent.name or ".", source.name)
        files = [File(path, str(source), _unpack(source.name, _read(source), str(source)))]
    else:
        raise DataError(f"{source}: not a kind of result file; expected {', '.join(suffixes + ARCHIVES)} or a folder.")
    total = sum(len(f.data) for f in files)
    if total > MAX_TOTAL_BYTES:
        raise DataError(f"{source}: result files hold {total:,} bytes, the limit is {MAX_TOTAL_BYTES:,}.")
    return sorted(files, key=lambda f: f.path)


def strip_suffix(name: str, suffixes: tuple[str, ...]) -> str:
    """`name` without the longest of `suffixes` that it ends with."""
    for suffix in sorted(suffixes, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _from_folder(root: Path, suffixes: tuple[str, ...]) -> Iterator[File]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if _is_result(name, suffixes) and path.is_file():
                yield File(
                    PurePosixPath(path.relative_to(root).as_posix()), str(path), _unpack(name, _read(path), str(path))
                )


def _from_archive(source: Path, suffixes: tuple[str, ...]) -> Iterator[File]:
    try:
        members = _from_zip(source, suffixes) if source.name.lower().endswith(".zip") else _from_tar(source, suffixes)
        total = 0
        for name, data in members:
            where = f"{source}: {name}"
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise DataError(f"{where}: the member's path leaves the archive; refusing the archive.")
            unpacked = _unpack(path.name, data, where)
            total += len(unpacked)
            if total > MAX_TOTAL_BYTES:
                raise DataError(f"{source}: result files hold more than {MAX_TOTAL_BYTES:,} bytes.")
            yield File(path, where, unpacked)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise DataError(f"{source}: damaged or unreadable archive ({error}).") from None


def _from_tar(source: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(source) as archive:
        for number, member in enumerate(archive):
            wanted = _is_result(member.name, suffixes)
            _check_member(source, number, member.name, member.size if wanted else 0)
            if member.isfile() and wanted:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield member.name, _limited(stream, f"{source}: {member.name}")


def _from_zip(source: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for number, info in enumerate(archive.infolist()):
            wanted = _is_result(info.filename, suffixes)
            _check_member(source, number, info.filename, info.file_size if wanted else 0)
            if not info.is_dir() and wanted:
                with archive.open(info) as stream:
                    yield info.filename, _limited(stream, f"{source}: {info.filename}")


def _check_member(source: Path, number: int, name: str, size: int) -> None:
    if number >= MAX_MEMBERS:
        raise DataError(f"{source}: more than {MAX_MEMBERS:,} members.")
    if size > MAX_FILE_BYTES:
        raise DataError(f"{source}: {name}: {size:,} bytes, the limit is {MAX_FILE_BYTES:,}.")


def _is_result(name: str, suffixes: tuple[str, ...]) -> bool:
    """By suffix; hidden files and folders (such as the `._*` shadows in archives made on a Mac) do not count."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return name.lower().endswith(suffixes) and not any(p.startswith("__MACOSX") or _is_hidden(p) for p in parts)


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part not in (".", "..")


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return _limited(stream, str(path))


def _unpack(name: str, data: bytes, where: str) -> bytes:
    if not name.lower().endswith(".gz"):
        return data
    try:
        return _limited(gzip.GzipFile(fileobj=io.BytesIO(data)), where)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{where}: damaged or cut gzip file ({error}).") from None


def _limited(stream: object, where: str) -> bytes:
    data: bytes = stream.read(MAX_FILE_BYTES + 1)  # type: ignore[attr-defined]
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"{where}: more than {MAX_FILE_BYTES:,} bytes unpacked.")
    return data
