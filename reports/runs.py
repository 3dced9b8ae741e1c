"""Finished runs as reports read them: tables, prompts' parts in every value, and what makes two runs comparable."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, DataError
from harness.terms import Terms, from_json

IDENTITY = ("profile", "protocol", "judge", "judge_prompt", "data")
"""What must agree before two values stand in one column."""


@dataclass(slots=False, kw_only=True)
class Run:
    """One finished run directory."""

    path: Path
    name: str
    """How tables call it."""
    summary: dict[str, Any]
    manifest: dict[str, Any]
    _terms: dict[str, dict[str, Terms]] = field(default_factory=dict, repr=False)

    @property
    def benchmarks(self) -> list[str]:
        """Names, in the order of the run."""
        return list(self.summary["benchmarks"])

    def block(self, benchmark: str) -> dict[str, Any]:
        """The benchmark's part of `summary.json`.

        Raises:
            DataError: the run has no such benchmark.
        """
        try:
            block: dict[str, Any] = self.summary["benchmarks"][benchmark]
        except KeyError:
            raise DataError(f"{self.path}: holds no {benchmark!r}; it holds {', '.join(self.benchmarks)}.") from None
        return block

    def terms(self, benchmark: str) -> dict[str, Terms]:
        """By metric; only of values that are made of prompts' parts.

        Raises:
            DataError: the run was written before terms were stored, or the file is damaged.
        """
        if benchmark not in self._terms:
            if benchmark not in self._stored_terms:
                raise DataError(
                    f"{self.path / 'terms.json'}: no terms of {benchmark!r}. Repeat the `eval` command of this run: "
                    "it costs no model and no judge call and writes them."
                )
            where = f"{self.path / 'terms.json'}, {benchmark}"
            self._terms[benchmark] = from_json(self._stored_terms[benchmark], where)
        return self._terms[benchmark]

    def identity(self, benchmark: str) -> dict[str, str]:
        """The values of `IDENTITY`."""
        block = self.block(benchmark)
        return {k: str(self.summary[k] if k in ("profile", "protocol") else block[k]) for k in IDENTITY}

    @cached_property
    def _stored_terms(self) -> dict[str, Any]:
        return dict(_read_json(self.path / "terms.json") or {})


def load_run(path: Path, name: str = "") -> Run:
    """A run directory that `eval` finished.

    Args:
        path: the directory.
        name: how tables call it; empty takes the model's name.

    Raises:
        ConfigError: there is no such folder.
        DataError: not a run directory, or one that is not finished.
    """
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder. Expected a run directory of `eval`.")
    summary, manifest = (_read_json(path / f) for f in ("summary.json", "manifest.json"))
    if summary is None:
        what = (
            "was not finished: repeat its `eval` command" if manifest is not None else "is no run directory of `eval`"
        )
        raise DataError(f"{path}: no summary.json; the folder {what}.")
    return Run(path=path, name=name or str(summary.get("model", path.name)), summary=summary, manifest=manifest or {})


def differences_in_identity(a: Run, b: Run, benchmark: str) -> list[str]:
    """Why values of this benchmark of two runs must not be compared; empty if they may."""
    left, right = a.identity(benchmark), b.identity(benchmark)
    return [f"{k}: {left[k]!r} and {right[k]!r}" for k in IDENTITY if left[k] != right[k]]


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        derived = file.name != "manifest.json"
        raise DataError(
            f"{file}: cannot be read as JSON ({error}). "
            + ("Repeat the run's `eval` command, which writes it anew." if derived else "Restore it from a copy.")
        ) from None
