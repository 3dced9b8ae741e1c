"""Named things that can be added without wiring: benchmarks, models, judges, rewards, losses.

A registry belongs to a package. Every public module or folder of that package is a lazy entry under its own name
(`_` reads as `-`), imported when it is asked for; importing it runs its `@REGISTRY.register(name)`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from harness.errors import ConfigError, unknown_name

T = TypeVar("T")


def resolve(target: str) -> Any:
    """The object that `"module:attribute"` names, imported now.

    The engine reaches trainers and reports only this way, so that imports keep pointing at it.
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Generic[T]):
    """Names mapped to classes or functions.

    Args:
        what: singular noun for messages, e.g. `"benchmark"`.
        package: package whose modules are lazy entries; None for a registry that is filled by hand.
        hidden: modules of the package that are not entries (`base` and helpers).
    """

    def __init__(self, what: str, package: str | None = None, *, hidden: tuple[str, ...] = ("base",)) -> None:
        self.what = what
        self._package = package
        self._hidden = frozenset(hidden)
        self._entries: dict[str, T] = {}
        self._lazy: dict[str, str] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds its object under `name`.

        Raises:
            ConfigError: another object already has the name.
        """

        def add(entry: T) -> T:
            if self._entries.get(name, entry) is not entry:
                raise ConfigError(f"Two {self.what}s are named {name!r}: {self._entries[name]!r} and {entry!r}.")
            self._entries[name] = entry
            return entry

        return add

    def add_lazy(self, name: str, target: str) -> None:
        """Adds the entry `"module:attribute"`, imported when it is first asked for."""
        self._lazy[name] = target

    def names(self) -> list[str]:
        """All known names, sorted; imports nothing but the package itself."""
        return sorted({*self._entries, *self._lazy, *self._modules()})

    def get(self, name: str) -> T:
        """The object registered under `name`.

        Raises:
            ConfigError: no such name; near misses are offered.
        """
        if name not in self._entries:
            modules = self._modules()
            if name in self._lazy:
                self._entries[name] = resolve(self._lazy[name])
            elif name in modules:
                importlib.import_module(modules[name])
        if name not in self._entries:
            raise unknown_name(self.what, name, self.names())
        return self._entries[name]

    def _modules(self) -> dict[str, str]:
        if self._package is None:
            return {}
        path = importlib.import_module(self._package).__path__
        found = (m.name for m in pkgutil.iter_modules(path))
        return {
            m.replace("_", "-"): f"{self._package}.{m}"
            for m in found
            if m not in self._hidden and not m.startswith("_")
        }


BENCHMARKS: Registry[Any] = Registry("benchmark", "benchmarks", hidden=("base", "data", "locks", "micro", "sources"))
"""Subclasses of `benchmarks.base.Benchmark`."""

MODELS: Registry[Any] = Registry("model", "harness.models", hidden=("base", "load", "textside"))
"""Callables `(argument: str, *, device: str) -> Policy`; the argument is what follows `NAME:`."""

JUDGES: Registry[Any] = Registry("judge", "harness.judges", hidden=("base", "vlm", "detector", "scorers"))
"""Callables `(argument: str) -> Judge`."""

REWARDS: Registry[Any] = Registry("reward", "trainers.rewards", hidden=("base", "prompts", "questions"))
"""Callables `(**options) -> harness.rewards.Reward`."""

LOSSES: Registry[Any] = Registry("loss")
"""`trainers.grpo.losses.ImageLoss` objects: what an image loss needs, and the function."""
LOSSES.add_lazy("grpo", "trainers.grpo.losses:GRPO")
LOSSES.add_lazy("grpo-guard", "trainers.grpo.losses:GRPO_GUARD")
LOSSES.add_lazy("reinforce", "trainers.grpo.losses:REINFORCE")

TRAINERS: Registry[Any] = Registry("trainer")
"""Callables `(config, out_dir, on_metrics) -> dict` by the `kind` that a training configuration names; the annotation
of `config` is the dataclass that the configuration file is read into."""
TRAINERS.add_lazy("micro-pretrain", "trainers.pretrain:run")
TRAINERS.add_lazy("grpo", "trainers.grpo:run")
