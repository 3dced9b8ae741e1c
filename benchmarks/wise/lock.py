"""The pinned upstream release: data files, prompt sets, and the hashes of the official judge prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LOCK = Path(__file__).parent.parent / "locks" / "wise.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLock:
    """One data file."""

    name: str
    """Below `DATA_DIR/wise`."""
    path: str
    """In the upstream repository."""
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLock:
    """The script that holds a variant's judge prompt, and the hashes of its two texts."""

    path: str
    sha256: str
    """With LF line ends."""
    system_sha256: str
    user_sha256: str
    """Of the text with `@@PROMPT@@` and `@@EXPLANATION@@` as field values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The release that the adapter reads."""

    repository: str
    revision: str
    files: dict[str, FileLock]
    """By name."""
    sets: dict[str, tuple[str, ...]]
    """File names of `verified`, `legacy` and `legacy-rewrite`."""
    scripts: dict[str, ScriptLock]
    """By variant."""


def read_lock(path: Path) -> Lock:
    """The lock in a YAML file."""
    import yaml

    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    (source,) = raw["sources"]
    return Lock(
        repository=source["repository"],
        revision=source["revision"],
        files={
            f["name"]: FileLock(name=f["name"], path=f["path"], sha256=f["sha256"], rows=f["rows"])
            for f in source["files"]
        },
        sets={name: tuple(files) for name, files in raw["sets"].items()},
        scripts={
            variant: ScriptLock(
                path=s["path"],
                sha256=s["sha256"],
                system_sha256=s["system"]["sha256"],
                user_sha256=s["user"]["sha256"],
            )
            for variant, s in raw["judge_scripts"].items()
        },
    )


@lru_cache(maxsize=1)
def shipped_lock() -> Lock:
    """The lock that comes with the project, `benchmarks/locks/wise.yaml`."""
    return read_lock(LOCK)
