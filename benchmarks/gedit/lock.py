"""What is pinned of the upstream release: the data set's name and revision, its columns, and the judge prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LOCK = Path(__file__).parent.parent / "locks" / "gedit.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The release that the adapter reads."""

    dataset: str
    """Hub id."""
    columns: tuple[str, ...]
    """The columns that are read."""
    prompt_sha256: dict[str, str]
    """Of the joined text of each call before filling in, by `sc` and `pq`."""


@lru_cache(maxsize=1)
def shipped_lock() -> Lock:
    """The lock that comes with the project, `benchmarks/locks/gedit.yaml`."""
    import yaml

    raw = yaml.safe_load(LOCK.read_text(encoding="utf-8"))
    return Lock(
        dataset=raw["dataset"]["hub"],
        columns=tuple(raw["dataset"]["columns"]),
        prompt_sha256={call: entry["sha256"] for call, entry in raw["judge_script"]["texts"].items()},
    )
