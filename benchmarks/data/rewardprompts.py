"""Judge prompts of rewards (HPSv3, VIEScore, UnifiedReward), read from upstream's source by syntax tree, as templates.

Which constants of which file make up a prompt stands in the lock. Nothing is imported or executed. The templates go to
the user's data folder (`harness.prompttemplates`) and nowhere else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.data.constants import text_constants
from benchmarks.data.lock import Lock, Script, sha256
from harness.errors import DataError
from harness.prompttemplates import Field, Piece, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How the lock says a prompt is found."""

    rule: Literal["constants", "fstring", "longest_text"]
    parts: list[str] = dataclass_field(default_factory=list)
    """Module-level text constants, in order (rule constants)."""
    join: str = ""
    fields: dict[str, str] = dataclass_field(default_factory=dict)
    """Marker in the text (rule constants) or inserted name (rule fstring) -> field."""
    min_length: int = 0
    append: list[str | dict[str, str]] = dataclass_field(default_factory=list)
    sha256: str | None = None
    """Of the joined constants."""


def prompt_names(lock: Lock) -> dict[str, list[str]]:
    """Script name -> names of the prompts in it."""
    return {name: list(entry["prompts"]) for name, entry in lock.raw["judge_scripts"].items()}


def extract(path: Path, script: Script, lock: Lock) -> dict[str, Template]:
    """The prompts of one script, by name.

    Raises:
        DataError: the file cannot be parsed, lacks the expected structure, or holds another wording.
    """
    data = path.read_bytes().replace(b"\r\n", b"\n")
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            f"{path}: not valid Python ({error}). Point to {script.path} of {script.source.label}."
        ) from None
    rules = msgspec.convert(lock.raw["judge_scripts"][script.name]["prompts"], dict[str, _Rule])
    if not script.is_known(data) and not all(rule.sha256 for rule in rules.values()):
        raise DataError(
            f"{path}: sha256 {sha256(data)}, expected {' or '.join(script.sha256)}. Another version may ask otherwise; "
            f"use {script.source.label}."
        )
    digest = sha256(data)
    return {
        name: Template(pieces=tuple(_pieces(tree, rule, f"{path}: prompt {name!r}")), source_sha256=digest)
        for name, rule in rules.items()
    }


def _pieces(tree: ast.Module, rule: _Rule, where: str) -> Iterator[Piece]:
    if rule.rule == "constants":
        yield from _constants(tree, rule, where)
    elif rule.rule == "fstring":
        yield from _fstring(tree, rule, where)
    else:
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        if not texts:
            raise DataError(f"{where}: there is no text.")
        yield max(texts, key=len)
    yield from (p if isinstance(p, str) else Field(p["field"]) for p in rule.append)


def _constants(tree: ast.Module, rule: _Rule, where: str) -> Iterator[Piece]:
    found = text_constants(tree)
    absent = [p for p in rule.parts if p not in found]
    if absent:
        raise DataError(f"{where}: no module-level text {', '.join(absent)}.")
    text = rule.join.join(found[p] for p in rule.parts)
    if rule.sha256 is not None and sha256(text.encode()) != rule.sha256:
        raise DataError(
            f"{where}: sha256 {sha256(text.encode())}, expected {rule.sha256}. Another wording is another judge."
        )
    for marker in rule.fields:
        if text.count(marker) != 1:
            raise DataError(f"{where}: {marker!r} occurs {text.count(marker)} times, expected once.")
    yield from _split(text, rule.fields)


def _split(text: str, fields: Mapping[str, str]) -> Iterator[Piece]:
    places = sorted((text.index(marker), marker) for marker in fields)
    end = 0
    for start, marker in places:
        yield text[end:start]
        yield Field(fields[marker])
        end = start + len(marker)
    yield text[end:]


def _fstring(tree: ast.Module, rule: _Rule, where: str) -> Iterator[Piece]:
    found = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) and _length(n.values) > rule.min_length]
    if len(found) != 1:
        raise DataError(f"{where}: {len(found)} formatted strings of that length, expected one.")
    for part in found[0].values:
        match part:
            case ast.Constant(value=str(text)):
                yield text
            case ast.FormattedValue(value=ast.Name(id=name), conversion=-1, format_spec=None) if name in rule.fields:
                yield Field(rule.fields[name])
            case _:
                raise DataError(f"{where}, line {part.lineno}: the text holds more than the inserted names.")


def _length(parts: Sequence[ast.expr]) -> int:
    return sum(len(p.value) for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str))
