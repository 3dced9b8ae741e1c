"""Rectified-flow sampling as pure functions: time grids, guidance, deterministic and stochastic steps.

Convention: x_sigma = (1 - sigma) data + sigma noise, v = d x / d sigma = noise - data; sampling goes from sigma = 1
(noise) to 0 (data), so a step has d_sigma = sigma_next - sigma < 0.

Shapes: B samples, `...` one image's latents, K grid points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Renorm = Literal["none", "global", "channel", "text_channel"]
Sampler = Literal["flow_sde", "flow_cps", "dance"]


def time_grid(points: int, shift: float = 1.0) -> list[float]:
    """The `points` noise levels from 1 down to 0 of a sampler, `points - 1` steps apart.

    sigma_i = s u_i / (1 + (s - 1) u_i), u_i = 1 - i / (points - 1).

    Args:
        points: number of grid points; the network is evaluated `points - 1` times.
        shift: s >= 1 spends more steps at high noise; 1 is uniform.

    Raises:
        ValueError: fewer than two points or a shift that is not positive.

    Source: timestep shift of Stable Diffusion 3, arXiv 2403.03206, section 5.3.2.
    """
    if points < 2 or shift <= 0:
        raise ValueError(f"A time grid needs at least 2 points and a positive shift, got {points} and {shift}.")
    uniform = [1.0 - i / (points - 1) for i in range(points)]
    return [shift * u / (1.0 + (shift - 1.0) * u) for u in uniform]


def ode_step(x: Tensor, velocity: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """One deterministic Euler step, (B, ...) float32."""
    return x.float() + velocity.float() * (sigma_next - sigma)


def guide(
    conditional: Tensor,
    without_text: Tensor | None,
    without_image: Tensor | None,
    *,
    text_scale: float,
    image_scale: float = 1.0,
    renorm: Renorm = "global",
    renorm_min: float = 0.0,
) -> Tensor:
    """The guided velocity (B, ..., D) from up to three velocities; the last axis is one token's channels.

    u = v_t + w_t (v_c - v_t), v = v_i + w_i (u - v_i), rescaled by rho = clip(|v_c| / |v|, renorm_min, 1) so that
    guidance never lengthens the velocity: rho per image (`global`), per token (`channel`), or per token and of u
    before the image term (`text_channel`). `none` leaves v as it is: the usual guidance.

    Args:
        text_scale: w_t; at most 1 means no guidance at all, of text or image.
        image_scale: w_i; at most 1 means no image guidance.

    Raises:
        ValueError: a scale asks for a velocity that is missing, or an unknown `renorm`.

    Source: guidance of BAGEL, arXiv 2505.14683, as its reference code applies it.
    """
    if text_scale <= 1:
        return conditional
    if renorm not in get_args(Renorm):
        raise ValueError(f"Unknown renorm {renorm!r}; expected {', '.join(get_args(Renorm))}.")
    if without_text is None or (image_scale > 1 and without_image is None):
        raise ValueError("Guidance needs the velocity without text, and without the image for image_scale > 1.")
    v = without_text + text_scale * (conditional - without_text)
    if renorm == "text_channel":
        v = v * _shrink(conditional, v, renorm_min, per_token=True)
    if image_scale > 1 and without_image is not None:
        v = without_image + image_scale * (v - without_image)
    if renorm in ("global", "channel"):
        v = v * _shrink(conditional, v, renorm_min, per_token=renorm == "channel")
    return v


def _shrink(reference: Tensor, v: Tensor, least: float, *, per_token: bool) -> Tensor:
    axes = (-1,) if per_token else tuple(range(1, v.dim()))
    length = torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return (torch.linalg.vector_norm(reference, dim=axes, keepdim=True) / (length + 1e-8)).clamp(least, 1.0)


class SdeCoefficients(NamedTuple):
    """One stochastic step: x' = c_x x + c_v v + std * noise."""

    c_x: float
    c_v: float
    std: float
    diffusion: float
    """s of the stochastic differential equation; std = s sqrt(-d_sigma)."""


def sde_coefficients(sigma: float, sigma_next: float, *, sigma_first: float, noise_level: float) -> SdeCoefficients:
    """Coefficients of the Flow-SDE step, which keeps the marginals of the flow.

    s = a sqrt(sigma / (1 - sigma*)), with sigma* = `sigma_first` at sigma = 1 (the quotient is singular there), else
    sigma; c_x = 1 + s^2 d / (2 sigma), c_v = (1 + s^2 (1 - sigma) / (2 sigma)) d, d = sigma_next - sigma.

    Args:
        sigma_first: the grid's second point.
        noise_level: a.

    Raises:
        ValueError: the step does not go down from a sigma in (0, 1], or `noise_level` is negative.

    Source: Flow-GRPO, arXiv 2505.05470, equations 9 and 12.
    """
    if not (0 <= sigma_next < sigma <= 1 and sigma_first < 1) or noise_level < 0:
        raise ValueError(f"No SDE step from {sigma} to {sigma_next} (first {sigma_first}, noise level {noise_level}).")
    d = sigma_next - sigma
    star = sigma_first if sigma >= 1.0 else sigma
    s = noise_level * math.sqrt(sigma / (1.0 - star))
    half = s * s / (2.0 * sigma)
    return SdeCoefficients(1.0 + half * d, (1.0 + half * (1.0 - sigma)) * d, s * math.sqrt(-d), s)


