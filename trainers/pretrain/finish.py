"""The whole of one pretraining run: train, evaluate, save with a card."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.models.micro.checkpoint import read_manifest, save_checkpoint
from harness.models.micro.network import MicroNetwork
from harness.models.micro.policy import MicroPolicy
from trainers.pretrain.card import card
from trainers.pretrain.config import PretrainConfig
from trainers.pretrain.evaluate import binding, evaluate
from trainers.pretrain.loop import train

EVALUATION = "evaluation.json"
_DIAGNOSTIC_PROMPTS = 256


def train_and_save(
    config: PretrainConfig, out_dir: Path, checkpoint: Path, progress: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """See `trainers.pretrain.run`."""
    torch.set_num_threads(config.threads)
    training = train(config, out_dir, diagnose=_diagnose, progress=progress)
    info = {
        "command": "train micro-pretrain",
        "config": config.as_dict(),
        "steps": training.step,
        "cpu_seconds": round(training.seconds, 1),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    dtype = torch.float16 if config.half_precision else torch.float32
    save_checkpoint(checkpoint, training.averaged, info, dtype=dtype)
    scores = evaluate(MicroPolicy.from_folder(checkpoint), config.eval_prompts) if config.eval_prompts else {}
    (out_dir / EVALUATION).write_text(json.dumps(scores, indent=2) + "\n")
    manifest = read_manifest(checkpoint)
    save_checkpoint(
        checkpoint,
        training.averaged,
        info,
        dtype=dtype,
        extra_files={"CARD.md": card(manifest, scores, config.eval_prompts)},
    )
    return {
        "checkpoint": str(checkpoint),
        "fingerprint": manifest["fingerprint"],
        "cpu_seconds": info["cpu_seconds"],
        "steps": training.step,
        "scores": scores,
    }


def _diagnose(network: MicroNetwork) -> dict[str, float]:
    return binding(MicroPolicy(network), _DIAGNOSTIC_PROMPTS)
