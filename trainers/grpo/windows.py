"""Which sampler steps are stochastic and trained. Drawn from a seed, so that a whole group shares one window."""

from __future__ import annotations

from typing import Literal

from harness import seeds

Rule = Literal["contiguous", "random", "first", "shifted"]


def sde_window(rule: Rule, *, size: int, low: int, high: int, seed: int, step: int) -> tuple[int, ...]:
    """Indices of the trained transitions, ascending, out of [low, high).

    `contiguous`: a run of `size` steps with a uniform start; `random`: `size` different steps; `first`: the first ones;
    `shifted`: a run whose start moves on by one with every optimiser step and wraps around.

    Args:
        seed: run seed.
        step: optimiser step; the same (seed, step) gives the same window on every device.

    Raises:
        ValueError: the range has fewer than `size` steps, or an unknown rule.
    """
    if not 1 <= size <= high - low or low < 0:
        raise ValueError(f"No window of {size} steps in [{low}, {high}).")
    rng = seeds.numpy_generator(seeds.derive("sde-window", seed, step), "window")
    if rule == "random":
        return tuple(sorted(int(i) + low for i in rng.choice(high - low, size=size, replace=False)))
    starts = high - low - size + 1
    if rule == "contiguous":
        start = low + int(rng.integers(starts))
    elif rule == "first":
        start = low
    elif rule == "shifted":
        start = low + step % starts
    else:
        raise ValueError(f"Unknown window rule {rule!r}; expected contiguous, random, first or shifted.")
    return tuple(range(start, start + size))
