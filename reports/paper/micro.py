"""Numbers of the micro world: a table of their own, under micro names, never beside published values.

The micro world's rewards and judges are stand-ins. A value of theirs under the name of the reward that it stands for,
or under the number of one of the paper's tables, would be read as a replication; the functions here refuse to make one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import ConfigError
from reports.paper.refinement import gates_table
from reports.runs import Run
from reports.tables import Table

TITLE = "Micro reward ablation"

_RESERVED = re.compile(
    r"(?<![\w-])(?<!micro-)(hps ?v?\d(\.\d)?|viescore|pickscore|unified ?reward|table[ _-]*[1-5])(?![\w])",
    re.IGNORECASE,
)


def is_micro(run: Run, benchmark: str | None = None) -> bool:
    """Whether the run's values (of one benchmark, or any) are of the micro world: by profile, judge or data."""
    if run.summary.get("profile") != "official":
        return True
    names = [benchmark] if benchmark is not None else run.benchmarks
    blocks = [run.block(n) for n in names]
    return any(str(b["judge"]).startswith("micro") or "-micro@" in str(b["data"]) for b in blocks)


def refuse_micro(run: Run, benchmark: str, place: str) -> None:
    """Raises ConfigError where the run's values of the benchmark are of the micro world.

    Args:
        run: which would give a value to a table with published ones.
        benchmark: whose value.
        place: table and row, for the message.
    """
    if is_micro(run, benchmark):
        block = run.block(benchmark)
        raise ConfigError(
            f"{run.path} ({benchmark}, profile {run.summary.get('profile')!r}, judge {block['judge']!r}, data "
            f"{block['data']!r}) is of the micro world and cannot stand in {place}. Leave it out of that row: micro "
            f"runs have a table of their own ({TITLE!r})."
        )


def check_micro_names(table: Table) -> Table:
    """`table` itself, which holds micro numbers, if nothing in it carries a name that belongs to published tables.

    Raises:
        ConfigError: a title, name, column, row or note does.
    """
    texts = [table.name, table.title, *table.columns, *table.notes]
    texts += [c for row in table.rows for c in row if isinstance(c, str)]
    for text in texts:
        found = _RESERVED.search(text)
        if found:
            word = found[0].lower()
            better = "" if word.startswith("table") else f" Name the run after what it used, e.g. micro-{word}."
            raise ConfigError(
                f"A table of micro runs says {text!r}: {found[0]!r} names published numbers; these are none.{better}"
            )
    return table


def micro_tables(runs: Sequence[Run]) -> list[Table]:
    """The headline values of micro runs in one table, and the gates of their refinements; none for no runs.

    Raises:
        ConfigError: a run that is not of the micro world, or a name that belongs to published tables.
    """
    for run in runs:
        if not is_micro(run):
            raise ConfigError(f"{run.path} is not of the micro world; it does not belong into {TITLE!r}.")
    rows: list[tuple[str | float | int | None, ...]] = []
    for run in runs:
        for name in run.benchmarks:
            block = run.block(name)
            for metric in block["headline"]:
                cell = block["values"].get(metric)
                if cell is None:
                    continue
                interval = None if cell["ci_low"] is None else f"[{cell['ci_low']:.3f}, {cell['ci_high']:.3f}]"
                n, missing = cell["n"], cell["n_missing"]
                rows.append((run.name, f"micro {name}", metric, cell["value"], interval, n, missing, block["judge"],
                             run.summary["protocol"]))  # fmt: skip
    if not rows:
        return []
    table = Table(
        name="micro-reward-ablation",
        title=TITLE,
        columns=("run", "benchmark", "metric", "value", "95% interval", "n", "missing", "judge", "protocol"),
        rows=tuple(rows),
        notes=(
            "Micro world: generated scenes, exact or simulated judges. These values compare with other micro runs of "
            "the same world version only, and with no published number.",
            "Intervals: another draw of prompts and images from the same checkpoint; they say nothing about other "
            "training seeds.",
        ),
    )
    return [check_micro_names(t) for t in (table, *_gates(runs))]


def _gates(runs: Sequence[Run]) -> list[Table]:
    found = []
    for i, run in enumerate(runs):
        for name in run.benchmarks:
            for metric in (run.block(name).get("refinement") or {}).get("base", ()):
                stem = f"micro-refinement-{i}-{name}-{metric.replace('/', '-')}"
                title = f"Micro refinement: {run.name}, {name}, {metric}"
                found.append(gates_table(run, name, metric, name=stem, title=title))
    return found
