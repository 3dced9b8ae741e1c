"""Two processes under torchrun (gloo, CPU) against one: same rewards, losses and weights, by DDP and by FSDP2."""

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

ROOT = Path(__file__).parents[3]
CONFIG = """
kind: grpo
task: TASK
steps: 3
prompts_per_step: 2
group_size: 3
micro_batch: 2
samples_every: 0
checkpoint_every: 3
sampling: {grid_points: 6, shift: 1.0, window_range: [0, 4], window_size: 2}
refine: {candidates: 3, grid_points: 5}
loss: {text_weight: 1.0, image_clip_range: 1e-3}
# A large eps: Adam turns rounding noise in a vanishing gradient into steps of the size of the learning rate.
optim: {lr: 1e-4, lr_understanding: 1e-3, eps: 1e-4, ema_decay: 0.9}
"""


def _file(tmp_path: Path, task: str) -> Path:
    path = tmp_path / f"{task}.yaml"
    path.write_text(CONFIG.replace("TASK", task))
    return path


def _alone(tmp_path: Path, name: str, task: str, settings: tuple[str, ...] = ()) -> Path:
    """The same command in this process."""
    run, config, _ = _prepare(str(_file(tmp_path, task)), None, settings)
    run(config, tmp_path / name)
    return tmp_path / name


def _torchrun(tmp_path: Path, name: str, task: str, *, settings: tuple[str, ...], steps: int = 3) -> Path:
    sets = [part for s in settings for part in ("--set", s)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "run.py", "train", str(_file(tmp_path, task)), "-o", str(tmp_path / name)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--steps", str(steps), *sets],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / name


def _metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def _assert_same(found: Path, expected: Path) -> None:
    for a, b in zip(_metrics(found), _metrics(expected), strict=True):
        for key in ("reward/mean", "grad_norm", "text/length"):
            assert a[key] == pytest.approx(b[key], abs=1e-5), key
    for file in ("model.safetensors", "trainer/tensors.safetensors"):
        one = load_file(expected / "checkpoints" / "step-000003" / file)
        two = load_file(found / "checkpoints" / "step-000003" / file)
        assert set(one) == set(two)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-4, msg=f"{file}: {name}")


@pytest.mark.parametrize(("kind", "task"), [("ddp", "srr"), ("fsdp", "rt2i")])
def test_two_processes_train_the_same_weights_as_one(kind: str, task: str, tmp_path: Path) -> None:
    found = _torchrun(tmp_path, "two", task, settings=(f"parallel={kind}",))
    assert json.loads((found / "training.json").read_text())["world_size"] == 2
    _assert_same(found, _alone(tmp_path, "one", task))


def test_a_run_resumes_with_another_number_of_processes(tmp_path: Path) -> None:
    settings = ("checkpoint_every=1", "parallel=fsdp")
    _torchrun(tmp_path, "mixed", "rt2i", settings=settings, steps=2)
    _assert_same(_alone(tmp_path, "mixed", "rt2i", ("checkpoint_every=1",)), _alone(tmp_path, "one", "rt2i"))
