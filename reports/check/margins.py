"""The largest loss that would be accepted: a share of the range of a headline, fixed before looking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError, near_misses
from harness.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One benchmark's margin."""

    share: float | None
    """As given: a share of the range; None for a headline without a range."""
    value: float
    """In the unit of the headline."""


def parse_margins(texts: Sequence[str]) -> dict[str, float]:
    """`("geneval=0.03", "gedit=0.05")` as numbers by benchmark.

    Raises:
        ConfigError: another form, or not positive.
    """
    found = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not (equals and name.strip() and found.get(name.strip(), 0) > 0 and math.isfinite(found[name.strip()])):
            raise ConfigError(
                f"--margin-for {text!r}: expected BENCHMARK=SHARE with a positive number, e.g. geneval=0.03."
            )
    return found


def margins(benchmarks: Mapping[str, Terms], share: float, own: Mapping[str, float]) -> dict[str, Margin]:
    """The margin of each benchmark.

    Args:
        benchmarks: headline's terms by name.
        share: for those without one of their own, 0 < share < 1.
        own: by benchmark: a share of its range, or a number in its unit where it has no range.

    Raises:
        ConfigError: a share outside (0, 1), an unknown benchmark, or none for a headline without a range.
    """
    for name in own:
        if name not in benchmarks:
            close = near_misses(name, benchmarks)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"--margin-for {name}: not among the checked benchmarks {', '.join(benchmarks)}.{hint}")
    return {name: _margin(name, terms, share, own.get(name)) for name, terms in benchmarks.items()}


def _margin(name: str, terms: Terms, share: float, own: float | None) -> Margin:
    width = terms.hi - terms.lo
    if not math.isfinite(width):
        if own is None:
            raise ConfigError(
                f"{name}: its scores have no range to take a share of; give the margin in their unit with "
                f"--margin-for {name}=NUMBER."
            )
        return Margin(share=None, value=own)
    chosen = share if own is None else own
    if not 0 < chosen < 1:
        raise ConfigError(
            f"margin of {name}: expected a share of its range between 0 and 1 (0.02 is {0.02 * width:g} on its scale "
            f"of {terms.lo:g} to {terms.hi:g}), got {chosen:g}."
        )
    return Margin(share=chosen, value=chosen * width)
