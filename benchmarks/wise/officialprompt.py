"""The official judge prompts, read from a user's checkout of the upstream repository without running any of it.

A script is parsed with `ast`; its `build_evaluation_messages` returns a list of two dict literals. The texts go to the
user's data folder (`DATA_DIR/wise/judge_prompts.json`) and nowhere else; records hold hashes only.
"""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.wise.judgeprompt import EXPLANATION, PROMPT, JudgePrompt
from benchmarks.wise.lock import ScriptLock
from benchmarks.wise.variants import Variant
from harness.errors import DataError
from harness.images import write_atomic

CACHE_NAME = "judge_prompts.json"
_FUNCTION = "build_evaluation_messages"
_FIELDS = {"Prompt": PROMPT, "Explanation": EXPLANATION}


def extract(source: Path | bytes, lock: ScriptLock, where: str = "judge script") -> JudgePrompt:
    """The texts in an official judge script.

    Args:
        source: path of the script, or its bytes.
        lock: the known hashes.
        where: names the script in messages where `source` is bytes.

    Raises:
        DataError: the file cannot be read or parsed, lacks the expected structure (what and where), or holds another
            wording. A script that differs elsewhere gives a warning.
    """
    if isinstance(source, Path):
        where = str(source)
    data = _read(source) if isinstance(source, Path) else source
    data = data.replace(b"\r\n", b"\n")
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError) as error:
        raise DataError(f"{where}: not valid Python ({error}). Point to {lock.path} of WISE.") from None
    system, user = _messages(tree, where)
    prompt = JudgePrompt(system=_constant(_text_part(system, where), where), user=_pieces(tree, user, where))
    _check(prompt, lock, where)
    if hashlib.sha256(data).hexdigest() != lock.sha256:
        warnings.warn(f"{where}: the judge's texts are the known ones, but the script differs.", stacklevel=2)
    return prompt


def hashes(prompt: JudgePrompt) -> dict[str, str]:
    """sha256 (UTF-8) of the two texts, the user text with the field markers in it."""
    texts = {"system": prompt.system, "user": "".join(prompt.user)}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def write_cache(prompts: Mapping[Variant, JudgePrompt], path: Path) -> None:
    """Stores the texts in the user's data folder."""
    plain = {v: {"system": p.system, "user": list(p.user), "sha256": hashes(p)} for v, p in prompts.items()}
    write_atomic(path, (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode())


def read_cache(path: Path, variant: Variant, lock: ScriptLock) -> JudgePrompt:
    """The texts of one variant that `write_cache` stored.

    Raises:
        DataError: the file is absent or damaged, lacks the variant, or its texts are not the known ones.
    """
    again = "Run `run.py data prepare wise --source CHECKOUT` with a checkout of the upstream repository"
    if not path.is_file():
        raise DataError(f"WISE: judge_prompt=official needs {path}. {again}, or use judge_prompt=builtin.")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entry = raw.get(variant)
        prompt = entry and JudgePrompt(system=str(entry["system"]), user=tuple(str(p) for p in entry["user"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error!r}). {again} again.") from None
    if not prompt:
        raise DataError(
            f"{path}: holds no prompt of the variant {variant!r}, only {', '.join(raw) or 'none'}. {again}."
        )
    _check(prompt, lock, str(path))
    return prompt


def _check(prompt: JudgePrompt, lock: ScriptLock, where: str) -> None:
    if [prompt.user.count(marker) for marker in (PROMPT, EXPLANATION)] != [1, 1]:
        raise DataError(f"{where}: the user text must hold Prompt and Explanation once each.")
    found = hashes(prompt)
    known = {"system": lock.system_sha256, "user": lock.user_sha256}
    odd = [name for name in known if found[name] != known[name]]
    if odd:
        raise DataError(
            f"{where}: the {' and '.join(odd)} text has sha256 {found[odd[0]]}, expected {known[odd[0]]}. Another "
            "wording is another judge; use the pinned revision, or judge_prompt=builtin."
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None


def _messages(tree: ast.Module, where: str) -> tuple[ast.expr, ast.expr]:
    """The contents of the system and of the user message."""
    function = _function(tree, where)
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    match returns:
        case [ast.Return(value=ast.List(elts=[ast.Dict() as first, ast.Dict() as second]))]:
            pairs = [_entries(m) for m in (first, second)]
            roles = [p["role"].value if isinstance(p.get("role"), ast.Constant) else None for p in pairs]
            if roles == ["system", "user"] and all("content" in p for p in pairs):
                return pairs[0]["content"], pairs[1]["content"]
    raise DataError(f"{where}: {_FUNCTION} does not return a list of a system and a user message.")


def _function(tree: ast.Module, where: str) -> ast.FunctionDef:
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == _FUNCTION]
    if len(found) != 1 or not found[0].args.args:
        raise DataError(f"{where}: expected one function {_FUNCTION!r} with an argument, found {len(found)}.")
    return found[0]


def _entries(node: ast.Dict) -> dict[str, Any]:
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _text_part(content: ast.expr, where: str, *, with_image: bool = False) -> ast.expr:
    """The text of a message's content: one text part, followed by an image part in the user message."""
    expected = ["text", "image_url"] if with_image else ["text"]
    if isinstance(content, ast.List) and all(isinstance(p, ast.Dict) for p in content.elts):
        parts = [_entries(p) for p in content.elts if isinstance(p, ast.Dict)]
        kinds = [p["type"].value if isinstance(p.get("type"), ast.Constant) else None for p in parts]
        if kinds == expected and "text" in parts[0]:
            text: ast.expr = parts[0]["text"]
            return text
    raise DataError(f"{where}: a message's content is not the parts {', '.join(expected)}.")


def _constant(node: ast.expr, where: str) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise DataError(f"{where}, line {node.lineno}: the system text is not a constant.")


def _pieces(tree: ast.Module, content: ast.expr, where: str) -> tuple[str, ...]:
    """Literal text and field markers of the formatted user text."""
    argument = _function(tree, where).args.args[0].arg
    text = _text_part(content, where, with_image=True)
    if not isinstance(text, ast.JoinedStr):
        raise DataError(f"{where}, line {text.lineno}: the user text is not a formatted string.")
    pieces = []
    for part in text.values:
        match part:
            case ast.Constant(value=str(literal)):
                pieces.append(literal)
            case ast.FormattedValue(
                value=ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))),
                conversion=-1,
                format_spec=None,
            ) if name == argument and key in _FIELDS:
                pieces.append(_FIELDS[key])
            case _:
                raise DataError(f"{where}, line {part.lineno}: the user text holds more than Prompt and Explanation.")
    return tuple(pieces)
