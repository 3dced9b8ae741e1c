"""The regression gate: improvement, equivalent, non-inferior, regression or inconclusive, from one difference.

The difference is candidate less baseline with its error distribution (`PairedDifference.error` for a checkpoint,
`ConditionDifference.error` for a method), the margin the largest loss that would be accepted. "Not significant" is
never read as "no loss": what is not proven is inconclusive, with the number of prompts or images that would decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import normal_quantile
from harness.stats.error_distributions import ErrorDistribution
from harness.stats.multiplicity import holm

GateLabel = Literal["improvement", "equivalent", "non-inferior", "regression", "inconclusive"]
PASSING = ("improvement", "equivalent", "non-inferior")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """Answer of the gate for one benchmark."""

    label: GateLabel
    """First rule that matched."""
    est: float
    """Candidate less baseline."""
    margin: float
    """Largest accepted loss, > 0."""
    low: float
    """One-sided 95 % lower limit L (the 90 % interval)."""
    high: float
    """One-sided 95 % upper limit U."""
    is_strict: bool
    """Whether a regression had to be a proven loss larger than the margin."""
    is_loss_beyond_margin: bool
    """U < -margin: a loss larger than the margin is proven."""
    is_small_loss: bool
    """The gate passes although the candidate is proven worse: the loss is proven smaller than the margin."""
    p_noninferior: float
    """p of `loss >= margin`; small values speak for non-inferiority."""
    p_tost: float
    """p of `|difference| >= margin`; small values speak for equivalence."""
    p_regression: float
    """p of `no loss` (strict: of `loss <= margin`); small values speak for a regression."""

    @property
    def is_pass(self) -> bool:
        """Whether the label lets the candidate through."""
        return self.label in PASSING

    def exit_code(self, inconclusive: Literal["report", "pass", "fail"] = "report") -> int:
        """0 pass, 1 regression, 3 inconclusive unless overridden."""
        return _exit_code(self.label, inconclusive)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFamily:
    """Answer of the gate over several benchmarks."""

    label: Literal["pass", "regression", "inconclusive"]
    """`pass` if every benchmark passes; `regression` needs a Holm-adjusted p."""
    p_adjusted: tuple[float, ...]
    """Holm-adjusted one-sided p of a regression, in the order given."""
    regressions: tuple[int, ...]
    """Positions of the benchmarks that regressed."""

    def exit_code(self, inconclusive: Literal["report", "pass", "fail"] = "report") -> int:
        """0 pass, 1 regression, 3 inconclusive unless overridden."""
        return _exit_code(self.label, inconclusive)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesNeeded:
    """What more images per prompt can do for a gate on a fixed set of prompts."""

    n_images: int | None
    """Images per prompt that would decide at the margin; None where no number does."""
    smallest_margin: float
    """Smallest margin that could be decided with unlimited images."""


def gate_decision(
    est: float, error: ErrorDistribution, margin: float, *, alpha: float = 0.05, strict: bool = False
) -> GateDecision:
    """The gate's answer for one difference.

    Args:
        est: candidate less baseline, in score units.
        error: distribution of its error; without spread `est` alone decides.
        margin: largest accepted loss, > 0, chosen beforehand.
        alpha: one-sided level.
        strict: call only a loss proven larger than the margin a regression.

    Raises:
        ValueError: margin is not positive.

    Source: two one-sided tests, Schuirmann 1987.
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin}, expected a positive loss in score units")
    half = error.quantile(1 - alpha)
    low, high = est - half, est + half
    p_noninferior = error.cdf(-(est + margin))
    return GateDecision(
        label=_label(low, high, margin, strict),
        est=est,
        margin=margin,
        low=low,
        high=high,
        is_strict=strict,
        is_loss_beyond_margin=high < -margin,
        is_small_loss=high < 0 and low > -margin,
        p_noninferior=p_noninferior,
        p_tost=max(p_noninferior, error.cdf(est - margin)),
        p_regression=error.cdf(est + margin if strict else est),
    )


