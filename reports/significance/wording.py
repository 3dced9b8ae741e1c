"""Sentences of a table: what a difference does and does not show."""

from __future__ import annotations

from reports.significance.results import Difference

ALPHA = 0.05
THESE_CHECKPOINTS = "these checkpoints"


def verdict(d: Difference, *, is_planned: bool) -> str:
    """One sentence about a difference.

    With one checkpoint on each side the sentence ends with `these checkpoints only`: it says nothing about how they
    were trained.
    """
    return "; ".join([_main(d, is_planned), *_limits(d)])


def effect_size(value: float, scale: tuple[float | None, float | None]) -> str:
    """An effect in the unit of its scale, with as many decimals as tell a hundredth of a percent of it."""
    return f"{value:.{decimals(scale)}f}"


def decimals(scale: tuple[float | None, float | None]) -> int:
    """Decimals for scores of this scale: 4 for 0 to 1, 3 for 0 to 10, 2 for 0 to 100; 4 without bounds."""
    low, high = scale
    if low is None or high is None or high <= low:
        return 4
    digits = 4
    span = high - low
    while span > 2 and digits > 1:
        span /= 10
        digits -= 1
    return digits


def is_significant(d: Difference) -> bool:
    """After the family's correction, at 5 %."""
    p = d.p if d.p_adjusted is None else d.p_adjusted
    return p is not None and p < ALPHA


def _main(d: Difference, is_planned: bool) -> str:
    if d.est is None or d.p is None:
        return f"not computed: {d.reason or 'no value'}"
    after = f" after {d.correction}" if d.correction else ""
    side = "higher" if d.est > 0 else "lower"
    if not d.higher_is_better:
        side += " (lower is better)"
    if is_significant(d):
        return f"{side}, significant{after}" if is_planned else f"{side}, at a {d.correction}"
    mde = d.mde_family if d.mde_family is not None else d.mde
    seen = "" if mde is None else (
        f"; an effect of at least {effect_size(mde, d.scale)} would have been seen with 80 % power"
    )  # fmt: skip
    if not is_planned:
        return "no difference shown" + seen + (", without the correction" if seen else "")
    return f"not significant{after if d.p < ALPHA else ''}{seen}"


def _limits(d: Difference) -> list[str]:
    found: list[str] = []
    if d.p is None:
        return found
    if d.no_variation:
        found.append(f"{d.no_variation}: the interval is a point and says nothing about other ones")
    if d.level == THESE_CHECKPOINTS:
        found.append("these checkpoints only")
    if d.distrust:
        found.append(f"do not rely on it: {d.distrust}")
    elif d.is_robust is False and is_significant(d):
        found.append("missing scores could turn it around")
    return found
