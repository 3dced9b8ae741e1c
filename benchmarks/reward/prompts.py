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
    """The prompts of dvtest's micro edition under ids of this benchmark."""
    from benchmarks.micro import dvtest

    return [replace(p, id=numbered_id(PREFIX, row, p.text)) for row, p in enumerate(dvtest.prompts(n, seed))]


def numbered_id(prefix: str, row: int, text: str) -> str:
    """`PREFIX0000-1a2b3c4d`: place and hash of the text, so that images of another file's prompts never fit."""
    return f"{prefix}{row:04d}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def file_prompts(path: Path) -> list[Prompt]:
    """The prompts of a `.txt` or `.jsonl` file, ids by place and text, see `numbered_id`.

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
    id_ = numbered_id(PREFIX, row, raw["prompt"])
    return Prompt(id=id_, text=raw["prompt"], category=category, source_images=tuple(sources), meta=meta)


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
