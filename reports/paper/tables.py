"""`paper_table`: the published table, one's own values beside it, and what may be said of the difference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.refinement.gates import GATES
from harness.refinement.jobs import AGAIN, REFINE
from reports.paper.matching import Match, match
from reports.paper.micro import is_micro, micro_tables, refuse_micro
from reports.paper.protocols import pairs, protocol_table
from reports.paper.refinement import CONTROL, absent, gates_table, last_round
from reports.paper.rows import Row, rows, table
from reports.paper.verdicts import Own, own_value, verdict
from reports.reference import Column, Published, Reference, inconsistencies, reference, sources
from reports.runs import Run
from reports.tables import Cell, Table

COLUMNS = ("model", "mode", "quantity", "published", "source", "ours", "95% interval", "n", "missing", "difference",
           "verdict", "see")  # fmt: skip

_COMPANIONS = {1: ("bagel-geneval",), 2: (), 3: ("crosscheck", "pilot"), 4: (), 5: ()}
"""Published tables that are printed beside a table of the paper."""

_RULES = (
    "Published values have no interval, so nothing is tested here: the verdict says where the printed value, within "
    "its rounding, lies with regard to our 95% interval. That interval covers another draw of prompts and images "
    "from the same checkpoint, not other training seeds.",
    "`difference` is ours minus published, in the unit of the published value, and empty where judge, protocol, "
    "prompts or generation settings differ.",
)


def paper_table(number: int, runs: Sequence[Run], assign: Mapping[str, Run] | None = None) -> list[Table]:
    """Table `number` with published values and ours, and the tables that belong beside it.

    A run fills a row when it is called like it (`Run.name` or `assign`: the row's key, or the paper's row for all of
    its benchmarks), or when its recorded configuration is the row's (see `reports.paper.matching`). Micro runs never
    do; they get a table of their own.

    Args:
        number: 1 to 5.
        runs: finished runs; may be empty.
        assign: row key -> run; wins over names.

    Returns:
        `tableN` (one line per value), `tableN-overview` (the paper's shape), gates of refinements, published
        companions, both protocols of one run where both are there, `tableN-rows` (how to fill each row), micro runs.

    Raises:
        ConfigError: no such table or row, a micro run in `assign`, or two runs with equal claim to one row.
    """
    published, found, assign = table(number), rows(number), assign or {}
    official = [r for r in runs if not is_micro(r)]
    matches, left_out = match(number, found, official, assign)
    lines = [line for row in published.rows for line in _lines(number, published, row, found, matches)]
    notes = (*_RULES, *left_out, *_notes(published))
    main = Table(
        name=f"table{number}",
        title=f"Table {number}. {published.title}",
        columns=COLUMNS,
        rows=tuple(lines),
        notes=notes,
        formats=("", "", "", "", "", "", "", "", "", "+.4g", "", ""),
        align="lllrlrlrrrll",
    )
    tables = [main, _overview(number, published, found, matches), *_gates(number, published, matches)]
    tables += [published_table(reference(n)) for n in _COMPANIONS[number]]
    everything = [*official, *(r for r in assign.values() if r not in official)]
    tables += [protocol_table(a, b, name=f"table{number}-protocols-{i}") for i, (a, b) in enumerate(pairs(everything))]
    return [*tables, rows_table(number), *micro_tables([r for r in runs if is_micro(r)])]


def published_table(ref: Reference) -> Table:
    """A published table as it is, with the conditions of every value."""
    columns = ("model", "quantity", "published", "source", "judge", "prompts", "px", "setting", "see")
    lines: list[tuple[Cell, ...]] = [
        (ref.rows[v.row].label, ref.columns[v.column].label, v.number, v.source, v.judge, v.prompt_set, v.resolution_px,
         v.setting, _see(v))
        for v in ref.values
    ]  # fmt: skip
    return Table(
        name=f"published-{ref.name}",
        title=ref.title,
        columns=columns,
        rows=tuple(lines),
        notes=tuple(_notes(ref)),
        align="llrlllrll",
    )


def rows_table(number: int) -> Table:
    """What each row of Table `number` takes: key, model, judge, and whether this version can run it."""
    lines: list[tuple[Cell, ...]] = []
    for row in rows(number):
        trained = None if row.train is None else f"train {row.train['config']}"
        lines.append((row.key, row.label, row.model, row.benchmark, row.eval["judge"], trained, row.state, row.note))
    return Table(
        name=f"table{number}-rows",
        title=f"Table {number}: what each row takes",
        columns=("key", "row", "model", "benchmark", "judge", "training", "state", "note"),
        rows=tuple(lines),
        notes=("A run fills a row by its configuration, or by being called after the key or its first part.",),
    )


def _lines(
    number: int, ref: Reference, row: str, found: Sequence[Row], matches: Mapping[str, Match]
) -> list[tuple[Cell, ...]]:
    lines: list[tuple[Cell, ...]] = []
    for key, column in ref.columns.items():
        published = ref.at(row, key)
        specs = [r for r in found if r.row == row and r.benchmark == column.benchmark and column.metric]
        if published is None and not specs:
            continue
        ran = [matches[r.key] for r in specs if r.key in matches]
        head = ref.rows[row].label
        for m in ran:
            refuse_micro(m.run, m.row.benchmark, f"table {number}, row {m.row.key!r}")
            block = m.run.block(m.row.benchmark)
            if ref.rows[row].refinement:
                compared = _refined(block, column, published, m)
            else:
                compared = [(_mode(m.row), published, *_compared(block["values"], column, published, m))]
            for mode, beside, own, difference, words in compared:
                values = (None,) * 4 if own is None else (own.value, own.interval, own.n, own.n_missing)
                lines.append((head, mode, column.label, *_printed(beside), *values, difference, words, _see(beside)))
        if not ran:
            unknown = None if column.metric else f"no counterpart here: {column.setting}"
            empty = (None,) * 5
            lines.append((head, None, column.label, *_printed(published), *empty, unknown, _see(published)))
    return lines


def _compared(
    values: Mapping[str, Any], column: Column, published: Published | None, m: Match
) -> tuple[Own | None, float | None, str]:
    cell = values.get(str(column.metric))
    if cell is None:
        return None, None, f"the run has no value {column.metric!r}"
    own = own_value(cell, column.scale)
    return own, *verdict(published, column, m, own)


_Line = tuple[str, Published | None, Own | None, float | None, str | None]


def _refined(block: Mapping[str, Any], column: Column, published: Published | None, m: Match) -> list[_Line]:
    """Lines of a refined value: the first images, then every gate with its control, or one line without a number.

    The printed value stands beside the oracle gate, which is how it was made.
    """
    refinement, metric = block.get("refinement"), str(column.metric)
    lacking = absent(refinement, metric)
    if refinement is None or lacking:
        why = f"not shown: {', '.join(lacking)} did not run, and no gate stands alone"
        return [(_mode(m.row), published, None, None, why)]
    first = own_value(refinement["base"][metric], column.scale)
    lines: list[_Line] = [(f"{_mode(m.row)}, first images", None, first, None, None)]
    for gate in GATES:
        own = own_value(last_round(refinement, metric, gate, REFINE), column.scale)
        beside = published if gate == "oracle" else None
        difference, words = verdict(beside, column, m, own) if gate == "oracle" else (None, None)
        if words is not None:
            words = f"upper bound, read it beside its control: {words}"
        lines.append((f"{_mode(m.row)}, gate {gate}", beside, own, difference, words))
        control = own_value(last_round(refinement, metric, gate, AGAIN), column.scale)
        lines.append((f"{_mode(m.row)}, gate {gate}, {CONTROL}", None, control, None, None))
    return lines


def _mode(spec: Row) -> str:
    return "thinking" if spec.is_thinking else "plain"


def _printed(published: Published | None) -> tuple[Cell, Cell]:
    return (None, None) if published is None else (published.number, published.source)


def _see(published: Published | None) -> str | None:
    if published is None or not published.inconsistencies:
        return None
    return ", ".join(f"({n})" for n in published.inconsistencies)


def _overview(number: int, ref: Reference, found: Sequence[Row], matches: Mapping[str, Match]) -> Table:
    """The paper's shape: a line of published numbers per model, one of ours below it (one per mode that ran)."""
    lines: list[tuple[Cell, ...]] = []
    for row, paper_row in ref.rows.items():
        printed = [ref.at(row, c) for c in ref.columns]
        lines.append((paper_row.label, "published", *(None if p is None else p.number for p in printed)))
        specs = [r for r in found if r.row == row]
        modes = [t for t in (False, True) if any(r.key in matches and r.is_thinking is t for r in specs)] or [False]
        for thinking in modes:
            mine = [r for r in specs if r.is_thinking is thinking]
            label = f"ours, {_mode(mine[0])}" if len(modes) > 1 or thinking else "ours"
            cells = [_shown(ref, row, c, mine, matches) for c in ref.columns.values()]
            lines.append((paper_row.label, label, *cells))
    return Table(
        name=f"table{number}-overview",
        title=f"Table {number}. {ref.title}: overview",
        columns=("model", "numbers", *(c.label for c in ref.columns.values())),
        rows=tuple(lines),
        notes=("Ours with 95% interval, only where judge, protocol, prompts and settings are the row's; everything "
               f"else is in table{number}.",),
    )  # fmt: skip


def _shown(ref: Reference, row: str, column: Column, specs: Sequence[Row], matches: Mapping[str, Match]) -> Cell:
    spec = next((r for r in specs if r.benchmark == column.benchmark and column.metric), None)
    m = matches.get(spec.key) if spec is not None else None
    if m is None or m.differences or ref.rows[row].refinement:
        return None  # refinement never stands as one number
    own, _, _ = _compared(m.run.block(m.row.benchmark)["values"], column, None, m)
    if own is None or own.value is None:
        return None
    return f"{own.value:.4g}" + (f" {own.interval}" if own.interval else "")


def _gates(number: int, ref: Reference, matches: Mapping[str, Match]) -> list[Table]:
    """One table per refined run and headline value, whichever gates it has."""
    tables = []
    for m in matches.values():
        if not ref.rows[m.row.row].refinement:
            continue
        for key, column in ref.columns.items():
            if column.benchmark != m.row.benchmark or column.metric is None:
                continue
            published = ref.at(m.row.row, key)
            note = () if published is None else (
                f"Published ({published.source}): {published.value} {column.unit}, {published.setting}.",)  # fmt: skip
            stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{m.row.key}-{key}").strip("-")
            differing = (f"Not the row's specification: {'; '.join(m.differences)}.",) if m.differences else ()
            tables.append(
                gates_table(
                    m.run,
                    m.row.benchmark,
                    column.metric,
                    name=f"table{number}-gates-{stem}",
                    title=f"Refinement at inference: {m.row.label}, {column.label}",
                    notes=(*note, *differing),
                )
            )
    return tables


def _notes(ref: Reference) -> list[str]:
    notes = []
    for claim in ref.claims:
        see = "".join(f" ({n})" for n in claim.inconsistencies)
        over, label = ref.rows[claim.over].label, ref.columns[claim.column].label
        notes.append(f"{claim.source} claims {claim.value} for {ref.rows[claim.row].label} over {over}, {label}.{see}")
    for number in ref.numbers_of_notes():
        entry = inconsistencies()[number]
        notes.append(f"({number}) {entry.title}: {entry.text}")
    for name in ref.sources():
        source = sources()[name]
        notes.append(f"{name}: {source.title}. {source.note}")
    return notes
