"""The decision: per benchmark by the gate of `harness.stats`, and over all of them with Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.stats import (
    condition_difference,
    distrust_reason,
    gate_decision,
    holm,
    paired_difference,
)
from reports.check.comparability import aligned, chosen_benchmarks, refuse_other_identity, remarks
from reports.check.margins import margins
from reports.check.rows import ALPHA, Difference, Row, Verdict, incomplete_reason, make_row
from reports.check.sides import IncompleteError, RefusedError, Side, Value
from reports.significance.compare import mean_difference

Answer = Literal["pass", "regression", "incomplete", "inconclusive"]
Inconclusive = Literal["report", "pass", "fail"]

LEVEL = 0.90
"""Of the printed interval; its limits are the one-sided 95 % limits that decide."""


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
        make_row(*part, p, accepted[part[0]], max_missing, texts, n_losses)
        for part, p in zip(parts, adjusted, strict=True)
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
        if reason := incomplete_reason(own, max_missing):
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


def _answer(verdicts: Sequence[Verdict]) -> Answer:
    for worst in ("regression", "incomplete", "inconclusive"):
        if worst in verdicts:
            return worst
    return "pass"


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
