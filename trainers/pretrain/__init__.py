"""Pretraining of the micro model from scratch: `train micro-pretrain`.

`run` trains on a noisy corpus of the micro world for a fixed number of steps, evaluates on benchmark-split prompts and
writes a checkpoint folder. The shipped weights are its product with the default configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainers.pretrain.config import PretrainConfig

CHECKPOINT = "checkpoint"
"""Name of the checkpoint folder in the output directory."""


def run(
    config: PretrainConfig, out_dir: Path, progress: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Trains, evaluates and saves; continues where an earlier call in `out_dir` stopped.

    Sets torch's thread count to `config.threads`. Writes `metrics.jsonl`, `state.pt`, `evaluation.json` and the
    checkpoint folder `checkpoint` (with its card).

    Args:
        progress: called with every line of the metrics log.

    Returns:
        Checkpoint path, fingerprint, CPU seconds and the evaluation's scores.

    Raises:
        StoreError: `out_dir` holds a run of another configuration.
    """
    from trainers.pretrain.finish import train_and_save

    return train_and_save(config, out_dir, out_dir / CHECKPOINT, progress)


__all__ = ["CHECKPOINT", "PretrainConfig", "run"]
