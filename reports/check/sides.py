"""What the gate reads of a run: the headline of each benchmark in its prompts' parts, and what it was made with."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.terms import Terms
from reports.check.images import ImageScores, image_scores, read_scores
from reports.runs import Run, load_run
from reports.significance.analysis import primary_metric
from reports.significance.compare import OFFICIAL_TOLERANCE


class RefusedError(HarnessError):
    """The sides cannot be compared: nothing is said about the candidate. Exit code 2, never that of a regression."""

    exit_code = 2


class IncompleteError(HarnessError):
    """A side is not finished or misses too many answers; exit code 3."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Value:
    """One benchmark of one run, reduced to its headline."""

    metric: str
    """The one headline that is decided on (`reports.significance.analysis.PRIMARY`), with a minus sign where less is
    better."""
    official: float | None
    """As the summary has it; None where the benchmark gave none."""
    why_none: str = ""
    title: str
    identity: dict[str, str]
    """See `reports.runs.IDENTITY`."""
    terms: Terms
    images: ImageScores | None
    """Scores of single images; None where they are not known."""
    no_images: str = ""
    """Why not."""
    n_answers: int
    """Planned answers of the judge."""
    n_missing: int
    """Those without a value."""

    @property
    def estimate(self) -> float | None:
        """The headline; None where a weighted category has no valid prompt."""
        from harness.stats import influence_values

        t = self.terms
        theta = float(influence_values(t.num, t.cat, t.weights, t.den).theta)
        return None if math.isnan(theta) else theta

    @property
    def missing_share(self) -> float:
        """Share of the judge's answers that are missing; 1 where nothing was planned."""
        return self.n_missing / self.n_answers if self.n_answers else 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """One checkpoint, as a finished run or from a baseline file."""

    where: str
    """File or folder, for messages."""
    model: str
    fingerprint: str
    """Of the policy; empty where not recorded."""
    made: str
    """Date of the run, YYYY-MM-DD."""
    environment: dict[str, str]
    """Versions that a number may depend on."""
    settings: dict[str, Any]
    """Generation settings other than the defaults, seeds, samples per prompt."""
    values: dict[str, Value]
    """By benchmark."""
    unread: tuple[str, ...] = ()
    """Benchmarks that it holds besides."""
    texts: dict[str, str] = field(default_factory=dict)
    """Prompt id -> text; empty for a baseline file."""


def side_of_run(path: Path, benchmarks: list[str] | None = None) -> Side:
    """A run directory as a side of the gate.

    Args:
        path: a run directory of `eval`.
        benchmarks: those to read; None for all.

    Raises:
        RefusedError: no run directory, or one that lacks what the gate needs.
        IncompleteError: the run was not finished.
    """
    if (path / "manifest.json").is_file() and not (path / "summary.json").is_file():
        raise IncompleteError(f"{path}: the run was not finished. Repeat its `eval` command, which continues it.")
    try:
        run = load_run(path)
        scores = read_scores(path / "scores.jsonl")
        values = {}
        for name in run.benchmarks if benchmarks is None else [b for b in benchmarks if b in run.benchmarks]:
            values[name] = _value(run, name, scores)
        return Side(
            where=str(path),
            model=run.name,
            fingerprint=str(run.manifest.get("identity", {}).get("policy", "")),
            made=_date(run.manifest.get("updated")),
            environment=_environment(run.manifest.get("environment", {})),
            settings=_settings(run.manifest.get("config", {})),
            values=values,
            unread=tuple(b for b in run.benchmarks if b not in values),
            texts=_texts(path / "prompts.jsonl"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedError(
            f"{path}: summary.json or manifest.json lacks a field ({error}). Repeat the run's `eval` command."
        ) from None
    except (RefusedError, IncompleteError):
        raise
    except HarnessError as error:
        raise RefusedError(str(error)) from None


def _value(run: Run, benchmark: str, scores: list[Any]) -> Value:
    block = run.block(benchmark)
    metric = primary_metric(run, benchmark)
    terms = run.terms(benchmark)
    if metric is None or metric not in terms:
        raise RefusedError(
            f"{run.path}: {benchmark} {metric} has no terms in terms.json, so that it cannot be compared prompt by "
            "prompt. Repeat the run's `eval` command (it costs no model and no judge call), or choose other "
            "benchmarks with -b."
        )
    own = terms[metric]
    images = image_scores(scores, benchmark, own)
    cell = block["values"][metric]
    official = None if cell["value"] is None else float(cell["value"])
    name = metric
    if not own.higher_is_better:
        # Every rule of the gate speaks of losses: an error is decided on as minus the error.
        own, name, official = own.negated(), f"-{metric}", None if official is None else -official
        images = images if isinstance(images, str) else images.negated()
    found = Value(
        metric=name,
        official=official,
        why_none=str(cell.get("method", "")) if cell["value"] is None else "",
        title=str(block.get("title", benchmark)),
        identity=run.identity(benchmark),
        terms=own,
        images=None if isinstance(images, str) else images,
        no_images=images if isinstance(images, str) else "",
        n_answers=int(block["n_answers"]),
        n_missing=int(block["n_missing"]),
    )
    _check_official(found.official, found.estimate, found.terms, f"{run.path}, {benchmark} {name}")
    return found


def _check_official(value: float | None, estimate: float | None, terms: Terms, where: str) -> None:
    """The prompts' parts must give the printed number: another file would decide about another run."""
    width = terms.hi - terms.lo
    slack = OFFICIAL_TOLERANCE * (width if math.isfinite(width) else max(1.0, abs(value or 0.0)))
    if value is not None and (estimate is None or abs(value - estimate) > slack):
        raise RefusedError(
            f"{where}: terms.json gives {estimate}, summary.json says {value}; the two files are of different times. "
            "Repeat the run's `eval` command, which writes both anew."
        )


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    chosen = {k: v for k, v in config.get("generation", {}).items() if v not in (None, {})}
    found = {"generation": chosen, "seeds": config.get("seeds"), "samples_per_prompt": config.get("samples_per_prompt")}
    return {k: v for k, v in found.items() if v not in (None, {})}


def _environment(environment: dict[str, Any]) -> dict[str, str]:
    packages = environment.get("packages", {})
    known = {k: environment.get(k) for k in ("ummbench", "python", "machine")}
    known |= {k: packages.get(k) for k in ("torch", "numpy")}
    return {k: str(v) for k, v in known.items() if v}


def _date(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else ""


def _texts(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    found = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            row = json.loads(line)
            found[str(row["id"])] = str(row["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(
                f"{file}, line {number}: not a record of prompts ({error}). Repeat the run's `eval` command, which "
                "writes the file anew."
            ) from None
    return found
