"""Options that several commands share, and small helpers of the command line."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from harness.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
protocol_option = click.option(
    "--protocol",
    type=click.Choice(["official", "corrected"]),
    help="Arithmetic: the reference script's with its quirks, or repaired.  [default: official]",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, e.g. --set generation.temperature=0.",
)
plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="MODULE",
    help="Import a module that registers more names; repeatable.",
)


def load_plugins(modules: tuple[str, ...]) -> None:
    """Imports modules that register benchmarks, models or judges from outside this repository.

    Raises:
        ConfigError: a module cannot be imported.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(f"--plugin {module}: cannot be imported ({error}).") from None


def split_names(texts: tuple[str, ...]) -> list[str]:
    """`("a,b", "c")` as `["a", "b", "c"]`."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def parse_seeds(text: str | None) -> list[int] | None:
    """`"0,1,2"` or `"0-9"` as integers.

    Raises:
        ConfigError: anything else.
    """
    if text is None:
        return None
    seeds: list[int] = []
    try:
        for part in text.split(","):
            low, dash, high = part.strip().partition("-")
            seeds += range(int(low), int(high) + 1) if dash else [int(low)]
    except ValueError:
        raise ConfigError(f"--seeds {text!r}: expected integers, e.g. 0,1,2 or 0-9.") from None
    return seeds


def stop_on_sigterm() -> None:
    """Makes a termination request behave like Ctrl-C: finish the write in flight, leave a resumable directory."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
