"""A training process that is killed or asked to stop, continued by the same command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.train_command import _prepare

ROOT = Path(__file__).parents[3]
CONFIG = """
kind: grpo
steps: 4
prompts_per_step: 2
group_size: 3
samples_every: 0
checkpoint_every: 1
sampling: {grid_points: 6, shift: 1.0, window_range: [0, 4], window_size: 2}
loss: {text_weight: 1.0, image_clip_range: 1e-3}
optim: {lr: 1e-4, lr_understanding: 1e-3}
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_process_resumes_to_the_weights_of_an_uninterrupted_one(
    number: signal.Signals, tmp_path: Path
) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG)
    out = tmp_path / "run"
    command = [sys.executable, "run.py", "train", str(config), "-o", str(out), "--set", "steps=200"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "step-000001" / "trainer" / "state.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    if number == signal.SIGTERM:
        assert b"Traceback" not in errors
    newest = sorted((out / "checkpoints").glob("step-*/trainer"))[-1].parent
    steps = int(newest.name[5:]) + 2
    run, settings, _ = _prepare(str(config), steps, ())
    resumed = run(settings, out)
    whole = run(settings, tmp_path / "whole")
    assert resumed["steps"] == steps and resumed["fingerprint"] == whole["fingerprint"]
