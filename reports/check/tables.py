"""The gate's answer for people: a console table and a Markdown summary."""

from __future__ import annotations

import math
from typing import Any

from reports.check.decide import Check
from reports.check.rows import Row
from reports.markdown import escape
from reports.significance.wording import decimals

COLUMNS = ("benchmark", "baseline", "candidate", "difference", "90 % interval", "margin", "verdict")
ANSWERS = {
    "pass": "No regression",
    "regression": "Regression",
    "inconclusive": "Inconclusive",
    "incomplete": "Incomplete",
}
MEANINGS = {
    "improvement": "better: the whole interval is above 0",
    "equivalent": "no loss and no gain as large as the margin",
    "non-inferior": "no loss as large as the margin",
    "regression": "a loss is proven",
    "inconclusive": "neither a loss nor its absence is proven",
    "incomplete": "nothing is decided",
}
WORST_SHOWN = 10


def cells(row: Row) -> tuple[str, ...]:
    """The texts of `COLUMNS`."""
    d = row.decision
    return (
        f"{row.benchmark} {row.metric}",
        number(row.baseline, row),
        number(row.candidate, row),
        "–" if d is None else number(d.est, row, sign=True),
        "–" if d is None else f"{number(d.low, row, sign=True)} to {number(d.high, row, sign=True)}",
        number(row.margin.value, row),
        row.verdict,
    )


def number(value: float | None, row: Row, *, sign: bool = False) -> str:
    """In the unit of the headline, with as many digits as its range asks for."""
    if value is None:
        return "–"
    low, high = row.scale
    digits = decimals((low, high) if math.isfinite(high - low) else (None, None))
    return f"{value:{'+' if sign else ''}.{digits}f}"


def explanation(row: Row) -> list[str]:
    """What stands behind a row, in sentences."""
    lines = [f"{row.benchmark}: {MEANINGS[row.verdict]}" + (f" ({row.reason})" if row.reason else "") + "."]
    if row.decision is not None:
        d, share = row.decision, row.margin.share
        facts = [
            f"{row.n_prompts:,} prompts, {row.n_better:,} better and {row.n_worse:,} worse",
            f"missing answers {row.n_missing[0]:,} now, {row.n_missing[1]:,} then",
            f"p of no loss {d.p_regression:.3g}"
            if not d.is_strict
            else f"p of a loss within the margin {d.p_regression:.3g}",
        ]
        if row.p_adjusted is not None and row.p_adjusted != d.p_regression:
            facts.append(f"Holm-adjusted {row.p_adjusted:.3g}")
        if row.mde is not None:
            facts.append(f"a difference of {number(row.mde, row)} would have been found in 80 % of cases")
        if share is not None:
            facts.append(f"margin {share:.3g} of the range {row.scale[0]:g} to {row.scale[1]:g}")
        lines.append("; ".join([*facts, f"{row.method}, a claim about {row.claim}"]) + ".")
        if d.low == d.high:
            lines.append("Nothing varies over prompts and seeds: the difference alone decides, without an error.")
        if d.is_small_loss:
            lines.append("It passes although a loss is proven: the loss is proven smaller than the margin.")
        if d.is_loss_beyond_margin:
            lines.append("The loss is proven to be larger than the margin.")
    if row.bounds is not None:
        low, high = (number(b, row, sign=True) for b in row.bounds)
        lines.append(f"Whatever the missing scores are, the difference lies between {low} and {high}.")
    return [*lines, *row.advice]


def verdict_line(check: Check) -> str:
    """The answer in one sentence, with the exit code."""
    counts = {v: sum(r.verdict == v for r in check.rows) for v in MEANINGS}
    parts = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    over = f" (--inconclusive {check.inconclusive})" if check.answer == "inconclusive" else ""
    return f"{ANSWERS[check.answer]}{over}: {parts}; exit code {check.exit_code}."


def family_line(check: Check) -> str:
    """How the decision was made."""
    n = len(check.rows)
    holm = f", Holm over {n} benchmarks" if n > 1 else ""
    rule = "a loss larger than the margin is proven" if check.is_strict else "a loss is proven"
    return f"Regression where {rule} (one-sided 5 %{holm}); the limits of the 90 % interval decide."


def console_table(check: Check) -> Any:
    """A rich table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(f"{'; '.join(check.candidates)}\nagainst {'; '.join(check.baselines)}")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for i, column in enumerate(COLUMNS):
        # The interval and the benchmark break at spaces where the terminal is narrow, never inside a number.
        table.add_column(
            column, justify="right" if 0 < i < len(COLUMNS) - 1 else "left", min_width=(8, 8, 9, 10, 9, 6, 12)[i]
        )
    colours = {"regression": "bold red", "inconclusive": "yellow", "incomplete": "yellow"}
    for row in check.rows:
        table.add_row(*cells(row), style=colours.get(row.verdict))
    return table


def markdown(check: Check) -> str:
    """For a job summary: the table, what stands behind it, and the prompts that lost most."""
    lines = [f"## {ANSWERS[check.answer]}", "", escape(verdict_line(check)), ""]
    lines += [
        f"Candidate: {escape('; '.join(check.candidates))}  ",
        f"Baseline: {escape('; '.join(check.baselines))}",
        "",
    ]
    lines += ["| " + " | ".join((*COLUMNS, "advice")) + " |", "|---|" + "---:|" * 5 + "---|---|"]
    for row in check.rows:
        shown = [*cells(row)[:-1], f"**{row.verdict}**"]
        lines.append("| " + " | ".join([*map(_plain, shown[:-1]), shown[-1], _plain(" ".join(row.advice))]) + " |")
    lines += ["", escape(family_line(check)), ""]
    for row in check.rows:
        lines += [f"- {escape(' '.join(explanation(row)[: -len(row.advice) or None]))}"]
    lines += ["", *(f"Note: {escape(note)}" + "  " for note in check.notes)]
    for row in check.rows:
        if row.losses and row.verdict not in ("improvement", "equivalent"):
            lines += _losses(row)
    return "\n".join(lines) + "\n"


def refusal_markdown(message: str) -> str:
    """For a job summary when nothing was decided."""
    return "## Not compared\n\n" + "  \n".join(escape(line) for line in message.splitlines()) + "\n"


def _losses(row: Row) -> list[str]:
    lines = ["", f"### {escape(row.title)}: prompts that lost most", ""]
    lines += ["| prompt | text | baseline | candidate |", "|---|---|---:|---:|"]
    for loss in row.losses[:WORST_SHOWN]:
        then, now = number(loss.baseline, row), number(loss.candidate, row)
        lines.append(f"| {escape(loss.id)} | {escape(loss.text)} | {then} | {now} |")
    return lines


def _plain(text: str) -> str:
    return escape(text) or " "
