"""Averaged weights: an exponential mean over optimiser steps, in float32."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Ema:
    """The running mean of parameters: e <- d e + (1 - d) p every `every` steps.

    Args:
        parameters: by name; the mean starts as a copy of them.
        decay: d, in (0, 1).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, decay: float, every: int = 1) -> None:
        self._parameters = dict(parameters)
        self.decay, self.every = decay, every
        self.mean = {n: p.detach().clone().float() for n, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the parameters after optimiser step `step` (from 1) in, when its turn has come."""
        if step % self.every:
            return
        for name, p in self._parameters.items():
            self.mean[name].lerp_(p.detach().float(), 1.0 - self.decay)

    def load(self, mean: Mapping[str, Tensor]) -> None:
        """Continues from stored means."""
        for name in self.mean:
            self.mean[name] = mean[name].to(self.mean[name].device).float().clone()
