"""The whole analysis of a report: values of all conditions, planned differences, and the rest as exploration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import DataError
from harness.stats import SeedVariance, pooled_seed_variance
from harness.terms import Terms
from reports.groups import Condition, Design
from reports.runs import Run, differences_in_identity
from reports.significance.compare import compare_value
from reports.significance.family import Test, explored, planned
from reports.significance.results import Analysis, Difference, Value
from reports.significance.values import condition_value

PRIMARY = {
    "dpg": "overall",
    "gedit": "overall/O",
    "geneval": "overall",
    "tiif": "overall/long",
    "wise": "overall/official",
}
"""The one headline of a benchmark that enters the planned family; elsewhere the first headline that it names.

TIIF and GEdit print several. GEdit's O is made of the other two; of TIIF's two wordings the long one is declared.
The rest are secondary values: printed with the false discovery rate, without a share in the family's error rate.
"""


def primary_metric(run: Run, benchmark: str) -> str | None:
    """The headline that counts in a planned family; None where the benchmark names none."""
    block = run.block(benchmark)
    wanted = PRIMARY.get(benchmark)
    if wanted in block["values"]:
        return wanted
    return next((m for m in block["headline"] if m in block["values"]), None)


def analyse(
    design: Design, *, prompts: Literal["random", "fixed"] = "random", borrow_seed_sd: bool = False
) -> Analysis:
    """Values with intervals and, with a reference, differences from it.

    Args:
        design: conditions and reference.
        prompts: `fixed` for claims about new training seeds on these prompts only.
        borrow_seed_sd: conditions with a single training seed take the seed variance pooled over the others.

    Raises:
        DataError: runs of one condition do not belong together, or an explicit reference can be compared with nothing.
    """
    _check_conditions(design.conditions)
    view = _View(design, prompts, borrow_seed_sd)
    values = [v for b in view.benchmarks for v in view.values(b)]
    main: list[Difference] = []
    side: list[Difference] = []
    against_base: list[Difference] = []
    refused: list[str] = []
    family = base_family = None
    if design.reference is not None:
        reference = design.condition(design.reference)
        others = [c for c in design.conditions if c is not reference and not c.is_base]
        planned_tests = list(view.planned_tests(others, reference, design.family))
        main, family = planned(planned_tests)
        side = [d for b in view.benchmarks if (t := list(view.other_tests(others, reference, b))) for d in explored(t)]
        refused = list(dict.fromkeys(t.reason for t in planned_tests if t.reason))
        base = next((c for c in design.conditions if c.is_base), None)
        if base is not None and base is not reference:
            trained = [c for c in design.conditions if c is not base]
            against_base, base_family = planned(list(view.planned_tests(trained, base, design.family)))
        if others and not planned_tests:
            refused = [f"{reference.name} holds no headline that any other condition holds too."]
        if design.is_against_explicit and all(t.comparison is None for t in planned_tests):
            raise DataError(f"Nothing can be compared with {reference.name}: " + (" ".join(refused) or "no other run."))
    return Analysis(
        title=design.title,
        conditions=tuple(_described(c) for c in design.conditions),
        reference=design.reference,
        identities=tuple(i for b in view.benchmarks for i in view.identities(b)),
        values=tuple(values),
        differences=tuple(main),
        family=family,
        against_base=tuple(against_base),
        base_family=base_family,
        exploratory=tuple(side),
        refused=tuple(refused),
        notes=(*design.notes, *view.notes),
    )


@dataclass(slots=True, eq=False)
class _View:
    """The design's runs, value by value."""

    design: Design
    prompts: Literal["random", "fixed"]
    borrow: bool

    @property
    def benchmarks(self) -> list[str]:
        """All that some condition holds in every run."""
        return list(dict.fromkeys(b for c in self.design.conditions for b in held(c)))

    @property
    def notes(self) -> list[str]:
        """Gaps of conditions and families."""
        found = []
        for c in self.design.conditions:
            partly = {b for r in c.runs for b in r.benchmarks} - set(held(c))
            found += [f"{c.name}: {b} is not in every run of the condition and left out." for b in sorted(partly)]
            known = [p for r in c.runs if (p := r.manifest.get("identity", {}).get("policy"))]
            if len(set(known)) < len(known):
                found.append(
                    f"{c.name}: runs of it have the same weights. They are no training seeds, and what is said about "
                    "new seeds does not hold."
                )
        for b in self.design.family or ():
            if b not in self.benchmarks:
                found.append(f"{b} of the planned family is held by no condition here; its tests count with p = 1.")
        return found

    def groups(self, benchmark: str) -> list[list[Condition]]:
        """Conditions whose numbers may stand in one column."""
        groups: list[list[Condition]] = []
        for c in (c for c in self.design.conditions if benchmark in held(c)):
            for group in groups:
                if not differences_in_identity(group[0].runs[0], c.runs[0], benchmark):
                    group.append(c)
                    break
            else:
                groups.append([c])
        return groups

    def identities(self, benchmark: str) -> Iterator[dict[str, Any]]:
        """What the numbers of each column group rest on."""
        for i, group in enumerate(self.groups(benchmark)):
            run = group[0].runs[0]
            yield {
                "benchmark": benchmark,
                "title": run.block(benchmark).get("title", benchmark),
                "table": benchmark if i == 0 else f"{benchmark}-{i + 1}",
                "conditions": [c.name for c in group],
                **run.identity(benchmark),
            }

    def values(self, benchmark: str) -> Iterator[Value]:
        """Every condition's values, condition by condition."""
        for c in self.design.conditions:
            if benchmark not in held(c):
                continue
            blocks = [r.block(benchmark)["values"] for r in c.runs]
            terms = [r.terms(benchmark) for r in c.runs]
            for metric in blocks[0]:
                if all(metric in b for b in blocks):
                    yield condition_value(
                        [b[metric] for b in blocks],
                        [t.get(metric) for t in terms],
                        benchmark=benchmark,
                        metric=metric,
                        condition=c.name,
                        names=[r.name for r in c.runs],
                    )

    def planned_tests(
        self, others: Sequence[Condition], reference: Condition, family: tuple[str, ...] | None
    ) -> Iterator[Test]:
        """Headline of every benchmark of the family times every condition."""
        for benchmark in self.benchmarks if family is None else family:
            for c in others:
                if family is None and not (benchmark in held(c) and benchmark in held(reference)):
                    continue
                holder = next((s for s in (reference, c) if benchmark in held(s)), None)
                metric = "" if holder is None else primary_metric(holder.runs[0], benchmark)
                if metric is not None:
                    yield self.test(benchmark, metric, c, reference)

    def other_tests(self, others: Sequence[Condition], reference: Condition, benchmark: str) -> Iterator[Test]:
        """All other values that both sides hold with their parts, fine details left out."""
        for c in others:
            if benchmark not in held(c) or benchmark not in held(reference) or self.obstacle(benchmark, c, reference):
                continue
            block, terms = reference.runs[0].block(benchmark), reference.runs[0].terms(benchmark)
            first, details = primary_metric(reference.runs[0], benchmark), tuple(block.get("details", ()))
            everywhere = [r.terms(benchmark).keys() for r in (*c.runs, *reference.runs)]
            for metric in terms:
                shown = metric != first and not metric.startswith(details)
                if shown and all(metric in held_terms for held_terms in everywhere):
                    yield self.test(benchmark, metric, c, reference)

    def obstacle(self, benchmark: str, x: Condition, y: Condition) -> str:
        """Why the two are not compared; empty if they may be."""
        for side in (x, y):
            if benchmark not in held(side):
                return f"{side.name} holds no {benchmark}"
        fields = differences_in_identity(x.runs[0], y.runs[0], benchmark)
        return f"{benchmark}: {x.name} and {y.name} differ in {'; '.join(fields)}" if fields else ""

    def test(self, benchmark: str, metric: str, x: Condition, y: Condition) -> Test:
        """One comparison, or why there is none."""
        reason, comparison = self.obstacle(benchmark, x, y), None
        if not reason:
            try:
                comparison = self._compared(benchmark, metric, x, y)
            except DataError as error:
                reason = f"{benchmark} {metric}: {error}"
        return Test(benchmark=benchmark, metric=metric, x=x.name, y=y.name, comparison=comparison, reason=reason)

    def _compared(self, benchmark: str, metric: str, x: Condition, y: Condition) -> Any:
        borrowed, side = self._borrowed(benchmark, metric, x, y)
        # A borrowed variance describes whole arms: pairs would cut the other arm down to one seed, and drop its own.
        runs, paired = self._seeds(x, y) if borrowed is None else ((list(x.runs), list(y.runs)), False)
        return compare_value(
            *([_terms(r, benchmark, metric) for r in arm] for arm in runs),
            seeds_paired=paired,
            prompts=self.prompts,
            official=tuple([_official(r, benchmark, metric) for r in arm] for arm in runs),  # type: ignore[arg-type]
            names=tuple([r.name for r in arm] for arm in runs),  # type: ignore[arg-type]
            borrowed=borrowed,
            borrow_for=side,
        )

    def _seeds(self, x: Condition, y: Condition) -> tuple[tuple[list[Run], list[Run]], bool]:
        """The runs of both sides; of declared pairs those seeds that both have."""
        if not self.design.seeds_paired or x.is_base or y.is_base or None in (*x.seeds, *y.seeds):
            return (list(x.runs), list(y.runs)), False
        by_seed = [dict(zip(c.seeds, c.runs, strict=True)) for c in (x, y)]
        common = [s for s in x.seeds if s in by_seed[1]]
        if not common:
            raise DataError(f"{x.name} and {y.name} have no training seed in common, which their pairing needs.")
        return ([by_seed[0][s] for s in common], [by_seed[1][s] for s in common]), True

    def _borrowed(
        self, benchmark: str, metric: str, x: Condition, y: Condition
    ) -> tuple[SeedVariance | None, Literal["x", "y", "both"]]:
        single = [len(c.runs) == 1 and not c.is_base for c in (x, y)]
        if not self.borrow or not any(single):
            return None, "x"
        alike = [
            c
            for c in self.design.conditions
            if len(c.runs) > 1 and benchmark in held(c) and not differences_in_identity(c.runs[0], x.runs[0], benchmark)
        ]
        cells = [[r.block(benchmark)["values"].get(metric) for r in c.runs] for c in alike]
        thetas = [[float(v["value"]) for v in arm] for arm in cells if all(v and v["value"] is not None for v in arm)]
        return pooled_seed_variance(thetas), "both" if all(single) else "x" if single[0] else "y"


