"""Agreement of judges and people: Krippendorff's alpha, Spearman's correlation and Cohen's kappa, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import normal_quantile, t_quantile
from harness.stats.variance import Floats

Metric = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement coefficient with its interval."""

    value: float | None
    """The coefficient; None where it is undefined."""
    se: float | None
    """Standard error (for Spearman on the Fisher z scale)."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    n: int
    """Units (alpha), pairs (Spearman) or items (kappa) that entered."""
    level: float
    """Nominal coverage."""
    reason: str
    """Why a field is None, or a warning about the limits; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Cohen's kappa with what is needed to read it: the same kappa can come from very different tables."""

    value: float | None
    """Kappa; None where both raters are constant."""
    se: float | None
    """Asymptotic standard error."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    raw_agreement: float
    """Share of items on the diagonal."""
    marginal_x: tuple[float, ...]
    """Shares of the categories used by the row rater."""
    marginal_y: tuple[float, ...]
    """Shares of the categories used by the column rater."""
    n: int
    """Items."""
    reason: str
    """Why a field is None, or a warning about the limits; empty otherwise."""


def krippendorff_alpha(
    ratings: ArrayLike, *, metric: Metric = "nominal", clusters: ArrayLike | None = None, level: float = 0.95
) -> Agreement:
    """Krippendorff's alpha for any number of raters and missing ratings, with a jackknife interval over units.

    Args:
        ratings: (R, U) numeric ratings by rater and unit; NaN where missing. Units with one rating do not count.
        metric: distance of two ratings.
        clusters: (U,) label of the prompt each unit belongs to; the jackknife then deletes whole prompts.
        level: nominal coverage.

    Returns:
        The interval is built on the scale log(1 - alpha). Perfect agreement gives [1, 1] with a warning.

    Raises:
        ValueError: ratings are not two-dimensional or the metric is unknown.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    x = np.asarray(ratings, float)
    if x.ndim != 2 or metric not in ("nominal", "ordinal", "interval"):
        raise ValueError(
            f"ratings have shape {x.shape} and metric is {metric!r}; expected (raters, units) and a metric"
        )
    pairable = np.isfinite(x).sum(axis=0) >= 2
    values, counts = _value_counts(x[:, pairable])
    n_units = int(pairable.sum())
    alpha = _alpha(_coincidences(counts), values, metric) if n_units else None
    if alpha is None:
        return _undefined(n_units, level, "one value only" if n_units else "no unit has two ratings")
    if alpha == 1:
        return Agreement(value=1.0, se=0.0, low=1.0, high=1.0, n=n_units, level=level, reason="perfect agreement")
    labels = np.arange(n_units) if clusters is None else np.asarray(clusters)[pairable]
    total = _coincidences(counts)
    left_out = [_alpha(total - _coincidences(counts[labels == c]), values, metric) for c in np.unique(labels)]
    if len(left_out) < 2 or any(v is None for v in left_out):
        reason = "alpha is undefined without one of the units"
        return Agreement(value=alpha, se=None, low=None, high=None, n=n_units, level=level, reason=reason)
    se = _jackknife_se(np.array(left_out, float))
    factor = math.exp(float(t_quantile(0.5 + level / 2, len(left_out) - 1)) * se / (1 - alpha))
    return Agreement(
        value=alpha,
        se=se,
        low=1 - (1 - alpha) * factor,
        high=1 - (1 - alpha) / factor,
        n=n_units,
        level=level,
        reason="",
    )


