"""A report: the analysis of a design, its tables, figures and page, written into one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import ConfigError, StoreError
from harness.images import write_atomic
from reports.groups import Design
from reports.human import HumanScore, Labels, human_scores, human_table
from reports.overview import needed_table, stem, tables_of
from reports.runs import Run
from reports.significance import Analysis, Needed, analyse, primary_metric, what_would_show
from reports.significance.results import Difference
from reports.tables import FORMATS, Table, render, write_tables

PAGE_RUNS = 6
"""Most runs that get a page without being asked: beyond it samples no longer fit beside each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What was made."""

    analysis: Analysis
    tables: tuple[Table, ...]
    out: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    human: tuple[HumanScore, ...] = ()
    needed: tuple[Needed, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The analysis and the files, as JSON values."""
        return {**_content(self.analysis, self.human, self.needed), "files": [str(f) for f in self.files]}


def make_report(
    design: Design,
    out: Path,
    *,
    formats: Sequence[str] = ("md",),
    page: bool | None = None,
    plots: bool = True,
    embed: bool = False,
    prompts: Literal["random", "fixed"] = "random",
    borrow_seed_sd: bool = False,
    human: Mapping[str, Labels] | None = None,
    detect: float | None = None,
) -> Report:
    """Writes `report.json`, the tables, `figures/` and the page `index.html` into `out`.

    `md` and `html` tables are joined in one file (`report.md`, `tables.html`), the other formats are one file per
    table in `tables/`.

    Args:
        design: conditions and reference.
        out: folder, made where it is not there; nothing else is written to.
        formats: of tables: md, tex, csv, json, html.
        page: None makes it for up to `PAGE_RUNS` runs.
        plots: draw figures.
        embed: the page as one file with its images inside.
        prompts: see `analyse`.
        borrow_seed_sd: see `analyse`.
        human: people's labels by condition (`reports.human`).
        detect: an effect as a share of each value's range, for which seeds and prompts are planned.

    Raises:
        ConfigError: an unknown format, or labels of a condition that cannot have any.
        DataError: runs that do not belong together, or are damaged.
        StoreError: the folder cannot be written.
    """
    analysis = analyse(design, prompts=prompts, borrow_seed_sd=borrow_seed_sd)
    rated = human_scores(design, human) if human else []
    needed = [] if detect is None else what_would_show(analysis, detect)
    tables = tables_of(analysis)
    tables += [needed_table(needed)] if needed else []
    tables += [human_table(rated)] if rated else []
    content = json.dumps(_content(analysis, rated, needed), indent=1, allow_nan=False)
    files = [_write(out / "report.json", content + "\n")]
    files += write_formats(tables, out, formats, title=analysis.title)
    if plots:
        files += draw(analysis, design, out / "figures")
    notes = []
    if page or (page is None and len(design.runs) <= PAGE_RUNS):
        from reports.page import write_page

        files.append(write_page(design.runs, out, embed=embed, tables=tables))
    elif page is None:
        notes.append(f"No page: {len(design.runs)} runs are more than {PAGE_RUNS}; --page makes it all the same.")
    return Report(
        analysis=analysis,
        tables=tuple(tables),
        out=out,
        files=tuple(files),
        notes=tuple(notes),
        human=tuple(rated),
        needed=tuple(needed),
    )


def _content(analysis: Analysis, human: Sequence[HumanScore], needed: Sequence[Needed]) -> dict[str, Any]:
    more = {k: msgspec.to_builtins(list(v)) for k, v in (("needed", needed), ("human", human)) if v}
    return {**msgspec.to_builtins(analysis), **more}


def default_out(folders: Sequence[Path]) -> Path:
    """`DIR/report` of a single folder, `./report` of several."""
    return folders[0] / "report" if len(folders) == 1 else Path("report")


