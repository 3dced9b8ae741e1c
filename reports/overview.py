"""An analysis as tables: values by benchmark, planned differences, their precision, and the rest as exploration."""

from __future__ import annotations

from collections.abc import Sequence

from reports.significance.planning import Needed
from reports.significance.results import Analysis, Difference, Value
from reports.tables import Cell, Table

_POINTWISE = "95 % intervals are pointwise: each holds for its own row."
_VALUE = ".4f"
_NUMBERS = ("value", "95 % low", "95 % high", "seed sd", "bound low", "bound high")
_MDE = "smallest effect: true difference that such a comparison finds with 80 % power"


def tables_of(analysis: Analysis) -> list[Table]:
    """All tables of a report, the planned differences first."""
    found = []
    if analysis.family is not None:
        found += [_differences(analysis), _precision(analysis)]
    if analysis.base_family is not None:
        found.append(_against_base(analysis))
    found += [_values(analysis, i) for i in range(len(analysis.identities))]
    names = list(dict.fromkeys(d.benchmark for d in analysis.exploratory))
    return found + [_exploratory(analysis, name) for name in names]


def stem(text: str) -> str:
    """A file name's part: letters, digits, `.`, `_`, `+` and `-`."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._+-") else "-" for c in text).strip("-.")
    return kept or "table"


def _values(analysis: Analysis, which: int) -> Table:
    identity = analysis.identities[which]
    names = identity["conditions"]
    rows = [v for v in analysis.values if v.benchmark == identity["benchmark"] and v.condition in names]
    order = {m: i for i, m in enumerate(dict.fromkeys(v.metric for v in rows))}
    rows.sort(key=lambda v: (order[v.metric], names.index(v.condition)))
    has_seeds, has_bounds = any(v.n_seeds > 1 for v in rows), any(v.bound_low is not None for v in rows)
    columns = ["", "condition", "value", "95 % low", "95 % high", "n", "missing"]
    columns += ["seeds", "seed sd"] if has_seeds else []
    columns += ["bound low", "bound high"] if has_bounds else []
    columns += ["interval", "about", "remark"]
    notes = [_rests_on(identity)]
    if has_bounds:
        notes.append("Bounds: the value with every missing score at its worst and at its best.")
    if has_seeds:
        notes.append(
            "With several training seeds the value is their mean; seed sd: standard deviation of one seed's value, "
            "noise of prompts and images removed."
        )
    return Table(
        name=f"values-{stem(identity['table'])}",
        title=f"{identity['title']}: values with 95 % intervals",
        columns=tuple(columns),
        rows=tuple(_value_row(v, has_seeds, has_bounds) for v in rows),
        notes=tuple(notes),
        formats=tuple(_VALUE if c in _NUMBERS else "" for c in columns),
    )


def _value_row(v: Value, has_seeds: bool, has_bounds: bool) -> tuple[Cell, ...]:
    cells: list[Cell] = [v.metric, v.condition, v.value, v.low, v.high, v.n, v.n_missing]
    cells += [v.n_seeds, v.seed_sd] if has_seeds else []
    cells += [v.bound_low, v.bound_high] if has_bounds else []
    remark = v.reason or (f"do not rely on the interval: {v.distrust}" if v.distrust else "")
    return (*cells, v.test, v.level, remark)


def _rests_on(identity: dict[str, str]) -> str:
    wording = f", judge prompt {identity['judge_prompt']}" if identity["judge_prompt"] else ""
    return (
        f"{identity['profile']} profile, protocol {identity['protocol']}, judge {identity['judge']}{wording}, data "
        f"{identity['data']}."
    )


def _differences(analysis: Analysis) -> Table:
    family = analysis.family
    assert family is not None
    level = f"{100 * family.simultaneous_level:g} %"
    notes = [
        f"Planned family: {_tests(family.size)}; p adjusted by {family.correction}. "
        f"{_POINTWISE} Intervals for all rows at once: {level} each (Bonferroni).",
        f"{_MDE[0].upper()}{_MDE[1:]} after the correction.",
        *_level_notes(analysis.differences),
        *(f"Not compared: {r}" for r in analysis.refused),
        *analysis.notes,
    ]
    return Table(
        name="differences",
        title=f"Differences from {analysis.reference}",
        columns=(
            "benchmark", "value", "condition", "its value", "reference", "difference", "95 % low", "95 % high",
            "all rows: low", "all rows: high", "p", "p adjusted", "smallest effect", "test", "about", "verdict",
        ),
        rows=tuple(
            (
                d.benchmark, d.metric, d.x, d.value_x, d.value_y, d.est, d.low, d.high, d.simultaneous_low,
                d.simultaneous_high, d.p, d.p_adjusted, d.mde_family, d.test, d.level, d.verdict,
            )
            for d in analysis.differences
        ),
        notes=tuple(notes),
        formats=("", "", "", _VALUE, _VALUE, *["+.4f"] * 5, ".3g", ".3g", _VALUE, "", "", ""),
    )  # fmt: skip


def needed_table(rows: Sequence[Needed]) -> Table:
    """What the next experiment needs."""
    return Table(
        name="needed",
        title="Seeds or prompts that would show the effect",
        columns=(
            "benchmark", "condition", "from", "effect", "smallest effect now", "seeds now", "prompts now",
            "seeds needed", "or prompts needed", "remark",
        ),
        rows=tuple(
            (
                r.benchmark, r.x, r.y, r.effect, r.mde, f"{r.seeds_x} + {r.seeds_y}", r.n_prompts, r.seeds, r.prompts,
                r.remark,
            )
            for r in rows
        ),
        notes=(
            "Seeds needed: per condition, on these prompts; prompts needed: with these seeds. Either gives 80 % power "
            "after the correction for the family, if the spreads are as these runs show them; few seeds show them "
            "roughly. Choose the effect before looking at the differences.",
        ),
        align="lllrrrrrrl",
        formats=("", "", "", ".4g", _VALUE, *[""] * 5),
    )  # fmt: skip


def _tests(n: int) -> str:
    return f"{n} test{'' if n == 1 else 's'}"


def _level_notes(rows: Sequence[Difference]) -> list[str]:
    levels = dict.fromkeys(d.level for d in rows)
    meaning = {
        "these checkpoints": "these checkpoints: another draw of prompts and images from the same two checkpoints; "
        "nothing is said about checkpoints trained anew",
        "new seeds, new prompts": "new seeds, new prompts: training again with other seeds, on other such prompts",
        "new seeds, these prompts": "new seeds, these prompts: training again with other seeds, on these very prompts",
    }
    found = [f"About {meaning[level]}." for level in levels if level in meaning]
    if any(d.few_differences for d in rows):
        found.append("Where fewer than 20 prompts differ, two pseudo-prompts keep the interval from being too short.")
    single = [
        name
        for d in rows
        if d.level.startswith("new seeds") and not d.borrowed
        for name, seeds in ((d.x, d.seeds_x), (d.y, d.seeds_y))
        if seeds == 1
    ]
    if single:
        names = ", ".join(dict.fromkeys(single))
        found.append(f"A single checkpoint, not trained anew: {names}. New seeds are those of the other side.")
    found += sorted({f"{d.x}: {d.borrowed}." for d in rows if d.borrowed})
    return found


def _precision(analysis: Analysis) -> Table:
    return Table(
        name="precision",
        title="What the differences rest on",
        columns=(
            "benchmark", "condition", "prompts", "seeds", "se", "df", "smallest effect", "seed sd", "seed share",
            "difference / seed sd", "better", "worse", "equal", "win rate", "exact test", "exact p", "McNemar p",
            "missing", "bound low", "bound high",
        ),
        rows=tuple(_precision_row(d) for d in analysis.differences),
        notes=(
            "Seeds: of the condition + of the reference (paired where joined by &). Seed share: part of the variance "
            "that comes from training seeds. Better, worse, equal: prompts; win rate: share of better prompts, equal "
            "ones half.",
            f"{_MDE[0].upper()}{_MDE[1:]}, this row alone.",
            "Exact tests and McNemar's speak about these prompts; they stand beside the interval, not in its place.",
            "Bounds: smallest and largest difference that the missing scores leave possible.",
        ),
        align="ll" + "rrrrrrrr" + "rrrr" + "ll" + "rrrr",
        formats=(
            *[""] * 4, _VALUE, ".1f", _VALUE, _VALUE, ".2f", ".2f", *[""] * 3, ".3f", "", "", ".3g", "", _VALUE, _VALUE,
        ),
    )  # fmt: skip


def _precision_row(d: Difference) -> tuple[Cell, ...]:
    seeds = f"{d.seeds_x} & {d.seeds_y}" if d.seeds_paired else f"{d.seeds_x} + {d.seeds_y}"
    return (
        d.benchmark, d.x, d.n_prompts, seeds, d.se, d.df, d.mde, d.seed_sd, d.seed_share, d.effect, d.n_better,
        d.n_worse, d.n_equal, d.win_rate, d.exact.test if d.exact else "", d.exact.text if d.exact else "",
        d.mcnemar.p if d.mcnemar else None, d.n_missing_x + d.n_missing_y, d.bound_low, d.bound_high,
    )  # fmt: skip


def _against_base(analysis: Analysis) -> Table:
    family = analysis.base_family
    assert family is not None
    base = analysis.against_base[0].y
    return Table(
        name="against-base",
        title=f"Differences from {base}, the model before training",
        columns=(
            "benchmark", "value", "condition", "its value", base, "difference", "95 % low", "95 % high", "p",
            "p adjusted", "seed sd", "exact p", "test", "verdict",
        ),
        rows=tuple(
            (
                d.benchmark, d.metric, d.x, d.value_x, d.value_y, d.est, d.low, d.high, d.p, d.p_adjusted, d.seed_sd,
                d.exact.text if d.exact else "", d.test, d.verdict,
            )
            for d in analysis.against_base
        ),
        notes=(
            f"A family of its own: {_tests(family.size)}, p adjusted by {family.correction}. {_POINTWISE}",
            *_level_notes(analysis.against_base),
        ),
        formats=("", "", "", _VALUE, _VALUE, "+.4f", "+.4f", "+.4f", ".3g", ".3g", _VALUE, "", "", ""),
    )  # fmt: skip


def _exploratory(analysis: Analysis, benchmark: str) -> Table:
    rows = [d for d in analysis.exploratory if d.benchmark == benchmark]
    return Table(
        name=f"exploratory-{stem(benchmark)}",
        title=f"{benchmark}: other differences from {analysis.reference}, exploratory",
        columns=(
            "value", "condition", "its value", "reference", "difference", "95 % low", "95 % high", "p",
            "false discovery rate", "smallest effect", "prompts", "verdict",
        ),
        rows=tuple(
            (
                d.metric, d.x, d.value_x, d.value_y, d.est, d.low, d.high, d.p, d.p_adjusted, d.mde, d.n_prompts,
                d.verdict,
            )
            for d in rows
        ),
        notes=(
            f"Not planned: {_tests(len(rows))}, p adjusted to the false discovery rate (Benjamini and Hochberg). "
            f"{_POINTWISE}",
            *_level_notes(rows),
        ),
        formats=("", "", _VALUE, _VALUE, "+.4f", "+.4f", "+.4f", ".3g", ".3g", _VALUE, "", ""),
    )  # fmt: skip
