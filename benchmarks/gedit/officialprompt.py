"""The official judge prompts, read from a user's checkout of an upstream repository without running any of it.

`vie_prompts.py` is parsed with `ast`; the three constants of each call are joined by one newline, as upstream does. The
texts go to the user's data folder (`DATA_DIR/gedit/judge_prompts.json`) and nowhere else; records hold hashes only.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.data.constants import text_constants
from benchmarks.gedit.judgeprompt import PLACEHOLDER, JudgePrompt
from benchmarks.gedit.lock import shipped_lock
from harness.errors import DataError
from harness.images import write_atomic
from harness.prompttemplates import text_sha256

CACHE_NAME = "judge_prompts.json"
FILE_NAME = "vie_prompts.py"
SCRIPT_PATHS = (f"GEdit-Bench/viescore/{FILE_NAME}", f"viescore/{FILE_NAME}", f"eval/gen/gedit/viescore/{FILE_NAME}")
"""Where the repositories that ship the file keep it."""

_CONTEXT = "_context_no_delimit"
PARTS: dict[str, tuple[str, ...]] = {
    "sc": (_CONTEXT, "_prompts_0shot_two_image_edit_rule", "_prompts_0shot_tie_rule_SC"),
    "pq": (_CONTEXT, "_prompts_0shot_rule_PQ"),
}
"""Call -> upstream's constants, in order."""

_AGAIN = "Run `run.py data prepare gedit --source CHECKOUT` with a checkout of an upstream repository"


def find_script(source: Path) -> Path | None:
    """The prompt file in a checkout (or the file itself); None when it is not there."""
    if source.is_file() and source.name == FILE_NAME:
        return source
    return next((p for p in (source / part for part in (*SCRIPT_PATHS, FILE_NAME)) if p.is_file()), None)


def extract(path: Path, *, known: Mapping[str, str] | None = None) -> JudgePrompt:
    """The official texts in `vie_prompts.py`.

    Args:
        path: the file.
        known: sha256 of the joined text of each call; None takes the lock's.

    Raises:
        DataError: the file cannot be read or parsed, lacks a constant, or its texts are not the pinned ones. Other
            bytes with the same texts are accepted (lmms-eval ships such a copy).
    """
    try:
        tree = ast.parse(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: not valid Python ({error}). Point to {FILE_NAME} of an upstream checkout.") from None
    constants = text_constants(tree)
    absent = sorted({name for parts in PARTS.values() for name in parts if name not in constants})
    if absent:
        raise DataError(f"{path}: no text constant {', '.join(absent)}. Point to {FILE_NAME} of an upstream checkout.")
    texts = {call: "\n".join(constants[name] for name in parts) for call, parts in PARTS.items()}
    return _checked(texts, str(path), known)


def write_cache(prompt: JudgePrompt, path: Path) -> None:
    """Stores the texts in the user's data folder."""
    texts = {"sc": prompt.sc, "pq": prompt.pq}
    plain = {"texts": texts, "sha256": {call: text_sha256(text) for call, text in texts.items()}}
    write_atomic(path, (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode())


def read_cache(path: Path, *, known: Mapping[str, str] | None = None) -> JudgePrompt:
    """The texts that `write_cache` stored.

    Raises:
        DataError: the file is absent or damaged, or its texts are not the pinned ones.
    """
    if not path.is_file():
        raise DataError(f"GEdit-Bench: judge_prompt=official needs {path}. {_AGAIN}, or use judge_prompt=builtin.")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        texts = {call: str(raw["texts"][call]) for call in PARTS}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error!r}). {_AGAIN}.") from None
    return _checked(texts, str(path), known)


def _checked(texts: Mapping[str, str], where: str, known: Mapping[str, str] | None) -> JudgePrompt:
    expected = shipped_lock().prompt_sha256 if known is None else known
    for call, text in texts.items():
        if text_sha256(text) != expected[call]:
            raise DataError(
                f"{where}: the {call} prompt has sha256 {text_sha256(text)}, expected {expected[call]}. Some projects "
                f"ship changed copies (evalscope's lacks trailing blanks). {_AGAIN}."
            )
    if texts["sc"].count(PLACEHOLDER) != 1:
        raise DataError(f"{where}: the sc prompt does not hold {PLACEHOLDER!r} once.")
    return JudgePrompt(name="official", sc=texts["sc"], pq=texts["pq"])
