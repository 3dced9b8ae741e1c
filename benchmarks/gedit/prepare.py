"""Brings the official data into the data folder: rows and source images, and the judge prompts from a checkout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.gedit.arrow import arrow_files, read_arrow
from benchmarks.gedit.data import INDEX, image_place, read_index
from benchmarks.gedit.groups import LANGS, PAPER_INTERSECTION
from benchmarks.gedit.images import decode
from benchmarks.gedit.officialprompt import CACHE_NAME, extract, find_script, write_cache
from benchmarks.gedit.rows import Row, check_set, digest_of, parse_row
from harness.errors import DataError
from harness.images import sha256, write_atomic

Found = tuple[str, dict[str, Any], bytes]


def prepare(source: Path, data_dir: Path) -> list[str]:
    """Writes what `source` holds to `DATA_DIR/gedit`; safe to interrupt and to repeat.

    Args:
        source: a folder with the hub's Arrow files, a prepared copy, or an upstream checkout (judge prompts).
        data_dir: the folder of all benchmarks' data.

    Returns:
        One line per thing done.

    Raises:
        DataError: nothing is recognised, or something is damaged, incomplete or of an unknown version. The index is
            written last, so that an incomplete copy never looks complete.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder.")
    target = data_dir / "gedit"
    done = []
    found = _rows_in(source)
    if found is not None:
        done += _write_rows(found, target, str(source))
    script = find_script(source)
    if script is not None:
        write_cache(extract(script), target / CACHE_NAME)
        done.append(f"judge prompts of {script.name} -> {target / CACHE_NAME}")
    if not done:
        raise DataError(
            f"{source}: neither Arrow files of the data set nor a prepared copy ({INDEX}) nor an upstream checkout "
            "with the judge prompts (vie_prompts.py)."
        )
    return done


def _rows_in(source: Path) -> Iterable[Found] | None:
    if not source.is_dir():
        return None
    if (source / INDEX).is_file():
        return _copied_rows(source)
    files = arrow_files(source)
    return read_arrow(files) if files else None


def _copied_rows(root: Path) -> Iterable[Found]:
    for where, raw in read_index(root / INDEX):
        path, digest = image_place(root, raw, where)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
        if sha256(data) != digest:
            raise DataError(f"{path}: sha256 {sha256(data)}, expected {digest} ({where}).")
        yield where, raw, data


def _write_rows(found: Iterable[Found], target: Path, source: str) -> list[str]:
    rows: list[Row] = []
    lines = []
    for where, raw, data in found:
        row = parse_row(raw, sha256(data), where)
        decode(data, f"{where}, field 'input_image'")
        place = f"images/{row.image_sha256}.png"
        if not (target / place).is_file() or sha256((target / place).read_bytes()) != row.image_sha256:
            write_atomic(target / place, data)
        rows.append(row)
        lines.append(json.dumps(_index_line(row, place), ensure_ascii=False))
    check_set(rows, source)
    write_atomic(target / INDEX, ("\n".join(lines) + "\n").encode())
    sizes = ", ".join(
        f"{lang} {sum(r.intersection for r in rows if r.lang == lang)} (paper: {PAPER_INTERSECTION[lang]})"
        for lang in LANGS
    )
    n_images = len({r.image_sha256 for r in rows})
    return [
        f"{len(rows)} rows, {n_images} source images, sha256 {digest_of(rows)[:12]} -> {target}",
        f"intersection subset: {sizes}",
    ]


def _index_line(row: Row, place: str) -> dict[str, Any]:
    return {
        "task_type": row.group,
        "key": row.key,
        "instruction": row.instruction,
        "instruction_language": row.lang,
        "Intersection_exist": row.intersection,
        "image": place,
        "image_sha256": row.image_sha256,
    }
