"""What preparing has done, and the one way in which a file gets into the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import judgeprompts, receipt
from benchmarks.data.lock import Lock, LockedFile, Script, sha256
from benchmarks.data.places import read_limited
from benchmarks.data.variants import describe, remark
from benchmarks.gedit.data import INDEX
from harness.errors import DataError
from harness.images import is_inside, write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something pinned that is not in the data folder."""

    name: str
    origin: str
    """Where upstream has it."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a call of `prepare` did."""

    name: str
    folder: Path
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Already there and intact."""
    missing: list[Missing] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    judge_prompts: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is there now; a benchmark does without the official judge prompts."""
        return not self.missing


def open_folder(lock: Lock, data_dir: Path) -> Path:
    """`DATA_DIR/NAME`.

    Raises:
        DataError: it is a link that leads outside the data folder.
    """
    folder = data_dir / lock.name
    if not is_inside(data_dir, folder):
        raise DataError(
            f"{folder}: a link to {folder.resolve()}, outside the data folder. `data prepare` writes only below "
            f"{data_dir}; remove the link or name another --data-dir."
        )
    return folder


def keep(report: Report, name: str, data: bytes) -> None:
    """Moves checked content into place.

    Raises:
        DataError: the place leads outside the folder, or cannot be written.
    """
    path = report.folder / name
    if not is_inside(report.folder, path.parent):
        raise DataError(f"{path}: leads outside {report.folder} through a link; remove the link.")
    if not path.is_symlink() and path.is_file() and read_limited(path) == data:
        report.kept.append(name)
        return
    try:
        write_atomic(path, data)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from None
    report.written.append(name)


def keep_prompts(report: Report, lock: Lock, prompts: Mapping[str, Any], origin: str) -> None:
    """Stores extracted judge prompts."""
    judgeprompts.write(lock, prompts, report.folder / judgeprompts.CACHE_NAME)
    report.written.append(judgeprompts.CACHE_NAME)
    enter(report, judgeprompts.CACHE_NAME, origin)


def keep_rows(report: Report, data_dir: Path, source: Path, origin: str) -> None:
    """Converts the rows of a hub data set (source images and an index)."""
    from benchmarks.gedit.prepare import prepare

    report.remarks += [line for line in prepare(source, data_dir) if not line.startswith("judge prompts")]
    report.written.append(INDEX)
    enter(report, INDEX, origin)


def enter(report: Report, name: str, origin: str) -> None:
    """Enters a file that no lock pins byte by byte, so that `verify` can compare it."""
    data = (report.folder / name).read_bytes()
    receipt.add(report.folder, {name: receipt.Item(sha256=sha256(data), source=origin)})


def finish(report: Report, lock: Lock) -> Report:
    """Adds what is still missing and what the user should know."""
    for source, entry in lock.files():
        path = report.folder / entry.name
        if not path.is_file():
            report.missing.append(Missing(name=entry.name, origin=f"{source.label}: {entry.path}"))
        else:
            note = remark(lock, entry, read_limited(path))
            report.remarks += [note] if note else []
    if lock.collection is not None and not (report.folder / lock.collection.name).is_file():
        report.missing.append(
            Missing(name=lock.collection.name, origin=f"{lock.sources[0].label}: {lock.collection.folder}")
        )
    if lock.dataset is not None and not (report.folder / INDEX).is_file():
        report.missing.append(Missing(name=INDEX, origin=f"hub: {lock.dataset.hub}@{lock.dataset.revision[:8]}"))
    report.judge_prompts = prompts_state(lock, report.folder)
    if not lock.is_benchmark:
        report.missing += absent_prompts(lock, report.folder)
    return report


def absent_prompts(lock: Lock, folder: Path) -> list[Missing]:
    """The scripts whose prompts are not prepared."""
    present = judgeprompts.prepared(lock, folder / judgeprompts.CACHE_NAME)
    absent = {s.name: s for s in reversed(lock.scripts) if label(s) not in present}
    return [
        Missing(name=f"judge prompt {label(s)}", origin=f"{s.source.label}: {s.path}")
        for s in (absent[n] for n in lock.script_names() if n in absent)
    ]


def prompts_state(lock: Lock, folder: Path) -> str:
    """One clause on the official judge prompts; empty where a lock has none."""
    if not lock.scripts:
        return ""
    present = judgeprompts.prepared(lock, folder / judgeprompts.CACHE_NAME)
    if not present:
        return judgeprompts.NOT_PREPARED if lock.is_benchmark else "not prepared"
    absent = [m.name.removeprefix("judge prompt ") for m in absent_prompts(lock, folder)]
    state = "official" if present == ["judge"] else f"official ({', '.join(present)})"
    return f"{state}; not there: {', '.join(absent)}" if absent else state


def label(script: Script) -> str:
    """A script's name; `judge` for the only one of a lock."""
    return script.name or "judge"


def difference(lock: Lock, entry: LockedFile, data: bytes, where: str) -> str:
    """Expected and found of one file, with the variant's name where it is known."""
    known = describe(lock, entry, data)
    return f"{where}: {entry.found(data)}, expected {entry.expected}{f' ({known})' if known else ''}."
