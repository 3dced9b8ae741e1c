"""Refinement at inference: four gates, each beside its control, or nothing."""

from __future__ import annotations

from typing import Any

from harness.refinement.gates import GATES
from harness.refinement.jobs import AGAIN, REFINE
from reports.runs import Run
from reports.tables import Cell, Table

COLUMNS = ("gate", "arm", "round", "value", "95% interval", "minus first images", "minus control", "kept", "images",
           "judge calls")  # fmt: skip
CONTROL = "control: sample once more"


def absent(block: dict[str, Any] | None, metric: str) -> list[str]:
    """Gates, or their controls, that a refinement block does not have for a metric; empty: it may be shown."""
    have = {(r["gate"], r["arm"]) for r in (block or {}).get("rows", ()) if metric in r["values"]}
    wanted = [(g, a) for g in GATES for a in (REFINE, AGAIN)]
    return [g if a == REFINE else f"control of {g}" for g, a in wanted if (g, a) not in have]


def last_round(block: dict[str, Any], metric: str, gate: str, arm: str) -> dict[str, Any]:
    """The last round's cell of a gate's refinements or control; the block has it (see `absent`)."""
    rows = [r for r in block["rows"] if (r["gate"], r["arm"]) == (gate, arm) and metric in r["values"]]
    cell: dict[str, Any] = max(rows, key=lambda r: r["round"])["values"][metric]
    return cell


def gates_table(run: Run, benchmark: str, metric: str, *, name: str, title: str, notes: tuple[str, ...] = ()) -> Table:
    """The four gates with their controls; without any number where one of them is absent.

    Args:
        run: with or without refinement of the benchmark.
        benchmark: whose images were refined.
        metric: one of its headline values.
        name: of the table.
        title: of the table.
        notes: printed below it, before those of the run.
    """
    block = run.block(benchmark).get("refinement")
    lacking = absent(block, metric)
    if lacking or block is None:
        empty: tuple[Cell, ...] = (None,) * (len(COLUMNS) - 2)
        rows: list[tuple[Cell, ...]] = [(g, a, *empty) for g in GATES for a in ("refined", CONTROL)]
        notes = (*notes, f"No number is shown: {', '.join(lacking)} did not run. Repeat the evaluation with --reflect "
                 "ROUNDS --gate all,self,verifier,oracle --gate-judge NAME.")  # fmt: skip
        return Table(name=name, title=title, columns=COLUMNS, rows=tuple(rows), notes=notes)
    base = block["base"][metric]
    rows = [("first images", None, 0, base["value"], _interval(base), None, None, None, 0, 0)]
    ordered = sorted(block["rows"], key=lambda r: (GATES.index(r["gate"]), r["round"], r["arm"] != REFINE))
    rows += [_row(r, metric) for r in ordered if metric in r["values"]]
    return Table(name=name, title=title, columns=COLUMNS, rows=tuple(rows), notes=(*notes, *block["notes"]))


def _row(row: dict[str, Any], metric: str) -> tuple[Cell, ...]:
    cell = row["values"][metric]
    against_control = _difference(cell["minus_control"]) if "minus_control" in cell else None
    arm = "refined" if row["arm"] == REFINE else CONTROL
    kept = f"{row['n_accepted']}/{row['n_offered']}"
    return (row["gate"], arm, row["round"], cell["value"], _interval(cell), _difference(cell["minus_base"]),
            against_control, kept, row["n_images"], row["n_judge_calls"])  # fmt: skip


def _interval(cell: dict[str, Any]) -> str | None:
    return None if cell["ci_low"] is None else f"[{cell['ci_low']:.4g}, {cell['ci_high']:.4g}]"


def _difference(cell: dict[str, Any]) -> str | None:
    if cell["est"] is None:
        return None
    est = 0.0 if abs(cell["est"]) < 1e-9 else cell["est"]  # rounding must not print as -0.0000
    interval = "" if cell["ci_low"] is None else f" [{cell['ci_low']:+.3f}, {cell['ci_high']:+.3f}]"
    return f"{est:+.4f}{interval}"
