"""What a file is that does not have the pinned digest: a known variant gets its name in the message."""

from __future__ import annotations

import csv
import io

from benchmarks.data.lock import Lock, LockedFile

_CRLF = "the pinned file with CRLF line ends; check it out with `git -c core.autocrlf=false`"


def describe(lock: Lock, entry: LockedFile, data: bytes) -> str:
    """One clause about a differing file; empty where nothing is known about it."""
    if not data:
        return "an empty file"
    if b"\r\n" in data and lock.accepts(entry, data.replace(b"\r\n", b"\n")):
        return _CRLF
    if data.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the file; run `git lfs pull`"
    if data[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page instead of the file; use the raw file"
    if entry.name == "dpg_bench.csv":
        return describe_dpg_table(data, entry.rows)
    if entry.bytes is not None and len(data) < entry.bytes:
        return f"a cut file: {len(data):,} of {entry.bytes:,} bytes"
    return ""


def describe_dpg_table(data: bytes, n_rows: int | None) -> str:
    """Which re-export of the DPG-Bench question table this is, by its shape.

    Public copies exist that lack the first question (of which the official reader drops another one) or the column
    `tuple` (from which the categories come); both give other numbers.
    """
    again = "it is used in place with dpg.table=PATH and gives DPG-like numbers"
    try:
        rows = [r for r in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True) if r]
    except (UnicodeDecodeError, csv.Error):
        return "not a CSV table in UTF-8"
    if not rows or "item_id" not in rows[0] or "proposition_id" not in rows[0]:
        return "not the question table"
    header, body = rows[0], rows[1:]
    lacks = []
    if "tuple" not in header:
        lacks.append("the column 'tuple'")
    numbers = [r[header.index("proposition_id")] for r in body[:1] if len(r) == len(header)]
    if numbers != ["1"]:
        lacks.append("the first question")
    if lacks:
        return f"a re-export that lacks {' and '.join(lacks)} ({len(body):,} rows); {again}"
    if n_rows is not None and len(body) != n_rows:
        return f"another table: {len(body):,} rows instead of {n_rows:,}; {again}"
    return f"a re-export with all {len(body):,} rows in another spelling (quoting, line ends or order); {again}"


def remark(lock: Lock, entry: LockedFile, data: bytes) -> str:
    """What a user should know about an accepted file; empty for most."""
    later = lock.correction(entry.name, data)
    if later is not None:
        return f"{entry.name}: corrected version of {later.date} ({later.revision[:8]})"
    if any(c.name == entry.name for c in lock.corrected):
        return (
            f"{entry.name}: pinned version, whose rows are out of step with the prompts (known defect); the adapter "
            "repairs the order by default"
        )
    return ""
