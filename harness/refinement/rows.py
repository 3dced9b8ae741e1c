"""A refinement block as the cells of a table, for the console and for Markdown."""

from __future__ import annotations

from typing import Any

COLUMNS = ("gate", "round", "value", "minus base", "minus control", "kept", "images", "images / kept", "judge calls")
"""`kept`: accepted of offered replacements; `images`: beyond the first ones; `judge calls`: of the deciding judge."""


def table_rows(block: dict[str, Any], metric: str) -> list[tuple[str, ...]]:
    """Rows under `COLUMNS` for one headline metric, the first images first, each gate followed by its control."""
    base = block["base"].get(metric)
    rows: list[tuple[str, ...]] = [("first images", "0", _value(base), "", "", "", "0", "", "0")]
    for row in block["rows"]:
        cell = row["values"].get(metric)
        if cell is None:
            continue
        rows.append(
            (
                row["gate"] if row["arm"] == "refine" else f"{row['gate']} control",
                str(row["round"]),
                _value(cell),
                _difference(cell["minus_base"]),
                _difference(cell["minus_control"]) if "minus_control" in cell else "",
                f"{row['n_accepted']:,}/{row['n_offered']:,}" + _share(row["acceptance"]),
                f"{row['n_images']:,}",
                "" if row["images_per_accepted"] is None else f"{row['images_per_accepted']:.2f}",
                f"{row['n_judge_calls']:,}",
            )
        )
    return rows


def _share(value: float | None) -> str:
    return "" if value is None else f" ({value:.0%})"


def _value(cell: dict[str, Any] | None) -> str:
    return "–" if cell is None or cell["value"] is None else f"{cell['value']:.4f}"


def _difference(cell: dict[str, Any]) -> str:
    if cell["est"] is None:
        return "–"
    interval = "" if cell["ci_low"] is None else f" [{cell['ci_low']:+.3f}, {cell['ci_high']:+.3f}]"
    est = 0.0 if abs(cell["est"]) < 1e-9 else cell["est"]  # rounding of the mean must not print as -0.0000
    return f"{est:+.4f}{interval}"
