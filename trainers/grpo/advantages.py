"""From rewards to advantages: pure functions on float64 arrays of N samples.

A sample without a reward (`valid` False) takes no part in any mean or deviation and gets the advantage 0; the losses
leave it out. Groups are named by integers: samples of one draw of one prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

Estimator = Literal["grpo", "rwr", "sft", "dpo"]
StdOver = Literal["group", "batch"]


def group_advantages(
    rewards: Floats,
    valid: Bools,
    groups: Ints,
    *,
    std_over: StdOver = "group",
    eps: float = 1e-4,
    baselines: Floats | None = None,
) -> Floats:
    """Rewards standardised by group: (r - mean of the group) / (deviation + eps), population deviation.

    Args:
        rewards: (N,); entries that are not valid are ignored.
        valid: (N,).
        groups: (N,).
        std_over: the deviation of the `group`, or of all valid rewards of the `batch`, not centred by group.
        baselines: (N,) subtracted instead of the group's mean.

    Returns:
        (N,), 0 where a sample is not valid or its group has no spread.

    Source: Flow-GRPO, arXiv 2505.05470, equation 6; `batch` is the `global_std` of AlphaGRPO's code.
    """
    rewards = np.where(valid, rewards, 0.0).astype(np.float64)
    result = np.zeros(len(rewards))
    batch_std = float(rewards[valid].std()) if valid.any() else 0.0
    for group in np.unique(groups):
        chosen = valid & (groups == group)
        values = rewards[chosen]
        if len(values) == 0 or np.ptp(values) == 0.0:
            continue
        centre = values.mean() if baselines is None else baselines[chosen]
        result[chosen] = (values - centre) / ((float(values.std()) if std_over == "group" else batch_std) + eps)
    return result


def estimate(
    estimator: Estimator,
    rewards: Floats,
    valid: Bools,
    groups: Ints,
    *,
    std_over: StdOver = "group",
    eps: float = 1e-4,
    baselines: Floats | None = None,
) -> Floats:
    """Advantages (N,) by a named estimator.

    `grpo`: `group_advantages`. `rwr`: the reward itself. `sft`: 1 for the best of each group, else 0. `dpo`: 1 for the
    best, -1 for the worst of each group, else 0 (ties: the first).

    Raises:
        ValueError: unknown estimator.

    Source: the estimators of AlphaGRPO's code.
    """
    if estimator == "grpo":
        return group_advantages(rewards, valid, groups, std_over=std_over, eps=eps, baselines=baselines)
    if estimator == "rwr":
        return np.where(valid, rewards, 0.0).astype(np.float64)
    if estimator not in ("sft", "dpo"):
        raise ValueError(f"Unknown advantage estimator {estimator!r}; expected grpo, rwr, sft or dpo.")
    result = np.zeros(len(rewards))
    for group in np.unique(groups):
        members = np.flatnonzero(valid & (groups == group))
        if len(members) == 0 or np.ptp(rewards[members]) == 0.0:
            continue
        result[members[np.argmax(rewards[members])]] = 1.0
        if estimator == "dpo":
            result[members[np.argmin(rewards[members])]] = -1.0
    return result


def dead_groups(rewards: Floats, valid: Bools, groups: Ints) -> float:
    """Share of groups without spread among their valid rewards: nothing can be learned from them."""
    dead = [
        np.ptp(rewards[valid & (groups == g)]) == 0.0 if (valid & (groups == g)).any() else True
        for g in np.unique(groups)
    ]
    return float(np.mean(dead)) if dead else 1.0


def clip(advantages: Floats, limit: float | None) -> Floats:
    """Advantages within +-limit; None leaves them."""
    return advantages if limit is None else np.clip(advantages, -limit, limit)


def mix_sum(rewards: Sequence[tuple[Floats, Bools]], weights: Sequence[float]) -> tuple[Floats, Bools]:
    """The weighted sum of several rewards, to be normalised once; valid where all of them are.

    Source: flow_grpo and AlphaGRPO.
    """
    valid = np.logical_and.reduce([v for _, v in rewards])
    total = np.sum([w * np.where(v, r, 0.0) for (r, v), w in zip(rewards, weights, strict=True)], axis=0)
    return np.where(valid, total, 0.0), valid


def mix_per_reward(
    rewards: Mapping[str, tuple[Floats, Bools]], weights: Mapping[str, float], groups: Ints
) -> tuple[Floats, Bools]:
    """The weighted sum of each reward's own advantages, so that the rewards' scales do not matter.

    Each is (r - group mean) / (sample deviation + 1e-8).

    Returns:
        Advantages (N,), and (N,) whether all rewards of a sample are valid; advantages are 0 elsewhere.

    Source: Pref-GRPO, arXiv 2508.20751.
    """
    valid = np.logical_and.reduce([v for _, v in rewards.values()])
    total = np.zeros(len(groups))
    for name, (values, _) in rewards.items():
        for group in np.unique(groups):
            chosen = valid & (groups == group)
            if chosen.sum() < 2 or np.ptp(values[chosen]) == 0.0:
                continue
            own = values[chosen]
            total[chosen] += weights[name] * (own - own.mean()) / (own.std(ddof=1) + 1e-8)
    return total, valid
