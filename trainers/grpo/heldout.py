"""Held-out evaluation inside training, with image statistics: the alarm for rewards that are gamed.

A reward that rises while benchmarks and judges that never trained the policy fall, or while pictures of a group become
alike, saturated or empty, is being exploited.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate_policy
from harness.models.base import Policy
from harness.progress import Silent
from harness.store import RunDirectory
from trainers.grpo.config import GrpoConfig

_PER_GROUP = 4


def evaluate(policy: Policy, config: GrpoConfig, path: Path, step: int) -> dict[str, Any]:
    """Metrics `held_out/BENCHMARK/KEY` and `images/STATISTIC` of the policy as it is now; a run directory at `path`."""
    held = config.held_out
    settings = EvalConfig(
        models=["policy"],
        benchmarks=list(held.benchmarks),
        profile=config.reward.profile,
        judge=held.judge,
        limit=held.limit,
        samples_per_prompt=held.samples_per_prompt,
        threads=config.threads,
        device=config.device,
    )
    result = evaluate_policy(settings, "policy", policy, path, Silent())
    metrics: dict[str, Any] = {"step": step}
    for name, block in result.summary["benchmarks"].items():
        for key in result.benchmarks[name].headline:
            cell = block["values"].get(key)
            if cell is not None and cell["value"] is not None:
                metrics[f"held_out/{name}/{key}"] = cell["value"]
    return metrics | _stored_statistics(path)


def _stored_statistics(path: Path) -> dict[str, float]:
    import harness.images as images_module

    run = RunDirectory(path)
    pictures = [images_module.load(run.image_path(g)) for g in run.load_generations().values() if g.status == "ok"]
    return {f"images/{k}": v for k, v in image_statistics(pictures).items()}


def image_statistics(images: Sequence[Image]) -> dict[str, float]:
    """Mean saturation (0..1), edge density (mean absolute difference of neighbouring luminances, 0..1), contrast."""
    if not images:
        return {}
    rows = [_one(i) for i in images]
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}


def _one(image: Image) -> dict[str, float]:
    rgb: npt.NDArray[np.float64] = np.asarray(image.convert("RGB"), dtype=np.float64) / 255.0
    top, bottom = rgb.max(2), rgb.min(2)
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    edges = (np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2
    saturation = np.where(top > 0, (top - bottom) / np.maximum(top, 1e-12), 0.0)
    return {"saturation": float(saturation.mean()), "edges": float(edges), "contrast": float(grey.std())}


def group_diversity(images: Sequence[Image], groups: Sequence[int]) -> float:
    """Mean over groups of the root mean squared difference between pairs of a group's pictures (0..1)."""
    arrays = [np.asarray(i.convert("RGB").resize((32, 32)), dtype=np.float64) / 255.0 for i in images]
    found = []
    for group in dict.fromkeys(groups):
        own = [a for a, g in zip(arrays, groups, strict=True) if g == group][:_PER_GROUP]
        found += [float(np.sqrt(((a - b) ** 2).mean())) for i, a in enumerate(own) for b in own[:i]]
    return float(np.mean(found)) if found else 0.0
