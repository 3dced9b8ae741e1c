"""Exact tests on per-seed headlines: sign-flip for paired seeds, permutation for independent arms.

They stand beside the intervals of `conditions`, speak about *these prompts* and cannot reach small p-values with few
seeds; `ExactTest.reaches` says whether a significant answer was possible at all. Up to 2^20 arrangements are
enumerated, above that a Monte Carlo p-value is drawn from the caller's generator.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.variance import Floats

MAX_ENUMERATED = 2**20
"""Largest number of arrangements that is enumerated."""
DEFAULT_DRAWS = 100_000
"""Monte Carlo draws above that."""
_BLOCK = 2**15


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactTest:
    """Result of a sign-flip or permutation test."""

    statistic: float
    """Mean difference over seeds, or difference of the arms' means."""
    p: float
    """Two-sided p; 1 for ties throughout."""
    smallest_p: float
    """Smallest p that this number of seeds can give."""
    n_arrangements: int
    """Sign patterns or splits of the full reference set."""
    n_draws: int | None
    """Monte Carlo draws; None where the reference set was enumerated."""
    method: str
    """`sign-flip` or `permutation`."""

    def reaches(self, alpha: float = 0.05, n_tests: int = 1) -> bool:
        """Whether any data with these seeds could give p < alpha after Holm's correction over `n_tests`."""
        return self.smallest_p < alpha / n_tests


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFlipInterval:
    """Values of the mean difference that the sign-flip test does not reject."""

    low: float
    """Lower limit; -inf where too few seeds allow no limit."""
    high: float
    """Upper limit; inf where too few seeds allow no limit."""
    exact_level: float
    """Coverage under symmetric differences, at least the level asked for."""


def sign_flip(d: ArrayLike, *, rng: np.random.Generator | None = None, n_draws: int = DEFAULT_DRAWS) -> ExactTest:
    """Exact test that per-seed differences are symmetric about 0.

    Args:
        d: (S,) per-seed difference of headlines, or condition minus a fixed value.
        rng: needed above 20 seeds.
        n_draws: Monte Carlo draws above 20 seeds.

    Raises:
        ValueError: d is empty or not finite, or rng is missing above 20 seeds.

    Source: Fisher 1935; Monte Carlo p-value of Phipson and Smyth 2010.
    """
    x = _seed_values(d, "d")
    observed = abs(float(x.sum()))
    limit = observed - 1e-12 * max(1.0, observed)
    n = 2 ** len(x)
    if n <= MAX_ENUMERATED:
        p, draws = float(np.mean(np.abs(_signed_sums(x)) >= limit)), None
    else:
        signs = (_needed(rng, n).integers(0, 2, (b, len(x))) * 2.0 - 1.0 for b in _blocks(n_draws))
        hits = sum(int((np.abs(s @ x) >= limit).sum()) for s in signs)
        p, draws = (1 + hits) / (1 + n_draws), n_draws
    return ExactTest(
        statistic=float(x.mean()),
        p=p,
        smallest_p=smallest_sign_flip_p(len(x)),
        n_arrangements=n,
        n_draws=draws,
        method="sign-flip",
    )


def sign_flip_interval(
    d: ArrayLike, *, level: float = 0.95, rng: np.random.Generator | None = None, n_draws: int = DEFAULT_DRAWS
) -> SignFlipInterval:
    """Interval for the centre of symmetric per-seed differences, from the means of the non-empty subsets of seeds.

    With k = floor(alpha 2^S / 2) the limits are the k-th smallest and k-th largest mean; k = 0 leaves them infinite.
    Above 20 seeds a random sample of subsets takes the place of all of them.

    Raises:
        ValueError: as `sign_flip`.

    Source: Hartigan 1969 (typical values).
    """
    x = _seed_values(d, "d")
    if 2 ** len(x) <= MAX_ENUMERATED:
        means = _subset_means(x)
    else:
        generator = _needed(rng, 2 ** len(x))
        means = np.concatenate([_random_subset_means(x, b, generator) for b in _blocks(n_draws)])
    n = len(means) + 1
    k = math.floor(round(1 - level, 12) * n / 2)
    if k == 0:
        return SignFlipInterval(low=-math.inf, high=math.inf, exact_level=1.0)
    ordered = np.partition(means, [k - 1, len(means) - k])
    return SignFlipInterval(
        low=float(ordered[k - 1]), high=float(ordered[len(means) - k]), exact_level=1.0 - 2.0 * k / n
    )


