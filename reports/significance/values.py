"""One condition in one value: the official number with its interval, what is missing, and how far it varies by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.stats import condition_difference, distrust_reason
from harness.terms import Terms
from reports.significance.compare import check_official, no_variation, scale_of, seed_sds, thetas_of
from reports.significance.describe import seed_bounds
from reports.significance.results import Value
from reports.significance.stack import Stack, stack

PROMPTS = "prompts"
"""Another draw of prompts and images from the same checkpoint."""


def condition_value(
    cells: Sequence[dict[str, Any]],
    terms: Sequence[Terms | None],
    *,
    benchmark: str,
    metric: str,
    condition: str,
    names: Sequence[str],
) -> Value:
    """A condition's value with its interval.

    Args:
        cells: one entry of `summary.json` per training seed.
        terms: the same value's parts; None where it has none.
        benchmark: for the record.
        metric: for the record.
        condition: for the record.
        names: of the runs, for messages.
    """
    values = [c["value"] for c in cells]
    n_none = sum(v is None for v in values)
    known = [float(v) for v in values if v is not None]
    bare = Value(
        benchmark=benchmark,
        metric=metric,
        condition=condition,
        value=float(np.mean(known)) if known and not n_none else None,
        n=sum(c["n"] for c in cells),
        n_seeds=len(cells),
        per_seed=tuple(known),
        n_missing=sum(c["n_missing"] for c in cells),
    )
    if n_none:
        why = cells[values.index(None)].get("method", "") or "no value"
        return replace(bare, reason=why if len(cells) == 1 else f"{n_none} of {len(cells)} seeds: {why}")
    held = [t for t in terms if t is not None]
    if len(held) < len(cells):
        return _without_terms(bare, cells)
    try:
        side = stack([held], [names])[0]
        check_official(thetas_of(side), np.asarray(known), side)
    except DataError as error:
        return replace(bare, reason=str(error))
    bare = _with_missing(replace(bare, scale=scale_of(side)), side)
    if len(cells) == 1:
        n = int(((side.den[0] > 0) & (side.weights[side.cat] > 0)).sum())
        return replace(_without_terms(bare, cells), n_prompts=n)
    return _over_seeds(bare, side)


def _without_terms(bare: Value, cells: Sequence[dict[str, Any]]) -> Value:
    """The interval that the run itself stored, which speaks about one checkpoint."""
    if len(cells) > 1:
        return replace(bare, reason="no prompts' parts are stored for this value")
    low, high, method = cells[0]["ci_low"], cells[0]["ci_high"], cells[0].get("method", "")
    if low is None:
        return replace(bare, reason=method.removeprefix("none: ") or "no interval is defined for this value")
    alike = "no variation over prompts" if low == high else ""
    return replace(bare, low=low, high=high, test=method, level=PROMPTS, distrust=bare.distrust or alike)


def _with_missing(bare: Value, side: Stack) -> Value:
    """Bounds and doubts where scores are missing."""
    planned = max(round(side.n_planned()), bare.n_missing)
    bare = replace(bare, n_planned=planned)
    bounds = seed_bounds(side)
    if not bounds:
        return bare
    missing = np.maximum(side.planned - side.den, 0.0)
    one = bounds[0]
    limits = None
    if len(bounds) == 1 and one.interval_low is not None and one.interval_high is not None:
        limits = (one.interval_low, one.interval_high)
    return replace(
        bare,
        bound_low=float(np.mean([b.low for b in bounds])),
        bound_high=float(np.mean([b.high for b in bounds])),
        bounds_interval=limits,
        distrust=distrust_reason(side.by_category(missing), side.by_category(side.planned)),
    )


def _over_seeds(bare: Value, side: Stack) -> Value:
    """The mean over seeds is its difference from a fixed 0, so seeds and prompts vary as they do in differences."""
    origin = np.zeros((1, side.num.shape[1]))
    known = np.any(side.den > 0, axis=0, keepdims=True)
    found = condition_difference(side.num, origin, side.cat, side.weights, den_x=side.den, den_y=known)
    if found.low is None or found.high is None or bare.value is None:
        return replace(bare, reason=found.reason)
    half = (found.high - found.low) / 2
    low, high = bare.value - half, bare.value + half
    return replace(
        bare,
        low=max(low, side.lo),
        high=min(high, side.hi),
        test=found.method,
        level=found.claim,
        n_prompts=found.n_prompts,
        seed_sd=next(iter(seed_sds(found)), None),
        distrust=bare.distrust or no_variation(found),
    )
