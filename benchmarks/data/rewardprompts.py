"""Judge prompts of rewards (HPSv3, VIEScore, UnifiedReward), read from upstream's source by syntax tree, as templates.

Which constants of which file make up a prompt stands in the lock. Nothing is imported or executed. The templates go to
the user's data folder (`DATA_DIR/NAME/judge_prompts.json`) and nowhere else.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.data.lock import Lock, Script, read_lock, sha256
from harness.errors import DataError
from harness.images import write_atomic

CACHE_NAME = "judge_prompts.json"


@dataclass(frozen=True, slots=True)
class Field:
    """A place where a value is put in."""

    field: str


Piece = str | Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt as literal text and fields."""

    pieces: tuple[Piece, ...]
    source_sha256: str
    """Of the script it was read from, with LF line ends."""

    @property
    def sha256(self) -> str:
        """Of the text with `@@FIELD@@` for each field (UTF-8)."""
        return sha256("".join(p if isinstance(p, str) else f"@@{p.field.upper()}@@" for p in self.pieces).encode())

    @property
    def fields(self) -> set[str]:
        """The values that `render` needs."""
        return {p.field for p in self.pieces if isinstance(p, Field)}

    def render(self, **values: str) -> str:
        """The text with the values put in as they are.

        Raises:
            KeyError: a value is missing.
        """
        return "".join(p if isinstance(p, str) else values[p.field] for p in self.pieces)


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


def write_cache(templates: Mapping[str, Template], path: Path) -> None:
    """Stores templates; those of other names that the file holds stay."""
    kept = read_cache(path) if path.is_file() else {}
    plain = {
        name: {
            "pieces": [p if isinstance(p, str) else {"field": p.field} for p in t.pieces],
            "sha256": t.sha256,
            "source_sha256": t.source_sha256,
        }
        for name, t in sorted({**kept, **templates}.items())
    }
    write_atomic(path, (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode())


def read_cache(path: Path) -> dict[str, Template]:
    """The templates that `write_cache` stored.

    Raises:
        DataError: the file is absent or damaged, or a text was changed since.
    """
    again = f"Run `run.py data prepare {path.parent.name}` again"
    if not path.is_file():
        raise DataError(f"{path} is not there. {again}.")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = {name: (_template(entry), entry["sha256"]) for name, entry in raw.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}). {again}.") from None
    for name, (template, digest) in found.items():
        if template.sha256 != digest:
            raise DataError(f"{path}: the prompt {name!r} has sha256 {template.sha256}, expected {digest}. {again}.")
    return {name: template for name, (template, _) in found.items()}


def load(data_dir: Path, name: str, prompt: str) -> Template:
    """One prepared prompt of a reward, e.g. `load(data_dir, "hpsv3", "score")`.

    Raises:
        DataError: it is not prepared, or damaged.
    """
    lock = read_lock(name)
    templates = read_cache(data_dir / name / CACHE_NAME)
    if prompt not in templates:
        raise DataError(
            f"{data_dir / name / CACHE_NAME}: no prompt {prompt!r}; there are {', '.join(templates) or 'none'}. "
            f"Run `run.py data prepare {name}` ({', '.join(s.label for s in lock.sources)})."
        )
    return templates[prompt]


def _template(entry: Mapping[str, Any]) -> Template:
    pieces = tuple(str(p) if isinstance(p, str) else Field(str(p["field"])) for p in entry["pieces"])
    return Template(pieces=pieces, source_sha256=str(entry["source_sha256"]))


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
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
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
