"""Which run fills which row, by a declared rule: its recorded configuration against the row's specification.

A run is offered to a row when it is called like it (`Run.name`, `assign`), or when it evaluated the row's model. One
that was only found by its model must meet the specification in everything; one that was called like the row is shown
even where it does not, with what differs in place of a comparison.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError, unknown_name
from harness.registry import BENCHMARKS
from reports.paper.micro import refuse_micro
from reports.paper.rows import Row
from reports.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A run in a row."""

    run: Run
    row: Row
    differences: tuple[str, ...]
    """What does not meet the specification; empty: comparable."""


def match(
    number: int, found: Sequence[Row], runs: Sequence[Run], assign: Mapping[str, Run]
) -> tuple[dict[str, Match], list[str]]:
    """The run of each row by the row's key, and notes on runs that a row might have had.

    Args:
        number: of the table, for messages.
        found: its rows.
        runs: candidates by name and by model; none of the micro world.
        assign: row key, or the part before the first `/` for all benchmarks of the row -> run.

    Raises:
        ConfigError: an unknown key, a micro run, or two runs with equal claim to one row.
    """
    known = [*dict.fromkeys(r.row for r in found), *(r.key for r in found)]
    for key in assign:
        if key not in known:
            raise unknown_name(f"row of table {number}", key, known)
    named = {**{r.name: r for r in runs if r.name in known}, **assign}
    matches, notes = {}, []
    for row in found:
        match_ = _by_name(number, row, found, named)
        if match_ is None:
            match_, left_out = _by_model(row, [r for r in runs if r.name not in known])
            notes += left_out
        if match_ is not None:
            matches[row.key] = match_
    return matches, list(dict.fromkeys(notes))


def differences(run: Run, row: Row) -> list[str]:
    """What the run did otherwise than the row says, e.g. `other judge: X, the row says Y`; empty: it fills the row."""
    config = run.manifest.get("config") or {}
    found = []
    if run.summary["protocol"] != row.eval["protocol"]:
        found.append(_other("protocol", run.summary["protocol"], row.eval["protocol"]))
    block = run.block(row.benchmark)
    judge, wanted = judge_of(run, row.benchmark), judge_model(row.eval["judge"])
    if judge != wanted:
        found.append(_other("judge", judge, wanted))
    options = row.eval["options"][row.benchmark]
    wording = options.get("judge_prompt")
    if wording is not None and block.get("judge_prompt") != wording:
        found.append(_other("judge wording", block.get("judge_prompt") or "not recorded", wording))
    if not config:
        return [*found, "settings not recorded: no manifest"]
    found += _generation(config.get("generation") or {}, row.eval["generation"])
    found += _options(row.benchmark, (config.get("options") or {}).get(row.benchmark) or {}, options)
    if config.get("limit") is not None:
        found.append(f"only {block['n_prompts']} prompts: limit {config['limit']}")
    if config.get("samples_per_prompt") is not None:
        found.append(_other("number of images per prompt", config["samples_per_prompt"], "the benchmark's own"))
    if "reflect" in row.eval and config.get("reflect") != row.eval["reflect"]:
        found.append(_other("number of refinements", config.get("reflect") or 0, row.eval["reflect"]))
    return found


def judge_of(run: Run, benchmark: str) -> str:
    """Model or name of the run's judge: from its configuration, else what the results themselves say."""
    config = run.manifest.get("config")
    if not config:
        return str(run.block(benchmark)["judge"])
    own = BENCHMARKS.get(benchmark).default_judge.get(config.get("profile"))
    return judge_model(config.get("judge") or own or str(run.block(benchmark)["judge"]))


def judge_model(spec: str) -> str:
    """`openai:MODEL@URL,settings` as `MODEL`; a judge without a model by its name."""
    name, _, argument = spec.partition(":")
    if name not in ("openai", "vllm", "transformers"):
        return name
    return argument.partition(",")[0].rpartition("@http")[0] or argument.partition(",")[0]


def _by_name(number: int, row: Row, found: Sequence[Row], named: Mapping[str, Run]) -> Match | None:
    run = named.get(row.key)
    if run is None:
        run = named.get(row.row)
        if run is None or row.benchmark not in run.benchmarks or not _is_same_mode(run, row, found):
            return None
    if row.benchmark not in run.benchmarks:
        raise ConfigError(f"{run.path} was given for row {row.key!r} and holds no {row.benchmark!r}.")
    refuse_micro(run, row.benchmark, f"table {number}, row {row.key!r}")
    return Match(run=run, row=row, differences=tuple(differences(run, row)))


def _is_same_mode(run: Run, row: Row, found: Sequence[Row]) -> bool:
    """Whether of a row's two modes, plain and thinking, the run belongs to this one."""
    modes = {r.is_thinking for r in found if (r.row, r.benchmark) == (row.row, row.benchmark)}
    generation = (run.manifest.get("config") or {}).get("generation") or {}
    return len(modes) == 1 or bool(generation.get("think")) == row.is_thinking


def _by_model(row: Row, runs: Sequence[Run]) -> tuple[Match | None, list[str]]:
    if row.is_placeholder:
        return None, []
    candidates = [r for r in runs if r.summary["model"] == row.model and row.benchmark in r.benchmarks]
    fitting, notes = [], []
    for run in candidates:
        why = differences(run, row)
        if not why:
            fitting.append(run)
        else:
            notes.append(f"Run {run.name} ({run.path}) is not in row {row.key}: {'; '.join(why)}.")
    if len(fitting) > 1:
        places = ", ".join(str(r.path) for r in fitting)
        raise ConfigError(
            f"Several runs fill row {row.key!r}: {places}. Report only one of them, or give one the name {row.key!r}."
        )
    return (Match(run=fitting[0], row=row, differences=()), []) if fitting else (None, notes)


def _other(what: str, have: Any, want: Any) -> str:
    return f"other {what}: {have}, the row says {want}"


def _generation(have: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    found = []
    for key in dict.fromkeys([*want, *have]):
        mine, asked = have.get(key), want.get(key)
        if key == "extra":
            mine, asked = mine or {}, asked or {}
        if mine != asked:
            what = "resolution" if key == "size_px" else f"generation setting {key}"
            found.append(_other(what, "the model's own" if mine is None else mine,
                                "the model's own" if asked is None else asked))  # fmt: skip
    return found


def _options(benchmark: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    cls = BENCHMARKS.get(benchmark).options_type
    own = {f.name: f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
    mine, asked = {**own, **have}, {**own, **want}
    names = {"prompt_set": "prompt set", "set": "prompt set", "variant": "prompt set", "lang": "prompt set"}
    found = []
    for key in asked:
        if key in ("judge_prompt", "image_model", "table", "ocr_file") or mine.get(key) == asked[key]:
            continue  # the wording is compared as recorded; the others say where files lie
        found.append(_other(names.get(key, f"option {benchmark}.{key}"), mine.get(key), asked[key]))
    return found
