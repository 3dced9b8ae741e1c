"""Files of a folder, a tar archive or a zip archive, read in memory: nothing is ever extracted to disk."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.errors import DataError

MAX_FILE_BYTES = 8 * 2**20
MAX_TOTAL_BYTES = 1024 * 2**20
MAX_FILES = 500_000


def read_files(source: Path, suffix: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Path and content of every regular file whose name ends with `suffix`, hidden ones left out, sorted by path.

    Paths start below `source`. Links are not followed out of a folder and are skipped in archives.

    Raises:
        DataError: no such source, neither folder nor tar nor zip, a damaged archive, or one beyond the size limits.
    """
    if source.is_dir():
        found = _of_folder(source, suffix)
    elif not source.is_file():
        raise DataError(f"{source}: no such file or folder.")
    elif zipfile.is_zipfile(source):
        found = _of_zip(source, suffix)
    else:
        found = _of_tar(source, suffix)
    return iter(sorted(found, key=lambda item: item[0].parts))


def _is_wanted(path: PurePosixPath, suffix: str, source: Path) -> bool:
    if ".." in path.parts or path.is_absolute():
        raise DataError(f"{source}: member {str(path)!r} points outside the archive; the file is not trustworthy.")
    return path.name.lower().endswith(suffix) and not any(p.startswith((".", "__MACOSX")) for p in path.parts)


class _Budget:
    """Counts files and bytes so that a small archive cannot fill the memory."""

    def __init__(self, source: Path) -> None:
        self._source, self._files, self._bytes = source, 0, 0

    def spend(self, name: str, size: int) -> None:
        self._files += 1
        self._bytes += size
        if size > MAX_FILE_BYTES:
            raise DataError(
                f"{self._source}: {name!r} has {size:,} bytes, expected at most {MAX_FILE_BYTES:,} in one record."
            )
        if self._files > MAX_FILES or self._bytes > MAX_TOTAL_BYTES:
            raise DataError(
                f"{self._source}: more than {MAX_FILES:,} files or {MAX_TOTAL_BYTES:,} bytes. Split it by model."
            )


def _of_folder(source: Path, suffix: str) -> list[tuple[PurePosixPath, bytes]]:
    budget, found = _Budget(source), []
    for file in source.rglob("*"):
        path = PurePosixPath(file.relative_to(source).as_posix())
        if _is_wanted(path, suffix, source) and file.is_file():
            budget.spend(str(path), file.stat().st_size)
            found.append((path, file.read_bytes()))
    return found


def _of_tar(source: Path, suffix: str) -> list[tuple[PurePosixPath, bytes]]:
    budget, found = _Budget(source), []
    try:
        with tarfile.open(source, "r:*") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isreg() or not _is_wanted(path, suffix, source):
                    continue
                budget.spend(member.name, member.size)
                stream = archive.extractfile(member)
                if stream is not None:
                    found.append((path, stream.read()))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{source}: not a readable folder, tar or zip archive ({error}). Fetch the file again."
        ) from None
    return found


def _of_zip(source: Path, suffix: str) -> list[tuple[PurePosixPath, bytes]]:
    budget, found = _Budget(source), []
    try:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                path = PurePosixPath(member.filename.replace("\\", "/"))
                if member.is_dir() or not _is_wanted(path, suffix, source):
                    continue
                budget.spend(member.filename, member.file_size)
                with archive.open(member) as stream:
                    found.append((path, stream.read(member.file_size + 1)))
    except (zipfile.BadZipFile, EOFError, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{source}: damaged or encrypted zip archive ({error}). Fetch the file again.") from None
    return found
