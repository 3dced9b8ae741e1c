"""Plans: counts equal what a run does, sizes equal the real model's, nothing is written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cli.main import main
from harness.cli.train_command import _prepare
from harness.models.load import load_policy
from harness.models.micro.policy import MicroPolicy
from trainers.grpo import architecture, plan
from trainers.grpo.config import GrpoConfig
from trainers.grpo.loop import Trainer
from trainers.grpo.parallel import Parallel
from trainers.grpo.prompts import make_source
from trainers.grpo.rewarding import RewardPool
from trainers.grpo.signals import StopRequest

SMALL = (
    "steps=1",
    "prompts_per_step=2",
    "group_size=3",
    "sampling.grid_points=6",
    "sampling.window_range=[0, 4]",
    "sampling.window_size=2",
    "sampling.guidance_scale=1.5",
    "sampling.guidance_interval=[0.3, 0.9]",
)


def _config(name: str, *settings: str) -> GrpoConfig:
    return _prepare(name, None, settings)[1]


def _run_one_step(config: GrpoConfig) -> dict[str, Any]:
    torch.set_num_threads(1)
    policy, pool = load_policy("micro"), RewardPool(config.reward)
    try:
        source = make_source(config.prompts, config.seed, config.prompt_options)
        trainer = Trainer(policy, config, pool, source, Parallel())  # type: ignore[arg-type]
        return trainer.advance(StopRequest())
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("micro-rt2i", ("loss.recompute_log_prob=true",)),
        ("micro-rt2i", ("loss.image_kl=0.1", "inner_epochs=2")),
        ("micro-srr", ("refine.candidates=3", "refine.grid_points=5", "sampling.image_guidance_scale=2.0")),
    ],
)
def test_planned_evaluations_and_questions_are_those_of_a_step(
    name: str, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(name, *SMALL, *settings)
    seen = 0
    original = MicroPolicy._velocity

    def counting(self: MicroPolicy, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        nonlocal seen
        seen += len(x)
        return original(self, x, *rest)

    monkeypatch.setattr(MicroPolicy, "_velocity", counting)
    metrics = _run_one_step(config)
    counts = plan.count(config)
    assert seen == counts.rollout_evaluations + counts.recompute_evaluations + counts.update_evaluations
    asked = plan.questions_per_image(config) * counts.trajectories
    assert metrics["asked"] == pytest.approx(asked)


def test_guidance_doubles_a_step_and_counts_are_means_over_the_run() -> None:
    config = _config("sd35-medium-lora")
    counts = plan.count(config)
    assert counts.trajectories == 512 and counts.rollout_evaluations == 512 * 15 * 2
    assert counts.update_evaluations == counts.recompute_evaluations == 512 * 6 * 2
    mixed = plan.count(_config("micro-srr", "task=mixed", "steps=4"))
    assert mixed.initial_images == plan.count(_config("micro-srr", "steps=4")).initial_images / 2


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("diffusers", reason="the sd3 policy needs the extra 'train'")
    from tests.harness.models.sd3.sd3_tiny import build_pipeline

    folder = tmp_path_factory.mktemp("plan") / "tiny"
    build_pipeline().save_pretrained(folder)
    return folder


def test_arithmetic_of_a_forward_pass_is_what_torch_counts(tiny: Path) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    policy: Any = load_policy(f"sd3:{tiny}")
    found = architecture.local(tiny)
    assert found is not None and found.n_params == sum(p.numel() for p in policy.transformer.parameters())
    context = policy.extend(policy.context(1), ["a red cube"], kind="text")
    n_text = context.prompts.tokens.shape[1]
    # The counter does not know the CPU's fused attention.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        policy._predict(policy.initial_noise([1]), torch.tensor([0.5]), context.prompts)
    assert found.forward_flops(32, n_text - 77) == pytest.approx(counter.get_total_flops(), rel=0.03)
    assert found.latent_scalars(32) == policy.initial_noise([1]).numel()


def test_adapter_parameters_are_counted_as_they_will_be_attached(tiny: Path) -> None:
    pytest.importorskip("peft", reason="LoRA needs the extra 'train'")
    policy: Any = load_policy(f"sd3:{tiny}")
    policy.prepare_training({"lora_rank": 4, "lora_alpha": 8})
    found = architecture.local(tiny)
    assert found is not None
    assert found.n_lora * 4 == sum(p.numel() for p in policy.param_groups()["generation"])


def test_released_models_have_their_known_sizes() -> None:
    pytest.importorskip("diffusers", reason="the sd3 policy needs the extra 'train'")
    sizes = {n: architecture.released(n, 2, with_t5=True) for n in architecture.RELEASED}
    billions = {n.rsplit("/")[-1]: round(a.n_params / 1e9, 1) for n, a in sizes.items() if a is not None}
    assert billions == {
        "stable-diffusion-3-medium-diffusers": 2.0,
        "stable-diffusion-3.5-medium": 2.2,
        "stable-diffusion-3.5-large": 8.1,
    }


def test_checkpointing_and_smaller_micro_batches_lower_the_activations() -> None:
    pytest.importorskip("diffusers", reason="the sd3 policy needs the extra 'train'")
    base = plan.make(_config("sd35-medium-lora"))["memory_gib"]
    half = plan.make(_config("sd35-medium-lora", "micro_batch=4"))["memory_gib"]
    saved = plan.make(_config("sd35-medium-lora", "policy.gradient_checkpointing=true"))["memory_gib"]
    assert half["activations"] == pytest.approx(base["activations"] / 2)
    assert saved["activations"] < base["activations"] / 5 and saved["weights"] == base["weights"]
    one, seven = (plan.make(_config("sd35-medium-8gpu"), processes=n)["hours"]["H100"] for n in (1, 7))
    assert one == pytest.approx(7 * seven)


def _call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as leaving:
        main(list(arguments))
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


def test_a_dry_run_measures_the_micro_policy_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = _call(capsys, "train", "micro-rt2i", "--dry-run", "--json", "--set", "group_size=2")
    made = json.loads(out)
    assert code == 0 and made["hours"]["this machine"] > 0 and made["per_step"]["questions"] > 0
    assert made["total"]["trajectories"] == 120 * 16
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_it_cannot_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = _call(capsys, "train", "sd35-medium-lora", "--dry-run", "--set", "model=sd3:someone/unknown")
    assert code == 0 and "note: Judge questions are unknown: prompts: prompts.jsonl" in out
    assert "note: Hours and memory are not estimated" in out and "hours on" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["micro-pretrain", "--dry-run"], "makes no plan"),
        (["micro-rt2i", "--processes", "2"], "--processes goes with --dry-run"),
        (["micro-rt2i", "--dry-rum"], "--dry-run"),
    ],
)
def test_a_misplaced_option_is_explained(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = _call(capsys, "train", *arguments)
    assert code == 2 and message in err


def test_the_gpu_bench_lists_its_parts_within_nine_minutes_and_says_when_there_is_no_gpu(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]

    def bench(*arguments: str) -> str:
        command = [sys.executable, str(root / "bench" / "gpu.py"), *arguments]
        env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=env).stdout

    listed = [line.split() for line in bench("--list").splitlines()]
    assert sum(float(words[1]) for words in listed) <= 540
    bench("-o", "gpu.json")
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert list(parts) == [words[0] for words in listed]
    assert all((p["status"], p["reason"]) == ("not run", "no GPU") for p in parts.values())
