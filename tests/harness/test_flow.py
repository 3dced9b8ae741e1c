"""The flow sampler against closed forms and published coefficients."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import flow

# (K, i, s, s sqrt(-d), c_x, c_v) for noise level 0.7 and shift 3.
COEFFICIENTS = [
    (16, 0, 4.59021, 0.70000, 0.75500, -0.02326),
    (16, 1, 4.53652, 0.72477, 0.73110, -0.03178),
    (16, 2, 3.09112, 0.51856, 0.85865, -0.03504),
    (16, 5, 1.71464, 0.33845, 0.93318, -0.04851),
    (16, 9, 0.98995, 0.25560, 0.95100, -0.08300),
    (16, 14, 0.32404, 0.13612, 0.94750, -0.21971),
    (40, 0, 7.50666, 0.70000, 0.75500, -0.00870),
    (40, 1, 7.47395, 0.70918, 0.74633, -0.01121),
    (40, 4, 3.58643, 0.35921, 0.93303, -0.01249),
    (40, 14, 1.62019, 0.19916, 0.97647, -0.01881),
]
GRID_16 = [
    *(1, 0.97674, 0.95122, 0.92308, 0.89189, 0.85714, 0.81818, 0.77419),
    *(0.72414, 0.66667, 0.6, 0.52174, 0.42857, 0.31579, 0.17647, 0),
]
GRID_40 = [1, 0.99130, 0.98230, 0.97297, 0.96330, 0.95327, 0.94286, 0.93204, 0.92079, 0.90909, 0.89691, 0.88421]


def test_time_grid_equals_published_levels() -> None:
    assert flow.time_grid(16, 3.0) == pytest.approx(GRID_16, abs=5e-6)
    assert flow.time_grid(40, 3.0)[: len(GRID_40)] == pytest.approx(GRID_40, abs=5e-6)
    assert flow.time_grid(5) == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(("points", "shift"), [(1, 1.0), (5, 0.0), (5, -1.0)])
def test_time_grid_refuses_impossible_settings(points: int, shift: float) -> None:
    with pytest.raises(ValueError, match="time grid"):
        flow.time_grid(points, shift)


@pytest.mark.parametrize(("points", "i", "s", "std", "c_x", "c_v"), COEFFICIENTS)
def test_sde_coefficients_equal_golden_values(
    points: int, i: int, s: float, std: float, c_x: float, c_v: float
) -> None:
    grid = flow.time_grid(points, 3.0)
    c = flow.sde_coefficients(grid[i], grid[i + 1], sigma_first=grid[1], noise_level=0.7)
    assert (c.diffusion, c.std, c.c_x, c.c_v) == pytest.approx((s, std, c_x, c_v), abs=1e-5)


@given(points=st.integers(3, 60), shift=st.floats(1.0, 8.0), level=st.floats(0.05, 1.5))
@settings(deadline=None)
def test_first_step_injects_exactly_the_noise_level(points: int, shift: float, level: float) -> None:
    grid = flow.time_grid(points, shift)
    assert flow.sde_coefficients(1.0, grid[1], sigma_first=grid[1], noise_level=level).std == pytest.approx(level)


def test_sde_without_noise_is_the_ode() -> None:
    x, v = torch.randn(3, 9, 7), torch.randn(3, 9, 7)
    c = flow.sde_coefficients(0.8, 0.6, sigma_first=0.9, noise_level=0.0)
    assert c.std == 0
    torch.testing.assert_close(c.c_x * x + c.c_v * v, flow.ode_step(x, v, 0.8, 0.6))
    with pytest.raises(ValueError, match="ode_step"):
        flow.stochastic_step(x, v, c, x)


@pytest.mark.parametrize(("sigma", "after"), [(0.5, 0.5), (0.5, 0.6), (1.2, 0.5), (0.5, -0.1), (0.0, 0.0)])
def test_sde_refuses_steps_that_do_not_go_down(sigma: float, after: float) -> None:
    with pytest.raises(ValueError, match="SDE step"):
        flow.sde_coefficients(sigma, after, sigma_first=0.9, noise_level=0.7)


def test_step_log_probability_is_the_mean_gaussian_density_and_replays() -> None:
    generator = torch.Generator().manual_seed(0)
    x, v, noise = (torch.randn(4, 9, 5, generator=generator) for _ in range(3))
    c = flow.sde_coefficients(0.8, 0.6, sigma_first=0.9, noise_level=0.7)
    step = flow.stochastic_step(x, v, c, noise)
    reference = torch.distributions.Normal(step.mean, c.std).log_prob(step.x).flatten(1).mean(1)
    torch.testing.assert_close(step.log_prob, reference)
    replay = flow.replay_step(x, step.x, v, c)
    torch.testing.assert_close(replay.log_prob, step.log_prob)
    assert replay.log_prob[0].item() == pytest.approx(
        -0.5 * float((noise[0] ** 2).mean()) - math.log(c.std) - 0.5 * math.log(2 * math.pi), abs=1e-5
    )


def test_log_probability_gradient_follows_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(1)
    x, v, x_next = (torch.randn(2, 9, 5, generator=generator) for _ in range(3))
    v.requires_grad_()
    c = flow.sde_coefficients(0.8, 0.6, sigma_first=0.9, noise_level=0.7)
    out = flow.replay_step(x, x_next, v, c)
    out.log_prob.sum().backward()
    torch.testing.assert_close(v.grad, (c.c_v * (x_next - out.mean) / c.std**2 / 45).detach())


@pytest.mark.parametrize(("sampler", "level"), [("flow_sde", 0.7), ("dance", 0.4)])
def test_sde_samplers_keep_the_marginal_of_a_gaussian_flow(sampler: flow.Sampler, level: float) -> None:
    """Data N(0, 1/4) and the exact velocity: the chain ends with the data's spread, stochastic or not."""
    generator = torch.Generator().manual_seed(0)
    grid = flow.time_grid(200)
    x = torch.randn(4000, 8, generator=generator)
    for i, (sigma, after) in enumerate(itertools.pairwise(grid)):
        variance = 0.25 * (1 - sigma) ** 2 + sigma**2
        v = x * (sigma - 0.25 * (1 - sigma)) / variance
        if i < 150:
            noise = torch.randn(x.shape, generator=generator)
            x = flow.stochastic_step(x, v, flow.step_coefficients(sampler, grid, i, level), noise).x
        else:
            x = flow.ode_step(x, v, sigma, after)
    assert x.std().item() == pytest.approx(0.5, abs=0.02)


