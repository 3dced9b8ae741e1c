"""Losses of the image and of the text as pure functions of tensors, one value per sample.

Shapes: B samples of a micro-batch, L tokens, `...` one image's latents. Log-probabilities are float32; of images they
are means over the latent scalars (`harness.flow.gaussian_log_prob`), so a ratio is the D-th root of the likelihood's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Importance = Literal["sequence", "token"]
KlForm = Literal["code", "gaussian", "velocity_mse"]


class Clipped(NamedTuple):
    """A clipped policy-gradient loss."""

    loss: Tensor
    """(B,) or (B, L)."""
    ratio: Tensor
    """Detached, as `loss`."""
    clipped: Tensor
    """Bool, as `loss`: the clip took the gradient away."""


def clipped_surrogate(log_ratio: Tensor, advantages: Tensor, low: float, high: float) -> Clipped:
    """max(-A rho, -A clip(rho, 1 - low, 1 + high)), rho = exp(log_ratio).

    Args:
        log_ratio: any shape.
        advantages: broadcastable to it.

    Source: PPO, arXiv 1707.06347, equation 7.
    """
    ratio = log_ratio.exp()
    plain, limited = -advantages * ratio, -advantages * ratio.clamp(1 - low, 1 + high)
    # (1 - low) and (1 + high) themselves still pass the gradient, as in torch's clamp.
    clipped = (limited > plain) & (advantages != 0)
    return Clipped(torch.maximum(plain, limited), ratio.detach(), clipped.detach())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoss:
    """A registered image loss: what it needs, and its function.

    The function takes the batch (keys of `needs`) and the clip range and returns a `Clipped` of (B,). A missing key is
    reported before the first step.
    """

    name: str
    needs: tuple[str, ...]
    """Of: `advantages` (B,), `log_prob` (B,) with gradient, `old_log_prob` (B,), `mean` (B, ...) with gradient,
    `old_mean` (B, ...), `std` (float, of the step)."""
    function: Callable[[Mapping[str, Tensor | float], float], Clipped]

    def __call__(self, batch: Mapping[str, Tensor | float], clip_range: float) -> Clipped:
        """The loss (B,)."""
        return self.function(batch, clip_range)


def _tensor(batch: Mapping[str, Tensor | float], key: str) -> Tensor:
    value = batch[key]
    assert isinstance(value, Tensor)
    return value


def _grpo(batch: Mapping[str, Tensor | float], clip_range: float) -> Clipped:
    log_ratio = _tensor(batch, "log_prob") - _tensor(batch, "old_log_prob")
    return clipped_surrogate(log_ratio, _tensor(batch, "advantages"), clip_range, clip_range)


def _grpo_guard(batch: Mapping[str, Tensor | float], clip_range: float) -> Clipped:
    std = float(batch["std"])
    log_ratio = _tensor(batch, "log_prob") - _tensor(batch, "old_log_prob")
    moved = ((_tensor(batch, "mean") - _tensor(batch, "old_mean")) ** 2).flatten(1).mean(1)
    return clipped_surrogate(std * log_ratio + moved / (2 * std), _tensor(batch, "advantages"), clip_range, clip_range)


def _reinforce(batch: Mapping[str, Tensor | float], clip_range: float) -> Clipped:
    log_prob = _tensor(batch, "log_prob")
    loss = -_tensor(batch, "advantages") * log_prob
    return Clipped(loss, torch.ones_like(log_prob).detach(), torch.zeros_like(log_prob, dtype=torch.bool))


GRPO = ImageLoss(name="grpo", needs=("advantages", "log_prob", "old_log_prob"), function=_grpo)
"""Clipped ratio of one transition. Source: Flow-GRPO, arXiv 2505.05470."""

GRPO_GUARD = ImageLoss(
    name="grpo-guard", needs=("advantages", "log_prob", "old_log_prob", "mean", "old_mean", "std"), function=_grpo_guard
)
"""exp(k (l - l_old) + m / (2 k)), k the step's standard deviation, m the mean squared move of its mean: the log-ratio
without its negative bias and with equal variance over the steps. Source: GRPO-Guard, arXiv 2510.22319."""

REINFORCE = ImageLoss(name="reinforce", needs=("advantages", "log_prob"), function=_reinforce)
"""-A log p: no ratio, no clip; for one update per rollout."""


class TextLoss(NamedTuple):
    """The text term of a micro-batch."""

    loss: Tensor
    """Scalar with gradient: the sum over samples (or tokens) of loss times weight."""
    ratio: Tensor
    """(n,) detached, one per sequence or token."""
    clipped: Tensor
    """(n,) bool."""


def text_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    mask: Tensor,
    advantages: Tensor,
    *,
    importance: Importance,
    clip_low: float,
    clip_high: float,
    sequence_weight: Tensor,
    token_weight: float | None = None,
    outer_product: bool = False,
) -> TextLoss:
    """The clipped text loss.

    Args:
        log_probs: (B, L) with gradient.
        old_log_probs: (B, L).
        mask: (B, L) bool, tokens that count; rows without any are left out.
        advantages: (B,).
        importance: `sequence`: one ratio exp(mean over tokens of the difference), as GSPO; `token`: one per token.
        sequence_weight: (B,) share of each sequence in the mean over all sequences of the step (0 leaves it out).
        token_weight: 1 / all tokens of the step: then with `token` importance every token weighs the same; None gives
            every sequence its mean over tokens.
        outer_product: the official code's defect: every ratio meets every advantage of the micro-batch.

    Source: GSPO, arXiv 2507.18071; clip-higher of DAPO, arXiv 2503.14476.
    """
    n_tokens = mask.sum(1)
    usable = (n_tokens > 0) & (sequence_weight > 0)
    difference = (log_probs - old_log_probs) * mask
    if importance == "sequence":
        log_ratio = difference.sum(1) / n_tokens.clamp(min=1)
        if outer_product:
            return _crossed(log_ratio[usable], advantages[usable], sequence_weight[usable].sum(), clip_low, clip_high)
        part = clipped_surrogate(log_ratio, advantages, clip_low, clip_high)
        weights = sequence_weight * usable
        return TextLoss((part.loss * weights).sum(), part.ratio[usable], part.clipped[usable])
    counted = mask & usable[:, None]
    weights = (
        (sequence_weight / n_tokens.clamp(min=1))[:, None].expand_as(mask)
        if token_weight is None
        else torch.full_like(log_probs, token_weight)
    )
    if outer_product:
        own = advantages[:, None].expand_as(mask)[counted]
        return _crossed(difference[counted], own, (weights * counted).sum(), clip_low, clip_high)
    part = clipped_surrogate(difference, advantages[:, None], clip_low, clip_high)
    return TextLoss((part.loss * weights * counted).sum(), part.ratio[counted], part.clipped[counted])


def _crossed(log_ratio: Tensor, advantages: Tensor, weight: Tensor, low: float, high: float) -> TextLoss:
    """Mean over the outer product of ratios and advantages, times the micro-batch's whole weight."""
    part = clipped_surrogate(log_ratio[None, :].expand(len(advantages), -1), advantages[:, None], low, high)
    loss = part.loss.mean() * weight if part.loss.numel() else log_ratio.sum()
    return TextLoss(loss, part.ratio[0] if len(advantages) else log_ratio.detach(), part.clipped.any(0))


