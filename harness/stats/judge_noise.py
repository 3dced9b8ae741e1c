"""Judge noise: what repeated judge calls on the same images say about a headline's variance.

Repeats are nested in images and prompts, so that every interval of this package already contains their noise; they
never add to n. What repeats buy is the split of the variance into judge, images and prompts. A judge is one fixed
level: nothing here covers "another judge".

Shape legend: P prompts, K images per prompt, J judge calls per image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.variance import Bools, Floats, influence_values, prompt_variance, without_rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeNoise:
    """Variance of a headline, split by source."""

    theta: float | None
    """Headline: weighted mean over prompts of their images' mean scores."""
    variance: float | None
    """V over prompts; contains everything below."""
    df: float | None
    """Degrees of freedom of V."""
    v_judge: float | None
    """Part of V from judge calls; None with one call per image."""
    v_image: float | None
    """Part of V from images, floored at 0; None with one image per prompt or one call per image."""
    s2_judge: float | None
    """Mean variance of calls on one image."""
    s2_image: float | None
    """Mean variance of images of one prompt, judge noise removed, floored at 0."""
    n_repeats: float
    """Mean number of valid calls per image."""

    @property
    def judge_share(self) -> float | None:
        """v_judge / variance."""
        return self.v_judge / self.variance if self.variance and self.v_judge is not None else None

    @property
    def noise_floor(self) -> float | None:
        """Standard error of the difference of the same images judged twice."""
        return None if self.v_judge is None else math.sqrt(2 * self.v_judge)

    @property
    def smallest_real_change(self) -> float | None:
        """A change on re-judging the same images below this is noise: 1.96 noise floors."""
        return None if self.v_judge is None else 2.8 * math.sqrt(self.v_judge)

    def variance_with_repeats(self, n_repeats: int) -> float | None:
        """V expected with another number of calls per image: V - V_judge (1 - J/J')."""
        if self.variance is None or self.v_judge is None:
            return None
        return self.variance - self.v_judge * (1 - self.n_repeats / n_repeats)


def estimate_judge_noise(y: ArrayLike, cat: ArrayLike, weights: ArrayLike) -> JudgeNoise:
    """Split of a headline's variance from scores with repeated judge calls.

    Args:
        y: (P, K, J) score of every call; NaN where missing. An image with one valid call takes the mean variance of
            the others, a prompt with one valid image likewise.
        cat: (P,) int category.
        weights: (G,) category weights summing to 1.

    Raises:
        ValueError: y is not three-dimensional or weights are wrong.
    """
    calls = np.asarray(y, float)
    if calls.ndim != 3:
        raise ValueError(f"y has shape {calls.shape}, expected (prompts, images, calls)")
    valid = np.isfinite(calls)
    n_calls, image_mean, s2_judge = _spread(calls, valid)
    judge_part = (
        None if s2_judge is None else np.divide(s2_judge, n_calls, out=np.zeros_like(s2_judge), where=n_calls > 0)
    )
    scored = n_calls > 0
    n_images, prompt_mean, s2_mean = _spread(image_mean, scored)
    inf = influence_values(np.where(n_images > 0, prompt_mean, np.nan), cat, weights)
    kernel = prompt_variance(inf.psi, inf.valid, inf.cat, inf.weights)
    n = np.bincount(inf.cat[inf.valid], minlength=len(inf.weights))
    w2 = np.where(inf.valid, (inf.weights[inf.cat] / np.maximum(n[inf.cat], 1)) ** 2, 0.0)
    per_image = np.maximum(n_images, 1)
    v_judge = v_image = pure = None
    if judge_part is not None:
        noise = np.where(scored, judge_part, 0.0).sum(axis=1) / per_image
        v_judge = float((w2 * noise / per_image).sum())
        if s2_mean is not None:
            v_image = max(0.0, float((w2 * (s2_mean - noise) / per_image).sum()))
            pure = max(0.0, float((s2_mean - noise)[n_images > 0].mean()))
    return JudgeNoise(
        theta=None if np.isnan(inf.theta) else float(inf.theta),
        variance=kernel.variance,
        df=kernel.df,
        v_judge=v_judge,
        v_image=v_image,
        s2_judge=None if s2_judge is None else float(s2_judge[scored].mean()),
        s2_image=pure,
        n_repeats=float(n_calls[scored].mean()) if scored.any() else 0.0,
    )


def best_repeats(cost_image: float, cost_call: float, s2_judge: float, s2_image: float) -> float:
    """Judge calls per image that give the smallest variance for a budget, at least 1.

    J* = sqrt((cost of an image / cost of a call) (s2_judge / s2_image)); inf where images of a prompt do not differ.
    """
    if s2_judge == 0:
        return 1.0
    if s2_image == 0 or cost_call == 0:
        return math.inf
    return max(1.0, math.sqrt(cost_image / cost_call * s2_judge / s2_image))


def _spread(x: Floats, valid: Bools) -> tuple[Floats, Floats, Floats | None]:
    """Counts, means and variances (ddof 1) over the last axis; a lone value takes the mean variance of the others."""
    n = valid.sum(axis=-1).astype(float)
    mean = np.where(valid, x, 0.0).sum(axis=-1) / np.maximum(n, 1)
    if not (n >= 2).any():
        return n, mean, None
    centred = without_rounding(np.where(valid, x - mean[..., None], 0.0), mean)
    ss = (centred**2).sum(axis=-1)
    s2 = ss / np.maximum(n - 1, 1)
    return n, mean, np.where(n >= 2, s2, s2[n >= 2].mean())
