"""The official data set, from a prepared copy or straight from the hub's Arrow files.

A prepared copy is `DATA_DIR/gedit` with `index.jsonl` (one row a line, in data set order, with the official column
names and the source image's place and sha256) and `images/SHA256.png`. Reading it needs no further package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.gedit.arrow import arrow_files, read_arrow
from benchmarks.gedit.images import decode, verified
from benchmarks.gedit.rows import Row, check_set, digest_of, parse_row
from harness.errors import DataError
from harness.images import ImageRef, is_inside, sha256

INDEX = "index.jsonl"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """All 1212 rows and a way to their source images."""

    rows: list[Row]
    images: dict[str, ImageRef]
    """By sha256."""

    @cached_property
    def sha256(self) -> str:
        """Of all rows and source images."""
        return digest_of(self.rows)

    def source(self, digest: str) -> ImageRef:
        """The source image with that sha256."""
        if digest not in self.images:
            raise DataError(f"GEdit-Bench: no source image with sha256 {digest} in the data set.")
        return self.images[digest]


def has_data(data_dir: Path | None) -> bool:
    """Whether the data folder holds a prepared copy (intact or not)."""
    return data_dir is not None and (data_dir / "gedit" / INDEX).is_file()


def load(data_dir: Path | None) -> DataSet:
    """The data set in a data folder.

    Raises:
        DataError: there is none, it is damaged (file, line, field) or incomplete, or it is Arrow and pyarrow is absent.
    """
    if data_dir is None:
        raise DataError("GEdit-Bench: no data folder is set. Run `run.py data prepare gedit`.")
    root = data_dir / "gedit"
    if (root / INDEX).is_file():
        return load_copy(root)
    files = arrow_files(root) if root.is_dir() else []
    if files:
        return load_arrow(files)
    raise DataError(
        f"GEdit-Bench: {root} holds neither {INDEX} nor Arrow files. Run `run.py data prepare gedit` (with --source "
        "DIR for a local copy of the hub's data set)."
    )


def load_copy(root: Path) -> DataSet:
    """A prepared copy; image files are checked by hash when they are opened.

    Raises:
        DataError: see `load`.
    """
    rows: list[Row] = []
    images: dict[str, ImageRef] = {}
    for where, raw in read_index(root / INDEX):
        path, digest = image_place(root, raw, where)
        rows.append(parse_row(raw, digest, where))
        images[digest] = ImageRef(digest, partial(verified, path, digest), path)
    check_set(rows, str(root / INDEX))
    absent = [str(i.file) for i in images.values() if i.file is None or not i.file.is_file()]
    if absent:
        raise DataError(
            f"{root}: {len(absent)} of {len(images)} source images are missing, e.g. {absent[0]}. "
            "Run `run.py data prepare gedit` again."
        )
    return DataSet(rows=rows, images=images)


def load_arrow(files: list[Path]) -> DataSet:
    """The hub's Arrow files; source images are kept as encoded bytes.

    Raises:
        DataError: see `load`.
    """
    rows: list[Row] = []
    images: dict[str, ImageRef] = {}
    for where, raw, data in read_arrow(files):
        digest = sha256(data)
        rows.append(parse_row(raw, digest, where))
        images[digest] = ImageRef(digest, partial(decode, data, where))
    check_set(rows, f"{len(files)} Arrow files in {files[0].parent}")
    return DataSet(rows=rows, images=images)


def read_index(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each line of an index.

    Raises:
        DataError: it cannot be read, or a line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}).") from None
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        where = f"{path}, line {number}"
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({error}).") from None
        if not isinstance(raw, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(raw).__name__}.")
        yield where, raw


def image_place(root: Path, raw: dict[str, Any], where: str) -> tuple[Path, str]:
    """(file, sha256) of an index row's source image.

    Raises:
        DataError: a field is missing, or the path leaves the folder.
    """
    path, digest = root / _text(raw, "image", where), _text(raw, "image_sha256", where)
    if not is_inside(root, path):
        raise DataError(f"{where}, field 'image': {raw['image']!r:.80} lies outside {root}.")
    return path, digest


def _text(raw: dict[str, Any], name: str, where: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}, field {name!r}: expected a text, got {value!r:.80}.")
    return value
