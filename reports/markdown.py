"""A summary as Markdown tables."""

from __future__ import annotations

from typing import Any

from harness.refinement.rows import COLUMNS, table_rows


def summary_markdown(summary: dict[str, Any]) -> str:
    """One section per benchmark: value, 95 % interval, n, missing; judge, data and protocol stand above each table."""
    lines = [
        f"# {summary.get('model', 'results')}",
        "",
        f"profile `{summary['profile']}`, protocol `{summary['protocol']}`",
    ]
    if not summary["complete"]:
        lines += ["", "**Incomplete**: answers are missing, see each table."]
    for name, block in summary["benchmarks"].items():
        wording = f", judge_prompt: {block['judge_prompt']}" if block.get("judge_prompt") else ""
        lines += ["", f"## {block.get('title', name)}", ""]
        lines += [f"judge `{block['judge']}`{wording}, data `{block['data']}`", ""]
        lines += ["| | value | 95 % interval | n | missing |", "|---|---:|---:|---:|---:|"]
        headline = set(block.get("headline", ()))
        for key, cell in block["values"].items():
            label = f"**{escape(key)}**" if key in headline else escape(key)
            lines.append(
                f"| {label} | {_number(cell['value'])} | {_interval(cell)} | {cell['n']} | {cell['n_missing']} |"
            )
        for reason, count in block.get("missing_reasons", {}).items():
            lines += ["", f"{count} missing: {escape(reason.removeprefix('missing: '))}"]
        for note in block.get("notes", ()):
            lines += ["", f"Note: {escape(note)}"]
        if "refinement" in block:
            lines += _refinement(block["refinement"])
    return "\n".join(lines) + "\n"


def _refinement(block: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for metric in block["base"]:
        lines += ["", f"### Refinement: {escape(metric)}", ""]
        lines += ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in table_rows(block, metric)]
    if block["gate_judge"]:
        lines += ["", f"Verifier: `{block['gate_reward']}` by judge `{block['gate_judge']}`"]
    for note in block["notes"]:
        lines += ["", f"Note: {escape(note)}"]
    return lines


def escape(text: str) -> str:
    """Text from data as literal Markdown: no markup, no table or line break."""
    for char in "\\`*_[]<>|#~&":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(cell: dict[str, Any]) -> str:
    return "–" if cell["ci_low"] is None else f"{cell['ci_low']:.3f} – {cell['ci_high']:.3f}"
