"""Do two judges of the same pictures rank the checkpoints of a sweep alike?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.stats import spearman
from reports.groups import Design, read_sweep
from reports.significance.analysis import primary_metric
from reports.tables import Table, render

MIN_CHECKPOINTS = 4
"""Below it a rank correlation says nothing (`harness.stats.spearman` has no interval)."""


def write_agreement(folders: Sequence[Path], out: Path) -> Path | None:
    """`OUT/judges.md`: rank agreement of every pair of evaluations of a sweep; None where no two can be compared.

    Args:
        folders: the sweep's result folders, one per evaluation.
        out: folder that is there.
    """
    designs = [read_sweep(f) for f in folders]
    pairs = [row for i, a in enumerate(designs) for j, b in enumerate(designs) if i < j for row in _rows(a, b)]
    # Two evaluations by one judge (of first and of refined images) pair with a third one alike.
    rows = {(frozenset(row[:2]), *row[2:4]): row for row in reversed(pairs)}.values()
    if not rows:
        return None
    table = Table(
        name="judges",
        title="Rank agreement of judges over the same checkpoints",
        columns=("judge", "other judge", "benchmark", "ranked", "n", "Spearman", "95 % low", "95 % high"),
        rows=tuple(reversed(rows)),
        notes=(
            "Checkpoints: every seed of every condition, and the base. Conditions: their means over seeds.",
            "Intervals on Fisher's z: of checkpoints by a jackknife over conditions, of conditions with the standard "
            "error of Bonett and Wright (2000). Empty: the ranks agree completely, for which there is none.",
        ),
    )
    file = out / "judges.md"
    file.write_text(render(table, "md"), encoding="utf-8")
    return file


def _rows(a: Design, b: Design) -> list[tuple[str | float | int | None, ...]]:
    rows: list[tuple[str | float | int | None, ...]] = []
    first, second = _values(a), _values(b)
    for benchmark in [x for x in first if x in second]:
        x, y = first[benchmark], second[benchmark]
        judges = (_judge(a, benchmark), _judge(b, benchmark))
        if judges[0] == judges[1]:
            continue
        shared = [k for k in x if k in y]
        names = list(dict.fromkeys(c for c, _ in shared))
        kinds = {
            "checkpoints": ([x[k] for k in shared], [y[k] for k in shared], [names.index(c) for c, _ in shared]),
            "conditions": (_means(x, names, shared), _means(y, names, shared), None),
        }
        for kind, (left, right, clusters) in kinds.items():
            if len(left) >= MIN_CHECKPOINTS:
                found = spearman(left, right, clusters=clusters)
                # Fisher's z has no interval at 1 and -1: equal limits would claim certainty from a few checkpoints.
                low, high = (None, None) if found.low == found.high else (found.low, found.high)
                rows.append((*judges, benchmark, kind, len(left), found.value, low, high))
    return rows


def _values(design: Design) -> dict[str, dict[tuple[str, int | None], float]]:
    """By benchmark, then condition and seed: the declared headline."""
    found: dict[str, dict[tuple[str, int | None], float]] = {}
    for condition in design.conditions:
        for run, seed in zip(condition.runs, condition.seeds or (None,) * len(condition.runs), strict=True):
            for benchmark in run.benchmarks:
                metric = primary_metric(run, benchmark)
                value = run.block(benchmark)["values"][metric]["value"] if metric else None
                if value is not None:
                    found.setdefault(benchmark, {})[condition.name, seed] = float(value)
    return found


def _means(
    values: dict[tuple[str, int | None], float], names: Sequence[str], keys: Sequence[tuple[str, int | None]]
) -> list[float]:
    return [float(np.mean([values[k] for k in keys if k[0] == name])) for name in names]


def _judge(design: Design, benchmark: str) -> str:
    return str(next(r for r in design.runs if benchmark in r.benchmarks).block(benchmark)["judge"])
