"""Seed derivation; the only place that creates generators.

Every random number of a sample comes from (run seed, prompt id, sample index) and a named purpose, so that batch
size, order of work, number of processes and restarts cannot change it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(*parts: str | int) -> int:
    """A 63-bit integer from any strings and integers; stable across machines and versions."""
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def for_sample(gen_seed: int, prompt_id: str, index: int, round: int = 0) -> int:
    """The seed of one sample."""
    return derive("sample", gen_seed, prompt_id, index, round)


def generator(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU torch generator for one purpose (`"text"`, `"initial_noise"`, `"sde"`) and step of one sample.

    Numbers are drawn on the CPU and moved, so that a GPU run starts from the same noise.
    """
    import torch

    return torch.Generator().manual_seed(derive(seed, purpose, step))


def numpy_generator(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """A numpy generator for one purpose and step."""
    return np.random.Generator(np.random.PCG64(derive(seed, purpose, step)))
