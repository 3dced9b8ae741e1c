"""Figures of a sweep's training directories: how its arms learned, and whether they learned more than their reward."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from reports.plots import learning_curves, reward_against_held_out, training_points
from reports.plots.trainlog import read_log


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
    files = learning_curves(train, {"reward/mean": "own reward"} | names, out / "learning")
    scale: Literal["none", "arm"] = "none" if _have_one_reward(train) else "arm"
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


def _have_one_reward(train: Mapping[str, Sequence[Path]]) -> bool:
    """Whether all arms were trained on the same reward by the same judge, so that their rewards have one unit."""
    seen = set()
    for path in (arm[0] for arm in train.values() if arm):
        try:
            rewards = json.loads((path / "training.json").read_bytes())["rewards"]
        except (OSError, ValueError, KeyError):
            return False
        seen.add(json.dumps(rewards, sort_keys=True))
    return len(seen) == 1
