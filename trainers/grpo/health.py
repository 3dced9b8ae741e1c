"""The health panel: what every step reports beside its reward, and when a run must not go on."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.errors import PolicyError
from trainers.grpo.config import GrpoConfig
from trainers.grpo.parallel import Parallel
from trainers.grpo.rollout import Drawn

_LOG = logging.getLogger(__name__)

RATIO_SHARE = 0.1
"""Largest mean |log ratio| of the first pass, as a share of the clip range."""
_ROUNDING = 2e-6
"""float32 differences between the rollout's and the training's forward pass that mean nothing."""


class Clock:
    """Wall seconds of a step by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def restart(self) -> None:
        """A new step."""
        self.seconds = {}
        self._started = time.perf_counter()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time inside to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def report(self) -> dict[str, float]:
        """`time/STAGE_s`, `time/step_s`, and `time/other_s`, what no stage accounts for."""
        whole = time.perf_counter() - self._started
        times = {f"time/{k}_s": round(v, 4) for k, v in self.seconds.items()}
        return times | {"time/step_s": round(whole, 4), "time/other_s": round(whole - sum(self.seconds.values()), 4)}


def check_ratio(means: Mapping[str, float], config: GrpoConfig, step: int) -> None:
    """Compares the first pass with the rollout: before any parameter moved, every ratio must be 1.

    Raises:
        PolicyError: float32 log-probabilities differ; the message says what to look at.
    """
    limits = {
        "image": (means.get("image_log_ratio_abs"), config.loss.image_clip_range),
        "text": (means.get("text_log_ratio_abs"), config.loss.text_clip_low),
    }
    for what, (found, clip_range) in limits.items():
        if found is None or not np.isfinite(found):
            continue
        limit = max(RATIO_SHARE * clip_range, _ROUNDING)
        if found <= limit:
            continue
        message = (
            f"Step {step + 1}: before the first update the {what} ratio should be 1, but |log ratio| is {found:.2e} on "
            f"average (limit {limit:.1e} = {RATIO_SHARE:g} x the clip range). The training forward pass does not "
            "compute what the rollout did: different contexts, guidance, precision or a dropout that is on."
        )
        if config.precision == "fp32" and not config.loss.recompute_log_prob:
            raise PolicyError(message + " Set loss.recompute_log_prob=true only if the difference is understood.")
        _LOG.warning("%s", message)


def text_statistics(drawn: Sequence[Drawn], parallel: Parallel) -> dict[str, Any]:
    """Length of the texts and share that ended by themselves, over all devices."""
    lengths: list[int] = []
    ended: list[bool] = []
    for d in drawn:
        if d.text_mask is not None and d.stopped is not None:
            lengths += d.text_mask.sum(1).tolist()
            ended += d.stopped.tolist()
    lengths, ended = parallel.gather(lengths), parallel.gather(ended)
    if not lengths:
        return {}
    return {"text/length": float(np.mean(lengths)), "text/ended": float(np.mean(ended))}
