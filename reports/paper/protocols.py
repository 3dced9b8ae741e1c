"""The same judgements under both protocols, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import ConfigError
from reports.runs import IDENTITY, Run
from reports.tables import Cell, Table


def are_same_judgements(a: Run, b: Run) -> bool:
    """Whether two summaries were computed from one set of images and answers: same policy, settings, judge and data."""
    if not a.manifest.get("identity") or a.manifest["identity"] != b.manifest.get("identity"):
        return False
    shared = [n for n in a.benchmarks if n in b.benchmarks]
    kept = [k for k in IDENTITY if k != "protocol"]
    return bool(shared) and all(
        all(a.identity(n)[k] == b.identity(n)[k] for k in kept) and a.block(n)["n_prompts"] == b.block(n)["n_prompts"]
        for n in shared
    )


def protocol_table(official: Run, corrected: Run, *, name: str = "protocols") -> Table:
    """Headline values under `official` and `corrected` arithmetic, and what the quirks make.

    The difference has no interval: both values are of the same answers, so it is exact for them.

    Raises:
        ConfigError: wrong protocols, or not the same judgements.
    """
    protocols = (official.summary["protocol"], corrected.summary["protocol"])
    if protocols != ("official", "corrected"):
        raise ConfigError(f"Expected an official and a corrected run, got {protocols[0]} ({official.path}) and "
                          f"{protocols[1]} ({corrected.path}).")  # fmt: skip
    if not are_same_judgements(official, corrected):
        raise ConfigError(
            f"{official.path} and {corrected.path} are not the same judgements (model, settings, judge, data or "
            "prompts differ); protocols are compared on one run, evaluated again with --protocol corrected."
        )
    rows: list[tuple[Cell, ...]] = []
    for benchmark in (n for n in official.benchmarks if n in corrected.benchmarks):
        left, right = official.block(benchmark), corrected.block(benchmark)
        for metric in dict.fromkeys([*left["headline"], *right["headline"]]):
            a, b = (block["values"].get(metric, {}) for block in (left, right))
            values = (a.get("value"), b.get("value"))
            difference = None if values[0] is None or values[1] is None else values[1] - values[0]
            rows.append((benchmark, metric, *values, difference, a.get("n_missing"), b.get("n_missing")))
    return Table(
        name=name,
        title=f"{official.name}: official and corrected protocol on the same judgements",
        columns=("benchmark", "metric", "official", "corrected", "corrected minus official", "missing, official",
                 "missing, corrected"),
        rows=tuple(rows),
        formats=("", "", "", "", "+.4f", "", ""),
        notes=("Both columns are computed from the same images and answers. The difference is what the reference "
               "script's quirks make of them; it is no difference between models.",),
    )  # fmt: skip


def pairs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """(official, corrected) among the runs that are the same judgements."""
    left = [r for r in runs if r.summary["protocol"] == "official"]
    right = [r for r in runs if r.summary["protocol"] == "corrected"]
    return [(a, b) for a in left for b in right if are_same_judgements(a, b)]
