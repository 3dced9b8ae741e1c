"""The pinned upstream release: which files there are, their hashes, and how many rows and questions they hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from benchmarks.tiif.taxonomy import TYPES

SetName = Literal["testmini", "full"]

_STEM = {"testmini": "testmini", "full": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLock:
    """One upstream file."""

    path: str
    """Below upstream's `data/`."""
    rows: int
    sha256: str
    questions: int | None = None
    """Question files only."""
    corrected_sha256: str | None = None
    """Of upstream's later version, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The release that the adapter reads."""

    revision: str
    files: dict[str, FileLock]
    judge_script: dict[str, Any]
    """`path`, `sha256`, and `texts`: name -> length in characters and sha256."""

    def prompt_file(self, set_: str, type_: str) -> FileLock:
        """The file with the short and long wordings of a type."""
        return self.files[f"{_STEM[set_]}_prompts/{type_}_prompts.jsonl"]

    def question_file(self, set_: str, type_: str) -> FileLock:
        """The file with the questions of a type."""
        return self.files[f"{_STEM[set_]}_eval_prompts/{type_}_eval_prompts.jsonl"]

    def n_rows(self, set_: str, type_: str) -> int:
        """Cases of a type; each has a short and a long image."""
        return self.question_file(set_, type_).rows

    def n_questions(self, set_: str, type_: str) -> int:
        """Questions of a type, asked of each length."""
        return self.question_file(set_, type_).questions or 0

    def folders(self) -> list[str]:
        """The upstream folders, sorted."""
        return sorted({path.split("/")[0] for path in self.files})


def read_lock(path: Path) -> Lock:
    """The lock in a YAML file."""
    raw = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (source,) = raw["sources"]
    corrected = {entry["name"]: entry["sha256"] for entry in raw.get("corrected", ())}
    files = {
        entry["name"]: FileLock(
            path=entry["name"],
            rows=entry["rows"],
            sha256=entry["sha256"],
            questions=entry.get("questions"),
            corrected_sha256=corrected.get(entry["name"]),
        )
        for entry in source["files"]
    }
    return Lock(revision=source["revision"], files=files, judge_script=raw["judge_script"])


@lru_cache(maxsize=1)
def shipped_lock() -> Lock:
    """The lock that comes with the project, `benchmarks/locks/tiif.yaml`."""
    return read_lock(Path(__file__).parent.parent / "locks" / "tiif.yaml")


def rows_by_type(set_: str) -> dict[str, int]:
    """Cases of each type in an official set."""
    return {t: shipped_lock().n_rows(set_, t) for t in TYPES}


def questions_by_type(set_: str) -> dict[str, int]:
    """Questions of each type and length in an official set."""
    return {t: shipped_lock().n_questions(set_, t) for t in TYPES}
