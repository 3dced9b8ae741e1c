"""Checks a prepared folder file by file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.data import judgeprompts, receipt
from benchmarks.data.lock import Lock, sha256
from benchmarks.data.places import read_limited
from benchmarks.data.remote import DOWNLOADS, HUB
from benchmarks.data.report import absent_prompts, prompts_state
from benchmarks.data.variants import describe, remark
from benchmarks.gedit.data import INDEX, image_place, read_index
from harness.errors import DataError

State = Literal["differs", "missing", "extra", "unfinished"]

_SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One file that is not as pinned."""

    file: str
    """Below `DATA_DIR/NAME`."""
    state: State
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Verification:
    """What a folder holds."""

    name: str
    folder: Path
    n_intact: int = 0
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    judge_prompts: str = ""

    @property
    def clean(self) -> bool:
        """Whether every file is there and as pinned, and there is nothing else."""
        return not self.findings

    def count(self, state: State) -> int:
        """Findings of one kind."""
        return sum(f.state == state for f in self.findings)


def verify(lock: Lock, data_dir: Path) -> Verification:
    """Compares every file of `DATA_DIR/NAME` with the lock; reads only.

    Files that the lock does not pin byte by byte (the index of a hub data set, judge prompts) are compared with the
    digests that were noted when they were made, and the images of an index with the index.
    """
    report = Verification(name=lock.name, folder=data_dir / lock.name)
    known = {receipt.NAME, judgeprompts.CACHE_NAME}
    for check in (_files, _collection, _rows):
        known |= check(report, lock)
    _prompts(report, lock)
    report.findings += _others(report.folder, known)
    return report


def _files(report: Verification, lock: Lock) -> set[str]:
    for source, entry in lock.files():
        data = _data(report, entry.name, f"{source.label}: {entry.path}")
        if data is None:
            continue
        if lock.accepts(entry, data):
            report.n_intact += 1
            note = remark(lock, entry, data)
            report.remarks += [note] if note else []
        else:
            known = describe(lock, entry, data)
            detail = f"{entry.found(data)}, expected {entry.expected}{f' ({known})' if known else ''}"
            report.findings.append(Finding(file=entry.name, state="differs", detail=detail))
    return {entry.name for _, entry in lock.files()}


def _collection(report: Verification, lock: Lock) -> set[str]:
    if lock.collection is None:
        return set()
    name = lock.collection.name
    data = _data(report, name, f"{lock.sources[0].label}: {lock.collection.folder}")
    if data is not None:
        _compare(report, name, data, lock.collection.sha256)
    return {name}


def _rows(report: Verification, lock: Lock) -> set[str]:
    """The index of a hub data set and the images it names."""
    if lock.dataset is None:
        return set()
    data = _data(report, INDEX, f"hub: {lock.dataset.hub}@{lock.dataset.revision[:8]}")
    if data is None:
        return {INDEX}
    noted = _noted(report, INDEX)
    if noted is not None:
        _compare(report, INDEX, data, noted)
    try:
        wanted = dict(sorted(_images(report.folder)))
    except DataError as error:
        if not any(f.file == INDEX for f in report.findings):
            report.findings.append(Finding(file=INDEX, state="differs", detail=str(error)))
        return {INDEX, "images"}
    for name, digest in wanted.items():
        image = _data(report, name, f"{INDEX} names it")
        if image is not None:
            _compare(report, name, image, digest)
    return {INDEX, *wanted}


def _images(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, sha256) of each image in the index.

    Raises:
        DataError: the index is damaged or incomplete.
    """
    from benchmarks.gedit.data import load_copy

    load_copy(folder)
    for where, raw in read_index(folder / INDEX):
        path, digest = image_place(folder, raw, where)
        yield path.relative_to(folder).as_posix(), digest


def _prompts(report: Verification, lock: Lock) -> None:
    if not lock.scripts:
        return
    path = report.folder / judgeprompts.CACHE_NAME
    try:
        report.judge_prompts = prompts_state(lock, report.folder)
    except DataError as error:
        report.judge_prompts = "damaged"
        report.findings.append(Finding(file=judgeprompts.CACHE_NAME, state="differs", detail=str(error)))
        return
    if path.is_file():
        noted = _noted(report, judgeprompts.CACHE_NAME)
        if noted is None:
            report.n_intact += 1
        else:
            _compare(report, judgeprompts.CACHE_NAME, path.read_bytes(), noted)
    if not lock.is_benchmark:
        report.findings += [
            Finding(file=judgeprompts.CACHE_NAME, state="missing", detail=f"{m.name} ({m.origin})")
            for m in absent_prompts(lock, report.folder)
        ]


def _others(folder: Path, known: set[str]) -> Iterator[Finding]:
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        top = name.partition("/")[0]
        if path.is_dir() and not path.is_symlink():
            continue
        if path.name in _SYSTEM_FILES or name in known or (top in known and "/" in name):
            continue
        if path.name.endswith((".part", ".tmp")) or top in (DOWNLOADS, HUB):
            yield Finding(file=name, state="unfinished", detail="of an interrupted download; prepare again to continue")
        else:
            yield Finding(file=name, state="extra", detail="not in the lock")


def _data(report: Verification, name: str, origin: str) -> bytes | None:
    path = report.folder / name
    if not path.is_file():
        report.findings.append(Finding(file=name, state="missing", detail=origin))
        return None
    try:
        return read_limited(path)
    except DataError as error:
        report.findings.append(Finding(file=name, state="differs", detail=str(error)))
        return None


def _compare(report: Verification, name: str, data: bytes, expected: str) -> None:
    if sha256(data) == expected:
        report.n_intact += 1
    else:
        detail = f"sha256 {sha256(data)}, expected {expected}"
        report.findings.append(Finding(file=name, state="differs", detail=detail))


def _noted(report: Verification, name: str) -> str | None:
    try:
        item = receipt.read(report.folder).files.get(name)
    except DataError as error:
        if not any(f.file == receipt.NAME for f in report.findings):
            report.findings.append(Finding(file=receipt.NAME, state="differs", detail=str(error)))
        return None
    return item.sha256 if item else None
