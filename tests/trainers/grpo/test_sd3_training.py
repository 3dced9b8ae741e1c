"""Stable Diffusion 3 in the loop: a tiny random pipeline from disk, with LoRA and guidance, in one process and two."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.cli.train_command import _prepare
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.models.load import load_policy
from harness.progress import Silent
from tests.conftest import ROOT

pytest.importorskip("diffusers", reason="the sd3 policy needs the extra 'train'")
pytest.importorskip("peft", reason="the sd3 policy needs the extra 'train'")

CONFIG = """
kind: grpo
task: t2i
steps: 2
prompts_per_step: 2
group_size: 3
micro_batch: 2
samples_every: 0
checkpoint_every: 1
policy: {lora_rank: 4, lora_alpha: 8}
sampling:
  {grid_points: 6, window: random, window_range: [0, 4], window_size: 2, guidance_scale: 4.0, guidance_renorm: none}
reward: {weights: {micro-hps: 1.0}}
loss: {image_clip_range: 1e-3}
# A large eps: Adam turns rounding noise in a vanishing gradient into steps of the size of the learning rate.
optim: {lr: 1e-2, eps: 1e-2}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.harness.models.sd3.sd3_tiny import build_pipeline

    folder = tmp_path_factory.mktemp("sd3") / "tiny"
    build_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def config(pipeline: Path) -> Path:
    path = pipeline.parent / "tiny.yaml"
    path.write_text(f"model: sd3:{pipeline}\n{CONFIG}")
    return path


def _train(config: Path, out: Path, *, steps: int = 2, settings: tuple[str, ...] = ()) -> Path:
    run, built, _ = _prepare(str(config), steps, settings)
    run(built, out)
    return out


@pytest.fixture(scope="module")
def trained(config: Path) -> Path:
    return _train(config, config.parent / "run")


def _metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def _tensors(out: Path, step: int) -> dict[str, torch.Tensor]:
    folder = out / "checkpoints" / f"step-{step:06d}"
    found = {f"{p.relative_to(folder)}:{k}": v for p in folder.rglob("*.safetensors") for k, v in load_file(p).items()}
    assert any(name.startswith("trainer/") for name in found) and any("lora" in name for name in found)
    return found


def test_guided_lora_training_starts_every_step_at_ratio_one_and_moves_the_adapter(trained: Path) -> None:
    for line in _metrics(trained):
        assert line["health/image_ratio"] == 1.0 and line["health/image_log_ratio_abs"] == 0.0
        assert line["grad_norm"] > 0 and line["reward/missing"] == 0 and line["skipped"] == 0.0
    first, second = _tensors(trained, 1), _tensors(trained, 2)
    assert any(not torch.equal(first[k], second[k]) for k in first if not k.startswith("trainer/"))


def test_no_stage_above_a_twentieth_of_the_step_is_unnamed(trained: Path) -> None:
    for line in _metrics(trained):
        assert line["time/other_s"] <= 0.05 * line["time/step_s"]


def test_an_interrupted_run_ends_with_the_same_weights_bit_for_bit(config: Path, trained: Path, tmp_path: Path) -> None:
    _train(config, tmp_path / "parts", steps=1)
    found, expected = _tensors(_train(config, tmp_path / "parts"), 2), _tensors(trained, 2)
    assert set(found) == set(expected)
    assert all(torch.equal(found[k], v) for k, v in expected.items())


def test_the_checkpoint_folder_alone_is_a_model_for_eval(trained: Path, tmp_path: Path) -> None:
    folder = trained / "checkpoints" / "step-000002"
    manifest = json.loads((folder / "manifest.json").read_text())
    policy = load_policy(str(folder))
    assert policy.fingerprint == manifest["fingerprint"]
    settings = EvalConfig(benchmarks=["geneval"], limit=2, out=str(tmp_path / "eval"), threads=1, samples_per_prompt=1)
    evaluate(settings, str(folder), Silent())
    records = (tmp_path / "eval" / "generations.jsonl").read_text().splitlines()
    assert sum(manifest["fingerprint"] in line for line in records) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_train_the_same_adapter_as_one(kind: str, config: Path, tmp_path: Path) -> None:
    expected = _tensors(_train(config, tmp_path / "one", steps=3), 3)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "run.py", "train", str(config), "-o", str(tmp_path / "two"), "--steps", "3"]
    done = subprocess.run(
        [*command, "--set", f"parallel={kind}"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert json.loads((tmp_path / "two" / "training.json").read_text())["world_size"] == 2
    found = _tensors(tmp_path / "two", 3)
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4, msg=name)
    for a, b in zip(_metrics(tmp_path / "two"), _metrics(tmp_path / "one"), strict=True):
        assert a["health/image_ratio"] == pytest.approx(1.0, abs=1e-6)
        assert a["reward/mean"] == pytest.approx(b["reward/mean"], abs=1e-4)
