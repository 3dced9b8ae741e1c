"""The pinned upstream release: the question table's git blob id, the hash of the prompts, the expected counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LOCK = Path(__file__).parent.parent / "locks" / "dpg.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The release that the adapter reads."""

    repository: str
    revision: str
    table: str
    """File name of the question table."""
    table_path: str
    """In the upstream repository."""
    table_blob: str
    """Its git blob id."""
    table_rows: int
    prompts: str
    """File name of the collected prompts."""
    prompts_folder: str
    """Upstream's folder with one text file per prompt."""
    prompts_sha256: str
    n_prompts: int
    ids: tuple[str, ...]
    """Of all prompts, by family."""
    first_row_prompt: str
    """The prompt whose first question the official reader loses."""


@lru_cache(maxsize=1)
def shipped_lock() -> Lock:
    """The lock that comes with the project, `benchmarks/locks/dpg.yaml`."""
    import yaml

    raw = yaml.safe_load(LOCK.read_text(encoding="utf-8"))
    (source,) = raw["sources"]
    (table,) = source["files"]
    return Lock(
        repository=source["repository"],
        revision=source["revision"],
        table=table["name"],
        table_path=table["path"],
        table_blob=table["git_blob"],
        table_rows=table["rows"],
        prompts=raw["prompts"]["name"],
        prompts_folder=raw["prompts"]["folder"],
        prompts_sha256=raw["prompts"]["sha256"],
        n_prompts=raw["prompts"]["files"],
        ids=_ids(raw["ids"]),
        first_row_prompt=raw["quirks"]["first_row"],
    )


def _ids(families: dict[str, str]) -> tuple[str, ...]:
    found = []
    for family, spans in families.items():
        for span in spans.split():
            first, _, last = span.partition("-")
            found += [f"{family}{n}" for n in range(int(first), int(last or first) + 1)]
    return tuple(found)
