"""Families of tests: Holm for what was planned, false discovery rate for what is only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import DataError
from harness.stats import SeedVariance, benjamini_hochberg, holm, simultaneous_level
from harness.terms import Terms
from reports.significance.compare import Comparison, compare_value
from reports.significance.describe import describe
from reports.significance.results import Difference, Family


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Test:
    """One member of a family: computed, or planned and not computable."""

    benchmark: str
    metric: str
    x: str
    y: str
    comparison: Comparison | None
    reason: str = ""
    """Why there is no comparison."""

    @property
    def p(self) -> float | None:
        """Uncorrected."""
        return None if self.comparison is None else self.comparison.found.p


def planned(tests: Sequence[Test]) -> tuple[list[Difference], Family | None]:
    """Differences with Holm's correction, simultaneous intervals and smallest detectable effects over all of them.

    A test that could not be computed counts as p = 1; the family does not shrink.
    """
    if not tests:
        return [], None
    n = len(tests)
    correction = f"Holm over {n} tests" if n > 1 else ""
    family = Family(
        size=n,
        correction="Holm",
        simultaneous_level=simultaneous_level(n),
        members=tuple(f"{f'{t.benchmark} {t.metric}'.strip()}: {t.x} against {t.y}" for t in tests),
    )
    return _differences(tests, holm([t.p for t in tests]), correction, is_planned=True), family


def explored(tests: Sequence[Test]) -> list[Difference]:
    """Differences that were not planned, adjusted to the false discovery rate over all of them."""
    correction = f"false discovery rate of 5 % over {len(tests)} tests"
    return _differences(tests, benjamini_hochberg([t.p for t in tests]), correction, is_planned=False)


def _differences(
    tests: Sequence[Test], adjusted: Sequence[float | None], correction: str, *, is_planned: bool
) -> list[Difference]:
    found = []
    for test, p in zip(tests, adjusted, strict=True):
        if test.comparison is None:
            empty = Difference(
                benchmark=test.benchmark, metric=test.metric, x=test.x, y=test.y, est=None, correction=correction,
                reason=test.reason, verdict=f"not computed: {test.reason}",
            )  # fmt: skip
            found.append(empty)
            continue
        found.append(
            describe(
                test.comparison,
                benchmark=test.benchmark,
                metric=test.metric,
                x=test.x,
                y=test.y,
                n_tests=len(tests),
                p_adjusted=p,
                correction=correction,
                is_planned=is_planned,
            )
        )
    return found


def compare_conditions(
    x: Sequence[Mapping[str, Terms]],
    y: Sequence[Mapping[str, Terms]],
    *,
    names: tuple[str, str] = ("x", "y"),
    seeds_paired: bool = False,
    prompts: Literal["random", "fixed"] = "random",
    borrowed: Mapping[str, SeedVariance] | None = None,
) -> list[Difference]:
    """Two conditions in several values: the planned family of their headlines, corrected by Holm.

    Args:
        x: one mapping per training seed, from a value's name (`geneval`, or `tiif/overall/long`) to its terms.
        y: of the other condition; a single mapping is one fixed checkpoint.
        names: of the two conditions.
        seeds_paired: seed s of both shares data order and initial noise, as declared before looking.
        prompts: `fixed` for a claim about new seeds on these prompts only.
        borrowed: by value, a sweep's seed variance for a condition x with a single seed.

    Returns:
        One difference per value of the first mapping, in its order; values that cannot be compared have a `reason`.

    Raises:
        DataError: the runs hold different values.
    """
    keys = list(x[0])
    for name, arm in zip(names, (x, y), strict=True):
        for s, run in enumerate(arm):
            if set(run) != set(keys):
                odd = sorted(set(run) ^ set(keys))
                raise DataError(f"{name}, seed {s}: the values differ from those of the first run: {', '.join(odd)}.")
    labels = tuple([f"{n}, seed {s}" for s in range(len(arm))] for n, arm in zip(names, (x, y), strict=True))
    tests = []
    for key in keys:
        comparison, reason = None, ""
        try:
            comparison = compare_value(
                [run[key] for run in x],
                [run[key] for run in y],
                seeds_paired=seeds_paired,
                prompts=prompts,
                names=(labels[0], labels[1]),
                borrowed=(borrowed or {}).get(key),
            )
        except DataError as error:
            reason = str(error)
        tests.append(Test(benchmark=key, metric="", x=names[0], y=names[1], comparison=comparison, reason=reason))
    return planned(tests)[0]


__all__ = ["Test", "compare_conditions", "explored", "planned"]
