"""The page as one file below 50 MB: code, data, thumbnails and downscaled images inside, and a list of what is not."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from harness import images
from harness.errors import HarnessError
from harness.images import write_atomic
from reports.page.build import Details, fill, index_value, static, static_code, title_of
from reports.page.catalogue import Catalogue, read_catalogue
from reports.page.details import RunDetails
from reports.page.encode import csp_hash, packed
from reports.page.overview import overview_html
from reports.page.pictures import PER_SHEET, Picture, make_sheets
from reports.runs import Run

if TYPE_CHECKING:
    from reports.tables import Table

MOST_BYTES = 49_000_000
_SHARES = {"thumbs": 0.5, "details": 0.6}
"""Thumbnails may first fill this share of what is left beside the list, details that share of what is left then. Larger
images take the rest, and thumbnails what these leave."""
_WIDTHS = (512, 384, 256, 192)
"""Longer side of the larger images in pixels; the first at which all of them are expected to fit."""
_N_PROBES = 24


@dataclass(slots=True)
class Contents:
    """What goes into the file."""

    blocks: dict[str, str] = field(default_factory=dict)
    """Data blocks by name, packed."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Base64 by name: sheets, sources, images."""
    size: int = 0
    notes: list[str] = field(default_factory=list)

    def add_block(self, name: str, text: str, limit: float) -> bool:
        """Takes the block in if it stays below the limit."""
        if self.size + len(text) > limit:
            return False
        self.blocks[name] = text
        self.size += len(text) + 100
        return True

    def add_picture(self, name: str, data: bytes, limit: float) -> bool:
        """Takes the picture in if it stays below the limit."""
        if name in self.pictures:
            return True
        text = base64.b64encode(data).decode()
        if self.size + len(text) > limit:
            return False
        self.pictures[name] = text
        self.size += len(text) + len(name) + 8
        return True


def write_single(runs: Sequence[Run], out: Path, tables: Sequence[Table], *, most_bytes: int = MOST_BYTES) -> Path:
    """`write_page` with `embed`; the file is smaller than `most_bytes`."""
    out.mkdir(parents=True, exist_ok=True)
    catalogue = read_catalogue(runs)
    contents = Contents()
    with tempfile.TemporaryDirectory(prefix="ummbench-page-") as name:
        _collect(runs, catalogue, contents, Path(name), most_bytes, tables)
    page = _page(runs, tables, catalogue, contents)
    write_atomic(out / "index.html", page.encode())
    return out / "index.html"


def _collect(
    runs: Sequence[Run], catalogue: Catalogue, contents: Contents, folder: Path, most: int, tables: Sequence[Table]
) -> None:
    readers = [RunDetails(run, catalogue) for run in runs]
    try:
        fixed = len(overview_html(runs, tables, ()).encode()) + len(static_code()) + len(static("page.css")) + 20_000
        parts, pictures, sizes = [], [], []
        for reader in readers:
            found, first = reader.pictures()
            made = make_sheets(found, folder)
            shown = [p if p >= 0 and made.sizes[p] != (0, 0) else -1 for p in first]
            parts.append(Details(first=shown, sheets=made.names))
            pictures.append(found)
            sizes.append(made.sizes)
        index = index_value(runs, catalogue, parts, [""] * len(runs))
        contents.size = fixed + len(packed(index))
        limit = contents.size + (most - contents.size) * _SHARES["thumbs"]
        _add_sheets(parts, contents, folder, limit)
        limit = contents.size + (most - contents.size) * _SHARES["details"]
        _add_details(index, readers, sizes, contents, folder, limit)
        _add_images(pictures, readers, contents, most)
        if missing := _add_sheets(parts, contents, folder, most):  # what the rest has left room for
            contents.notes.append(f"thumbnails of {missing:,} images")
        index["single"] = True
        contents.blocks = {"index": packed(index), **contents.blocks}
    finally:
        for reader in readers:
            reader.close()


def _add_sheets(parts: Sequence[Details], contents: Contents, folder: Path, limit: float) -> int:
    """Takes sheets in until the limit, the runs sharing it evenly; returns the number of images without thumbnail."""
    n_left_out = 0
    for run, part in enumerate(parts):
        share = contents.size + (limit - contents.size) / (len(parts) - run)
        fits = True
        for name in part.sheets:
            fits = fits and contents.add_picture(name, (folder / name).read_bytes(), share)
            n_left_out += 0 if name in contents.pictures else PER_SHEET
    return n_left_out