def text_kl(log_probs: Tensor, ref_log_probs: Tensor, mask: Tensor) -> Tensor:
    """(B,) mean over tokens of exp(d) - d - 1, d = log p_ref - log p: never negative, unbiased on-policy.

    Source: estimator k3 of J. Schulman's note on approximating KL, as in GRPO, arXiv 2402.03300, equation 4.
    """
    d = (ref_log_probs - log_probs) * mask
    return ((d.exp() - d - 1) * mask).sum(1) / mask.sum(1).clamp(min=1)


def image_kl(mean: Tensor, ref_mean: Tensor, *, form: KlForm, diffusion: float, std: float, c_v: float) -> Tensor:
    """(B,) divergence of one transition from the reference's, averaged over latent scalars.

    `code`: |m - m_ref|^2 / (2 s^2), s the diffusion (AlphaGRPO's code; it leaves the step's length out); `gaussian`:
    / (2 std^2), the divergence of the two Gaussians; `velocity_mse`: the squared difference of the velocities.

    Raises:
        ValueError: unknown form.
    """
    square = ((mean - ref_mean) ** 2).flatten(1).mean(1)
    scales = {"code": 2 * diffusion**2, "gaussian": 2 * std**2, "velocity_mse": c_v**2}
    if form not in scales:
        raise ValueError(f"Unknown divergence {form!r}; expected code, gaussian or velocity_mse.")
    return square / scales[form]


def high_entropy_mask(entropy: Tensor, mask: Tensor, threshold: float | None) -> Tensor:
    """(B, L) bool: the tokens of `mask` whose entropy reaches the threshold; None keeps all.

    Source: arXiv 2506.01939 (few high-entropy tokens carry the gradient).
    """
    return mask if threshold is None else mask & (entropy >= threshold)
