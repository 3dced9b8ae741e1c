"""Prompts as templates, and the file that holds upstream's in the user's data folder (`NAME/judge_prompts.json`).

Upstream's wording is not part of this project; `run.py data prepare NAME` puts it there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.images import write_atomic

CACHE_NAME = "judge_prompts.json"


def text_sha256(text: str) -> str:
    """sha256 of a text (UTF-8)."""
    return hashlib.sha256(text.encode()).hexdigest()


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
        return text_sha256("".join(p if isinstance(p, str) else f"@@{p.field.upper()}@@" for p in self.pieces))

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
    again = f"Run `run.py data prepare {path.parent.name}`"
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


def load(data_dir: Path | str | None, name: str, prompt: str) -> Template:
    """One prepared prompt of a reward, e.g. `load(None, "hpsv3", "score")`.

    Args:
        data_dir: folder with official data; None takes the default one.
        name: whose prompts.
        prompt: which of them.

    Raises:
        DataError: it is not prepared, or damaged.
    """
    from harness.evaluate import DEFAULT_DATA_DIR

    path = Path(data_dir or DEFAULT_DATA_DIR).expanduser() / name / CACHE_NAME
    templates = read_cache(path)
    if prompt not in templates:
        raise DataError(
            f"{path}: no prompt {prompt!r}; there are {', '.join(templates) or 'none'}. "
            f"Run `run.py data prepare {name}` (`run.py data list` names the sources)."
        )
    return templates[prompt]


def _template(entry: Mapping[str, Any]) -> Template:
    pieces = tuple(str(p) if isinstance(p, str) else Field(str(p["field"])) for p in entry["pieces"])
    return Template(pieces=pieces, source_sha256=str(entry["source_sha256"]))
