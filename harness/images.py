"""Decoding, encoding and hashing of images, with limits that keep hostile files out."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from harness.errors import DataError

MAX_PIXELS = 64_000_000
"""Larger pictures are refused before they are decoded (a decompression bomb is small on disk)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def load(path: Path) -> Image.Image:
    """The first frame of an image file, decoded, in its own mode.

    Raises:
        DataError: missing, not an image, truncated, or more than `MAX_PIXELS`.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path}: {image.width}x{image.height} pixels, the limit is {MAX_PIXELS:,}.")
            image.load()
            return image.copy()
    except FileNotFoundError:
        raise DataError(f"{path}: no such image.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path}: not an image (expected {', '.join(SUFFIXES)}).") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be decoded ({error}).") from None


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image by content: its id is known without decoding, so finished work is recognised without touching pixels."""

    id: str
    """sha256 of the file's bytes (or of the pixels), plus the names of the changes made since."""
    load: Callable[[], Image.Image]
    """Decodes; raises DataError when the file is damaged."""
    file: Path | None = None
    """The unchanged file, where there is one: some judges are sent its bytes."""

    def derive(self, name: str, change: Callable[[Image.Image], Image.Image]) -> ImageRef:
        """The image after a named, deterministic change (a crop, a resize)."""
        return ImageRef(f"{self.id}:{name}", lambda: change(self.load()))


def ref_of_file(path: Path, digest: str | None = None) -> ImageRef:
    """A reference to an image file; `digest` is its sha256 where that is known already."""
    try:
        return ImageRef(digest or sha256(path.read_bytes()), lambda: load(path), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def ref_of_image(image: Image.Image) -> ImageRef:
    """A reference to an image in memory."""
    return ImageRef(sha256(f"{image.mode}{image.size}".encode() + image.tobytes()), lambda: image)


def png_bytes(image: Image.Image) -> bytes:
    """PNG encoding; the same pixels give the same bytes with the same library versions."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or absent, whenever the process stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_inside(root: Path, path: Path) -> bool:
    """Whether `path`, links resolved, lies in `root`."""
    return path.resolve().is_relative_to(root.resolve())