def permutation_test(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator | None = None, n_draws: int = DEFAULT_DRAWS
) -> ExactTest:
    """Exact test that two independent arms' per-seed headlines are exchangeable; statistic |difference of means|.

    Args:
        x: (S_x,) per-seed headlines of one arm.
        y: (S_y,) of the other.
        rng: needed where there are more than 2^20 splits.
        n_draws: Monte Carlo draws in that case.

    Raises:
        ValueError: an arm is empty or not finite, or rng is missing where it is needed.
    """
    a, b = _seed_values(x, "x"), _seed_values(y, "y")
    pooled = np.concatenate([a, b])
    centred = pooled - pooled.mean()  # large common offsets would cost digits in the sums
    observed = abs(float(_mean_difference(centred[: len(a)].sum(), centred.sum(), len(a), len(b))))
    limit = observed - 1e-12 * max(1.0, observed)
    n = math.comb(len(pooled), len(a))
    sums = (
        _split_sums(centred, len(a)) if n <= MAX_ENUMERATED else _drawn_sums(centred, len(a), _needed(rng, n), n_draws)
    )
    hits = sum(int((np.abs(_mean_difference(block, centred.sum(), len(a), len(b))) >= limit).sum()) for block in sums)
    enumerated = n <= MAX_ENUMERATED
    return ExactTest(
        statistic=float(a.mean() - b.mean()),
        p=hits / n if enumerated else (1 + hits) / (1 + n_draws),
        smallest_p=smallest_permutation_p(len(a), len(b)),
        n_arrangements=n,
        n_draws=None if enumerated else n_draws,
        method="permutation",
    )


def smallest_sign_flip_p(n_seeds: int) -> float:
    """Smallest two-sided p of `sign_flip`: 2 / 2^S."""
    return 2.0 / 2.0**n_seeds


def smallest_permutation_p(n_x: int, n_y: int) -> float:
    """Smallest two-sided p of `permutation_test`: 2/C for equal arms, where each split has a mirror image, else 1/C."""
    return (2.0 if n_x == n_y else 1.0) / math.comb(n_x + n_y, n_x)


def paired_seeds_needed(alpha: float = 0.05, n_tests: int = 1) -> int:
    """Fewest paired seeds with which the sign-flip test can reach alpha under Holm's correction over `n_tests`."""
    return next(s for s in itertools.count(1) if smallest_sign_flip_p(s) < alpha / n_tests)


def _seed_values(values: ArrayLike, name: str) -> Floats:
    x = np.asarray(values, float)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"{name} has shape {x.shape} and values {x}; expected one finite number per seed")
    return x


def _needed(rng: np.random.Generator | None, n: int) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"{n} arrangements are too many to enumerate; pass rng=numpy.random.default_rng(seed)")
    return rng


def _blocks(n_draws: int) -> Iterator[int]:
    return (min(_BLOCK, n_draws - start) for start in range(0, n_draws, _BLOCK))


def _signed_sums(x: Floats) -> Floats:
    """Sums over all sign patterns with the first sign fixed; the others mirror them."""
    sums = x[:1]
    for value in x[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _subset_means(x: Floats) -> Floats:
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in x:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return np.asarray(sums[1:] / sizes[1:])


def _random_subset_means(x: Floats, n: int, rng: np.random.Generator) -> Floats:
    picks = rng.integers(0, 2, (n, len(x))).astype(float)
    while (empty := picks.sum(axis=1) == 0).any():
        picks[empty] = rng.integers(0, 2, (int(empty.sum()), len(x)))
    return np.asarray(picks @ x / picks.sum(axis=1))


def _mean_difference(sum_x: Floats | float, total: float, n_x: int, n_y: int) -> Floats:
    return np.asarray(sum_x / n_x - (total - sum_x) / n_y)


def _split_sums(pooled: Floats, n_x: int) -> Iterator[Floats]:
    combos = itertools.combinations(range(len(pooled)), n_x)
    while block := list(itertools.islice(combos, _BLOCK)):
        yield pooled[np.array(block)].sum(axis=1)


def _drawn_sums(pooled: Floats, n_x: int, rng: np.random.Generator, n_draws: int) -> Iterator[Floats]:
    for b in _blocks(n_draws):
        yield rng.permuted(np.tile(pooled, (b, 1)), axis=1)[:, :n_x].sum(axis=1)
