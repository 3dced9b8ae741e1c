"""The official prompt files: pinned, verified, read; and recognised from recorded metadata."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from benchmarks.geneval.metadata import parse_metadata
from harness.errors import DataError
from harness.types import Prompt

PromptSet = Literal["short", "long"]
PROMPT_SETS: tuple[PromptSet, ...] = get_args(PromptSet)

LOCK = Path(__file__).parent.parent / "locks" / "geneval.yaml"


@functools.cache
def lock() -> dict[str, Any]:
    """The data lock `benchmarks/locks/geneval.yaml`."""
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(LOCK.read_text(encoding="utf-8"))
    return loaded


def locked_file(name: str) -> dict[str, Any]:
    """The lock's entry of one file, with `repository` and `revision` of its source."""
    for source in lock()["sources"]:
        for entry in source["files"]:
            if entry["name"] == name:
                return {**entry, "repository": source["repository"], "revision": source["revision"]}
    raise KeyError(name)


def prompt_file(prompt_set: PromptSet) -> str:
    """Name of the metadata file of a prompt set."""
    name: str = lock()["prompt_sets"][prompt_set]
    return name


def has_official(data_dir: Path | None, prompt_set: PromptSet) -> bool:
    """Whether the file of a prompt set is there (not whether it is intact)."""
    return data_dir is not None and (data_dir / "geneval" / prompt_file(prompt_set)).is_file()


def official_metadata(data_dir: Path | None, prompt_set: PromptSet) -> list[dict[str, Any]]:
    """The 553 metadata objects of a prompt set, in official order.

    Raises:
        DataError: the file is absent, or its sha256 is not the locked one.
    """
    entry = locked_file(prompt_file(prompt_set))
    path = (data_dir or Path("DATA_DIR")) / "geneval" / entry["name"]
    if data_dir is None or not path.is_file():
        raise DataError(
            f"geneval: the official {prompt_set} prompts are not there (looked for {path}). "
            f"Bring them with `run.py data prepare geneval` ({entry['repository']} at {entry['revision'][:8]})."
        )
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != entry["sha256"]:
        raise DataError(
            f"{path}: sha256 is {found}, expected {entry['sha256']} "
            f"({entry['repository']} at {entry['revision'][:8]}). Bring the file with `run.py data prepare geneval`."
        )
    return [json.loads(line) for line in data.splitlines()]


def official_id(prompt_set: PromptSet) -> str:
    """Name and hash of an official prompt set."""
    return f"geneval-{prompt_set}@{locked_file(prompt_file(prompt_set))['sha256'][:12]}"


def prompts_from(metadata: Sequence[Mapping[str, Any]], *, where: str) -> list[Prompt]:
    """One `Prompt` per metadata object, named by its line.

    Raises:
        DataError: see `parse_metadata`.
    """
    prompts = []
    for line, raw in enumerate(metadata):
        parsed = parse_metadata(raw, where=f"{where}: line {line + 1}")
        prompts.append(Prompt(id=prompt_id(line), text=parsed.prompt, category=parsed.tag, meta=dict(raw)))
    return prompts


def prompt_id(line: int) -> str:
    """The id of the prompt on a 0-based line of the official file, which is also its image folder's number."""
    return f"geneval/{line:05d}"


def recognise(metadata: Sequence[Mapping[str, Any]]) -> PromptSet | None:
    """The official prompt set that these metadata objects, in folder order, make up; None if neither.

    The official generators copy each line's object to its image folder and the evaluator writes it into every record.
    Written again with JSON's default separators the lines give the official file byte for byte, so that a complete
    set of results identifies its prompts without the file.
    """
    text = "".join(json.dumps(m) + "\n" for m in metadata)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return next((s for s in PROMPT_SETS if locked_file(prompt_file(s))["sha256"] == digest), None)


def content_id(metadata: Sequence[Mapping[str, Any]]) -> str:
    """Twelve hex digits that identify a list of metadata objects."""
    return hashlib.sha256(msgspec.json.encode(list(metadata), order="deterministic")).hexdigest()[:12]
