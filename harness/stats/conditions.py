"""Two training conditions with seeds: three variance moments, no model fit.

Model of a score: condition + category + training seed + prompt + cell (seed x prompt, images, judge). Prompts are
shared by everything, seeds belong to one arm (or are paired). The variance of the difference of the arms' mean
headlines is V_P + V_S - V_E: over prompts (and cells), over seeds (and cells), less the cells that both contain.

Source: Cameron, Gelbach and Miller 2011 (two-way clustering); Satterthwaite 1946 and Welch 1947 for the degrees of
freedom. Shape legend: S seeds of an arm, P prompts, G categories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.error_distributions import ErrorDistribution, IntegratedError, StudentError, two_sided_p
from harness.stats.intervals import no_estimate_reason
from harness.stats.variance import (
    Bools,
    Floats,
    Influence,
    influence_values,
    prompt_variance,
    satterthwaite_df,
    without_rounding,
)

THESE_CHECKPOINTS = "these checkpoints"
NEW_SEEDS_NEW_PROMPTS = "new seeds, new prompts"
NEW_SEEDS_THESE_PROMPTS = "new seeds, these prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedVariance:
    """Variance of the headline over training seeds, pooled over the arms of a sweep."""

    variance: float
    """Pooled s^2 of per-seed headlines, cells included."""
    df: int
    """Sum of S_c - 1 over the arms."""
    n_arms: int
    """Arms with at least two seeds that were pooled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDifference:
    """Difference of two conditions' mean headlines."""

    est: float | None
    """Mean over seeds of x's headlines less that of y's."""
    se: float | None
    """sqrt(V)."""
    df: float | None
    """Degrees of freedom; None for the integrated t, which has no single number."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    p: float | None
    """Two-sided p of no difference."""
    method: str
    """`Satterthwaite t`, `integrated t`, `Welch t`, `t over seeds` or `prompts only`."""
    claim: str
    """What the interval speaks about: `these checkpoints`, `new seeds, new prompts` or `new seeds, these prompts`."""
    v_p: float | None
    """Variance over prompts and cells; None where it was not needed or cannot be estimated."""
    f_p: float | None
    """Degrees of freedom of v_p."""
    v_s: float
    """Variance over seeds and cells; 0 without seeds."""
    f_s: tuple[float, ...]
    """Degrees of freedom of the seed terms, one per random arm."""
    v_e: float
    """Variance of the cells, contained in both of the above."""
    seed_sd: tuple[float, ...]
    """Seed standard deviation of the headline per seed term, cells removed (a borrowed one includes them)."""
    theta_x: tuple[float, ...]
    """Per-seed headlines of x."""
    theta_y: tuple[float, ...]
    """Per-seed headlines of y."""
    seeds_paired: bool
    """Whether seed s of x was compared with seed s of y."""
    borrowed: SeedVariance | None
    """Seed variance taken from the sweep instead of these arms; name it in the table."""
    no_variation: bool
    """True where V = 0, so that the interval is a point."""
    n_prompts: int
    """Prompts with a valid score for at least one seed of each arm."""
    level: float
    """Nominal coverage."""
    reason: str
    """Why a field is None; empty otherwise."""
    error: ErrorDistribution | None
    """Distribution of the estimate's error, for gates and other levels."""

    @property
    def seed_share(self) -> float | None:
        """Share of V that comes from seeds, in [0, 1]."""
        if self.se is None or self.se == 0:
            return None
        return 1.0 if self.v_p is None else max(0.0, 1.0 - self.v_p / self.se**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """Moments of one seed term: variances of the arm's mean headline over seeds, and over cells alone."""

    v_s: float
    f_s: float
    v_e: float
    f_e: float
    seed_sd: float


def condition_difference(
    a_x: ArrayLike,
    a_y: ArrayLike,
    cat: ArrayLike,
    weights: ArrayLike,
    *,
    den_x: ArrayLike | None = None,
    den_y: ArrayLike | None = None,
    paired_seeds: bool = False,
    prompts: Literal["random", "fixed"] = "random",
    borrow_seed_sd: SeedVariance | None = None,
    borrow_for: Literal["x", "y", "both"] = "x",
    level: float = 0.95,
) -> ConditionDifference:
    """Difference of two training conditions, with seeds and prompts as random factors.

    An arm with one seed is taken as that checkpoint, not as a random draw of its condition. With one seed in both arms
    only prompts vary: use `paired_difference`, which also guards against few differing prompts.

    Args:
        a_x: (S_x, P) numerators, one row per training seed; NaN marks a missing score.
        a_y: (S_y, P) numerators of the other condition.
        cat: (P,) int category in 0..G-1.
        weights: (G,) category weights summing to 1.
        den_x: (S_x, P) denominators, 0 for a missing score; None: ones.
        den_y: (S_y, P) denominators of the other condition.
        paired_seeds: row s of both arms shares data order and initial noise, as declared before looking.
        prompts: `random` for a claim about new prompts too, `fixed` for a claim about these prompts only.
        borrow_seed_sd: seed variance from other arms of the sweep, for an arm with one seed (or, for both arms, the
            pooled estimate in place of their own).
        borrow_for: arms whose seed variance is borrowed.
        level: nominal coverage.

    Raises:
        ValueError: shapes or weights are wrong, or paired seeds differ in number.
    """
    x, y = _stacked(a_x, den_x, cat, weights, "a_x"), _stacked(a_y, den_y, cat, weights, "a_y")
    if paired_seeds and len(x.theta) != len(y.theta):
        raise ValueError(f"paired seeds need as many rows in both arms, got {len(x.theta)} and {len(y.theta)}")
    if paired_seeds and borrow_seed_sd is not None:
        raise ValueError("borrow_seed_sd describes single arms; it cannot be used with paired_seeds")
    bare = _bare(x, y, paired_seeds, borrow_seed_sd, level)
    for side in (x, y):
        if np.isnan(side.theta).any():
            worst = int(np.flatnonzero(np.isnan(side.theta))[0])
            name = "x" if side is x else "y"
            return replace(bare, reason=f"{name}, row {worst}: {no_estimate_reason(side.valid[worst], side)}")
    est = float(x.theta.mean() - y.theta.mean())
    bare = replace(bare, est=est)
    arms = _random_arms(x, y, paired_seeds, borrow_seed_sd, borrow_for)
    bare = replace(
        bare,
        v_s=math.fsum(arm.v_s for arm in arms),
        f_s=tuple(arm.f_s for arm in arms),
        v_e=math.fsum(arm.v_e for arm in arms),
        seed_sd=tuple(arm.seed_sd for arm in arms),
    )
    if prompts == "fixed":
        return _over_seeds(bare, est, arms)
    d = without_rounding(x.psi.mean(axis=0) - y.psi.mean(axis=0), x.psi, y.psi)
    kernel = prompt_variance(d, x.valid.any(axis=0) | y.valid.any(axis=0), x.cat, x.weights)
    if kernel.variance is None or kernel.df is None:
        return replace(bare, reason=kernel.reason)
    return _over_seeds_and_prompts(bare, est, arms, kernel.variance, kernel.df)


def pooled_seed_variance(thetas: Sequence[ArrayLike]) -> SeedVariance | None:
    """Seed variance pooled over the arms of a sweep (one-way analysis of variance within arms).

    Args:
        thetas: per arm the (S_c,) per-seed headlines; arms with one seed are left out.

    Returns:
        None where no arm has two seeds.
    """
    arms = [x for x in (np.asarray(t, float) for t in thetas) if len(x) >= 2]
    if not arms:
        return None
    df = sum(len(x) - 1 for x in arms)
    return SeedVariance(variance=sum(float(((x - x.mean()) ** 2).sum()) for x in arms) / df, df=df, n_arms=len(arms))


def cell_variance(psi: Floats, valid: Bools, cat: ArrayLike, weights: ArrayLike) -> tuple[float, float]:
    """Variance of the mean headline due to cells (seed x prompt, images, judge), and its degrees of freedom.

    Args:
        psi: (S, P) influence values of the S >= 2 seeds of one arm.
        valid: (S, P) bool.
        cat: (P,) int category.
        weights: (G,) category weights.

    Returns:
        V_E = sum_g n_g/(n_g - 1) sum_ps (r - rbar_sg)^2 / (S (S - 1)), r the residual from the mean over seeds;
        categories with one prompt are left out. (0, inf) where nothing is left.
    """
    cat_, w = np.asarray(cat, np.intp), np.asarray(weights, float)
    counted = valid.any(axis=0) & (w[cat_] > 0)
    one_hot = np.asarray((cat_[:, None] == np.arange(len(w))) & counted[:, None], float)
    n, n_seeds = one_hot.sum(axis=0), len(psi)
    residual = without_rounding(psi - psi.mean(axis=0), psi)
    centred = (residual - ((residual @ one_hot) / np.maximum(n, 1))[:, cat_]) ** 2
    ss = (centred @ one_hot).sum(axis=0)
    several = n >= 2
    terms = (n * ss)[several] / (n[several] - 1) / (n_seeds * (n_seeds - 1))
    dfs = (n_seeds - 1) * (n[several] - 1)
    total = float(terms.sum())
    return total, satterthwaite_df(terms, dfs, int(dfs.sum())) if several.any() else math.inf


def _stacked(a: ArrayLike, den: ArrayLike | None, cat: ArrayLike, weights: ArrayLike, name: str) -> Influence:
    inf = influence_values(a, cat, weights, den)
    if inf.psi.ndim != 2 or len(inf.psi) == 0:
        raise ValueError(f"{name} has shape {inf.psi.shape}, expected (S, P) with one row per training seed")
    return inf


def _bare(
    x: Influence, y: Influence, seeds_paired: bool, borrowed: SeedVariance | None, level: float
) -> ConditionDifference:
    both = x.valid.any(axis=0) & y.valid.any(axis=0) & (x.weights[x.cat] > 0)
    finite = [tuple(float(t) for t in side.theta if not np.isnan(t)) for side in (x, y)]
    return ConditionDifference(
        est=None, se=None, df=None, low=None, high=None, p=None, method="", claim="", v_p=None, f_p=None, v_s=0.0,
        f_s=(), v_e=0.0, seed_sd=(), theta_x=finite[0], theta_y=finite[1], seeds_paired=seeds_paired,
        borrowed=borrowed, no_variation=False, n_prompts=int(both.sum()), level=level, reason="", error=None,
    )  # fmt: skip


def _random_arms(
    x: Influence, y: Influence, paired: bool, borrowed: SeedVariance | None, borrow_for: str
) -> list[_Arm]:
    """The seed terms: one per arm with several seeds, one for paired seeds, one for a borrowed variance."""
    if paired:
        psi = without_rounding(x.psi - y.psi, x.psi, y.psi)
        own = [_own_arm(without_rounding(x.theta - y.theta, x.theta, y.theta), psi, x.valid | y.valid, x)]
        return [arm for arm in own if arm is not None]
    arms = {name: _own_arm(side.theta, side.psi, side.valid, side) for name, side in (("x", x), ("y", y))}
    if borrowed is None:
        return [arm for arm in arms.values() if arm is not None]
    names = ["x", "y"] if borrow_for == "both" else [borrow_for]
    sizes = {"x": len(x.theta), "y": len(y.theta)}
    shared = _Arm(
        v_s=sum(borrowed.variance / sizes[n] for n in names),
        f_s=float(borrowed.df),
        v_e=sum(arm.v_e for n in names if (arm := arms[n]) is not None),
        f_e=min((arm.f_e for n in names if (arm := arms[n]) is not None), default=math.inf),
        seed_sd=math.sqrt(borrowed.variance),
    )
    return [shared, *(arm for n, arm in arms.items() if n not in names and arm is not None)]


def _own_arm(theta: Floats, psi: Floats, valid: Bools, inf: Influence) -> _Arm | None:
    n_seeds = len(theta)
    if n_seeds < 2:
        return None
    spread = without_rounding(theta - theta.mean(), theta)
    v_e, f_e = cell_variance(psi, valid, inf.cat, inf.weights)
    v_s = float((spread**2).sum()) / (n_seeds - 1) / n_seeds
    return _Arm(v_s=v_s, f_s=n_seeds - 1.0, v_e=v_e, f_e=f_e, seed_sd=math.sqrt(max(0.0, (v_s - v_e) * n_seeds)))


def _over_seeds_and_prompts(
    bare: ConditionDifference, est: float, arms: list[_Arm], v_p: float, f_p: float
) -> ConditionDifference:
    v = max(v_p, v_p + bare.v_s - bare.v_e)
    bare = replace(bare, v_p=v_p, f_p=f_p, claim=NEW_SEEDS_NEW_PROMPTS)
    if not arms:
        one = replace(bare, claim=THESE_CHECKPOINTS)
        return _finished(one, est, "prompts only", StudentError(se=math.sqrt(v), df=f_p), v, f_p)
    if len(arms) == 1 and v > 0:
        error = IntegratedError(v_p=v_p, f_p=f_p, v_s=bare.v_s, f_s=arms[0].f_s, v_e=bare.v_e)
        return _finished(bare, est, "integrated t", error, v, None)
    terms = [v_p, *(arm.v_s for arm in arms), *(arm.v_e for arm in arms)]
    dfs = [f_p, *(arm.f_s for arm in arms), *(arm.f_e for arm in arms)]
    least = min(f_p, *bare.f_s)
    below = sum((t / v) ** 2 / f for t, f in zip(terms, dfs, strict=True)) if v > 0 else 0.0
    df = max(least, 1.0 / below) if below > 0 else least
    method = "integrated t" if len(arms) == 1 else "Satterthwaite t"
    return _finished(bare, est, method, StudentError(se=math.sqrt(v), df=df), v, df)


def _over_seeds(bare: ConditionDifference, est: float, arms: list[_Arm]) -> ConditionDifference:
    bare = replace(bare, claim=NEW_SEEDS_THESE_PROMPTS)
    if not arms:
        return replace(bare, reason="one seed in each arm")
    df = satterthwaite_df([arm.v_s for arm in arms], [arm.f_s for arm in arms], int(sum(bare.f_s)))
    method = "Welch t" if len(arms) == 2 else "t over seeds"
    return _finished(bare, est, method, StudentError(se=math.sqrt(bare.v_s), df=df), bare.v_s, df)


def _finished(
    bare: ConditionDifference, est: float, method: str, error: ErrorDistribution, v: float, df: float | None
) -> ConditionDifference:
    half = error.quantile(0.5 + bare.level / 2)
    p = two_sided_p(est, error)
    return replace(
        bare,
        se=math.sqrt(v),
        df=df,
        low=est - half,
        high=est + half,
        p=p,
        method=method,
        no_variation=v == 0,
        reason="no variation over seeds and prompts" if p is None else "",
        error=error,
    )
