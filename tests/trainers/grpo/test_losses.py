"""Losses: signs of gradients, the clip, importance levels, and the weights of text against image."""

import math

import pytest
import torch

from harness import flow
from harness.registry import LOSSES
from trainers.grpo import losses


def test_the_clip_takes_the_gradient_where_the_ratio_went_far_enough() -> None:
    log_ratio = torch.tensor([0.5, 0.5, -0.5, -0.5, 0.0], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    out = losses.clipped_surrogate(log_ratio, advantages, 0.2, 0.28)
    out.loss.sum().backward()
    assert out.clipped.tolist() == [True, False, False, True, False]
    expected = [0.0, math.exp(0.5), -math.exp(-0.5), 0.0, -1.0]
    torch.testing.assert_close(log_ratio.grad, torch.tensor(expected))
    assert out.loss[0].item() == pytest.approx(-1.28)


def _text(advantages: list[float], **changes: object) -> torch.Tensor:
    """Gradient of the text loss at unchanged parameters, (B, L)."""
    log_probs = torch.tensor([[-1.0, -2.0, -0.5], [-0.3, -0.7, 0.0]], requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weight = torch.full((2,), 0.5)
    settings: dict = {
        "importance": "sequence",
        "clip_low": 0.2,
        "clip_high": 0.28,
        "sequence_weight": weight,
        **changes,
    }
    losses.text_loss(log_probs, log_probs.detach(), mask, torch.tensor(advantages), **settings).loss.backward()
    assert log_probs.grad is not None
    return log_probs.grad


@pytest.mark.parametrize("changes", [{}, {"importance": "token"}, {"importance": "token", "token_weight": 0.2}])
def test_opposite_advantages_give_opposite_gradients(changes: dict) -> None:
    grad = _text([1.0, -1.0], **changes)
    assert (grad[0] < 0).all() and (grad[1, :2] > 0).all() and grad[1, 2] == 0
    torch.testing.assert_close(_text([-1.0, 1.0], **changes), -grad)


def test_sequence_importance_shares_the_weight_among_tokens_and_token_weight_does_not() -> None:
    torch.testing.assert_close(_text([1.0, 1.0])[:, 0], torch.tensor([-0.5 / 3, -0.5 / 2]))
    torch.testing.assert_close(_text([1.0, 1.0], importance="token")[:, 0], torch.tensor([-0.5 / 3, -0.5 / 2]))
    torch.testing.assert_close(
        _text([1.0, 1.0], importance="token", token_weight=0.2)[:, 0], torch.tensor([-0.2, -0.2])
    )


def test_the_outer_product_defect_cancels_opposite_advantages() -> None:
    assert _text([1.0, -1.0], outer_product=True).abs().max() == pytest.approx(0.0, abs=1e-7)
    assert (
        _text([1.0, -1.0], outer_product=True, importance="token").abs().max()
        < _text([1.0, -1.0], importance="token").abs().max()
    )
    # With equal advantages the defect changes nothing.
    torch.testing.assert_close(_text([1.0, 1.0], outer_product=True), _text([1.0, 1.0]))


def test_rows_without_tokens_and_with_weight_zero_are_left_out() -> None:
    log_probs = torch.tensor([[-1.0], [-1.0], [-1.0]], requires_grad=True)
    mask = torch.tensor([[True], [False], [True]])
    out = losses.text_loss(
        log_probs, log_probs.detach(), mask, torch.ones(3), importance="sequence", clip_low=0.2, clip_high=0.28,
        sequence_weight=torch.tensor([1.0, 1.0, 0.0]),
    )  # fmt: skip
    out.loss.backward()
    assert log_probs.grad is not None and log_probs.grad[:, 0].tolist() == [-1.0, 0.0, 0.0]
    assert len(out.ratio) == 1


def _image_batch(seed: int = 0) -> tuple[dict, flow.SdeCoefficients, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, v, noise = (torch.randn(2, 9, 5, generator=generator) for _ in range(3))
    c = flow.step_coefficients("flow_sde", flow.time_grid(11), 2, 0.7)
    old = flow.stochastic_step(x, v, c, noise)
    new_v = v.clone().requires_grad_()
    now = flow.replay_step(x, old.x, new_v, c)
    batch = {
        "advantages": torch.tensor([1.0, -1.0]), "log_prob": now.log_prob, "old_log_prob": old.log_prob,
        "mean": now.mean, "old_mean": old.mean, "std": c.std,
    }  # fmt: skip
    return batch, c, new_v


@pytest.mark.parametrize("name", ["grpo", "grpo-guard", "reinforce"])
def test_image_losses_push_the_mean_towards_good_samples_and_away_from_bad_ones(name: str) -> None:
    batch, c, v = _image_batch()
    loss = LOSSES.get(name)
    assert set(loss.needs) <= set(batch)
    loss(batch, 1e-3).loss.sum().backward()
    # -A d log p / d v = -A c_v (x' - mean) / (std^2 D); the guard scales it by std.
    scale = c.std if name == "grpo-guard" else 1.0
    assert v.grad is not None
    direction = (c.c_v / c.std**2 / 45) * scale
    generator = torch.Generator().manual_seed(0)
    _, _, noise = (torch.randn(2, 9, 5, generator=generator) for _ in range(3))
    expected = torch.stack([-noise[0], noise[1]]) * c.std * direction
    torch.testing.assert_close(v.grad, expected, atol=1e-5, rtol=1e-4)


def test_guard_ratio_has_no_bias_from_the_move_of_the_mean() -> None:
    """E[log ratio] of the plain ratio is -m / (2 std^2); the guard's exponent has mean zero."""
    generator = torch.Generator().manual_seed(1)
    c = flow.step_coefficients("flow_sde", flow.time_grid(11), 2, 0.7)
    mean = torch.zeros(4000, 1, 4)
    x_next = c.std * torch.randn(4000, 1, 4, generator=generator)
    moved = mean + 0.3
    batch = {
        "advantages": -torch.ones(4000), "log_prob": flow.gaussian_log_prob(x_next, moved, c.std),
        "old_log_prob": flow.gaussian_log_prob(x_next, mean, c.std), "mean": moved, "old_mean": mean, "std": c.std,
    }  # fmt: skip
    guard, plain = LOSSES.get("grpo-guard")(batch, 1e9), LOSSES.get("grpo")(batch, 1e9)
    assert guard.ratio.log().mean().item() == pytest.approx(0.0, abs=0.01)
    assert plain.ratio.log().mean().item() == pytest.approx(-0.09 / (2 * c.std**2), rel=0.1)


def test_divergences_equal_closed_forms() -> None:
    p, q = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.5, -1.0]])
    mask = torch.tensor([[True, False]])
    d = -0.5
    assert losses.text_kl(p, q, mask).item() == pytest.approx(math.exp(d) - d - 1)
    mean, ref = torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.2)
    args = {"diffusion": 2.0, "std": 0.5, "c_v": -0.1}
    gaussian = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, 0.5), torch.distributions.Normal(ref, 0.5)
    ).mean()
    assert losses.image_kl(mean, ref, form="gaussian", **args).item() == pytest.approx(gaussian.item())
    assert losses.image_kl(mean, ref, form="code", **args).item() == pytest.approx(0.04 / 8)
    assert losses.image_kl(mean, ref, form="velocity_mse", **args).item() == pytest.approx(4.0)
    with pytest.raises(ValueError, match="gaussian"):
        losses.image_kl(mean, ref, form="kl", **args)  # type: ignore[arg-type]


def test_the_entropy_mask_keeps_uncertain_tokens() -> None:
    entropy, mask = torch.tensor([[0.1, 2.0, 3.0]]), torch.tensor([[True, True, False]])
    assert losses.high_entropy_mask(entropy, mask, 1.0).tolist() == [[False, True, False]]
    assert losses.high_entropy_mask(entropy, mask, None).tolist() == mask.tolist()