def _add_details(
    index: dict[str, Any],
    readers: Sequence[RunDetails],
    sizes: Sequence[Sequence[tuple[int, int]]],
    contents: Contents,
    folder: Path,
    limit: float,
) -> None:
    n_left_out = 0
    for run, reader in enumerate(readers):
        share = contents.size + (limit - contents.size) / (len(readers) - run)
        starts: list[int] = []
        for start, value in reader.files(sizes[run], folder):
            if not contents.add_block(f"details-{run}-{len(starts)}", packed(value), share):
                index["runs"][run]["left_out"] = len(starts)
                n_left_out += reader.n_rows - start
                starts.append(start)
                break
            starts.append(start)
            for name in _sources(value):
                contents.add_picture(name, (folder / name).read_bytes(), share)
        index["runs"][run]["starts"] = starts
        if not contents.add_block(f"texts-{run}", packed(reader.texts()), limit):
            contents.add_block(f"texts-{run}", packed([]), float("inf"))
            contents.notes.append(f"the search in reasoning texts of {reader.run.name}")
    if n_left_out:
        contents.notes.append(f"questions, answers and texts of {n_left_out:,} samples")


def _sources(value: dict[str, Any]) -> Iterator[str]:
    for entry in value["entries"]:
        for source in (entry or {}).get("sources", ()):
            if isinstance(source, list):
                yield source[0]


def _add_images(
    pictures: Sequence[Sequence[Picture]], readers: Sequence[RunDetails], contents: Contents, most: int
) -> None:
    """Larger images at the largest width at which all are expected to fit, else as many as do."""
    todo = [(run, p) for run, found in enumerate(pictures) for p in found]
    if not todo:
        return
    free = most - contents.size
    width = _WIDTHS[-1]
    for candidate in _WIDTHS:
        if _expected(todo, candidate) < free:
            width = candidate
            break
    n_left_out = 0
    is_smaller = False
    for place, (run, picture) in enumerate(todo):
        name = f"{run}/{picture.file.relative_to(readers[run].run.path).as_posix()}"
        found = None if name in contents.pictures else _encoded(picture, width)
        if found is None:
            continue
        data, cut = found
        is_smaller |= cut
        if not contents.add_picture(name, data, most):
            n_left_out = len(todo) - place
            break
    if is_smaller:
        contents.notes.append(f"originals (images are at most {width} px wide and high)")
    if n_left_out:
        contents.notes.append(f"images of {n_left_out:,} of {len(todo):,} samples beyond their thumbnails")


def _expected(todo: Sequence[tuple[int, Picture]], width: int) -> float:
    """Bytes of all images at this width, from a few that lie evenly among them."""
    n = min(_N_PROBES, len(todo))
    probes = [_encoded(todo[i * len(todo) // n][1], width) for i in range(n)]
    known = [len(p[0]) for p in probes if p is not None]
    return 1.1 * (4 / 3 * sum(known) / len(known) + 80) * len(todo) if known else 0.0


def _encoded(picture: Picture, width: int) -> tuple[bytes, bool] | None:
    """WebP bytes at most `width` px wide and high, and whether it was scaled down; None for an unreadable file."""
    try:
        image = images.load(picture.file).convert("RGB")
    except HarnessError:
        return None
    is_cut = max(image.size) > width
    if is_cut:
        image.thumbnail((width, width), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=78, lossless=max(image.size) <= 128, method=2)
    return buffer.getvalue(), is_cut


def _page(runs: Sequence[Run], tables: Sequence[Table], catalogue: Catalogue, contents: Contents) -> str:
    code, style = static_code(), static("page.css")
    policy = (
        f"default-src 'none'; script-src {csp_hash(code)}; style-src {csp_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    left_out = f"Left out of this single file: {'; '.join(contents.notes)}." if contents.notes else ""
    notes = [left_out or "This single file holds everything that the page of these runs shows."]
    blocks = [f'<script type="text/plain" id="data-{name}">{text}</script>' for name, text in contents.blocks.items()]
    # Names of image files come from records: their JSON is escaped like all data.
    pictures = json.dumps(contents.pictures).replace("<", "\\u003c").replace(">", "\\u003e")
    blocks.append(f'<script type="application/json" id="images">{pictures}</script>')
    return fill(
        static("page.html"),
        policy=policy,
        title=escape(title_of(runs)),
        style=f"<style>{style}</style>",
        overview=overview_html(runs, tables, notes),
        n_rows=f"{len(catalogue.rows):,}",
        data="\n".join(blocks),
        script=f"<script>{code}</script>",
    )
