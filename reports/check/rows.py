"""One benchmark of the gate as a row: its verdict, what it rests on, and the prompts that lost most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.stats import ConditionDifference, GateDecision, PairedDifference, difference_bounds, score_bounds
from harness.terms import Terms
from reports.check.advice import advise
from reports.check.margins import Margin
from reports.check.sides import Value
from reports.significance.compare import detectable

Verdict = Literal["improvement", "equivalent", "non-inferior", "regression", "inconclusive", "incomplete"]
Difference = PairedDifference | ConditionDifference

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLoss:
    """One prompt's scores, averaged over seeds."""

    id: str
    text: str
    baseline: float
    candidate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark."""

    benchmark: str
    title: str
    metric: str
    verdict: Verdict
    reason: str
    """Why it is incomplete or undecided where the numbers do not say it; empty otherwise."""
    baseline: float | None
    """Mean over seeds, in the unit of the headline."""
    candidate: float | None
    decision: GateDecision | None
    """None where there is no standard error."""
    margin: Margin
    p_adjusted: float | None
    """Holm-adjusted one-sided p of a regression."""
    mde: float | None
    """Difference that a two-sided test at 5 % would have found in 80 % of cases; None where nothing varies."""
    n_prompts: int
    n_better: int
    n_worse: int
    method: str
    claim: str
    n_missing: tuple[int, int]
    """Missing answers of candidate and baseline."""
    bounds: tuple[float, float] | None
    """Difference if missing scores were the worst and the best possible; None where nothing is missing."""
    advice: tuple[str, ...]
    losses: tuple[PromptLoss, ...]
    """Prompts that lost most, worst first."""
    scale: tuple[float, float]
    """Range of the headline."""


def make_row(
    name: str,
    arms: tuple[Sequence[Value], Sequence[Value]],
    difference: Difference,
    decision: GateDecision | None,
    p_adjusted: float | None,
    margin: Margin,
    max_missing: float,
    texts: Mapping[str, str],
    n_losses: int,
) -> Row:
    """The row of one benchmark.

    Args:
        name: the benchmark.
        arms: values of candidates and of baselines, on the same prompts.
        difference: candidates less baselines.
        decision: of the gate; None where there is no standard error.
        p_adjusted: see `Row`.
        margin: largest accepted loss.
        max_missing: share of the answers that may be missing.
        texts: prompt id -> text.
        n_losses: prompts to list.
    """
    x, y = arms
    reason = incomplete_reason([*x, *y], max_missing) or ("" if decision else difference.reason)
    verdict = _verdict(decision, p_adjusted, is_incomplete=bool(reason))
    scores = _mean_scores(x), _mean_scores(y)
    delta = scores[0] - scores[1]
    both = np.isfinite(delta)
    slack = 1e-12 * max(1.0, float(np.abs(scores[0][both]).max(initial=0.0)))
    return Row(
        benchmark=name,
        title=x[0].title,
        metric=x[0].metric,
        verdict=verdict,
        reason=reason or _undecided_reason(verdict, decision),
        baseline=mean_or_none([v.official for v in y]),
        candidate=mean_or_none([v.official for v in x]),
        decision=decision,
        margin=margin,
        p_adjusted=p_adjusted,
        mde=detectable(difference),
        n_prompts=difference.n_prompts,
        n_better=int((delta[both] > slack).sum()),
        n_worse=int((delta[both] < -slack).sum()),
        method=difference.method,
        claim=difference.claim,
        n_missing=(sum(v.n_missing for v in x), sum(v.n_missing for v in y)),
        bounds=_bounds(x, y),
        advice=advise(verdict, arms, difference, margin) if decision else (),
        losses=_losses(x[0].terms, scores, slack, texts, n_losses),
        scale=(x[0].terms.lo, x[0].terms.hi),
    )


def incomplete_reason(values: Sequence[Value], max_missing: float) -> str:
    """Why a decision would rest on too few answers; empty otherwise."""
    for value in values:
        if value.official is None:
            return f"the benchmark gave no value: {value.why_none}"
        if value.missing_share > max_missing:
            return (f"{value.n_missing:,} of {value.n_answers:,} answers are missing ({value.missing_share:.1%}, "
                    f"accepted {max_missing:.1%})")  # fmt: skip
    return ""


def _verdict(decision: GateDecision | None, p_adjusted: float | None, *, is_incomplete: bool) -> Verdict:
    if decision is None or is_incomplete:
        return "incomplete"
    if decision.is_pass:
        return decision.label
    return "regression" if p_adjusted is not None and p_adjusted <= ALPHA else "inconclusive"


def _undecided_reason(verdict: Verdict, decision: GateDecision | None) -> str:
    if verdict == "inconclusive" and decision is not None and decision.label == "regression":
        return "a loss alone, but not after the correction for several benchmarks (Holm)"
    return ""


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """The mean; None where one of them has no value."""
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _mean_scores(arm: Sequence[Value]) -> np.ndarray:
    """(P,) prompt scores a/b, averaged over seeds; NaN where missing for one."""
    rows = [np.divide(v.terms.num, v.terms.den, out=np.full(len(v.terms.num), np.nan), where=v.terms.den > 0)
            for v in arm]  # fmt: skip
    return np.asarray(np.mean(rows, axis=0))


def _losses(
    terms: Terms, scores: tuple[np.ndarray, np.ndarray], slack: float, texts: Mapping[str, str], n: int
) -> tuple[PromptLoss, ...]:
    delta = scores[0] - scores[1]
    worse = [i for i in np.argsort(delta, kind="stable") if delta[i] < -slack][:n]
    return tuple(
        PromptLoss(
            id=terms.prompts[i],
            text=texts.get(terms.prompts[i], ""),
            baseline=float(scores[1][i]),
            candidate=float(scores[0][i]),
        )
        for i in worse
    )


def _bounds(x: Sequence[Value], y: Sequence[Value]) -> tuple[float, float] | None:
    """Of two checkpoints with missing scores; several seeds are not bounded."""
    if len(x) > 1 or len(y) > 1 or not any((v.terms.planned > v.terms.den).any() for v in (*x, *y)):
        return None
    a, b = x[0].terms, y[0].terms
    if not np.isfinite(a.hi - a.lo):
        return None
    sides = [score_bounds(t.num, t.cat, t.weights, den=t.den, planned=t.planned, lo=t.lo, hi=t.hi) for t in (a, b)]
    found = difference_bounds(*sides)
    return found.low, found.high