def spearman(x: ArrayLike, y: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95) -> Agreement:
    """Spearman's rank correlation with an interval on Fisher's z scale.

    Args:
        x: (n,) values; pairs with a NaN are left out.
        y: (n,) values.
        clusters: (n,) label of each item's prompt; the standard error is then a jackknife over prompts.
        level: nominal coverage.

    Source: standard error sqrt((1 + r^2/2)/(n - 3)) of Bonett and Wright 2000.
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(a) & np.isfinite(b)
    a, b, n = a[keep], b[keep], int(keep.sum())
    r = _rank_correlation(a, b) if n >= 4 else None
    if r is None:
        return _undefined(n, level, "a rater is constant" if n >= 4 else "fewer than 4 pairs")
    if abs(r) >= 1:
        return Agreement(value=r, se=0.0, low=r, high=r, n=n, level=level, reason="perfect rank agreement")
    if clusters is None:
        se, quantile = math.sqrt((1 + r * r / 2) / (n - 3)), float(normal_quantile(0.5 + level / 2))
    else:
        labels = np.asarray(clusters)[keep]
        left_out = [_rank_correlation(a[labels != c], b[labels != c]) for c in np.unique(labels)]
        if len(left_out) < 4 or any(v is None or abs(v) >= 1 for v in left_out):
            reason = "too few prompts for a jackknife"
            return Agreement(value=r, se=None, low=None, high=None, n=n, level=level, reason=reason)
        se = _jackknife_se(np.arctanh(np.array(left_out, float)))
        quantile = float(t_quantile(0.5 + level / 2, len(left_out) - 1))
    low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * quantile * se)
    return Agreement(value=r, se=se, low=float(low), high=float(high), n=n, level=level, reason="")


def cohens_kappa(table: ArrayLike, *, scores: ArrayLike | None = None, level: float = 0.95) -> Kappa:
    """Cohen's kappa of two raters on the same items.

    Args:
        table: (C, C) counts, rows by one rater and columns by the other (`rating_table`).
        scores: (C,) numeric value of each category for quadratic weights; None: unweighted.
        level: nominal coverage.

    Raises:
        ValueError: the table is not square or is empty.

    Source: standard error of Fleiss, Cohen and Everitt 1969, as in statsmodels.
    """
    counts = np.asarray(table, float)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() <= 0:
        raise ValueError(f"table has shape {counts.shape} and sum {counts.sum()}, expected square counts")
    n, rows, columns = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    shared: dict[str, Any] = {
        "raw_agreement": float(np.trace(counts) / n),
        "marginal_x": tuple(float(v) for v in rows / n),
        "marginal_y": tuple(float(v) for v in columns / n),
        "n": int(n),
    }
    constant = int((rows > 0).sum() == 1) + int((columns > 0).sum() == 1)
    if constant == 2:
        return Kappa(value=None, se=None, low=None, high=None, reason="both raters are constant", **shared)
    if constant == 1:  # kappa is 0 whatever the other rater does, so its standard error of 0 means nothing
        return Kappa(value=0.0, se=None, low=None, high=None, reason="one rater is constant", **shared)
    from statsmodels.stats.inter_rater import cohens_kappa as sm_kappa

    result = sm_kappa(counts) if scores is None else sm_kappa(counts, weights=np.asarray(scores, float), wt="fc")
    value, se = float(result.kappa), float(result.std_kappa)
    half = float(normal_quantile(0.5 + level / 2)) * se
    reason = "perfect agreement" if shared["raw_agreement"] == 1 else ""
    return Kappa(value=value, se=se, low=max(-1.0, value - half), high=min(1.0, value + half), reason=reason, **shared)


def rating_table(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Counts of two raters' values and the sorted values themselves; pairs with a NaN are left out.

    Returns:
        table (C, C) and values (C,), which serve as `scores` for quadratic weights.
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(a) & np.isfinite(b)
    values = np.unique(np.concatenate([a[keep], b[keep]]))
    table = np.zeros((len(values), len(values)))
    np.add.at(table, (np.searchsorted(values, a[keep]), np.searchsorted(values, b[keep])), 1)
    return table, values


def _undefined(n: int, level: float, reason: str) -> Agreement:
    return Agreement(value=None, se=None, low=None, high=None, n=n, level=level, reason=reason)


def _jackknife_se(left_out: Floats) -> float:
    n = len(left_out)
    return math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))


def _value_counts(x: Floats) -> tuple[Floats, Floats]:
    """Distinct values (C,) and how often each was given to each unit (U, C)."""
    values = np.unique(x[np.isfinite(x)])
    return values, np.asarray((x[:, :, None] == values).sum(axis=0), float)


def _coincidences(counts: Floats) -> Floats:
    """o_cd = sum_u (count_uc count_ud - [c = d] count_uc) / (m_u - 1), shape (C, C)."""
    scaled = counts / (counts.sum(axis=1, keepdims=True) - 1)
    return np.asarray(scaled.T @ counts - np.diag(scaled.sum(axis=0)))


def _alpha(o: Floats, values: Floats, metric: Metric) -> float | None:
    n_c = o.sum(axis=1)
    n, distance = n_c.sum(), _distance(n_c, values, metric)
    expected = float(n_c @ distance @ n_c)
    # A value that was deleted with its unit leaves rounding noise instead of an exact 0.
    if (n_c > 1e-9).sum() < 2:
        return None
    return float(1 - (n - 1) * (o * distance).sum() / expected)


def _distance(n_c: Floats, values: Floats, metric: Metric) -> Floats:
    if metric == "nominal":
        return 1.0 - np.eye(len(values))
    if metric == "interval":
        return np.asarray((values[:, None] - values) ** 2)
    cumulative = np.cumsum(n_c)  # sum_{g=c..d} n_g - (n_c + n_d)/2 = |F_d - F_c| with F at the middle of each step
    middle = cumulative - n_c / 2
    return np.asarray((middle[:, None] - middle) ** 2)


def _rank_correlation(a: Floats, b: Floats) -> float | None:
    ra, rb = _midranks(a), _midranks(b)
    ra, rb = ra - ra.mean(), rb - rb.mean()
    norm = math.sqrt(float(ra @ ra) * float(rb @ rb))
    if norm == 0:
        return None
    r = float(ra @ rb) / norm
    return float(np.sign(r)) if abs(abs(r) - 1) < 1e-12 else r


def _midranks(x: Floats) -> Floats:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])
