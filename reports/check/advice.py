"""What would decide an undecided comparison: more prompts, more images, more seeds, or a wider margin."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.stats import (
    ConditionDifference,
    PairedDifference,
    images_needed,
    prompts_needed,
    smallest_detectable_effect,
)
from reports.check.images import difference_variance
from reports.check.margins import Margin
from reports.check.sides import Value
from reports.significance.compare import detectable

POWER = "in 80 % of cases"
_Z = smallest_detectable_effect(1.0, math.inf, alpha=0.10)
"""z_.95 + z_.80 of a one-sided 5 % test."""


def advise(
    verdict: str,
    arms: tuple[Sequence[Value], Sequence[Value]],
    difference: PairedDifference | ConditionDifference,
    margin: Margin,
) -> tuple[str, ...]:
    """Sentences for an inconclusive benchmark; empty for every other verdict.

    Args:
        verdict: of the benchmark.
        arms: values of candidates and baselines, aligned.
        difference: candidate less baseline, with a standard error.
        margin: largest accepted loss.
    """
    if verdict != "inconclusive" or difference.se is None or difference.est is None:
        return ()
    x, y = arms
    if isinstance(difference, ConditionDifference):
        return _with_seeds(x[0], difference, margin)
    return (_prompts(difference, margin), _images(x[0], y[0], difference, margin))


def _prompts(difference: PairedDifference, margin: Margin) -> str:
    se, est = difference.se or 0.0, difference.est or 0.0
    # Not the Kish size: as many more prompts of every category.
    counts = [prompts_needed(se, difference.n_prompts, margin.value, delta=d) for d in (0.0, est)]
    return f"Prompts like these {difference.n_prompts:,} that would decide {POWER}: " + _two(counts, est)


def _images(x: Value, y: Value, difference: PairedDifference, margin: Margin) -> str:
    se, est = difference.se or 0.0, difference.est or 0.0
    if x.images is None or y.images is None:
        return f"What more images per prompt would do is not known: {x.no_images or y.no_images}."
    found = difference_variance(x.images, y.images, x.terms)
    if isinstance(found, str):
        return f"What more images per prompt would do is not known: {found}."
    v_gen, k = found
    alike, observed = (images_needed(se**2, v_gen, k, margin.value, delta=d) for d in (0.0, est))
    if alike.n_images is None:
        return ("On these prompts no number of images decides at this margin; the smallest margin that can be decided "
                f"is {_amount(alike.smallest_margin, x)}.")  # fmt: skip
    return f"Images per prompt, now {k}, that would decide on these prompts {POWER}: " + _two(
        [alike.n_images, observed.n_images], est
    )


def _two(counts: Sequence[int | None], est: float) -> str:
    """Counts at true difference 0 and at the observed one, in words."""
    alike, observed = ("no number" if c is None else f"{c:,}" for c in counts)
    est = 0.0 if abs(est) < 1e-12 else est
    return f"{alike} if both are equally good, {observed} if the true difference is the observed {est:+.4g}."


def _with_seeds(x: Value, difference: ConditionDifference, margin: Margin) -> tuple[str, ...]:
    """More prompts only lower the prompts' part of the variance; the seeds' part stays."""
    assert difference.se is not None and difference.v_p is not None
    rest = max(0.0, difference.se**2 - difference.v_p)
    # With few seeds the quantiles are those of few degrees of freedom, two or three times the normal ones.
    needed = detectable(difference, alpha=0.10)
    z = _Z if needed is None else needed / difference.se
    room = (margin.value / z) ** 2 - rest
    share = difference.seed_share or 0.0
    seeds = f"{share:.0%} of the variance comes from training seeds"
    if room <= 0:
        smallest = _amount(z * math.sqrt(rest), x)
        return (f"{seeds}: with these seeds no number of prompts decides at this margin; the smallest margin that can "
                f"be decided is {smallest}. Train more seeds, or choose a wider margin.",)  # fmt: skip
    n = math.ceil(difference.n_prompts * difference.v_p / room)
    return (f"{seeds}; about {n:,} prompts like these {difference.n_prompts:,} would clear an equally good candidate "
            f"{POWER}.",)  # fmt: skip


def _amount(value: float, x: Value) -> str:
    width = x.terms.hi - x.terms.lo
    share = f" ({value / width:.1%} of the range: --margin {value / width:.3g})" if math.isfinite(width) else ""
    return f"{value:.4g}{share}"
