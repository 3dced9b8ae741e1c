"""Simulated benchmarks with a known headline: latent normal effects of prompts, conditions, seeds and cells.

The latent score of a prompt is category level + seed shift + shared prompt effect + the condition's own prompt effect +
cell effect. It becomes verdicts over k images, verdicts over a prompt's questions, or a graded score through a quantile
table. Truths are integrals over the latent normal, so that no truth is itself simulated.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtr, ndtri

NODES = ndtri((np.arange(4000) + 0.5) / 4000)
"""Midpoint nodes of the standard normal, for integrals over one prompt's latent score."""
SEED_NODES, SEED_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
SEED_WEIGHTS = SEED_WEIGHTS / SEED_WEIGHTS.sum()
"""Gauss-Hermite nodes and weights, for integrals over a seed's effect."""


def graded_quantiles(zeros: float, a: float, b: float, step: float = 0.0) -> np.ndarray:
    """Quantile table (2001,) of a score that is 0 with probability `zeros` and else Beta(a, b), rounded to `step`."""
    u = np.linspace(0, 1, 2001)
    q = np.where(u <= zeros, 0.0, betaincinv(a, b, np.clip((u - zeros) / (1 - zeros), 0, 1)))
    return np.round(q / step) * step if step else q


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """One draw of a benchmark's prompts."""

    effect: np.ndarray
    asked: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Shape of a benchmark and spread of its latent effects."""

    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    theta: float
    k: int = 1
    questions: tuple[int, int] | None = None
    graded: tuple[float, ...] | None = None
    levels: tuple[float, ...] = ()
    prompt: float = 1.0
    own: float = 0.0
    cell: float = 0.0
    image: float = 0.0
    missing: float = 0.0

    @cached_property
    def cat(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def w(self) -> np.ndarray:
        w = np.asarray(self.weights, float)
        return w / w.sum()

    @cached_property
    def table(self) -> np.ndarray:
        return graded_quantiles(*self.graded)

    @cached_property
    def spread(self) -> float:
        """Latent sd of one score around its category level, seed apart."""
        return float(np.sqrt(self.prompt**2 + self.own**2 + self.cell**2 + self.image**2))

    @cached_property
    def mu(self) -> np.ndarray:
        """(G,) latent category levels with which the headline without a seed effect is `theta`."""
        offsets = np.asarray(self.levels or (0.0,) * len(self.sizes), float)
        return offsets + brentq(lambda m: self._headline(offsets + m) - self.theta, -12, 12)

    def headline(self, shift) -> np.ndarray:
        """True headline of a checkpoint whose latent levels are moved by `shift` (scalar, or (G,) by category)."""
        return self._headline(self.mu + shift)

    def _headline(self, levels) -> float:
        if self.graded is None:
            means = ndtr(np.asarray(levels) / np.sqrt(1 + self.spread**2))
        else:
            means = self._score(np.asarray(levels)[..., None] + self.spread * NODES).mean(axis=-1)
        return float(np.sum(self.w * means))

    def _score(self, z):
        """Graded score at a latent value that includes the image's own noise."""
        position = ndtr(z / self.spread) * (len(self.table) - 1)
        return self.table[np.rint(position).astype(np.intp)]

    def seed_scale(self, sd: float) -> float:
        """Latent seed sd that gives the headline a seed sd of `sd`."""
        if sd == 0:
            return 0.0
        return float(brentq(lambda s: self.over_seeds(s)[1] - sd, 1e-6, 5))

    def over_seeds(self, scale: float) -> tuple[float, float]:
        """Mean and standard deviation of the headline over seeds with a latent sd of `scale`."""
        heads = np.array([self.headline(scale * x) for x in SEED_NODES])
        mean = float(SEED_WEIGHTS @ heads)
        return mean, float(np.sqrt(SEED_WEIGHTS @ (heads - mean) ** 2))

    def prompts(self, rng) -> Prompts:
        """A draw of the prompts that all checkpoints share."""
        n = len(self.cat)
        asked = None if self.questions is None else rng.integers(self.questions[0], self.questions[1] + 1, n)
        return Prompts(effect=self.prompt * rng.normal(size=n), asked=asked)

    def draw(self, rng, prompts, shift):
        """Scores of one condition, one row per seed.

        `shift` is (S,) or (S, G). Returns numerators (S, P) with NaN for missing scores, and denominators or None.
        """
        shift = np.asarray(shift, float)
        n, s = len(self.cat), len(shift)
        by_prompt = shift[:, None] if shift.ndim == 1 else shift[:, self.cat]
        z = self.mu[self.cat] + by_prompt + prompts.effect + self.own * rng.normal(size=n)
        noise = float(np.hypot(self.cell, self.image))
        z = z + (noise * rng.normal(size=(s, n)) if noise else 0.0)
        den = None
        if self.graded is not None:
            a = self._score(z)
        elif self.questions is not None:
            a = rng.binomial(prompts.asked, ndtr(z)).astype(float)
            den = np.broadcast_to(prompts.asked.astype(float), z.shape)
        elif self.k == 1:
            a = (rng.random(z.shape) < ndtr(z)).astype(float)
        else:
            a = rng.binomial(self.k, ndtr(z)) / self.k
        if self.missing:
            a = np.where(rng.random(a.shape) < self.missing, np.nan, a)
        return a, den

    def but(self, **changes) -> "Benchmark":
        return replace(self, **changes)


_TIIF_GROUPS = ((10, 5, 5, 10), (8,) * 4, (8,) * 4, (5, 5) + (4,) * 6, (4,) * 8, (4,) * 8, (30,), (30,), (25,))
_GENEVAL_LEVELS = (0.8, 0.45, 0.1, 0.35, -0.45, -0.2)

GENEVAL = Benchmark(
    sizes=(80, 99, 80, 94, 100, 100), weights=(1,) * 6, theta=0.573, k=4, levels=_GENEVAL_LEVELS, own=0.5, cell=0.25
)
TIIF = Benchmark(
    sizes=tuple(n for group in _TIIF_GROUPS for n in group),
    weights=tuple(1 / len(group) for group in _TIIF_GROUPS for _ in group),
    theta=0.603, questions=(2, 8), own=0.5, cell=0.25,
)  # fmt: skip
GEDIT = Benchmark(
    sizes=(40, 40, 40, 40, 70, 70, 57, 60, 57, 99, 33), weights=(1,) * 11, theta=0.58, graded=(0.15, 4.3, 2.0),
    own=0.9, cell=0.25, image=1.4,
)  # fmt: skip
WISE = Benchmark(
    sizes=(400, 167, 133, 100, 100, 100), weights=(400, 167, 133, 100, 100, 100), theta=0.503,
    graded=(0.0, 0.7, 0.7, 0.05), missing=0.1, own=1.35, cell=0.25, image=1.4,
)  # fmt: skip
DPG = Benchmark(sizes=(1065,), weights=(1,), theta=0.824, graded=(0.0, 2.8, 0.6), image=0.6)
SMALL = Benchmark(sizes=(5, 10, 40, 145), weights=(1,) * 4, theta=0.572, k=1, own=0.5, cell=0.25)
