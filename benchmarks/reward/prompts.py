"""The prompts of a reward benchmark: generated ones of the micro world, or those in a user's file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.decompose.records import read_prompt_file
from harness.errors import DataError
from harness.types import Prompt

PREFIX = "reward/"


def micro_prompts(n: int, seed: int) -> list[Prompt]:
    """The prompts of dvtest's micro edition under ids `reward/0000` on."""
    from benchmarks.micro import dvtest

    return [replace(p, id=f"{PREFIX}{row:04d}") for row, p in enumerate(dvtest.prompts(n, seed))]


def file_prompts(path: Path) -> list[Prompt]:
    """The prompts of a `.txt` or `.jsonl` file, ids by place: `reward/0000` on.

    `category` is the field of that name, else `difficulty`; `source_images` are paths relative to the file; all other
    fields are `meta`.

    Raises:
        DataError: the file is damaged (file, line, field), empty, or only some prompts have source images.
    """
    prompts = [_prompt(row, where, raw) for row, (where, raw) in enumerate(read_prompt_file(path))]
    if not prompts:
        raise DataError(f"{path}: holds no prompt.")
    with_sources = [bool(p.source_images) for p in prompts]
    if any(with_sources) and not all(with_sources):
        bare = prompts[with_sources.index(False)]
        raise DataError(
            f"{path}: {bare.id} ({bare.text[:40]!r}) has no 'source_images' and others have; put edits and plain "
            "prompts into files of their own."
        )
    return prompts


def _prompt(row: int, where: str, raw: dict[str, Any]) -> Prompt:
    meta = {k: v for k, v in raw.items() if k not in ("prompt", "category", "source_images")}
    sources = raw.get("source_images", [])
    if not isinstance(sources, list) or not all(isinstance(s, str) and s for s in sources):
        raise DataError(f"{where}, field 'source_images': expected a list of paths, got {sources!r}.")
    category = raw.get("category", raw.get("difficulty", ""))
    if not isinstance(category, str):
        raise DataError(f"{where}, field 'category': expected a text, got {category!r}.")
    return Prompt(
        id=f"{PREFIX}{row:04d}", text=raw["prompt"], category=category, source_images=tuple(sources), meta=meta
    )


def file_id(path: Path) -> str:
    """`NAME@HASH` of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    return f"{path.name}@{hashlib.sha256(data).hexdigest()[:12]}"
