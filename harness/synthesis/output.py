"""The folder: records, reports and a manifest; whole or absent, and never made over another one.

Nothing in it depends on time or machine, so equal settings give byte-identical folders.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import config
from harness.errors import StoreError
from harness.synthesis import VERSION
from harness.synthesis.generate import HELD_OUT_PERCENT, SPLITS, Result, Settings, counts, records
from harness.synthesis.pool import Pool
from harness.synthesis.sources import Source

MANIFEST = "manifest.json"


def made_with(pool: Pool, settings: Settings, sources: Sequence[Source]) -> dict[str, Any]:
    """What determines the output, as JSON values."""
    return {
        "version": VERSION,
        "pool_sha256": pool.sha256,
        **config.to_plain(settings),
        "tasks": list(settings.tasks),
        "compared_with": [source.as_record() for source in sources if not source.missing],
    }


def existing(folder: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest in `folder` if it holds the wanted output already; None if nothing is there.

    Raises:
        StoreError: the folder holds something else, was made with other settings, or was changed since.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        found = manifest["made_with"]
        files = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"{folder}: holds something that `synthesize` did not write. Choose another folder with -o DIR."
        ) from None
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        what = "; ".join(f"{key} {_brief(found.get(key))}, now {_brief(wanted[key])}" for key in differing)
        raise StoreError(f"{folder}: made with other settings ({what}). Choose another folder with -o DIR.")
    for name, digest in files.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise StoreError(f"{path}: missing or changed since it was written. Remove {folder} to make it again.")
    return manifest


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def write(folder: Path, pool: Pool, settings: Settings, sources: Sequence[Source], result: Result) -> dict[str, Any]:
    """Writes all files and returns the manifest. They are made beside `folder`, which appears when they are complete.

    Raises:
        StoreError: the disk is full, or the place is not writable.
    """
    folder = folder.absolute()
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        manifest = _write_files(temporary, pool, settings, sources, result)
        temporary.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror or error}).") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def _write_files(
    folder: Path, pool: Pool, settings: Settings, sources: Sequence[Source], result: Result
) -> dict[str, Any]:
    encoder = msgspec.json.Encoder()
    contents: dict[str, list[dict[str, Any]]] = {
        **{f"{split}.jsonl": records(result, settings, split) for split in sorted(SPLITS, reverse=True)},
        "near_duplicates.jsonl": result.near,
        "rejected.jsonl": result.rejected,
    }
    digests = {}
    for name, rows in contents.items():
        data = b"".join(encoder.encode(row) + b"\n" for row in rows)
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    manifest = manifest_of(pool, settings, sources, result, digests)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def manifest_of(
    pool: Pool, settings: Settings, sources: Sequence[Source], result: Result, digests: dict[str, str]
) -> dict[str, Any]:
    """Everything about one output but its records."""
    near = Counter(row["against"] for row in result.near)
    return {
        "made_with": made_with(pool, settings, sources),
        "primitives": pool.counts,
        "splits": {split: counts(result, split) for split in sorted(SPLITS, reverse=True)},
        "held_out": f"{HELD_OUT_PERCENT} % of all pairs of content primitives occur in test prompts only",
        "draws": dict(sorted(result.draws.items())),
        "rejected": len(result.rejected),
        "near_duplicates": {
            "benchmark": near["benchmark"],
            "output": near["output"],
            "replaced": sum(row["replaced"] for row in result.near),
        },
        "not_compared_with": [source.as_record() for source in sources if source.missing],
        "files": digests,
    }
