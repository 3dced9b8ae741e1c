"""Thumbnails as sprite sheets, and source images, which a run directory does not hold.

A sheet is named by what is on it, so a page that is written again decodes only new images.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from harness import images
from harness.errors import HarnessError

THUMB_PX = 96
SHEET_COLUMNS = 8
PER_SHEET = SHEET_COLUMNS**2
_QUALITY = 80
_SIZES_FILE = "sheets.json"
_VERSION = f"2:{THUMB_PX}:{SHEET_COLUMNS}:{_QUALITY}"


@dataclass(frozen=True, slots=True)
class Picture:
    """One generated image."""

    file: Path
    sha256: str


@dataclass(slots=True)
class Sheets:
    """Finished sheets."""

    names: list[str]
    """File names, `PER_SHEET` pictures on each but the last."""
    sizes: list[tuple[int, int]]
    """Width and height of each picture in pixels; (0, 0) where it cannot be read."""


def make_sheets(pictures: Sequence[Picture], folder: Path) -> Sheets:
    """Writes what is not there yet; a picture that cannot be read leaves its place empty.

    Args:
        pictures: in the order of the page.
        folder: of the sheets.
    """
    groups = [pictures[i : i + PER_SHEET] for i in range(0, len(pictures), PER_SHEET)]
    known = _known(folder)
    names = [_name(g) for g in groups]
    todo = {n: g for n, g in zip(names, groups, strict=True) if n not in known or not (folder / n).is_file()}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, sizes in zip(
            todo, pool.map(lambda item: _write(folder / item[0], item[1]), todo.items()), strict=True
        ):
            known[name] = sizes
    kept = {n: sizes for n, sizes in known.items() if (folder / n).is_file()}  # also those of other runs
    images.write_atomic(folder / _SIZES_FILE, json.dumps(kept).encode())
    return Sheets(names, [(s[0], s[1]) for n in names for s in known[n]])


def _known(folder: Path) -> dict[str, list[list[int]]]:
    try:
        found: dict[str, list[list[int]]] = json.loads((folder / _SIZES_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _name(group: Sequence[Picture]) -> str:
    content = "\n".join([_VERSION, *(p.sha256 or str(p.file) for p in group)])
    return f"thumbs-{hashlib.sha256(content.encode()).hexdigest()[:16]}.webp"


def _write(path: Path, group: Sequence[Picture]) -> list[list[int]]:
    rows = -(-len(group) // SHEET_COLUMNS)
    sheet = Image.new("RGBA", (SHEET_COLUMNS * THUMB_PX, rows * THUMB_PX))
    sizes = []
    for i, picture in enumerate(group):
        try:
            image = images.load(picture.file)
        except HarnessError:
            sizes.append([0, 0])
            continue
        sizes.append([image.width, image.height])
        small = fitted(image, THUMB_PX)
        left = (i % SHEET_COLUMNS) * THUMB_PX + (THUMB_PX - small.width) // 2
        sheet.paste(small, (left, (i // SHEET_COLUMNS) * THUMB_PX + (THUMB_PX - small.height) // 2))
    images.write_atomic(path, webp(sheet))
    return sizes


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The image with its longer side `size` px, as RGB: small ones by whole factors with hard edges."""
    picture = image.convert("RGB")
    longest = max(picture.size)
    if longest <= size:
        factor = size // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((size, size), Image.Resampling.BOX if longest > 4 * size else Image.Resampling.LANCZOS)
    return picture


def webp(image: Image.Image, quality: int = _QUALITY) -> bytes:
    """WebP bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=2)
    return buffer.getvalue()


def write_source(ref: Any, folder: Path) -> tuple[str, int, int]:
    """Writes a source image next to the page, at most 1024 px; returns file name, width and height.

    Raises:
        HarnessError: the image cannot be read.
    """
    name = f"source-{hashlib.sha256(str(ref.id).encode()).hexdigest()[:16]}.webp"
    image = ref.load()
    if not (folder / name).is_file():
        picture = image.convert("RGB")
        picture.thumbnail((1024, 1024))
        buffer = io.BytesIO()
        picture.save(buffer, format="WEBP", quality=90, lossless=max(picture.size) <= 128, method=2)
        images.write_atomic(folder / name, buffer.getvalue())
    return name, image.width, image.height
