"""False-Positive Rectification: a refinement that did not improve on its initial image earns no credit.

Pure functions on float64 arrays. A refined sample is bad where r <= r0 + margin (a tie is not an improvement); the
reward of a bad sample is replaced by a floor, before the advantages are taken.

Source: AlphaGRPO, arXiv 2605.12495, section 3.3; floor `group_min` is the paper's, `init` the official code's.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from trainers.grpo.advantages import Bools, Floats, Ints

Floor = Literal["off", "group_min", "init"]


class Rectified(NamedTuple):
    """Rewards after rectification."""

    rewards: Floats
    """(N,)."""
    bad: Bools
    """(N,), valid samples that did not improve."""


def rectify(
    rewards: Floats, valid: Bools, groups: Ints, initial: Floats, *, floor: Floor, margin: float = 0.0
) -> Rectified:
    """Rewards with those of samples that did not improve replaced by the floor.

    Args:
        rewards: (N,) of the refined images.
        valid: (N,) whether a sample has a reward; others stay as they are.
        groups: (N,).
        initial: (N,) reward of the image that each sample refines.
        floor: `group_min`: the smallest valid reward of the group; `init`: the smallest initial reward of the group
            (for margin 0 the result is max(r, r0)); `off`: rewards stay, `bad` is still reported.
        margin: least improvement that counts.

    Raises:
        ValueError: a negative margin or an unknown floor.
    """
    if margin < 0:
        raise ValueError(f"The margin of an improvement is {margin}; expected 0 or more.")
    if floor not in ("off", "group_min", "init"):
        raise ValueError(f"Unknown floor {floor!r}; expected off, group_min or init.")
    bad = valid & (rewards <= initial + margin)
    result = rewards.astype(np.float64).copy()
    if floor == "off":
        return Rectified(result, bad)
    for group in np.unique(groups):
        members = valid & (groups == group)
        if not members.any():
            continue
        least = float(rewards[members].min() if floor == "group_min" else initial[members].min())
        result[members & bad] = least
    return Rectified(result, bad)
