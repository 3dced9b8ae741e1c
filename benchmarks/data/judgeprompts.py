"""Official judge prompts of every name: which extractor reads the scripts, and what a prepared file must hold."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.data import rewardprompts
from benchmarks.data.lock import Lock, Script
from benchmarks.data.places import Candidate
from harness import prompttemplates
from harness.errors import DataError

CACHE_NAME = prompttemplates.CACHE_NAME
_BUILTIN = "runs use the built-in wording (judge_prompt: builtin)"
NOT_IN_SOURCE = f"not in this source; {_BUILTIN}"
NOT_PREPARED = f"not prepared; {_BUILTIN}"

Read = Callable[[Path, Script, Lock], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adapter:
    """What an adapter's own module does with its scripts."""

    extract: Read
    """Path of a script -> what `write` takes."""
    write: Callable[[Mapping[str, Any], Path, Lock], None]
    """Stores what was extracted, by script name."""
    check: Callable[[Path, Lock], list[str]]
    """Names of the variants that a prepared file holds; raises DataError where it is damaged."""


def extract(
    lock: Lock, scripts: Mapping[str, tuple[Script, Candidate]], scratch: Path
) -> tuple[dict[str, Any], list[str]]:
    """What the scripts hold, by script name, and remarks (e.g. that a script differs elsewhere).

    Args:
        lock: of one benchmark or reward.
        scripts: name -> the pinned script and where it is.
        scratch: a folder for scripts that come from an archive; emptied again.

    Raises:
        DataError: a script has not the expected structure, or another wording.
    """
    found, remarks = {}, []
    for name, (script, candidate) in scripts.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[name] = _with_file(candidate, scratch, partial(_extract, lock, script))
        remarks += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return found, remarks


def write(lock: Lock, found: Mapping[str, Any], path: Path) -> None:
    """Stores extracted prompts; those of other scripts that are already there stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _adapter(lock).write(found, path, lock)


def prepared(lock: Lock, path: Path) -> list[str]:
    """Names of the scripts whose prompts are prepared; a lock's nameless script counts as `judge`.

    Raises:
        DataError: the file is damaged, or its texts are not the known ones.
    """
    if not path.is_file():
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _adapter(lock).check(path, lock)


def _extract(lock: Lock, script: Script, path: Path) -> Any:
    return _adapter(lock).extract(path, script, lock)


def _with_file(candidate: Candidate, scratch: Path, use: Callable[[Path], Any]) -> Any:
    """`use(path)` with the script as a file; messages name the place where the user has it."""
    if candidate.file is not None:
        return use(candidate.file)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scripts-", dir=scratch) as folder:
        path = Path(folder, candidate.path.name)
        path.write_bytes(candidate.read())
        try:
            return use(path)
        except DataError as error:
            raise DataError(str(error).replace(str(path), candidate.where)) from None


def _adapter(lock: Lock) -> _Adapter:
    if not lock.is_benchmark:
        return _Adapter(extract=rewardprompts.extract, write=_write_reward, check=_check_reward)
    return _wise() if lock.name == "wise" else _one_text(lock.name)


def _write_reward(found: Mapping[str, Any], path: Path, lock: Lock) -> None:
    prompttemplates.write_cache({n: t for templates in found.values() for n, t in templates.items()}, path)


def _check_reward(path: Path, lock: Lock) -> list[str]:
    templates = prompttemplates.read_cache(path)
    return [s for s, prompts in rewardprompts.prompt_names(lock).items() if set(prompts) <= set(templates)]


def _one_text(name: str) -> _Adapter:
    """Of a benchmark with one script and one official wording."""
    officialprompt = import_module(f"benchmarks.{name}.officialprompt")

    def check(path: Path, lock: Lock) -> list[str]:
        officialprompt.read_cache(path)
        return ["judge"]

    return _Adapter(
        extract=lambda path, script, lock: officialprompt.extract(path),
        write=lambda found, path, lock: officialprompt.write_cache(found[""], path),
        check=check,
    )


def _wise() -> _Adapter:
    from benchmarks.wise import lock as wise_lock
    from benchmarks.wise import officialprompt
    from benchmarks.wise.variants import VARIANTS

    locks = wise_lock.shipped_lock().scripts

    def stored(path: Path) -> dict[Any, Any]:
        try:
            names = [v for v in VARIANTS if v in json.loads(path.read_bytes())]
        except (ValueError, TypeError):
            names = []
        return {v: officialprompt.read_cache(path, v, locks[v]) for v in names or VARIANTS}

    def write(found: Mapping[str, Any], path: Path, lock: Lock) -> None:
        kept = stored(path) if path.is_file() else {}
        officialprompt.write_cache(kept | dict(found), path)

    return _Adapter(
        extract=lambda path, script, lock: officialprompt.extract(path, locks[script.name]),
        write=write,
        check=lambda path, lock: list(stored(path)),
    )
