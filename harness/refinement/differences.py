"""Differences of two selections of samples, paired by prompt, in the unit of the benchmark's headline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import DataError
from harness.stats import paired_difference
from harness.terms import aligned
from harness.types import Prompt, Score, Summary

NO_TERMS = "the headline is not made of prompts' parts"


def headlines(benchmark: Any, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> dict[str, Summary]:
    """The benchmark's summaries of its headline metrics, by metric.

    Args:
        benchmark: whose `aggregate` and `headline` count.
        prompts: all prompts by id.
        scores: of the selected samples.
    """
    return {s.metric: s for s in benchmark.aggregate(prompts, scores) if s.metric in benchmark.headline}


def difference(x: Summary | None, y: Summary | None) -> dict[str, Any]:
    """theta_x - theta_y with its 95 % interval over prompts, as JSON; `reason` says why a value is None.

    The estimate is the difference of the official values; the interval's width is that of their terms, which leave out
    roundings on the way.
    """
    bare = {"est": None, "ci_low": None, "ci_high": None, "p": None, "n_prompts": 0, "n_better": 0, "n_worse": 0}
    for side in (x, y):
        if side is None or side.value is None:
            return {**bare, "reason": side.method if side is not None and side.method else "no value"}
    assert x is not None and y is not None and x.value is not None and y.value is not None
    est = x.value - y.value
    if x.terms is None or y.terms is None:
        return {**bare, "est": est, "reason": NO_TERMS}
    try:
        other = aligned(x.terms, y.terms)
    except DataError as error:
        return {**bare, "est": est, "reason": str(error)}
    d = paired_difference(
        x.terms.num,
        other.num,
        other.cat,
        other.weights,
        den_x=x.terms.den,
        den_y=other.den,
        step=max(x.terms.step, other.step),
    )
    low, high = (None if v is None or d.est is None else est + (v - d.est) for v in (d.low, d.high))
    counts = {"n_prompts": d.n_prompts, "n_better": d.n_better, "n_worse": d.n_worse}
    reason = {"reason": d.reason} if d.reason else {}
    return {"est": est, "ci_low": low, "ci_high": high, "p": d.p, **counts, **reason}
