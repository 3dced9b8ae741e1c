"""The hub's Arrow files; the only module that needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gedit.lock import shipped_lock
from harness.errors import DataError

INSTALL = "Install it with `pip install pyarrow`, or use a copy that `run.py data prepare gedit` made elsewhere"


def arrow_files(root: Path) -> list[Path]:
    """The Arrow files below a folder (a hub snapshot, or what `save_to_disk` wrote), sorted by path."""
    return sorted(p for p in root.rglob("*.arrow") if p.is_file() and not p.name.startswith("cache-"))


def read_arrow(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """(place, the row's plain columns, bytes of its source image), in file and row order; files are mapped, not read.

    Raises:
        DataError: pyarrow is absent, a file is no Arrow file or lacks a column, or an image is not embedded.
    """
    pyarrow = _pyarrow()
    columns = shipped_lock().columns
    for file in files:
        table = _table(pyarrow, file)
        absent = [c for c in columns if c not in table.column_names]
        if absent:
            raise DataError(
                f"{file}: no column {', '.join(absent)}. Columns there: {', '.join(table.column_names)}. "
                f"Expected the data set {shipped_lock().dataset}."
            )
        for number in range(table.num_rows):
            where = f"{file.name}, row {number}"
            row = {c: table.column(c)[number].as_py() for c in columns if c != "input_image"}
            yield where, row, image_bytes(table.column("input_image")[number].as_py(), where)


def image_bytes(cell: Any, where: str) -> bytes:
    """The bytes in a cell of an image column, which holds `{"bytes": ..., "path": ...}`.

    Raises:
        DataError: it holds only a path, or is of another kind.
    """
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise DataError(f"{where}, field 'input_image': expected embedded image bytes, got {cell!r:.80}.")
    return data


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise DataError(f"GEdit-Bench: reading Arrow files needs pyarrow. {INSTALL}.") from None
    return pyarrow


def _table(pyarrow: Any, file: Path) -> Any:
    """The hub's files are Arrow streams; files in the random-access format are taken too."""
    try:
        source = pyarrow.memory_map(str(file))
        try:
            return pyarrow.ipc.open_stream(source).read_all()
        except pyarrow.ArrowInvalid:
            return pyarrow.ipc.open_file(pyarrow.memory_map(str(file))).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a readable Arrow file ({error}). Fetch it again.") from None
