"""The optimiser of pretraining: Muon for the transformer's matrices, AdamW for everything else.

Muon replaces a matrix's momentum by the nearest matrix with equal singular values, so that rare directions learn as
fast as frequent ones. On this model it takes less than half of the steps of AdamW alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from harness.models.micro.network import MicroNetwork
from trainers.pretrain.config import PretrainConfig

_MOMENTUM = 0.95
_NEWTON_SCHULZ_STEPS = 4
_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial that drives singular values towards 1."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """(B, M, N) matrices with their singular values brought to about 1 (0.7 to 1.2), same singular vectors.

    Source: Newton-Schulz iteration of Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon).
    """
    a, b, c = _QUINTIC
    x: Tensor = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(-1, -2) if tall else x


class Muon:
    """Momentum steps with orthogonalised updates, for 2-D weights; equal shapes go through the iteration together."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._weight_decay = weight_decay
        self._parameters = list(parameters)
        self._groups: dict[tuple[int, int], list[Tensor]] = {}
        for parameter in self._parameters:
            for part in _parts(parameter):
                self._groups.setdefault((part.shape[0], part.shape[1]), []).append(part)
        self._momentum = {
            shape: torch.zeros(len(parts), *shape, device=parts[0].device) for shape, parts in self._groups.items()
        }

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step; parameters without a gradient count as having a zero gradient."""
        gradients: dict[tuple[int, int], list[Tensor]] = {shape: [] for shape in self._groups}
        for parameter in self._parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for part in _parts(gradient):
                gradients[part.shape[0], part.shape[1]].append(part)
        for shape, parts in self._groups.items():
            gradient = torch.stack(gradients[shape])
            momentum = self._momentum[shape].lerp_(gradient, 1.0 - _MOMENTUM)
            update = orthogonalise(torch.lerp(gradient, momentum, _MOMENTUM))
            scale = lr * max(1.0, shape[0] / shape[1]) ** 0.5
            for part, change in zip(parts, update, strict=True):
                part.mul_(1.0 - lr * self._weight_decay).add_(change, alpha=-scale)

    def state_dict(self) -> dict[str, Tensor]:
        """The momenta, by shape."""
        return {f"{rows}x{columns}": m for (rows, columns), m in self._momentum.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores `state_dict`'s momenta."""
        for (rows, columns), momentum in self._momentum.items():
            momentum.copy_(state[f"{rows}x{columns}"])


def _parts(weight: Tensor) -> list[Tensor]:
    """The matrices that a weight stacks: queries, keys and values are three, not one."""
    rows, columns = weight.shape
    return list(torch.split(weight.detach(), columns)) if rows == 3 * columns else [weight.detach()]


class Optimiser:
    """Both optimisers under one learning-rate schedule."""

    def __init__(self, network: MicroNetwork, config: PretrainConfig) -> None:
        self._config = config
        matrices = [p for name, p in network.named_parameters() if is_matrix(name, p)]
        others = [p for name, p in network.named_parameters() if not is_matrix(name, p)]
        self._muon = Muon(matrices, config.weight_decay)
        betas = (config.beta1, config.beta2)
        self._adamw = torch.optim.AdamW(others, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)

    def step(self, factor: float) -> None:
        """One step of both with their learning rates times `factor`."""
        for group in self._adamw.param_groups:
            group["lr"] = self._config.lr * factor
        self._adamw.step()
        self._muon.step(self._config.muon_lr * factor)

    def state_dict(self) -> dict[str, Any]:
        """The state of both."""
        return {"adamw": self._adamw.state_dict(), "muon": self._muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`'s state."""
        self._adamw.load_state_dict(state["adamw"])
        self._muon.load_state_dict(state["muon"])


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon trains the parameter: the weight matrices of the transformer's layers."""
    return name.startswith("blocks.") and name.endswith(".weight") and parameter.dim() == 2
