"""Remake the coverage tables of docs/statistics.md with the project's own functions.

    python -m bench.coverage [--simulations 4000] [--tables scores,pairs] [--settings "0[1-9]*"] [-o docs]

Prints recorded | measured | difference for every figure and marks percentages that are more than 1.5 points away. With
-o FOLDER each row is written to FOLDER/coverage.json as soon as it is done, a second run goes on where the first
stopped, and the tables between the markers of FOLDER/statistics.md are replaced. One core: minutes for all of it.
"""

if __name__ == "coverage":  # `python bench/x.py` puts this folder first on the path, where numba looks for `coverage`
    raise ImportError("this is bench/coverage.py, not the package of that name")

import argparse
import datetime
import fnmatch
import hashlib
import json
import os
import sys
import time
import zlib
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from bench.simulations.checkpoints import GATE, MISSING, PAIRS, SCORES
from bench.simulations.judges import AGREEMENT, PPI
from bench.simulations.seeds import CONDITIONS, EXACT, POWER
from bench.simulations.table import TOLERANCE, Row, Table

ROOT = Path(__file__).parents[1]
TABLES = (SCORES, PAIRS, CONDITIONS, EXACT, GATE, POWER, MISSING, AGREEMENT, PPI)
BEGIN, END = "<!-- coverage: begin (python -m bench.coverage -o docs) -->", "<!-- coverage: end -->"


