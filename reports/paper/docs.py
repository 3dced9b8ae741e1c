"""The generated part of `docs/paper-tables.md`; `python -m reports.paper.docs` writes it anew."""

from __future__ import annotations

from pathlib import Path

from harness.images import write_atomic
from reports.paper.rows import rows, table
from reports.paper.tables import paper_table
from reports.reference import NAMES, inconsistencies, reference, sources
from reports.tables import Table, render

FILE = Path(__file__).parent.parent.parent / "docs" / "paper-tables.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
NUMBERS = (1, 2, 3, 4, 5)


def generated() -> str:
    """Published tables, contradictions, sources and rows as Markdown."""
    parts = ["## Published values", ""]
    for number in NUMBERS:
        parts.append(render(_published(number), "md"))
    for name in NAMES:
        if not name.startswith("table"):
            parts.append(render(_companion(name), "md"))
    parts += ["## Known inconsistencies", ""]
    parts.append(render(_inconsistencies(), "md"))
    parts += ["## Sources", ""]
    parts.append(render(_sources(), "md"))
    parts += ["## What each row takes", ""]
    parts += [render(_rows(number), "md") for number in NUMBERS]
    return "\n".join(parts)


def with_generated(text: str) -> str:
    """The page with its generated part made anew.

    Raises:
        ValueError: the page has not both marks.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page needs one {BEGIN!r} and one {END!r}")
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{generated()}\n{END}{rest.partition(END)[2]}"


def _published(number: int) -> Table:
    overview = paper_table(number, [])[1]
    printed = tuple((r[0], *r[2:]) for r in overview.rows if r[1] == "published")
    columns = ("model", *overview.columns[2:])
    return Table(name="published", title=f"Table {number}. {table(number).title}", columns=columns, rows=printed,
                 align="l" + "r" * (len(columns) - 1))  # fmt: skip


def _companion(name: str) -> Table:
    ref = reference(name)
    lines = tuple((ref.rows[v.row].label, ref.columns[v.column].label, v.number, v.source) for v in ref.values)
    return Table(name=name, title=ref.title, columns=("row", "quantity", "published", "source"), rows=lines)


def _inconsistencies() -> Table:
    lines = []
    for number, entry in inconsistencies().items():
        where = [name for name in NAMES if number in reference(name).numbers_of_notes()]
        lines.append((number, entry.title, entry.text, ", ".join(where)))
    return Table(name="inconsistencies", title="", columns=("no.", "what", "how", "values in"), rows=tuple(lines))


def _sources() -> Table:
    lines = tuple((key, s.title, s.address, "yes" if s.primary else "no", s.note) for key, s in sources().items())
    return Table(name="sources", title="", columns=("name", "title", "address", "the authors' own", "note"), rows=lines)


def _rows(number: int) -> Table:
    lines = tuple((r.key, r.model, r.eval["judge"], None if r.train is None else f"train {r.train['config']}", r.state)
                  for r in rows(number))  # fmt: skip
    return Table(name="rows", title=f"Rows of Table {number}", columns=("key", "model", "judge", "training", "state"),
                 rows=lines)  # fmt: skip


if __name__ == "__main__":
    write_atomic(FILE, with_generated(FILE.read_text(encoding="utf-8")).encode())
