"""A baseline file: what the gate needs of finished runs, small enough to be committed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import terms as terms_module
from harness.errors import ConfigError, HarnessError
from reports.check import images as images_module
from reports.check.sides import IncompleteError, RefusedError, Side, Value, side_of_run

KIND, VERSION = "ummbench-baseline", 1


def read_sides(path: Path, benchmarks: list[str] | None = None) -> list[Side]:
    """The checkpoints that stand behind a path: one of a run directory, one or several (seeds) of a baseline file.

    Raises:
        RefusedError: neither, or damaged.
        IncompleteError: a run that was not finished.
    """
    if path.is_dir():
        return [side_of_run(path, benchmarks)]
    if not path.exists():
        raise RefusedError(f"{path}: no such run directory or baseline file.")
    return read_baseline(path, benchmarks)


def read_baseline(file: Path, benchmarks: list[str] | None = None) -> list[Side]:
    """The checkpoints of a baseline file.

    Raises:
        RefusedError: not a baseline file, of another version, or damaged.
    """
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RefusedError(f"{file}: cannot be read as JSON ({error}).") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise RefusedError(f"{file}: not a baseline file. `run.py check RUN --save-baseline FILE` writes one.")
    if data.get("version") != VERSION:
        raise RefusedError(
            f"{file}: written in layout {data.get('version')}, this version reads {VERSION}. Save the baseline anew."
        )
    try:
        return [_side(run, str(file), benchmarks) for run in data["runs"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RefusedError(f"{file}: damaged ({type(error).__name__}: {error}). Save the baseline anew.") from None
    except HarnessError as error:
        raise RefusedError(f"{error} Or save the baseline anew.") from None


def write_baseline(file: Path, sides: Sequence[Side], max_missing: float) -> None:
    """Writes complete runs as one baseline, atomically.

    Raises:
        IncompleteError: a run misses more than `max_missing` of a benchmark's answers.
        ConfigError: there is nothing to store, or the file cannot be written.
    """
    for side in sides:
        if not side.values:
            raise ConfigError(f"{side.where}: no benchmark to store.")
        for name, value in side.values.items():
            if value.official is None:
                raise IncompleteError(f"{side.where}: {name} has no value ({value.why_none}); no baseline was written.")
            if value.missing_share > max_missing:
                raise IncompleteError(
                    f"{side.where}: {name} misses {value.n_missing:,} of {value.n_answers:,} answers "
                    f"({value.missing_share:.1%}, accepted {max_missing:.1%}); no baseline was written. Repeat its "
                    "`eval` command."
                )
    data = {"kind": KIND, "version": VERSION, "runs": [_side_object(s) for s in sides]}
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(_text(data) + "\n", encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}).") from None


def _side_object(side: Side) -> dict[str, Any]:
    return {
        "model": side.model,
        "policy": side.fingerprint,
        "made": side.made,
        "environment": side.environment,
        "settings": side.settings,
        "benchmarks": {
            name: {
                "metric": v.metric,
                "title": v.title,
                "value": v.official,
                "why_none": v.why_none,
                "identity": v.identity,
                "n_answers": v.n_answers,
                "n_missing": v.n_missing,
                "terms": _whole(terms_module.to_json({v.metric: v.terms})),
                "images": images_module.to_json(v.images) if v.images else None,
                "no_images": v.no_images,
            }
            for name, v in side.values.items()
        },
    }


def _side(run: dict[str, Any], where: str, benchmarks: list[str] | None) -> Side:
    values = {}
    for name, b in run["benchmarks"].items():
        if benchmarks is not None and name not in benchmarks:
            continue
        values[name] = Value(
            metric=b["metric"],
            official=None if b["value"] is None else float(b["value"]),
            why_none=b["why_none"],
            title=b["title"],
            identity={k: str(v) for k, v in b["identity"].items()},
            terms=terms_module.from_json(b["terms"], f"{where}, {name}")[b["metric"]],
            images=None if b["images"] is None else images_module.from_json(b["images"]),
            no_images=b["no_images"],
            n_answers=int(b["n_answers"]),
            n_missing=int(b["n_missing"]),
        )
        images, n = values[name].images, len(values[name].terms.prompts)
        if images is not None and len(images.scores) != n:
            raise ValueError(f"{name}: {len(images.scores)} rows of images for {n} prompts")
    return Side(
        where=where,
        model=str(run["model"]),
        fingerprint=str(run["policy"]),
        made=str(run["made"]),
        environment=dict(run["environment"]),
        settings=dict(run["settings"]),
        values=values,
        unread=tuple(b for b in run["benchmarks"] if b not in values),
    )


def _whole(value: Any) -> Any:
    """Whole floats as integers, which JSON readers take for the same number."""
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any, indent: str = "") -> str:
    """JSON with one line per key and every list of plain values on its line, so that version control shows changes."""
    deeper = indent + " "
    if isinstance(value, dict) and value:
        rows = [f"{deeper}{json.dumps(k)}: {_text(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return "[\n" + ",\n".join(deeper + _text(v, deeper) for v in value) + f"\n{indent}]"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
