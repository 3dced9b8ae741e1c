"""The loop on the micro policy: exact ratios, invariance to batches, order and restarts, and what goes wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.config import build
from harness.errors import HarnessError, JudgeError, PolicyError, StoreError
from harness.models.load import load_policy
from trainers.grpo import GrpoConfig, run
from trainers.grpo.loop import Trainer
from trainers.grpo.parallel import Parallel
from trainers.grpo.prompts import make_source
from trainers.grpo.recipes import apply_recipe
from trainers.grpo.rewarding import RewardPool, Scored
from trainers.grpo.rollout import draw
from trainers.grpo.signals import StopRequest

SMALL: dict[str, Any] = {
    "kind": "grpo",
    "prompts_per_step": 2,
    "group_size": 3,
    "samples_every": 0,
    "checkpoint_every": 1,
    "sampling": {"grid_points": 6, "shift": 1.0, "window_range": [0, 4], "window_size": 2},
    "loss": {"text_weight": 1.0, "image_clip_range": 1e-3},
    # A large eps: Adam turns rounding noise in a vanishing gradient into steps of the size of the learning rate.
    "optim": {"lr": 1e-4, "lr_understanding": 1e-3, "eps": 1e-4},
}


def config_of(**data: Any) -> GrpoConfig:
    merged = {k: {**v, **data.pop(k)} if isinstance(v, dict) and k in data else v for k, v in SMALL.items()}
    return build(GrpoConfig, apply_recipe({**merged, **data}))


def trainer_of(config: GrpoConfig, pool: Any = None) -> Trainer:
    torch.set_num_threads(1)
    policy = load_policy(config.model)
    source = make_source(config.prompts, config.seed, config.prompt_options)
    return Trainer(policy, config, pool or RewardPool(config.reward), source, Parallel())  # type: ignore[arg-type]


def weights_after(config: GrpoConfig, steps: int = 2) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    trainer = trainer_of(config)
    metrics: dict[str, Any] = {}
    for _ in range(steps):
        metrics = trainer.advance(StopRequest())
    trainer.pool.close()
    return {n: p.detach().clone() for n, p in trainer.parameters.items()}, metrics


@pytest.mark.parametrize("task", ["rt2i", "t2i", "srr"])
@pytest.mark.parametrize("guided", [False, True])
def test_before_any_update_every_ratio_is_exactly_one(task: str, guided: bool) -> None:
    sampling = {"guidance_scale": 1.5, "image_guidance_scale": 1.5 if task == "srr" else 1.0} if guided else {}
    _, metrics = weights_after(config_of(task=task, sampling=sampling, refine={"candidates": 2, "grid_points": 5}), 1)
    assert metrics["health/image_ratio"] == pytest.approx(1.0, abs=1e-6)
    assert metrics["health/image_clip_fraction"] == 0.0
    if task != "t2i":
        assert metrics["health/text_ratio"] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"micro_batch": 2},
        {"rollout_batch": 1},
        {"micro_batch": 4, "rollout_batch": 5},
        {"task": "srr", "micro_batch": 2, "rollout_batch": 4, "refine": {"candidates": 2, "grid_points": 5}},
    ],
)
def test_batch_sizes_do_not_change_the_weights(changes: dict[str, Any]) -> None:
    whole = {k: v for k, v in changes.items() if k not in ("micro_batch", "rollout_batch")}
    expected, _ = weights_after(config_of(**whole))
    found, _ = weights_after(config_of(**changes))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)


def test_permuted_advantages_change_the_gradient() -> None:
    plain, _ = weights_after(config_of(), 1)
    placebo, _ = weights_after(config_of(reward={"permute": True}), 1)
    assert any(not torch.equal(plain[n], placebo[n]) for n in plain)


def test_a_group_shares_its_window_and_its_beginning_is_read_once() -> None:
    trainer = trainer_of(config_of())
    trainer.advance(StopRequest())
    (drawn,) = trainer.last
    assert drawn.x.shape[0] == len(drawn.window) == 2
    assert len({id(s.steps) for s in drawn.samples}) == 2
    seeds = [s.seed for s in drawn.samples]
    assert len(set(seeds)) == len(seeds)
    again = draw(load_policy("micro"), drawn.samples[::-1], trainer.config.sampling, drawn.window)  # type: ignore[arg-type]
    torch.testing.assert_close(again.log_probs.flip(1), drawn.log_probs, atol=1e-5, rtol=0)


def test_the_image_loss_alone_leaves_the_understanding_expert_alone() -> None:
    trainer = trainer_of(config_of(loss={"text_weight": 0.0}))
    before = {n: p.detach().clone() for n, p in trainer.parameters.items()}
    trainer.advance(StopRequest())
    understanding = {id(p) for p in trainer.policy.param_groups()["understanding"]}
    moved = {n for n, p in trainer.parameters.items() if not torch.equal(p, before[n])}
    assert moved
    tied = {"token.weight"}  # embeds cell words, which position image tokens
    assert all(id(trainer.parameters[n]) not in understanding for n in moved - tied)


def test_one_loss_equals_the_text_and_image_terms_with_lambda() -> None:
    """lambda = text_weight: the gradient of the step is that of one explicit loss."""
    gradients = []
    for loss in ({"image_weight": 1.0, "text_weight": 0.0}, {"image_weight": 0.0, "text_weight": 1.0},
                 {"image_weight": 1.0, "text_weight": 0.3}):  # fmt: skip
        config = config_of(loss=loss, optim={"max_grad_norm": 1e9})
        trainer = trainer_of(config)
        trainer.optimiser.step = lambda: None  # type: ignore[assignment,method-assign,return-value]
        trainer.advance(StopRequest())
        gradients.append({n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in trainer.parameters.items()})
    image, text, both = gradients
    for name in both:
        torch.testing.assert_close(both[name], image[name] + 0.3 * text[name], atol=1e-6, rtol=1e-4, msg=name)


def test_a_run_that_stopped_ends_with_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    whole = run(config_of(steps=3, optim={"ema_decay": 0.9}), tmp_path / "whole")
    for steps in (1, 2):
        run(config_of(steps=steps, optim={"ema_decay": 0.9}), tmp_path / "parts")
    resumed = run(config_of(steps=3, optim={"ema_decay": 0.9}), tmp_path / "parts")
    assert resumed["fingerprint"] == whole["fingerprint"]
    for name in ("model.safetensors", "trainer/tensors.safetensors"):
        assert (Path(whole["checkpoint"]) / name).read_bytes() == (Path(resumed["checkpoint"]) / name).read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]


def test_a_checkpoint_is_a_model_for_eval_and_names_its_base(tmp_path: Path) -> None:
    result = run(config_of(steps=1), tmp_path / "run")
    policy = load_policy(str(tmp_path / "run"))
    assert policy.fingerprint == result["fingerprint"]
    manifest = json.loads((Path(result["checkpoint"]) / "manifest.json").read_text())
    assert manifest["base"] == load_policy("micro").fingerprint
    assert manifest["training"]["config"]["reward"]["weights"] == {"dvreward": 1.0}


def test_another_configuration_does_not_continue_a_run(tmp_path: Path) -> None:
    run(config_of(steps=1), tmp_path)
    with pytest.raises(StoreError, match="group_size: 3 -> 4"):
        run(config_of(steps=2, group_size=4), tmp_path)


def test_a_stop_request_leaves_a_resumable_directory(tmp_path: Path) -> None:
    config = config_of(steps=3)

    def stop_after_first(metrics: dict[str, Any]) -> None:
        if metrics["step"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "stopped", stop_after_first)
    resumed = run(config, tmp_path / "stopped")
    assert resumed["fingerprint"] == run(config, tmp_path / "whole")["fingerprint"]


class _Pool:
    """Rewards by rule in place of a judge."""

    def __init__(self, rule: Any) -> None:
        self._rule, self.busy_s, self.fingerprints = rule, 0.0, {}

    def submit(self, prompts: Any, images: Any, sources: Any, *, repeat: int = 0) -> Any:
        from concurrent.futures import Future

        future: Future = Future()
        future.set_result([self._rule(i, s) for i, s in enumerate(sources)])
        return future

    def close(self) -> None: ...


def _scored(value: float | None, **changes: Any) -> Scored:
    return Scored(values={"dvreward": value}, n_asked=10, **changes)


def test_missing_rewards_leave_their_samples_out() -> None:
    pool = _Pool(lambda i, s: _scored(None if i == 0 else i / 10))
    trainer = trainer_of(config_of(), pool)
    metrics = trainer.advance(StopRequest())
    assert metrics["reward/missing"] == 1 and metrics["skipped"] == 0.0


def test_groups_without_any_reward_skip_the_update() -> None:
    trainer = trainer_of(config_of(), _Pool(lambda i, s: _scored(None)))
    before = {n: p.detach().clone() for n, p in trainer.parameters.items()}
    assert trainer.advance(StopRequest())["skipped"] == 1.0
    assert all(torch.equal(p, before[n]) for n, p in trainer.parameters.items())
    assert trainer.step == 1


def test_a_dead_judge_stops_the_step_and_says_why() -> None:
    trainer = trainer_of(config_of(), _Pool(lambda i, s: _scored(None, n_failed=10, reasons=("dvreward: timeout",))))
    with pytest.raises(JudgeError, match=r"60 of 60 judge questions.*timeout.*resumes"):
        trainer.advance(StopRequest())
    assert trainer.step == 0


def test_an_all_bad_group_learns_nothing() -> None:
    pool = _Pool(lambda i, s: _scored(0.9 if s is None else 0.1 + i / 100))
    trainer = trainer_of(config_of(task="srr", refine={"candidates": 2, "grid_points": 5}), pool)
    metrics = trainer.advance(StopRequest())
    assert metrics["refine/improved"] == 0.0 and metrics["skipped"] == 1.0


def test_prompts_without_an_initial_image_are_left_out() -> None:
    pool = _Pool(lambda i, s: _scored(None if s is None and i < 2 else 0.1 + i / 100))
    trainer = trainer_of(config_of(task="srr", refine={"candidates": 2, "grid_points": 5}), pool)
    metrics = trainer.advance(StopRequest())
    assert metrics["group/n"] == 1


def test_a_reward_that_is_not_a_number_is_missing() -> None:
    from trainers.grpo.rewarding import _finite

    assert _finite(float("nan")) is None and _finite(float("inf")) is None and _finite(0.5) == 0.5


def test_a_forward_pass_that_differs_from_the_rollout_aborts_with_a_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(config_of())
    velocity = trainer.policy.velocity

    def noisy(x: Any, *args: Any) -> Any:
        return velocity(x, *args) + (0.05 if torch.is_grad_enabled() else 0.0)

    monkeypatch.setattr(trainer.policy, "velocity", noisy)
    with pytest.raises(PolicyError, match="image ratio should be 1"):
        trainer.advance(StopRequest())


def test_out_of_memory_becomes_a_message_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(self: Trainer, stop: StopRequest) -> dict[str, Any]:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    monkeypatch.setattr(Trainer, "advance", burst)
    with pytest.raises(PolicyError, match=r"micro_batch=96.*resumes"):
        run(config_of(steps=1), tmp_path)


@pytest.mark.parametrize("recipe", ["paper", "official_code"])
def test_published_recipes_train(recipe: str) -> None:
    _, metrics = weights_after(config_of(recipe=recipe, task="mixed", refine={"candidates": 2, "grid_points": 5}), 2)
    assert metrics["step"] == 2 and np.isfinite(metrics["grad_norm"])


@pytest.mark.parametrize(
    "loss",
    [
        {"image": "grpo-guard"},
        {"text_importance": "token", "top_entropy_quantile": 0.5},
        {"text_kl": 0.1, "image_kl": 0.1},
        {"recompute_log_prob": True, "rollout_correction": 2.0},
        {"detach_text": False},
        {"mask_truncated": True, "estimator": "dpo"},
    ],
)
def test_options_of_the_loss_give_finite_updates(loss: dict[str, Any]) -> None:
    _, metrics = weights_after(config_of(loss=loss), 1)
    assert np.isfinite(metrics["grad_norm"]) and metrics["grad_norm"] > 0


@pytest.mark.parametrize("sampler", ["flow_cps", "dance"])
def test_other_samplers_train(sampler: str) -> None:
    _, metrics = weights_after(config_of(sampling={"sampler": sampler, "noise_level": 0.5}), 1)
    assert metrics["health/image_ratio"] == pytest.approx(1.0, abs=1e-5)


def test_bf16_recomputes_the_old_log_probabilities() -> None:
    _, metrics = weights_after(config_of(precision="bf16"), 1)
    assert metrics["health/image_ratio"] == pytest.approx(1.0, abs=1e-4)


def test_pictures_of_the_same_prompts_are_written(tmp_path: Path) -> None:
    run(config_of(steps=1, samples_every=1), tmp_path)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["step-000000.png", "step-000001.png"]


def test_old_optimiser_states_are_removed_and_weights_stay(tmp_path: Path) -> None:
    run(config_of(steps=3, keep_checkpoints=1), tmp_path)
    folders = sorted((tmp_path / "checkpoints").iterdir())
    assert [f.name for f in folders] == ["step-000001", "step-000002", "step-000003"]
    assert [(f / "trainer").is_dir() for f in folders] == [False, False, True]


def test_a_damaged_state_names_the_folder_to_delete(tmp_path: Path) -> None:
    run(config_of(steps=1), tmp_path)
    (tmp_path / "checkpoints" / "step-000001" / "trainer" / "tensors.safetensors").write_bytes(b"x")
    with pytest.raises(StoreError, match="step-000001"):
        run(config_of(steps=2), tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "step-000001" / "trainer")
    run(config_of(steps=1), tmp_path)


def test_a_policy_that_cannot_do_the_task_is_refused() -> None:
    from trainers.grpo.tasks import check_capabilities

    policy = load_policy("micro")
    config = config_of(loss={"text_weight": 0.0, "image_weight": 0.0})
    with pytest.raises(HarnessError, match="Nothing to train"):
        check_capabilities(policy, config)  # type: ignore[arg-type]
    policy.capabilities = frozenset({"train_image"})
    with pytest.raises(HarnessError, match="t2i"):
        check_capabilities(policy, replace(config, task="rt2i"))  # type: ignore[arg-type]
