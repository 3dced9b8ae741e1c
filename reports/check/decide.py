"""The decision: per benchmark by the gate of `harness.stats`, and over all of them with Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.stats import (
    ConditionDifference,
    GateDecision,
    PairedDifference,
    condition_difference,
    difference_bounds,
    distrust_reason,
    gate_decision,
    holm,
    paired_difference,
    score_bounds,
)
from harness.terms import Terms
from reports.check.advice import advise
from reports.check.comparability import aligned, chosen_benchmarks, refuse_other_identity, remarks
from reports.check.margins import Margin, margins
from reports.check.sides import IncompleteError, RefusedError, Side, Value
from reports.significance.compare import detectable, mean_difference

Verdict = Literal["improvement", "equivalent", "non-inferior", "regression", "inconclusive", "incomplete"]
Answer = Literal["pass", "regression", "incomplete", "inconclusive"]
Inconclusive = Literal["report", "pass", "fail"]
Difference = PairedDifference | ConditionDifference

LEVEL = 0.90
"""Of the printed interval; its limits are the one-sided 95 % limits that decide."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The answer over all benchmarks."""

    answer: Answer
    rows: tuple[Row, ...]
    candidates: tuple[str, ...]
    """Model and place of each candidate run."""
    baselines: tuple[str, ...]
    is_strict: bool
    inconclusive: Inconclusive
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 no regression, 1 regression, 3 incomplete or inconclusive (the latter unless overridden)."""
        if self.answer == "inconclusive":
            return {"report": 3, "pass": 0, "fail": 1}[self.inconclusive]
        return {"pass": 0, "regression": 1, "incomplete": 3}[self.answer]


def check(
    candidates: Sequence[Side],
    baselines: Sequence[Side],
    *,
    benchmarks: Sequence[str] = (),
    margin: float,
    margin_for: Mapping[str, float] | None = None,
    strict: bool = False,
    inconclusive: Inconclusive = "report",
    max_missing: float = 0.01,
    n_losses: int = 10,
) -> Check:
    """Decides whether the candidates are worse than the baseline.

    Args:
        candidates: one checkpoint, or several training seeds of one method.
        baselines: likewise.
        benchmarks: those to decide on; empty takes all of the baseline.
        margin: largest accepted loss as a share of a headline's range.
        margin_for: other margins by benchmark.
        strict: call only a loss that is proven larger than the margin a regression.
        inconclusive: what an undecided benchmark means for the exit code.
        max_missing: share of a benchmark's answers that may be missing.
        n_losses: prompts to list.

    Raises:
        RefusedError: the sides cannot be compared.
        IncompleteError: a side lost too many answers to be paired at all.
        ConfigError: a wrong margin.
    """
    names = chosen_benchmarks(candidates, baselines, benchmarks)
    sides = [*candidates, *baselines]
    refuse_other_identity([*baselines, *candidates], names)
    values = {n: _aligned(sides, n, max_missing) for n in names}
    accepted = margins({n: v[0].terms for n, v in values.items()}, margin, margin_for or {})
    texts = {p: t for s in reversed(sides) for p, t in s.texts.items()}
    parts = []
    for name, own in values.items():
        arms = own[: len(candidates)], own[len(candidates) :]
        difference = _difference(*arms)
        decided = None
        if difference.est is not None and difference.error is not None:
            est = _official_difference(*arms, difference.est)
            decided = gate_decision(est, difference.error, accepted[name].value, alpha=ALPHA, strict=strict)
        parts.append((name, arms, difference, decided))
    # A benchmark that could not be computed stays in the family with p = 1.
    adjusted = holm([d.p_regression if d else None for _, _, _, d in parts])
    rows = tuple(
        _row(*part, p, accepted[part[0]], max_missing, texts, n_losses) for part, p in zip(parts, adjusted, strict=True)
    )
    return Check(
        answer=_answer([r.verdict for r in rows]),
        rows=rows,
        candidates=tuple(f"{s.model} ({s.where})" for s in candidates),
        baselines=tuple(_baseline_name(s) for s in baselines),
        is_strict=strict,
        inconclusive=inconclusive,
        notes=(*remarks(candidates, baselines, names), *_missing_notes(values, len(candidates))),
    )


def _aligned(sides: Sequence[Side], name: str, max_missing: float) -> list[Value]:
    own = [s.values[name] for s in sides]
    try:
        return aligned(own, [s.where for s in sides], name)
    except RefusedError as error:
        # A category that lost all its answers weighs nothing in some aggregates: the run is at fault, not the pairing.
        if reason := _incomplete(own, max_missing):
            raise IncompleteError(f"{name}: {reason}. {error}") from None
        raise


def _difference(x: Sequence[Value], y: Sequence[Value]) -> Difference:
    """Candidate less baseline: two checkpoints, or arms of training seeds."""
    t = x[0].terms
    if len(x) == len(y) == 1:
        b = y[0].terms
        return paired_difference(
            t.num, b.num, t.cat, t.weights, den_x=t.den, den_y=b.den, step=max(t.step, b.step), level=LEVEL
        )
    num, den = ([np.stack([getattr(v.terms, f) for v in arm]) for arm in (x, y)] for f in ("num", "den"))
    return condition_difference(num[0], num[1], t.cat, t.weights, den_x=den[0], den_y=den[1], level=LEVEL)


def _official_difference(x: Sequence[Value], y: Sequence[Value], est: float) -> float:
    """Of the printed values, which official rounding may move by less than the prompts' parts can show."""
    a, b = (np.array([v.official for v in arm if v.official is not None]) for arm in (x, y))
    return est if len(a) < len(x) or len(b) < len(y) else mean_difference(a, b)


def _row(
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
    x, y = arms
    reason = _incomplete([*x, *y], max_missing) or ("" if decision else difference.reason)
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
        baseline=_mean([v.official for v in y]),
        candidate=_mean([v.official for v in x]),
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


def _incomplete(values: Sequence[Value], max_missing: float) -> str:
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


def _answer(verdicts: Sequence[Verdict]) -> Answer:
    for worst in ("regression", "incomplete", "inconclusive"):
        if worst in verdicts:
            return worst
    return "pass"


def _mean(values: Sequence[float | None]) -> float | None:
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


def _missing_notes(values: Mapping[str, Sequence[Value]], n_candidates: int) -> list[str]:
    """Where missing scores make the interval of a difference doubtful."""
    found = []
    for name, own in values.items():
        reason = distrust_reason(*_missing(own[:n_candidates]), *_missing(own[n_candidates:]))
        if reason:
            found.append(f"{name}: do not trust the interval: {reason}.")
    return found


def _missing(arm: Sequence[Value]) -> tuple[np.ndarray, np.ndarray]:
    """(G,) missing and planned scores per category, over all seeds."""
    n = len(arm[0].terms.weights)
    lost = sum(np.bincount(v.terms.cat, weights=v.terms.planned - v.terms.den, minlength=n) for v in arm)
    planned = sum(np.bincount(v.terms.cat, weights=v.terms.planned, minlength=n) for v in arm)
    return np.asarray(lost), np.asarray(planned)


def _baseline_name(side: Side) -> str:
    return f"{side.model} ({side.where}{', ' + side.made if side.made else ''})"
