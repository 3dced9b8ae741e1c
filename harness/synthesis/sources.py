"""Prompts that synthetic ones are compared with: every registered benchmark's, and files of the user's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, DataError, HarnessError
from harness.evalconfig import EvalConfig
from harness.evaluate import make_benchmark
from harness.registry import BENCHMARKS

_NOT_DATA = frozenset({"reward"})
"""Registered as benchmarks, but without prompts of their own."""

_EDITIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "tiif": ({"set": "full"}, {"set": "testmini"}),
    "geneval": ({"prompt_set": "short"}, {"prompt_set": "long"}),
    "wise": ({"variant": "verified"}, {"variant": "legacy"}, {"variant": "legacy", "prompt_set": "rewrite"}),
}
"""Options that together give all official prompts of a benchmark; others have one edition."""

_TEXT_FIELDS = ("prompt", "text", "caption", "short_description", "long_description", "Prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One set of prompts, or why it is not there."""

    name: str
    """`tiif (official, set=full)` or a file's name."""
    data_id: str = ""
    prompts: tuple[tuple[str, str], ...] = ()
    """(id, text)"""
    missing: str = ""

    def as_record(self) -> dict[str, Any]:
        """For the manifest."""
        if self.missing:
            return {"name": self.name, "missing": self.missing}
        return {"name": self.name, "data": self.data_id, "prompts": len(self.prompts)}


def benchmark_sources(data_dir: str | None) -> list[Source]:
    """Every registered benchmark: its micro edition, and the official editions that are prepared in `data_dir`."""
    found = []
    for name in BENCHMARKS.names():
        if name in _NOT_DATA:
            continue
        found.append(_source(name, "micro", {}, data_dir))
        found += [_source(name, "official", options, data_dir) for options in _EDITIONS.get(name, ({},))]
    return found


def _source(name: str, profile: Any, options: dict[str, Any], data_dir: str | None) -> Source:
    settings = ", ".join([profile, *(f"{k}={v}" for k, v in options.items())])
    title = f"{name} ({settings})"
    try:
        config = EvalConfig(profile=profile, options={name: options}, data_dir=data_dir)
        benchmark = make_benchmark(name, config)
        prompts = tuple((p.id, p.text) for p in benchmark.prompts())
        return Source(name=title, data_id=benchmark.data_id, prompts=prompts)
    except HarnessError as error:
        return Source(name=title, missing=str(error))


def file_source(path: Path) -> Source:
    """Prompts of a file: one a line (`.txt`), or the text fields of JSON objects (`.jsonl`, or a list in `.json`).

    Raises:
        DataError: the file cannot be read, or an object has no text field.
        ConfigError: another kind of file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}).") from None
    match path.suffix:
        case ".txt":
            rows = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
            prompts = [(f"{path.name}:{i}", line.strip()) for i, line in rows]
        case ".jsonl":
            prompts = list(_from_lines(path, text))
        case ".json":
            prompts = list(_from_objects(path, _parsed(text, str(path)), "entry"))
        case _:
            raise ConfigError(f"--against {path}: expected a .txt, .jsonl or .json file.")
    return Source(name=path.name, data_id=f"{len(prompts)} prompts", prompts=tuple(prompts))


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error}).") from None


def _from_lines(path: Path, text: str) -> Iterable[tuple[str, str]]:
    rows = [(i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip()]
    objects = [_parsed(line, f"{path}, line {i}") for i, line in rows]
    return _from_objects(path, objects, "line")


def _from_objects(path: Path, objects: Any, unit: str) -> Iterable[tuple[str, str]]:
    if not isinstance(objects, list):
        raise DataError(f"{path}: expected a list of objects.")
    for number, row in enumerate(objects, start=1):
        fields = [f for f in _TEXT_FIELDS if isinstance(row, dict) and isinstance(row.get(f), str)]
        if not fields:
            raise DataError(f"{path}, {unit} {number}: no text field ({', '.join(_TEXT_FIELDS)}).")
        for field in fields:
            yield f"{path.name}:{number}/{field}", row[field]


def distinct(sources: Sequence[Source]) -> dict[str, str]:
    """Id -> text of all sources; a text that occurs again (testmini is a part of the full set) is kept once."""
    by_text: dict[str, str] = {}
    for source in sources:
        for id_, text in source.prompts:
            by_text.setdefault(text, id_)
    return {id_: text for text, id_ in by_text.items()}
