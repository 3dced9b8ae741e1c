"""The exception family. A message says what, where, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of every error that a user can cause or repair; shown as one screen of text, exit code 1."""

    exit_code = 1


class ConfigError(HarnessError):
    """A wrong option, name or configuration key; exit code 2."""

    exit_code = 2


class DataError(HarnessError):
    """Benchmark data, an imported result or an image is missing, damaged or of another version."""


class PolicyError(HarnessError):
    """A model or checkpoint cannot be loaded or used."""


class JudgeError(HarnessError):
    """A judge cannot be reached or is unsuitable."""


class StoreError(HarnessError):
    """A run directory cannot be written, is locked, or belongs to another run."""


def near_misses(name: str, known: Iterable[str], *, n: int = 3) -> list[str]:
    """Up to `n` known names that look like `name`, best first."""
    return difflib.get_close_matches(name.lower(), list(known), n=n, cutoff=0.6)


def unknown_name(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for an unknown `name`: near misses first, then everything that is known."""
    names = sorted(known)
    close = near_misses(name, names)
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    return ConfigError(f"Unknown {what} {name!r}.{hint} Known: {', '.join(names) or 'none'}.")