def fingerprint() -> str:
    """Digest of the code that the figures depend on, so that stale partial results are never reused."""
    files = [*sorted((ROOT / "harness/stats").glob("*.py")), *sorted((ROOT / "bench/simulations").glob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


class Results:
    """Measured rows by table and name, kept in a file where there is one."""

    def __init__(self, path: Path | None, seed: int) -> None:
        self.path, self.code, self.seed = path, fingerprint(), seed
        found = json.loads(path.read_text()) if path is not None and path.is_file() else {}
        self.rows = found.get("rows", {})

    def get(self, table: Table, row: Row, n: int) -> dict | None:
        """An earlier result of the same code, seed and at least as many simulations."""
        old = self.rows.get(f"{table.key}/{row.name}")
        if old is None or old["code"] != self.code or old["seed"] != self.seed or old["simulations"] < n:
            return None
        return old

    def put(self, table: Table, row: Row, n: int, measured: dict[str, float], seconds: float) -> dict:
        entry = {
            "simulations": n,
            "seed": self.seed,
            "code": self.code,
            "seconds": round(seconds, 1),
            "date": datetime.date.today().isoformat(),
            "measured": {k: round(v, 4) for k, v in measured.items()},
            "recorded": row.recorded,
        }
        self.rows[f"{table.key}/{row.name}"] = entry
        if self.path is not None:
            partial = self.path.with_suffix(".tmp")
            partial.write_text(json.dumps({"rows": self.rows}, indent=1) + "\n")
            partial.replace(self.path)
        return entry


def measure(table: Table, row: Row, simulations: int, results: Results, fresh: bool) -> tuple[dict, bool]:
    """The row's result and whether it was there already."""
    n = max(1, round(simulations * row.times))
    old = None if fresh else results.get(table, row, n)
    if old is not None:
        return old, True
    # One stream per row: leaving rows out or changing their order changes no figure.
    rng = np.random.default_rng([results.seed, zlib.crc32(f"{table.key}/{row.name}".encode())])
    started = time.perf_counter()
    return results.put(table, row, n, row.run(n, rng), time.perf_counter() - started), False


def cell(row: Row, column: str, entry: dict) -> str:
    """`recorded | measured` of one figure, with a mark where they are apart."""
    value = entry["measured"].get(column)
    if value is None:
        return ""
    known = row.recorded.get(column)
    mark = " (!)" if row.is_marked(column, value) else ""
    return (f"{_text(column, row, known)} / " if known is not None else "") + _text(column, row, value) + mark


def _text(column: str, row: Row, value) -> str:
    if isinstance(value, tuple | list):
        return "-".join(_text(column, row, v) for v in value)
    return f"{value:.1f}" if column not in row.units or column == "mean m" else f"{value:.3f}"


def _range(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"


def markdown(table: Table, rows: list[tuple[Row, dict]]) -> str:
    """The table as markdown: recorded / measured."""
    columns = list(dict.fromkeys(c for _, entry in rows for c in entry["measured"]))
    sizes = sorted({entry["simulations"] for _, entry in rows})
    dates = sorted({entry["date"] for _, entry in rows})
    lines = [
        f"### {table.title}",
        "",
        f"{table.note[0].upper()}{table.note[1:]}. Simulations per row: {_range([f'{n:,}' for n in sizes])}; "
        f"{_range(dates)}.",
        "",
        "| setting | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [f"| {row.name} | " + " | ".join(cell(row, c, entry) for c in columns) + " |" for row, entry in rows]
    return "\n".join(lines)


def print_row(row: Row, entry: dict, again: bool) -> int:
    """Prints the figures of a row; returns how many are marked."""
    marked = 0
    took = "earlier" if again else f"{entry['seconds']:.1f} s"
    print(f"{row.name}  ({entry['simulations']:,} simulations, {took})")
    for column, value in entry["measured"].items():
        d, known = row.difference(column, value), row.recorded.get(column)
        flag = f"  <-- beyond {TOLERANCE} points" if row.is_marked(column, value) else ""
        marked += bool(flag)
        gap = "" if d is None else f"{d:+.3f}" if column in row.units else f"{d:+.1f}"
        known_text = "-" if known is None else _text(column, row, known)
        print(f"    {column:22s} {known_text:>10s} | {_text(column, row, value):>7s} | {gap:>7s}{flag}")
    sys.stdout.flush()
    return marked


def update_page(page: Path, sections: list[str]) -> bool:
    """Replaces what stands between the markers; False where the page or the markers are missing."""
    if not page.is_file() or BEGIN not in (text := page.read_text()) or END not in text:
        return False
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(before + BEGIN + "\n\n" + "\n\n".join(sections) + "\n\n" + END + after)
    return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.coverage", description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=4000, help="per row; some rows take a multiple")
    parser.add_argument("--tables", default="", help=f"comma-separated: {', '.join(t.key for t in TABLES)}")
    parser.add_argument("--settings", default="*", help="comma-separated names or patterns of rows, such as '0[1-9]*'")
    parser.add_argument("--seed", type=int, default=20, help="of all random numbers")
    parser.add_argument("-o", "--output", type=Path, help="folder of coverage.json (resumed) and statistics.md")
    parser.add_argument("--fresh", action="store_true", help="measure again what coverage.json already holds")
    options = parser.parse_args(argv)
    wanted = [k for k in options.tables.split(",") if k] or [t.key for t in TABLES]
    unknown = sorted(set(wanted) - {t.key for t in TABLES})
    if unknown:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(t.key for t in TABLES)}")
    if options.simulations < 1:
        parser.error(f"--simulations is {options.simulations}, expected at least 1")
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    patterns = [p for p in options.settings.split(",") if p]
    chosen = [
        (t, [r for r in t.rows if any(fnmatch.fnmatch(r.name, p) or r.name.startswith(p) for p in patterns)])
        for t in TABLES
        if t.key in wanted
    ]
    if not any(rows for _, rows in chosen):
        parser.error(f"no setting matches {options.settings!r}; see the names that a run without --settings prints")
    results = Results(None if options.output is None else options.output / "coverage.json", options.seed)
    started, marked, figures, sections = time.perf_counter(), 0, 0, []
    for table, rows in chosen:
        if not rows:
            continue
        print(f"\n== {table.title}: {table.note}\n   column: recorded | measured | difference")
        done = []
        for row in rows:
            entry, again = measure(table, row, options.simulations, results, options.fresh)
            done.append((row, entry))
            marked += print_row(row, entry, again)
            figures += sum(c in row.recorded for c in entry["measured"])
        if len(rows) == len(table.rows):
            sections.append(markdown(table, done))
    minutes = (time.perf_counter() - started) / 60
    print(
        f"\n{figures} figures compared, {marked} beyond {TOLERANCE} points; {minutes:.1f} minutes, code {results.code}"
    )
    if options.output is not None and len(sections) == len(TABLES):
        page = options.output / "statistics.md"
        print(
            f"tables written to {page}" if update_page(page, sections) else f"no markers in {page}: tables not written"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