def test_no_guidance_up_to_scale_one() -> None:
    v = torch.randn(2, 9, 4)
    assert flow.guide(v, None, None, text_scale=1.0, image_scale=3.0) is v


def _literal_guide(
    c: torch.Tensor, t: torch.Tensor, i: torch.Tensor, w_t: float, w_i: float, renorm: str
) -> torch.Tensor:
    out = torch.empty_like(c)
    for b in range(c.shape[0]):
        u = t[b] + w_t * (c[b] - t[b])
        if renorm == "text_channel":
            for n in range(u.shape[0]):
                u[n] = u[n] * min(1.0, float(c[b, n].norm() / (u[n].norm() + 1e-8)))
        v = i[b] + w_i * (u - i[b]) if w_i > 1 else u
        if renorm == "global":
            v = v * min(1.0, float(c[b].norm() / (v.norm() + 1e-8)))
        if renorm == "channel":
            for n in range(v.shape[0]):
                v[n] = v[n] * min(1.0, float(c[b, n].norm() / (v[n].norm() + 1e-8)))
        out[b] = v
    return out


def test_guidance_without_rescaling_is_the_usual_extrapolation() -> None:
    c, t, i = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    assert flow.guide(c, t, None, text_scale=4.0, renorm="none").tolist() == [[[9.0, 0.0]]]
    assert flow.guide(c, t, i, text_scale=4.0, image_scale=2.0, renorm="none").tolist() == [[[18.0, -1.0]]]
    assert flow.guide(c, t, None, text_scale=4.0, renorm="global").tolist() == [[[3.0, 0.0]]]


def test_an_unknown_rescaling_is_refused() -> None:
    v = torch.ones(1, 2, 2)
    with pytest.raises(ValueError, match="text_channel"):
        flow.guide(v, v, None, text_scale=2.0, renorm="globl")  # type: ignore[arg-type]


@pytest.mark.parametrize("renorm", ["none", "global", "channel", "text_channel"])
@pytest.mark.parametrize("w_i", [1.0, 2.0])
def test_guidance_equals_a_literal_loop(renorm: flow.Renorm, w_i: float) -> None:
    generator = torch.Generator().manual_seed(3)
    c, t, i = (torch.randn(3, 9, 4, generator=generator) for _ in range(3))
    ours = flow.guide(c, t, i, text_scale=4.0, image_scale=w_i, renorm=renorm)
    torch.testing.assert_close(ours, _literal_guide(c, t, i, 4.0, w_i, renorm))


def test_guidance_names_a_missing_velocity() -> None:
    v = torch.randn(2, 9, 4)
    with pytest.raises(ValueError, match="without text"):
        flow.guide(v, None, None, text_scale=2.0)
    with pytest.raises(ValueError, match="without the image"):
        flow.guide(v, v, None, text_scale=2.0, image_scale=2.0)


def test_cps_and_dance_coefficients_equal_their_definitions() -> None:
    generator = torch.Generator().manual_seed(2)
    x, v = (torch.randn(3, 4, generator=generator).double() for _ in range(2))
    sigma, after, a = 0.7, 0.55, 0.6
    data, noise = x - sigma * v, x + (1 - sigma) * v
    s = after * math.sin(a * math.pi / 2)
    c = flow.cps_coefficients(sigma, after, noise_level=a)
    torch.testing.assert_close(c.c_x * x + c.c_v * v, (1 - after) * data + math.sqrt(after**2 - s**2) * noise)
    assert c.std == s
    d = after - sigma
    score = -(x - (1 - sigma) * data) / sigma**2
    c = flow.dance_coefficients(sigma, after, noise_level=a)
    torch.testing.assert_close(c.c_x * x + c.c_v * v, x + v * d - 0.5 * a**2 * score * d)
    assert c.std == pytest.approx(a * math.sqrt(-d))


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="flow_cps"):
        flow.step_coefficients("euler", [1.0, 0.5, 0.0], 0, 0.7)  # type: ignore[arg-type]
