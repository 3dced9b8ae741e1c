"""Takes official data over from local copies. Everything is looked up and checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from benchmarks.data import judgeprompts
from benchmarks.data.collection import collect
from benchmarks.data.lock import Lock, LockedFile, Script
from benchmarks.data.places import Candidate, Place, common_tail
from benchmarks.data.report import Report, difference, finish, keep, keep_prompts, keep_rows, open_folder
from harness.errors import DataError

_SHOWN = 8

ByName = Mapping[str, Sequence[Candidate]]


@dataclass(slots=True, kw_only=True)
class _Find:
    """What local copies hold of a lock, checked."""

    files: dict[str, bytes] = field(default_factory=dict)
    scripts: dict[str, tuple[Script, Candidate]] = field(default_factory=dict)
    rows: Path | None = None
    """A folder with the rows of a hub data set."""
    differing: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Files of the same name with other content in unrelated places."""

    @property
    def is_empty(self) -> bool:
        return not (self.files or self.scripts or self.rows)


def prepare_from(lock: Lock, data_dir: Path, sources: Sequence[Path]) -> Report:
    """Takes over what local copies hold; may be repeated with other copies until everything is there.

    Args:
        lock: what to bring.
        data_dir: the folder of all benchmarks' data.
        sources: checkouts, folders with some of the files (perhaps gzipped), or archives.

    Raises:
        DataError: a file differs from the lock (expected and found, and the variant's name where it is a known one), or
            the copies hold nothing of this lock. Nothing is written then.
    """
    folder = open_folder(lock, data_dir)
    found = _find(lock, [Place(s) for s in sources])
    if found.differing:
        count = len(found.differing)
        what = "file differs" if count == 1 else "files differ"
        head = f"{lock.name}: {count} {what} from the lock; nothing was written."
        raise DataError("\n  ".join([head, *_some(found.differing)]))
    if found.is_empty:
        raise DataError(
            "\n  ".join(
                [
                    f"{lock.name}: nothing of it is in {', '.join(map(str, sources))}. Expected a checkout, a folder "
                    f"or an archive with {', '.join(_wanted(lock))} ({', '.join(s.label for s in lock.sources)}).",
                    *_some(found.elsewhere),
                ]
            )
        )
    prompts, remarks = judgeprompts.extract(lock, found.scripts, folder)
    report = Report(name=lock.name, folder=folder, remarks=[*remarks, *found.elsewhere])
    for name, data in found.files.items():
        keep(report, name, data)
    if found.rows is not None:
        keep_rows(report, data_dir, found.rows, str(found.rows))
    if prompts:
        keep_prompts(report, lock, prompts, ", ".join(sorted({c.where for _, c in found.scripts.values()})))
    finish(report, lock)
    if report.judge_prompts == judgeprompts.NOT_PREPARED:
        report.judge_prompts = judgeprompts.NOT_IN_SOURCE
    return report


def find_script(script: Script, candidates: Sequence[Candidate]) -> Candidate | None:
    """The pinned bytes anywhere, else what lies at the script's own path (its texts decide)."""
    known = next((c for c in candidates if script.is_known(c.read())), None)
    path = PurePosixPath(script.path)
    return known or next((c for c in candidates if common_tail(c.path, path) == len(path.parts)), None)


def _find(lock: Lock, places: Sequence[Place]) -> _Find:
    found = _Find()
    names = [n for _, e in lock.files() for n in (e.name, e.path)] + [s.path for s in lock.scripts]
    by_name: dict[str, list[Candidate]] = {}
    for candidate in (c for place in places for c in place.candidates(names)):
        by_name.setdefault(candidate.path.name, []).append(candidate)
    for _, entry in lock.files():
        _find_file(found, lock, entry, by_name)
    for script in lock.scripts:
        if script.name not in found.scripts:
            match = find_script(script, by_name.get(PurePosixPath(script.path).name, []))
            if match is not None:
                found.scripts[script.name] = (script, match)
    if lock.collection is not None:
        data, problem = collect(lock.collection, places)
        found.differing += [problem] if problem else []
        found.files |= {lock.collection.name: data} if data is not None else {}
    if lock.dataset is not None:
        found.rows = next((p.root for p in places if _holds_rows(p.root)), None)
    return found


def _find_file(found: _Find, lock: Lock, entry: LockedFile, by_name: ByName) -> None:
    """The pinned content under its name anywhere; other content at the file's own place counts as a differing copy."""
    names = dict.fromkeys(PurePosixPath(n).name for n in (entry.path, entry.name))
    contents = [(c, c.read()) for n in names for c in by_name.get(n, ())]
    for _, data in contents:
        if lock.accepts(entry, data):
            found.files[entry.name] = data
            return
    own = [(c, data) for c, data in contents if any(_is_at(c.path, p) for p in (entry.path, entry.name))]
    if own:
        candidate, data = own[0]
        found.differing.append(difference(lock, entry, data, candidate.where))
    elif contents and len(contents) == 1:
        candidate, data = contents[0]
        found.elsewhere.append(f"not taken: {difference(lock, entry, data, candidate.where)}")


def _is_at(path: PurePosixPath, expected: str) -> bool:
    """Whether a copy has a file where upstream or the data folder has it, the copy's own folder apart."""
    parts = PurePosixPath(expected)
    return common_tail(path, parts) == len(parts.parts) and len(path.parts) <= len(parts.parts) + 1


def _holds_rows(root: Path) -> bool:
    from benchmarks.gedit.arrow import arrow_files
    from benchmarks.gedit.data import INDEX

    return root.is_dir() and ((root / INDEX).is_file() or bool(arrow_files(root)))


def _wanted(lock: Lock) -> list[str]:
    names = [e.path for _, e in lock.files()] + [s.path for s in lock.scripts]
    names += [lock.collection.folder] if lock.collection else []
    names += [f"the Arrow files of {lock.dataset.hub}"] if lock.dataset else []
    return [*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])]


def _some(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"... and {rest} more"] if rest > 0 else [])]