def write_formats(tables: Sequence[Table], out: Path, formats: Sequence[str], *, title: str = "") -> list[Path]:
    """Writes tables in every format; returns the files.

    Raises:
        ConfigError: unknown format.
        StoreError: the folder cannot be written.
    """
    if unknown := [f for f in formats if f not in FORMATS]:
        raise ConfigError(f"--format {unknown[0]!r}: expected some of {', '.join(FORMATS)}.")
    files = []
    if "md" in formats:
        head = f"# {title}\n\n" if title else ""
        files.append(_write(out / "report.md", head + "\n".join(render(t, "md") for t in tables)))
    if "html" in formats:
        files.append(_write(out / "tables.html", "\n".join(render(t, "html") for t in tables)))
    if several := [f for f in formats if f not in ("md", "html")]:
        files += write_tables(tables, out / "tables", several)
    return files


def paper_tables(number: int, folders: Sequence[Path]) -> list[Table]:
    """A table of the paper with the runs' values beside the published ones; without runs ours stay empty.

    Raises:
        ConfigError: no such table.
    """
    from reports.groups import conditions_of
    from reports.paper import paper_table
    from reports.runs import load_run

    runs: list[Run] = [r for c in conditions_of([load_run(f) for f in folders]) for r in c.runs]
    return list(paper_table(number, runs))


def draw(analysis: Analysis, design: Design, out: Path) -> list[Path]:
    """Figures: the planned differences, those from the base, tasks by benchmark, how a sweep's arms learned."""
    from reports.plots import category_bars
    from reports.training import draw_training

    files: list[Path] = []
    for name, rows in (("differences", analysis.differences), ("against-base", analysis.against_base)):
        if any(d.est is not None for d in rows):
            files += _forest(rows, out / name)
    for identity in analysis.identities:
        cells = _category_cells(analysis, design, identity)
        if cells:
            title = f"{identity['title']}, judge {identity['judge']}"
            files += category_bars(cells, out / f"values-{stem(identity['table'])}", title=title)
    return files + (draw_training(design.train, out) if design.train else [])


def _forest(rows: Sequence[Difference], out: Path) -> list[Path]:
    from reports.plots import ForestRow, forest

    def points(value: float | None, d: Difference) -> float | None:
        low, high = d.scale
        return None if value is None else value * (100 / (high - low) if low is not None and high is not None else 1)

    shown = [
        ForestRow(
            d.x,
            points(d.est, d),
            points(d.low, d),
            points(d.high, d),
            group=f"{d.benchmark} {d.metric}",
            note=_forest_note(d),
            wide_low=points(d.simultaneous_low, d),
            wide_high=points(d.simultaneous_high, d),
            mde=points(d.mde_family, d),
        )
        for d in rows
    ]
    return forest(shown, out, unit="points; 100 is the range of scores", reference=rows[0].y)


def _forest_note(d: Difference) -> str:
    if d.p is None:
        return d.reason
    p = d.p if d.p_adjusted is None else d.p_adjusted
    text = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
    return f"{text}{' (Holm)' if d.correction else ''}, {d.test}, {d.n_prompts} prompts, {d.seeds_x}+{d.seeds_y} seeds"


def _category_cells(
    analysis: Analysis, design: Design, identity: dict[str, Any]
) -> dict[str, dict[str, tuple[float | None, float | None, float | None]]]:
    """By condition and category: value and limits, of the values of the headline's scale that are no fine details."""
    benchmark, names = identity["benchmark"], identity["conditions"]
    run = design.condition(names[0]).runs[0]
    details, first = tuple(run.block(benchmark).get("details", ())), primary_metric(run, benchmark)
    suffix = f"/{first.rpartition('/')[2]}" if benchmark in ("tiif", "gedit") and first else ""
    held = {v.metric for v in analysis.values if v.benchmark == benchmark}
    shown = {m for m in held if m.endswith(suffix) and "/" in m and not m.startswith("overall")}
    coarse = {m for m in shown if not m.startswith(details)}
    shown = coarse or {m for m in shown if m.startswith(details[:1])}
    cells: dict[str, dict[str, tuple[float | None, float | None, float | None]]] = {n: {} for n in names}
    for v in analysis.values:
        if v.benchmark == benchmark and v.condition in cells and v.metric in shown:
            cells[v.condition][v.metric.removesuffix(suffix)] = (v.value, v.low, v.high)
    return cells if any(cells.values()) else {}


def _write(path: Path, text: str) -> Path:
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}. Choose another folder with -o DIR.") from error
    return path