def gate_family(decisions: Sequence[GateDecision], *, alpha: float = 0.05) -> GateFamily:
    """The gate's answer over several benchmarks.

    All passing needs no correction; a regression is called where a benchmark does not pass and its Holm-adjusted
    one-sided p is at most alpha.

    Raises:
        ValueError: there is no decision.
    """
    if not decisions:
        raise ValueError("no decisions to combine")
    adjusted = tuple(float(p) for p in holm([d.p_regression for d in decisions]) if p is not None)
    worse = tuple(i for i, d in enumerate(decisions) if not d.is_pass and adjusted[i] <= alpha)
    all_pass = all(d.is_pass for d in decisions)
    return GateFamily(
        label="pass" if all_pass else "regression" if worse else "inconclusive", p_adjusted=adjusted, regressions=worse
    )


def prompts_needed(
    se: float, n: float, margin: float, *, delta: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Prompts like these with which the gate would pass with the given power at true difference `delta`.

    Args:
        se: standard error with the present prompts.
        n: present number of prompts (Kish size for weighted categories).
        margin: largest accepted loss.
        delta: assumed true difference.
        alpha: one-sided level.
        power: chance of a pass.

    Returns:
        None where delta is a loss of the margin or more, which no number of prompts can clear.
    """
    if margin + delta <= 0:
        return None
    return math.ceil(n * (se * _z_sum(alpha, power) / (margin + delta)) ** 2)


def images_needed(
    variance: float,
    v_gen: float,
    k: int,
    margin: float,
    *,
    delta: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> ImagesNeeded:
    """Images per prompt with which the gate would pass on the same prompts: V(k') = V - (1 - k/k') V_gen.

    Args:
        variance: V of the difference with k images per prompt.
        v_gen: part of V that comes from images, summed over both sides (`generation_variance`).
        k: present number of images per prompt.
        margin: largest accepted loss.
        delta: assumed true difference.
        alpha: one-sided level.
        power: chance of a pass.
    """
    z, rest = _z_sum(alpha, power), max(0.0, variance - v_gen)
    smallest = max(0.0, z * math.sqrt(rest) - delta)
    room = (max(0.0, margin + delta) / z) ** 2 - rest
    if room <= 0:
        return ImagesNeeded(n_images=None, smallest_margin=smallest)
    return ImagesNeeded(n_images=max(1, math.ceil(k * v_gen / room - 1e-9)), smallest_margin=smallest)


def generation_variance(y: ArrayLike, cat: ArrayLike, weights: ArrayLike) -> float | None:
    """Variance of one checkpoint's headline due to its images: sum_p w_p^2 s^2(p)/k with w_p = W_g/n_g.

    Args:
        y: (P, K) score of each image; NaN where missing. A prompt with one valid image takes the mean s^2 of the
            others.
        cat: (P,) int category.
        weights: (G,) category weights.

    Returns:
        None where no prompt has two valid images.
    """
    images, cat_, w = np.asarray(y, float), np.asarray(cat, np.intp), np.asarray(weights, float)
    valid = np.isfinite(images)
    k = valid.sum(axis=1)
    several, some = k >= 2, k >= 1
    if not several.any():
        return None
    centred = np.where(valid, images - (np.where(valid, images, 0).sum(axis=1) / np.maximum(k, 1))[:, None], 0.0)
    s2 = (centred**2).sum(axis=1) / np.maximum(k - 1, 1)
    s2 = np.where(several, s2, s2[several].mean())
    n = np.bincount(cat_[some], minlength=len(w))
    share = w[cat_[some]] / n[cat_[some]]
    return float((share**2 * s2[some] / k[some]).sum())


def _label(low: float, high: float, margin: float, strict: bool) -> GateLabel:
    if low > 0:
        return "improvement"
    if low > -margin:
        return "equivalent" if high < margin else "non-inferior"
    return "regression" if high < (-margin if strict else 0.0) else "inconclusive"


def _exit_code(label: str, inconclusive: str) -> int:
    if label == "inconclusive":
        return {"report": 3, "pass": 0, "fail": 1}[inconclusive]
    return 1 if label == "regression" else 0


def _z_sum(alpha: float, power: float) -> float:
    return float(normal_quantile(1 - alpha) + normal_quantile(power))
