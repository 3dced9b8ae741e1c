"""Distribution functions used by the intervals and tests, on `scipy.special` (imported on first use).

`scipy.stats` offers the same numbers but takes seconds to import; these thin names keep the commands that only print
tables quick. All functions accept scalars or arrays; `df` may be fractional or infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def t_cdf(x: Any, df: Any) -> Any:
    """P(T <= x) for Student's t with `df` degrees of freedom."""
    from scipy.special import stdtr

    return stdtr(df, x)


def t_quantile(prob: Any, df: Any) -> Any:
    """The x with P(T <= x) = prob for Student's t with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return stdtrit(df, prob)


def normal_cdf(x: Any) -> Any:
    """The standard normal distribution function."""
    from scipy.special import ndtr

    return ndtr(x)


def normal_quantile(prob: Any) -> Any:
    """The standard normal quantile."""
    from scipy.special import ndtri

    return ndtri(prob)


def chi2_quantile(prob: Any, df: Any) -> Any:
    """The chi-square quantile with `df` degrees of freedom."""
    from scipy.special import gammaincinv

    return 2.0 * gammaincinv(np.asarray(df, dtype=float) / 2.0, prob)


def binomial_pmf(k: int, n: int, prob: float) -> float:
    """P(X = k) for X ~ Binomial(n, prob)."""
    from scipy.special import gammaln, xlog1py, xlogy

    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return float(np.exp(log_choose + xlogy(k, prob) + xlog1py(n - k, -prob)))


def binomial_cdf(k: int, n: int, prob: float) -> float:
    """P(X <= k) for X ~ Binomial(n, prob)."""
    from scipy.special import bdtr

    return 1.0 if k >= n else float(bdtr(k, n, prob))
