"""The official judge prompt, read from a user's checkout of the upstream repository without running any of it.

Upstream's `eval/eval_with_vlm.py` is parsed with `ast`. The texts go to the user's data folder
(`DATA_DIR/tiif/judge_prompts.json`) and nowhere else; records hold template names and hashes only.
"""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data.constants import text_constants
from benchmarks.tiif.lock import Lock, shipped_lock
from harness import seeds
from harness.errors import DataError

CACHE_NAME = "judge_prompts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPrompt:
    """The texts of the official judge call."""

    templates: dict[str, str]
    """The pool of templates by name, in official order."""
    placeholder: str
    system: str
    source_sha256: str
    """Of the script that they were read from, with LF line ends."""
    is_known: bool
    """Whether script and texts are those of the pinned revision."""

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of each text (UTF-8), by name; `system` is the system message."""
        return {name: _sha256(text) for name, text in (*self.templates.items(), ("system", self.system))}

    def draw(self, *sample: str | int) -> str:
        """The name of one template, uniformly, determined by what identifies the sample."""
        names = list(self.templates)
        return names[seeds.derive("tiif-template", *sample) % len(names)]


def extract(source: Path | str, lock: Lock | None = None) -> OfficialPrompt:
    """The texts in the official script.

    Args:
        source: path of `eval_with_vlm.py`, or its text.
        lock: known hashes; None takes the shipped lock. Other hashes with the same structure give a warning.

    Raises:
        DataError: the file cannot be read or parsed, or lacks the expected structure (what and where).
    """
    where = str(source) if isinstance(source, Path) else "judge script"
    text = _read(source) if isinstance(source, Path) else source
    text = text.replace("\r\n", "\n")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise DataError(f"{where}: not valid Python ({error}). Point to eval/eval_with_vlm.py of TIIF-Bench.") from None
    constants = text_constants(tree)
    builder = _function(tree, "format_questions_prompt", where)
    placeholder = _placeholder(builder, where)
    templates = {}
    for name in _pool(builder, where):
        if name not in constants or constants[name].count(placeholder) != 1:
            raise DataError(f"{where}: template {name!r} is not a module-level text that holds {placeholder!r} once.")
        templates[name] = constants[name]
    system = _system_message(_function(tree, "generate_with_prompt", where), where)
    return _judged(templates, placeholder, system, _sha256(text), lock or shipped_lock(), where)


def write_cache(prompt: OfficialPrompt, path: Path) -> None:
    """Stores the texts in the user's data folder."""
    plain = {
        "source_sha256": prompt.source_sha256,
        "placeholder": prompt.placeholder,
        "system": prompt.system,
        "templates": prompt.templates,
        "sha256": prompt.hashes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_cache(path: Path, lock: Lock | None = None) -> OfficialPrompt:
    """The texts that `write_cache` stored.

    Raises:
        DataError: the file is absent, damaged, or its texts were changed since.
    """
    if not path.is_file():
        raise DataError(
            f"TIIF: judge_prompt=official needs {path}. Run `run.py data prepare tiif --source CHECKOUT` with a "
            "checkout of the upstream repository, or use judge_prompt=builtin."
        )
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = (dict(raw["templates"]), str(raw["placeholder"]), str(raw["system"]), str(raw["source_sha256"]))
        stored = dict(raw["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error!r}). Run `run.py data prepare tiif --source CHECKOUT` again."
        ) from None
    prompt = _judged(*parts, lock or shipped_lock(), str(path))
    if prompt.hashes != stored or not prompt.templates:
        raise DataError(
            f"{path}: its texts do not fit its hashes. Run `run.py data prepare tiif --source CHECKOUT` again."
        )
    return prompt


def _judged(
    templates: dict[str, str], placeholder: str, system: str, source_sha256: str, lock: Lock, where: str
) -> OfficialPrompt:
    known = {name: entry["sha256"] for name, entry in lock.judge_script["texts"].items()}
    found = {name: _sha256(text) for name, text in (*templates.items(), ("system", system))}
    is_known = source_sha256 == lock.judge_script["sha256"] and found == known
    if not is_known:
        odd = sorted(n for n in {*found, *known} if found.get(n) != known.get(n))
        what = (
            f"the texts {', '.join(odd)} differ from"
            if odd
            else "the texts are the same as, but the script differs from,"
        )
        warnings.warn(
            f"{where}: {what} revision {lock.revision[:8]} of TIIF-Bench (script sha256 {source_sha256}).", stacklevel=3
        )
    return OfficialPrompt(
        templates=templates, placeholder=placeholder, system=system, source_sha256=source_sha256, is_known=is_known
    )


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}).") from None


def _function(tree: ast.Module, name: str, where: str) -> list[ast.AST]:
    """All nodes of every function of that name."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == name]
    if not functions:
        raise DataError(f"{where}: there is no function {name!r}. Point to eval/eval_with_vlm.py of TIIF-Bench.")
    return [node for function in functions for node in ast.walk(function)]


def _calls(nodes: list[ast.AST], name: str) -> Iterator[ast.Call]:
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=found) | ast.Name(id=found)) if found == name:
                yield node


def _pool(nodes: list[ast.AST], where: str) -> list[str]:
    for call in _calls(nodes, "choice"):
        match call.args:
            case [ast.List(elts=names)] if names and all(isinstance(n, ast.Name) for n in names):
                return [n.id for n in names if isinstance(n, ast.Name)]
    raise DataError(f"{where}: format_questions_prompt has no choice([...]) over names of templates.")


def _placeholder(nodes: list[ast.AST], where: str) -> str:
    for call in _calls(nodes, "replace"):
        match call.args:
            case [ast.Constant(value=str(text)), *_] if text:
                return text
    raise DataError(f"{where}: format_questions_prompt has no replace(...) of a constant text.")


def _system_message(nodes: list[ast.AST], where: str) -> str:
    for node in nodes:
        if not isinstance(node, ast.Dict):
            continue
        entries = {
            key.value: value.value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
        }
        content = entries.get("content")
        if entries.get("role") == "system" and isinstance(content, str):
            return content
    raise DataError(f"{where}: generate_with_prompt has no message with role 'system' and a constant text.")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
