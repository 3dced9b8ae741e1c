"""The page as a folder: `index.html`, `page-data/`."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.images import write_atomic
from reports.page.catalogue import Catalogue, columns, read_catalogue
from reports.page.details import RunDetails
from reports.page.encode import data_script
from reports.page.overview import letters, overview_html
from reports.page.pictures import PER_SHEET, SHEET_COLUMNS, THUMB_PX, make_sheets
from reports.runs import Run

if TYPE_CHECKING:
    from reports.tables import Table

DATA = "page-data"
SCRIPTS = (
    "dom.js",
    "store.js",
    "filters.js",
    "route.js",
    "thumbs.js",
    "list.js",
    "questions.js",
    "detail.js",
    "toolbar.js",
    "keyboard.js",
    "main.js",
)
"""In the order in which they run; each adds its part to the global `UMM`."""
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
"""Scripts and images come from files beside the page only. `file:` stands beside 'self' because a page opened from the
file system has no origin of its own; inline scripts, other hosts and connections stay forbidden."""


@dataclass(slots=True)
class Details:
    """What `write_details` made for one run."""

    starts: list[int] = field(default_factory=list)
    """First row of each data file."""
    first: list[int] = field(default_factory=list)
    """Thumbnail of each row's first image; -1 where there is none."""
    sheets: list[str] = field(default_factory=list)


def write_folder(runs: Sequence[Run], out: Path, tables: Sequence[Table]) -> Path:
    """`write_page` without `embed`."""
    data = out / DATA
    data.mkdir(parents=True, exist_ok=True)
    with _without_cycle_search(), tempfile.TemporaryDirectory(dir=out, prefix=".page-") as name:
        catalogue = read_catalogue(runs)
        fresh = Path(name)
        parts = [write_details(run, i, catalogue, fresh, data) for i, run in enumerate(runs)]
        index = index_value(runs, catalogue, parts, [_base(run, out) for run in runs])
        (fresh / "index.js").write_bytes(data_script("index", index))
        (fresh / "app.js").write_text(static_code())
        (fresh / "page.css").write_text(static("page.css"))
        keep = {s for p in parts for s in p.sheets}
        _replace(data, fresh, keep)
    page = _page(runs, tables, catalogue)
    write_atomic(out / "index.html", page.encode())
    return out / "index.html"


@contextlib.contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Records hold no cycles, and searching millions of them for some took a fifth of the page's time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def write_details(run: Run, number: int, catalogue: Catalogue, fresh: Path, sheets: Path) -> Details:
    """Writes one run's data files into `fresh` and its thumbnails into `sheets`."""
    details = RunDetails(run, catalogue)
    try:
        pictures, first = details.pictures()
        made = make_sheets(pictures, sheets)
        result = Details(first=[_shown(p, made.sizes) for p in first], sheets=made.names)
        (fresh / f"texts-{number}.js").write_bytes(data_script(f"texts-{number}", details.texts()))
        for start, value in details.files(made.sizes, fresh):
            name = f"details-{number}-{len(result.starts)}"
            (fresh / f"{name}.js").write_bytes(data_script(name, value))
            result.starts.append(start)
    finally:
        details.close()
    return result


def index_value(
    runs: Sequence[Run], catalogue: Catalogue, parts: Sequence[Details], bases: Sequence[str]
) -> dict[str, Any]:
    """What the page's code reads first."""
    from reports.runs import differences_in_identity

    value = columns(catalogue, len(runs))
    for cells, part in zip(value["cells"], parts, strict=True):
        cells["thumb"] = part.first
    value["runs"] = [
        {
            "letter": letter,
            "name": run.name,
            "base": base,
            "starts": part.starts,
            "sheets": part.sheets,
            "gates": [_gate_judge(run, b) for b in catalogue.subjects],
            "judges": [str(run.block(b)["judge"]) if b in run.benchmarks else "" for b in catalogue.subjects],
        }
        for letter, run, base, part in zip(letters(len(runs)), runs, bases, parts, strict=True)
    ]
    value["thumbs"] = {"px": THUMB_PX, "columns": SHEET_COLUMNS, "per_sheet": PER_SHEET}
    value["incomparable"] = [
        [b, j]
        for b, name in enumerate(catalogue.subjects)
        for j, run in enumerate(runs)
        if name in runs[0].benchmarks and name in run.benchmarks and differences_in_identity(runs[0], run, name)
    ]
    return value


def _gate_judge(run: Run, benchmark: str) -> str:
    block = run.block(benchmark) if benchmark in run.benchmarks else {}
    return str((block.get("refinement") or {}).get("gate_judge") or "")


def static(name: str) -> str:
    """A file of `static/`."""
    return (resources.files("reports.page") / "static" / name).read_text("utf-8")


def static_code() -> str:
    """The page's code as one script."""
    return "".join(static(name) for name in SCRIPTS)


def title_of(runs: Sequence[Run]) -> str:
    """`GenEval, WISE: micro against other`, cut where there are many."""
    return " · ".join(run.name for run in runs[:4]) + (f" · {len(runs) - 4} more" if len(runs) > 4 else "")


def fill(template: str, **parts: str) -> str:
    """The template with `{{name}}` replaced; what is filled in is not looked at again."""
    out = []
    for piece in template.split("{{"):
        name, closing, rest = piece.partition("}}")
        out.append(parts[name] + rest if closing else piece)
    return "".join(out)


def _page(runs: Sequence[Run], tables: Sequence[Table], catalogue: Catalogue) -> str:
    return fill(
        static("page.html"),
        policy=POLICY,
        title=escape(title_of(runs)),
        style=f'<link rel="stylesheet" href="{DATA}/page.css">',
        overview=overview_html(runs, tables, ()),
        n_rows=f"{len(catalogue.rows):,}",
        data="",
        script=f'<script src="{DATA}/app.js"></script>\n<script src="{DATA}/index.js"></script>',
    )


def _base(run: Run, out: Path) -> str:
    """The run directory as seen from the page."""
    relative = os.path.relpath(run.path.resolve(), out.resolve())
    return "/".join(quote(part, safe="") for part in Path(relative).parts)


def _shown(place: int, sizes: Sequence[tuple[int, int]]) -> int:
    return place if place >= 0 and sizes[place] != (0, 0) else -1


def _replace(data: Path, fresh: Path, sheets: set[str]) -> None:
    """Moves the new files in and takes files of an earlier page out; nothing else in the folder is touched."""
    names = {f.name for f in fresh.iterdir()}
    for file in fresh.iterdir():
        shutil.move(file, data / file.name)
    for pattern in ("details-*-*.js", "texts-*.js", "source-*.webp", "thumbs-*.webp"):
        for file in data.glob(pattern):
            if file.name not in names and file.name not in sheets:
                file.unlink()
