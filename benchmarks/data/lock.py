"""The typed form of `benchmarks/locks/*.yaml`: sources, revisions, digests and licences of everything that is fetched.

A lock may hold further keys that only its adapter reads; they are ignored here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec

from harness.errors import DataError, unknown_name

LOCKS = Path(__file__).parent.parent / "locks"

Content = bytes
"""Another name for the type, since a lock's files have a field `bytes`."""

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Sha256Head = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8,64}$")]
Sha1 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """One upstream file."""

    name: str
    """Below `DATA_DIR/NAME`."""
    path: str
    """In the repository."""
    sha256: Sha256 | None = None
    git_blob: Sha1 | None = None
    """SHA-1 of `blob LENGTH`, a zero byte and the content; where no sha256 is known."""
    bytes: int | None = None
    rows: int | None = None
    lfs: bool = False
    """The repository holds a Git LFS pointer; the content has an address of its own."""

    @property
    def expected(self) -> str:
        """For messages."""
        return f"sha256 {self.sha256}" if self.sha256 else f"git blob {self.git_blob}"

    def found(self, data: Content) -> str:
        """What `data` has in place of `expected`."""
        return f"sha256 {sha256(data)}" if self.sha256 else f"git blob {git_blob(data)}"

    def matches(self, data: Content) -> bool:
        """Whether `data` are the pinned bytes."""
        return self.found(data) == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A wheel of the package index, where upstream publishes no repository revision."""

    name: str
    version: str
    path: str
    """Below the index's folder of packages."""
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One repository (or package) at one revision."""

    licence: str
    repository: str = ""
    revision: str = ""
    date: str = ""
    package: Package | None = None
    files: list[LockedFile] = field(default_factory=list)

    @property
    def label(self) -> str:
        """`OWNER/NAME@REVISION` or `NAME==VERSION`."""
        if self.package is not None:
            return f"{self.package.name}=={self.package.version}"
        return f"{self.repository}@{self.revision[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A later upstream version of a file that is accepted too."""

    name: str
    sha256: Sha256
    revision: str
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A folder of text files `ID.txt` that is kept as one JSONL file."""

    folder: str
    name: str
    sha256: Sha256
    """Of the JSONL file."""
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSet:
    """A data set of the hub."""

    hub: str
    revision: Sha1
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """An upstream source file that holds judge prompts; read by syntax tree, never kept."""

    name: str
    """Variant, where a lock has several."""
    source: Source
    path: str
    sha256: tuple[str, ...]
    """Accepted digests (with LF line ends, as in the repository); heads of them where no more is known."""

    def is_known(self, data: bytes) -> bool:
        """Whether these are the pinned bytes, line ends apart."""
        digests = (sha256(data), sha256(data.replace(b"\r\n", b"\n")))
        return any(found.startswith(known) for found in digests for known in self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Everything pinned under one name."""

    name: str
    is_benchmark: bool
    """False for prompts that only a reward needs."""
    paper: str
    sources: list[Source]
    corrected: list[Corrected]
    collection: Collection | None
    dataset: HubSet | None
    scripts: list[Script]
    """Several with one name hold the same bytes in several repositories."""
    raw: dict[str, Any]
    """The file as it is."""

    def files(self) -> Iterator[tuple[Source, LockedFile]]:
        """Data files; judge scripts are not among them."""
        scripts = {(s.source.label, s.path) for s in self.scripts}
        for source in self.sources:
            yield from ((source, f) for f in source.files if (source.label, f.path) not in scripts)

    def correction(self, name: str, data: bytes) -> Corrected | None:
        """The accepted later version that `data` is, if it is one."""
        return next((c for c in self.corrected if c.name == name and c.sha256 == sha256(data)), None)

    def accepts(self, entry: LockedFile, data: bytes) -> bool:
        """Whether `data` is the pinned or a corrected version of a file."""
        return entry.matches(data) or self.correction(entry.name, data) is not None

    def script_names(self) -> list[str]:
        """The variants of the judge prompts, in order."""
        return list(dict.fromkeys(s.name for s in self.scripts))


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def git_blob(data: bytes) -> str:
    """The id under which git stores a file with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def names() -> list[str]:
    """Everything that is pinned: benchmarks first, then what only rewards need."""
    return sorted((p.stem for p in LOCKS.glob("*.yaml")), key=lambda n: (not read_lock(n).is_benchmark, n))


_READ: dict[Path, Lock] = {}


def read_lock(name: str) -> Lock:
    """The lock of a benchmark or reward.

    Raises:
        ConfigError: no such name; near misses are offered.
        DataError: the file does not fit the schema (file, field).
    """
    path = LOCKS / f"{name}.yaml"
    if not path.is_file() or path.parent != LOCKS:
        raise unknown_name("data set", name, (p.stem for p in LOCKS.glob("*.yaml")))
    if path not in _READ:
        _READ[path] = parse_lock(path)
    return _READ[path]


def parse_lock(path: Path) -> Lock:
    """The lock in a YAML file.

    Raises:
        DataError: it does not fit the schema (file, field).
    """
    import yaml

    raw = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        sources = msgspec.convert(raw["sources"], list[Source])
        lock = Lock(
            name=path.stem,
            is_benchmark="benchmark" in raw,
            paper=raw["paper"],
            sources=sources,
            corrected=msgspec.convert(raw.get("corrected", []), list[Corrected]),
            collection=msgspec.convert(raw.get("prompts"), Collection | None),
            dataset=msgspec.convert(raw.get("dataset"), HubSet | None),
            scripts=list(_scripts(raw, sources)),
            raw=raw,
        )
    except (msgspec.ValidationError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a valid lock ({error}).") from None
    _check(lock, path)
    return lock


def _scripts(raw: dict[str, Any], sources: list[Source]) -> Iterator[Script]:
    """From `judge_script: {...}` or `judge_scripts: {VARIANT: {...}}`; without a path, every file with its digest."""
    entries = dict(raw.get("judge_scripts", {}))
    if "judge_script" in raw:
        entries[""] = raw["judge_script"]
    for name, entry in entries.items():
        digests = tuple(
            msgspec.convert(entry[key], Sha256Head) for key in ("sha256", "sha256_in_repository") if key in entry
        )
        if "path" in entry:
            source = sources[entry.get("source", 0)]
            yield Script(name=name, source=source, path=entry["path"], sha256=digests)
        else:
            for source in sources:
                for file in source.files:
                    if file.sha256 in digests:
                        yield Script(name=name, source=source, path=file.path, sha256=digests)


def _check(lock: Lock, path: Path) -> None:
    seen = set()
    for _, entry in lock.files():
        if (entry.sha256 is None) == (entry.git_blob is None):
            raise DataError(f"{path}, file {entry.name!r}: expected either sha256 or git_blob.")
        if entry.name in seen:
            raise DataError(f"{path}, file {entry.name!r}: named twice.")
        seen.add(entry.name)
    for name in (*seen, *(c.name for c in [lock.collection] if c)):
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\\" in name:
            raise DataError(f"{path}, file {name!r}: expected a path below the data folder.")
