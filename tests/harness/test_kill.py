"""`kill -9` at random moments, also during the resume of an earlier kill: the finished run is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.harness.test_runner import records

TOY = ["eval", "painter", "-b", "toy", "--plugin", "tests.harness.toy"]
MICRO = ["eval", "micro", "-b", "geneval,tiif", "--set", "geneval.prompts_per_tag=6", "--set", "tiif.n_per_type=1"]


def start(command, out, sleep):
    """The command as its own process, in a session of its own so that every child dies with it."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *command, "-o", str(out)],
        cwd=ROOT,
        env={**os.environ, "TOY_SLEEP": str(sleep), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(command, out, sleep=0):
    assert start(command, out, sleep).wait(timeout=300) == 0
    summary = json.loads((out / "summary.json").read_text())
    return {k: v for k, v in summary.items() if k != "run"}, records(out)


def kill_often(command, tmp_path, *, n_kills, longest_s, sleep=0.0, seed=7):
    """Starts and kills until `n_kills` kills are done, in fresh directories of one to three kills each."""
    reference = finish(command, tmp_path / "whole")
    rng = random.Random(seed)
    kills = directories = 0
    while kills < n_kills:
        out = tmp_path / f"killed{directories}"
        directories += 1
        for _ in range(min(rng.randint(1, 3), n_kills - kills)):
            process = start(command, out, sleep)
            time.sleep(rng.uniform(0.2, longest_s))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            process.wait()
            if process.returncode == 0:
                break
        assert finish(command, out) == reference, f"directory {out} differs after {kills} kills"
    return directories


def test_killed_runs_finish_to_the_same_records(tmp_path):
    kill_often(TOY, tmp_path, n_kills=6, longest_s=2.5, sleep=0.15)


@pytest.mark.slow
def test_forty_kills_of_a_micro_evaluation(tmp_path):
    assert kill_often(MICRO, tmp_path, n_kills=40, longest_s=12.0) >= 14


def test_ctrl_c_leaves_a_directory_that_resumes(tmp_path):
    out = tmp_path / "run"
    reference = finish(TOY, tmp_path / "whole")
    process = start(TOY, out, 0.2)
    while not (out / "judgements.jsonl").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
    assert finish(TOY, out) == reference
