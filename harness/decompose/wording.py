"""The instructions of decomposition by a language model; the texts are data files in `templates`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

NAMES: tuple[str, ...] = ("facts", "questions", "necessity", "tagging", "quality")
"""In the order in which they are used."""

_FIELD = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A system text and a user text with `{{field}}` places."""

    system: str
    user: str
    sha256: str
    """Of the file."""

    def render(self, **values: str) -> tuple[str, str]:
        """Both texts with the values put in as they are; places inside a value stay what they are.

        Raises:
            KeyError: a value is missing.
        """
        return self._filled(self.system, values), self._filled(self.user, values)

    @staticmethod
    def _filled(text: str, values: dict[str, str]) -> str:
        return _FIELD.sub(lambda match: values[match[1]], text)


@lru_cache(maxsize=len(NAMES))
def template(name: str) -> Template:
    """The shipped template `name`."""
    text = (files("harness.decompose") / "templates" / f"{name}.txt").read_text(encoding="utf-8")
    _, _, rest = text.partition("[system]\n")
    system, _, user = rest.partition("\n[user]\n")
    return Template(system.strip(), user.strip(), hashlib.sha256(text.encode()).hexdigest())


def hashes() -> dict[str, str]:
    """sha256 of every template file, by name."""
    return {name: template(name).sha256 for name in NAMES}
