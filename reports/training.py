"""Figures of a sweep's training directories: how its arms learned, and whether they learned more than their reward."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from reports.plots import learning_curves, reward_against_held_out, training_points
from reports.plots.trainlog import read_log

OWN_REWARD = "reward/mean"
"""What each arm was trained on: arms of different rewards have it on different scales."""


def draw_training(train: Mapping[str, Sequence[Path]], out: Path) -> list[Path]:
    """Learning curves, and per held-out headline the reward against it; returns the written paths.

    Args:
        train: by arm its training directories, one per seed.
        out: folder.

    Raises:
        DataError: a directory without a readable log.
    """
    held_out = _held_out(train)
    names = {m: m.removeprefix("held_out/") + ", held out" for m in held_out}
    rewards = {arm: _reward_names(paths[0]) for arm, paths in train.items() if paths}
    files = learning_curves(train, {OWN_REWARD: "own reward"} | names, out / "learning", scales={OWN_REWARD: rewards})
    scale: Literal["none", "arm"] = "none" if len(set(rewards.values())) == 1 else "arm"
    for metric in held_out:
        points = {arm: training_points(paths, metric) for arm, paths in train.items()}
        place = out / f"reward-{metric.removeprefix('held_out/').replace('/', '-')}"
        title = "The reward of training against a score that is held out"
        files += reward_against_held_out(points, place, title=title, held_out=names[metric], scale=scale)
    return files


def _held_out(train: Mapping[str, Sequence[Path]]) -> list[str]:
    """Headlines that training measured on the way."""
    found = {m for arm in train.values() for path in arm[:1] for m in read_log(path).metrics}
    return sorted(m for m in found if m.startswith("held_out/") and "/overall" in m)


def _reward_names(folder: Path) -> str:
    """The rewards that a training run mixed: those of other rewards are on another scale."""
    try:
        weights = json.loads((folder / "training.json").read_bytes())["config"]["reward"]["weights"]
        return ", ".join(sorted(map(str, weights)))
    except (OSError, ValueError, KeyError, TypeError):
        return ""