def held(condition: Condition) -> list[str]:
    """Benchmarks that every run of the condition holds."""
    rest = [set(r.benchmarks) for r in condition.runs[1:]]
    return [b for b in condition.runs[0].benchmarks if all(b in other for other in rest)]


def _terms(run: Run, benchmark: str, metric: str) -> Terms:
    terms = run.terms(benchmark).get(metric)
    if terms is None:
        raise DataError(f"{run.path / 'terms.json'}: no prompts' parts of {benchmark} {metric!r}.")
    return terms


def _official(run: Run, benchmark: str, metric: str) -> float:
    cell = run.block(benchmark)["values"].get(metric)
    if cell is None or cell["value"] is None:
        why = "it is not in the summary" if cell is None else cell.get("method") or "no value"
        raise DataError(f"{run.name} has no value of {metric!r}: {why}.")
    return float(cell["value"])


def _check_conditions(conditions: Sequence[Condition]) -> None:
    for c in conditions:
        for run in c.runs[1:]:
            for benchmark in held(c):
                fields = differences_in_identity(c.runs[0], run, benchmark)
                if fields:
                    raise DataError(
                        f"Condition {c.name}: {c.runs[0].path} and {run.path} are not two training seeds of one "
                        f"condition; {benchmark} differs in {'; '.join(fields)}."
                    )


def _described(c: Condition) -> dict[str, Any]:
    return {"name": c.name, "runs": [str(r.path) for r in c.runs], "seeds": list(c.seeds), "is_base": c.is_base}
