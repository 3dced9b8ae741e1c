"""Downloads that continue: bytes arrive in a `.part` file, which the next start of the command goes on with.

The caller says which content is acceptable; a continued file that turns out wrong is fetched once more from its start.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data.lock import Package, Source
from benchmarks.sources import MAX_FILE_BYTES
from harness import __version__
from harness.errors import DataError
from harness.progress import Progress, Silent

_CHUNK = 1 << 16
_LARGE = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Addresses that the locks' repositories, revisions and paths are appended to."""

    raw: str = "https://raw.githubusercontent.com"
    archive: str = "https://codeload.github.com"
    packages: str = "https://files.pythonhosted.org/packages"
    media: str = "https://media.githubusercontent.com/media"

    def file(self, source: Source, path: str, *, lfs: bool = False) -> str:
        """Address of one file at the pinned revision; with `lfs`, of the content behind a pointer."""
        return f"{self.media if lfs else self.raw}/{source.repository}/{source.revision}/{urllib.parse.quote(path)}"

    def tarball(self, source: Source) -> str:
        """Address of the whole repository at the pinned revision."""
        return f"{self.archive}/{source.repository}/tar.gz/{source.revision}"

    def wheel(self, package: Package) -> str:
        """Address of a wheel."""
        return f"{self.packages}/{package.path}"


class _TransportError(Exception):
    """A fault that another attempt may not meet."""


def download(
    url: str,
    part: Path,
    *,
    accepts: Callable[[bytes], bool],
    limit: int = MAX_FILE_BYTES,
    progress: Progress | None = None,
    attempts: int = 4,
    wait: Callable[[float], None] = time.sleep,
) -> bytes:
    """The content at an address.

    Args:
        url: http or https.
        part: where the bytes are collected; continued if it exists, removed when the content is complete.
        accepts: whether the content is the wanted one.
        limit: most bytes to take.
        progress: sees large files in KiB.
        attempts: how often transport faults are met before giving up, with growing waits between them.
        wait: called with the seconds to wait.

    Returns:
        The accepted content, or, where it stays unacceptable after a download from the start, that content: the caller
        names the difference.

    Raises:
        DataError: the server refuses, or faults go on; what arrived stays in `part`.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        resumed = part.is_file() and part.stat().st_size > 0
        if not (resumed and accepts(part.read_bytes())):
            _with_retries(url, part, limit, progress or Silent(), attempts, wait)
        data = part.read_bytes()
        good = accepts(data)
        if good or not resumed:
            part.unlink()
            return data
        part.unlink()


def _with_retries(
    url: str, part: Path, limit: int, progress: Progress, attempts: int, wait: Callable[[float], None]
) -> None:
    for attempt in range(1, attempts + 1):
        try:
            _transfer(url, part, limit, progress)
            return
        except _TransportError as error:
            if attempt == attempts:
                size = part.stat().st_size if part.is_file() else 0
                raise DataError(
                    f"{url}: {error} ({attempts} attempts; {size:,} bytes are kept in {part}). Repeat the command to "
                    "continue, or use --source with a local copy."
                ) from None
        wait(min(2.0**attempt, 30.0))


def _transfer(url: str, part: Path, limit: int, progress: Progress) -> None:
    """Appends to `part` what is missing; starts anew where the server does not continue."""
    offset = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"ummbench/{__version__}", **({"Range": f"bytes={offset}-"} if offset else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as response:
            if not (response.status == 206 and _starts_at(response, offset)):
                offset = 0
            _copy(response, part, offset, limit, progress, url)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return  # nothing is left to fetch: the content decides whether the part is whole
        if error.code == 429 or error.code >= 500:
            raise _TransportError(f"HTTP {error.code} {error.reason}") from None
        raise DataError(
            f"{url}: HTTP {error.code} {error.reason}. If upstream removed it, use --source with a local copy."
        ) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _TransportError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return (response.getheader("Content-Range") or "").startswith(f"bytes {offset}-")


def _copy(
    response: http.client.HTTPResponse, part: Path, offset: int, limit: int, progress: Progress, url: str
) -> None:
    length = response.getheader("Content-Length")
    expected = offset + int(length) if length and length.isdigit() else None
    size = offset
    stage = f"{part.name.removesuffix('.part')} (KiB)"
    is_large = expected is not None and expected > _LARGE
    if is_large:
        progress.start(stage, (expected or 0) >> 10, offset >> 10)
    with part.open("ab" if offset else "wb") as out:
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                out.close()
                part.unlink()
                raise DataError(f"{url}: more than {limit:,} bytes; this is not the pinned file.")
            out.write(chunk)
            if is_large:
                progress.advance(stage, (size >> 10) - ((size - len(chunk)) >> 10))
    if expected is not None and size < expected:
        raise _TransportError(f"the connection ended after {size:,} of {expected:,} bytes")
