"""`sweep table1` to `table5`: the rows of the paper's tables as cells, priced, run where they can be, and reported.

What a row takes is data of `reports.paper.rows`; here it becomes commands. A row that this version cannot run (its
model or judge is missing, its checkpoint is not public) is listed with the reason and stays empty in the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import config as configs
from harness.errors import ConfigError
from harness.sweep.cells import Cell, Step, is_finished, put_setting
from reports.paper.pricing import price
from reports.paper.rows import Row, rows, with_models
from reports.paper.tables import paper_table
from reports.report import write_formats
from reports.runs import load_run


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSweep:
    """The rows of one table."""

    number: int
    rows: tuple[Row, ...]
    """All of the table, in the paper's order."""
    cells: tuple[Cell, ...]
    """Of the rows that can be run, by row key in `condition`."""
    left_out: Mapping[str, str]
    """Row key -> why it cannot be run here."""


def table_sweep(name: str, out: Path, models: Sequence[str]) -> TableSweep:
    """The rows of `tableN` as cells.

    Args:
        name: `table1` to `table5`.
        out: folder of the cells.
        models: `PLACEHOLDER=SPEC`, checkpoints for rows whose model is not public.

    Raises:
        ConfigError: no such table or placeholder.
    """
    number = int(name.removeprefix("table"))
    given = dict(_pair(text) for text in models)
    found = with_models(rows(number), given)
    cells, left_out = [], {}
    for row in found:
        reason = _reason(row)
        if reason:
            left_out[row.key] = reason
        else:
            cells.append(_cell(row, out))
    return TableSweep(number=number, rows=tuple(found), cells=tuple(cells), left_out=left_out)


def show(sweep: TableSweep, as_json: bool) -> None:
    """Prints what each row takes; no model is loaded."""
    import click

    prices = [price(row) for row in sweep.rows]
    if as_json:
        click.echo(json.dumps({"table": sweep.number, "rows": prices, "left_out": dict(sweep.left_out)}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Table {sweep.number} of the paper: {len(prices)} evaluations", title_justify="left")
    for column in ("row", "images", "judge calls", "tokens in", "USD", "judge"):
        table.add_column(column, justify="left" if column in ("row", "judge") else "right", overflow="fold")
    for p in prices:
        tokens, usd = p["tokens_in"], p["usd"]
        table.add_row(
            p["key"],
            f"{p['n_images']:,}",
            f"{p['n_calls']:,}",
            "" if tokens is None else f"{tokens:,}",
            "" if usd is None else f"{usd:,.2f}",
            str(p["judge"]),
        )
    console = Console(highlight=False)
    console.print(table)
    for reason in dict.fromkeys(p["why"] for p in prices if p["basis"] != "data"):
        console.print(f"Counted from the locked data: {reason}", markup=False)
    for reason, keys in _by_reason(sweep.left_out).items():
        console.print(f"Cannot be run here ({len(keys)} rows): {reason}. E.g. {keys[0]}.", style="yellow", markup=False)


def write_report(sweep: TableSweep, out: Path) -> list[Path]:
    """The table with what is finished, in every format; `OUT/report`."""
    assign = {
        cell.condition: load_run(cell.folder / step.name, cell.condition)
        for cell in sweep.cells
        for step in cell.steps
        if step.name != "train" and is_finished(cell, step)
    }
    tables = paper_table(sweep.number, [], assign=assign)
    return write_formats(tables, out / "report", ("md", "tex", "csv", "json", "html"))


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, reason in left_out.items():
        found.setdefault(reason, []).append(key)
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, spec = text.partition("=")
    if not equals or not name or not spec:
        raise ConfigError(f"--model {text!r}: expected PLACEHOLDER=MODEL, e.g. alphagrpo-rt2i=runs/trained.")
    return name, spec


def _reason(row: Row) -> str:
    """Why the row cannot be run; a checkpoint that can be trained here is no reason."""
    from harness.cli.list_command import shipped_configs

    can_train = row.train is not None and row.train["config"] in shipped_configs()
    parts = [p for p in row.missing_parts if not (can_train and p.startswith("train one"))]
    return "; ".join(parts)


def _cell(row: Row, out: Path) -> Cell:
    settings = {k: v for k, v in row.eval.items() if k != "models"}
    train = _train_step(row.train) if row.is_placeholder and row.train is not None else None
    evaluation = Step(name="eval", settings=settings, model="" if train else row.model)
    steps = (train, evaluation) if train else (evaluation,)
    return Cell(condition=row.key, seed=None, folder=out / row.key.replace("/", "-"), steps=steps)


def _train_step(train: Mapping[str, Any]) -> Step:
    from harness.cli.train_command import find_config

    data, _ = configs.read_yaml(find_config(str(train["config"])))
    for key, value in train["set"].items():
        put_setting(data, key, value, f"row trained from {train['config']}")
    return Step(name="train", settings=data)
