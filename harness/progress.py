"""What long work reports while it runs; the command line decides how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives counts; must be cheap and safe to call from several threads."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """A stage begins with `done` of `total` units already there from an earlier start."""

    def advance(self, stage: str, n: int = 1) -> None:
        """`n` more units of a stage are finished."""

    def note(self, text: str) -> None:
        """Something the user should read once."""


class Silent:
    """Reports nothing."""

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Ignored."""

    def advance(self, stage: str, n: int = 1) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""
