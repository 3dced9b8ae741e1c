"""Distribution of an estimate's error: what turns a standard error into limits, p-values and gate decisions.

Two forms share one small interface. `StudentError` is the usual t. `IntegratedError` is the t of the prompt variance
averaged over the chi-square uncertainty of a single seed variance, which a Satterthwaite approximation understates
with three or four seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from harness.stats.distributions import chi2_quantile, t_cdf, t_quantile
from harness.stats.variance import Floats

N_NODES = 4000
"""Equal-probability nodes over the chi-square distribution of the seed variance."""


class ErrorDistribution(Protocol):
    """Symmetric distribution of `estimate - truth`."""

    def cdf(self, x: float) -> float:
        """P(error <= x)."""
        ...

    def quantile(self, prob: float) -> float:
        """The x with P(error <= x) = prob."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentError:
    """se times Student's t with df degrees of freedom; all mass at 0 where se is 0."""

    se: float
    """Standard error, >= 0."""
    df: float
    """Degrees of freedom, may be fractional or infinite."""

    def cdf(self, x: float) -> float:
        """P(error <= x)."""
        return float(t_cdf(x / self.se, self.df)) if self.se > 0 else _step(x)

    def quantile(self, prob: float) -> float:
        """The x with P(error <= x) = prob."""
        return self.se * float(t_quantile(prob, self.df)) if self.se > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedError:
    """t of the prompt variance, integrated over the uncertainty of one seed variance.

    With c_i the chi-square quantile (i + 1/2)/4000 divided by its degrees of freedom, the variance takes the values
    V_i = V_P + max(0, V_S/c_i - V_E) and the distribution function is the mean of the t functions at x / sqrt(V_i).
    Source: generalised confidence intervals, Weerahandi 1993.
    """

    v_p: float
    """Variance over prompts (and cells)."""
    f_p: float
    """Degrees of freedom of v_p."""
    v_s: float
    """Variance over seeds (and cells) of the headline."""
    f_s: float
    """Degrees of freedom of v_s."""
    v_e: float
    """Variance of the cells, counted in both of the above."""

    def cdf(self, x: float) -> float:
        """P(error <= x)."""
        return self._mean_cdf(x, self._sds())

    def quantile(self, prob: float) -> float:
        """The x with P(error <= x) = prob, by Brent's method between the extreme nodes."""
        from scipy.optimize import brentq

        if prob < 0.5:
            return -self.quantile(1.0 - prob)
        sds = self._sds()
        t = float(t_quantile(prob, self.f_p))
        high = t * float(sds.max())  # each node's own quantile is at most this
        if high == 0 or self._mean_cdf(high * 1e-14, sds) >= prob:
            return 0.0
        low = max(t * float(sds.min()), high * 1e-14)
        if self._mean_cdf(low, sds) >= prob or low == high:
            return low
        return float(brentq(lambda x: self._mean_cdf(x, sds) - prob, low, high, xtol=1e-15 * high, rtol=1e-13))

    def _sds(self) -> Floats:
        return np.asarray(np.sqrt(self.v_p + np.maximum(0.0, self.v_s / _nodes(self.f_s) - self.v_e)))

    def _mean_cdf(self, x: float, sds: Floats) -> float:
        spread = sds[sds > 0]
        total = float(np.sum(t_cdf(x / spread, self.f_p))) + (len(sds) - len(spread)) * _step(x)
        return total / len(sds)


@lru_cache(maxsize=32)
def _nodes(f_s: float) -> Floats:
    """c_i; the same for every difference with as many seeds."""
    nodes = np.asarray(chi2_quantile((np.arange(N_NODES) + 0.5) / N_NODES, f_s) / f_s)
    nodes.flags.writeable = False
    return nodes


def two_sided_p(est: float, error: ErrorDistribution) -> float | None:
    """P(|error| >= |est|); None where the error cannot vary and est is not 0."""
    if est == 0:
        return 1.0
    p = 2.0 * error.cdf(-abs(est))
    return None if p == 0 and error.quantile(0.975) == 0 else min(1.0, p)


def _step(x: float) -> float:
    return 0.5 if x == 0 else float(x > 0)