def cps_coefficients(sigma: float, sigma_next: float, *, noise_level: float) -> SdeCoefficients:
    """Coefficients of the coefficients-preserving step: the noise share of x' stays sigma'.

    s = sigma' sin(a pi / 2), mean = (1 - sigma') data + sqrt(sigma'^2 - s^2) noise, with data = x - sigma v and
    noise = x + (1 - sigma) v.

    Raises:
        ValueError: no step down, or a noise level outside [0, 1].

    Source: Flow-CPS, arXiv 2509.05952.
    """
    if not 0 <= sigma_next < sigma <= 1 or not 0 <= noise_level <= 1:
        raise ValueError(f"No CPS step from {sigma} to {sigma_next} with noise level {noise_level} (0 to 1).")
    s = sigma_next * math.sin(noise_level * math.pi / 2.0)
    kept = math.sqrt(max(sigma_next * sigma_next - s * s, 0.0))
    return SdeCoefficients(1.0 - sigma_next + kept, kept * (1.0 - sigma) - (1.0 - sigma_next) * sigma, s, s)


def dance_coefficients(sigma: float, sigma_next: float, *, noise_level: float) -> SdeCoefficients:
    """Coefficients of the step with a constant diffusion eta = `noise_level`, stable near sigma = 1.

    mean = x + v d - eta^2 S d / 2 with the score S = -(x - (1 - sigma) data) / sigma^2; std = eta sqrt(-d).

    Raises:
        ValueError: no step down, or a negative noise level.

    Source: DanceGRPO, arXiv 2505.07818.
    """
    if not 0 <= sigma_next < sigma <= 1 or noise_level < 0:
        raise ValueError(f"No SDE step from {sigma} to {sigma_next} with noise level {noise_level}.")
    d = sigma_next - sigma
    half = noise_level * noise_level / (2.0 * sigma)
    return SdeCoefficients(1.0 + half * d, (1.0 + half * (1.0 - sigma)) * d, noise_level * math.sqrt(-d), noise_level)


def step_coefficients(sampler: Sampler, grid: Sequence[float], index: int, noise_level: float) -> SdeCoefficients:
    """Coefficients of step `index` (from grid point `index` to the next) of a sampler.

    Raises:
        ValueError: an unknown sampler or an impossible step.
    """
    sigma, after = grid[index], grid[index + 1]
    if sampler == "flow_sde":
        return sde_coefficients(sigma, after, sigma_first=grid[1], noise_level=noise_level)
    if sampler == "flow_cps":
        return cps_coefficients(sigma, after, noise_level=noise_level)
    if sampler == "dance":
        return dance_coefficients(sigma, after, noise_level=noise_level)
    raise ValueError(f"Unknown sampler {sampler!r}; expected flow_sde, flow_cps or dance.")


class StochasticStep(NamedTuple):
    """A stochastic step's result."""

    x: Tensor
    """(B, ...) float32, the next state."""
    mean: Tensor
    """(B, ...) float32."""
    log_prob: Tensor
    """(B,) float32, see `gaussian_log_prob`."""


def stochastic_step(x: Tensor, velocity: Tensor, c: SdeCoefficients, noise: Tensor) -> StochasticStep:
    """One stochastic step in float32 with the given standard normal `noise` (B, ...).

    Raises:
        ValueError: the step adds no noise (its density does not exist; take `ode_step`).
    """
    mean = _mean(x, velocity, c)
    x_next = mean + c.std * noise.float()
    return StochasticStep(x_next, mean, gaussian_log_prob(x_next, mean, c.std))


def replay_step(x: Tensor, x_next: Tensor, velocity: Tensor, c: SdeCoefficients) -> StochasticStep:
    """The recorded transition x -> `x_next` under another velocity: its mean and log-probability (with gradient).

    Raises:
        ValueError: as `stochastic_step`.
    """
    mean = _mean(x, velocity, c)
    return StochasticStep(x_next, mean, gaussian_log_prob(x_next.float(), mean, c.std))


def _mean(x: Tensor, velocity: Tensor, c: SdeCoefficients) -> Tensor:
    if c.std <= 0:
        raise ValueError("A stochastic step needs a positive noise level; use ode_step for none.")
    return c.c_x * x.float() + c.c_v * velocity.float()


def gaussian_log_prob(x: Tensor, mean: Tensor, std: float) -> Tensor:
    """Log-density (B,) of x (B, ...) under N(mean, std^2), averaged over the latent scalars.

    -(x - mean)^2 / (2 std^2) - log std - log(2 pi) / 2. The average makes a ratio the D-th root of the likelihood
    ratio, as Flow-GRPO uses it.
    """
    square = ((x.detach() - mean) ** 2).flatten(1).mean(1)
    return -square / (2.0 * std * std) - math.log(std) - 0.5 * math.log(2.0 * math.pi)
