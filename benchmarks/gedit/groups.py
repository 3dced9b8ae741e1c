"""The eleven groups of GEdit-Bench in official order, its languages, and how a row is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.errors import DataError, near_misses

Lang = Literal["en", "cn"]
LANGS: tuple[Lang, Lang] = ("en", "cn")
Subset = Literal["full", "intersection"]
SUBSETS: tuple[Subset, Subset] = ("full", "intersection")

ROWS: dict[str, int] = {
    "background_change": 40,
    "color_alter": 40,
    "material_alter": 40,
    "motion_change": 40,
    "ps_human": 70,
    "style_change": 60,
    "subject-add": 60,
    "subject-remove": 57,
    "subject-replace": 60,
    "text_change": 99,
    "tone_transfer": 40,
}
"""Group -> rows per language, in official order (three names have a hyphen)."""

GROUPS: tuple[str, ...] = tuple(ROWS)
N_ROWS = sum(ROWS.values())
"""606 rows per language."""

PAPER_INTERSECTION: dict[str, int] = {"en": 434, "cn": 422}
"""Size of the intersection subset by language, according to the paper; the rows' own flags decide."""


def prompt_id(lang: str, group: str, key: str) -> str:
    """The id of one row's prompt, e.g. `gedit/en/color_alter/0123...`: group, language and key identify a row."""
    return f"gedit/{lang}/{group}/{key}"


def check_group(name: object, where: str) -> str:
    """`name` if it is one of the eleven groups.

    Raises:
        DataError: it is not; near misses are offered.
    """
    if isinstance(name, str) and name in ROWS:
        return name
    close = near_misses(str(name), GROUPS)
    hint = f"Did you mean {' or '.join(repr(c) for c in close)}?" if close else f"Known: {', '.join(GROUPS)}."
    raise DataError(f"{where}: unknown GEdit-Bench group {name!r:.80}. {hint}")


def in_order(groups: Iterable[str]) -> list[str]:
    """The given groups once each, in official order."""
    present = set(groups)
    return [g for g in GROUPS if g in present]
