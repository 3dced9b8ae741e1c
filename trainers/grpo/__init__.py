"""GRPO over one trajectory of reasoning text and image: `train micro-rt2i`, `train micro-srr`, or an own configuration.

`run` draws groups of trajectories, rewards them, and updates text and image experts together; see `loop` for a step,
`update` for the objective, `config` for every setting and `recipes` for the presets. Method: AlphaGRPO,
arXiv 2605.12495, after Flow-GRPO, arXiv 2505.05470.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainers.grpo.config import GrpoConfig
from trainers.grpo.recipes import apply_recipe


def run(config: GrpoConfig, out_dir: Path, progress: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Trains to `config.steps`; continues from the newest checkpoint in `out_dir`.

    Writes `metrics.jsonl`, `training.json`, `checkpoints/step-N`, `samples/` and `held_out/`.

    Args:
        progress: called with every line of the metrics log.

    Returns:
        Final checkpoint, its fingerprint, and the number of steps.

    Raises:
        ConfigError, PolicyError, JudgeError, StoreError: with a message that says what to do; the directory resumes.
        KeyboardInterrupt: after a checkpoint of the finished steps was written.
    """
    from trainers.grpo.training import train

    return train(config, out_dir, progress)


run.prepare = apply_recipe  # type: ignore[attr-defined]

__all__ = ["GrpoConfig", "run"]
