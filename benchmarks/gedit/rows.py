"""One row of the data set, checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gedit.groups import GROUPS, LANGS, ROWS, Lang, Subset, check_group, prompt_id
from harness.errors import DataError

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,127}")
"""Officially 32 hex digits; it names image files, so nothing that leaves a folder is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One edit request."""

    group: str
    key: str
    instruction: str
    lang: str
    intersection: bool
    image_sha256: str
    """Of the source image's bytes."""

    @property
    def id(self) -> str:
        """Its prompt's id."""
        return prompt_id(self.lang, self.group, self.key)


def parse_row(raw: Mapping[str, Any], image_sha256: str, where: str) -> Row:
    """A row from its official columns.

    Raises:
        DataError: a field is missing or has the wrong type or an unknown value (where, field).
    """
    group = check_group(_field(raw, "task_type", str, where), f"{where}, field 'task_type'")
    key, lang = _field(raw, "key", str, where), _field(raw, "instruction_language", str, where)
    if not _KEY.fullmatch(key):
        raise DataError(f"{where}, field 'key': {key!r:.80} cannot name an image file (expected 32 hex digits).")
    if lang not in LANGS:
        raise DataError(f"{where}, field 'instruction_language': {lang!r:.80}, expected {' or '.join(LANGS)}.")
    instruction = _field(raw, "instruction", str, where)
    if not instruction.strip():
        raise DataError(f"{where}, field 'instruction': empty.")
    return Row(
        group=group,
        key=key,
        instruction=instruction,
        lang=lang,
        intersection=_field(raw, "Intersection_exist", bool, where),
        image_sha256=image_sha256,
    )


def check_set(rows: Sequence[Row], where: str) -> None:
    """Raises `DataError` unless the rows are a complete data set: the official counts, no identity twice."""
    repeated = [id_ for id_, n in Counter(r.id for r in rows).items() if n > 1]
    if repeated:
        raise DataError(f"{where}: {len(repeated)} rows occur twice, e.g. {repeated[0]}.")
    found = Counter((r.lang, r.group) for r in rows)
    odd = [
        f"{lang}/{group} {found[lang, group]} (expected {ROWS[group]})"
        for lang in LANGS
        for group in GROUPS
        if found[lang, group] != ROWS[group]
    ]
    if odd:
        raise DataError(f"{where}: not the complete data set of 1212 rows: {', '.join(odd)}.")


def selected(rows: Sequence[Row], lang: Lang, subset: Subset) -> list[Row]:
    """The rows of one language and subset, by group in official order, in data set order within."""
    mine = [r for r in rows if r.lang == lang and (subset == "full" or r.intersection)]
    return sorted(mine, key=lambda r: GROUPS.index(r.group))


def digest_of(rows: Sequence[Row]) -> str:
    """sha256 over everything that decides a score: identities, instructions, flags, source images."""
    plain = [[r.group, r.key, r.instruction, r.lang, r.intersection, r.image_sha256] for r in rows]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()


def _field(raw: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in raw:
        raise DataError(f"{where}: field {name!r} is missing. Fields there: {', '.join(map(str, raw)) or 'none'}.")
    if not isinstance(raw[name], kind):
        raise DataError(f"{where}, field {name!r}: expected {kind.__name__}, got {raw[name]!r:.80}.")
    return raw[name]
