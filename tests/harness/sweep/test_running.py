"""Cells run real commands; the slow ones share one small sweep."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from harness.sweep import cell as cell_module
from harness.sweep.cell import Stop, run_cell
from harness.sweep.cells import Cell, Step, expand, is_finished
from harness.sweep.executors import local, on_ray
from tests.harness.sweep.test_grid import TINY, sweep

EVAL = {"benchmarks": ["geneval"], "limit": 6, "samples_per_prompt": 1}


def cells_of(tmp_path, *steps, n=1):
    return [Cell(condition=f"c{i}", seed=0, folder=tmp_path / f"c{i}", steps=steps) for i in range(n)]


def test_one_cell_trains_evaluates_and_rejudges_and_a_repeat_runs_only_what_is_missing(tmp_path):
    cell = expand(sweep(tmp_path), tmp_path / "out")[1]
    assert (outcome := run_cell(cell, threads=1, stop=Stop())).state == "done", outcome
    assert all(is_finished(cell, s) for s in cell.steps)
    summary = json.loads((cell.folder / "eval-cnn" / "summary.json").read_text())
    assert summary["benchmarks"]["geneval"]["judge"].startswith("micro-cnn")
    before = (cell.folder / "train" / "metrics.jsonl").stat().st_mtime_ns
    (cell.folder / "eval-verifier" / "summary.json").unlink()
    assert run_cell(cell, threads=1, stop=Stop()).state == "done"
    assert (cell.folder / "train" / "metrics.jsonl").stat().st_mtime_ns == before
    assert (cell.folder / "log.txt").read_text().count("$ run.py train") == 1


def test_failed_command_is_an_outcome_with_the_end_of_its_log(tmp_path):
    bad = Step(name="eval-x", settings=EVAL, model="no-such-model")
    outcome = run_cell(*cells_of(tmp_path, bad), threads=1, stop=Stop())
    assert outcome.state == "failed"
    assert "exit code" in outcome.message
    assert "no-such-model" in outcome.message


def test_locked_cell_is_left_to_its_owner(tmp_path):
    (cell,) = cells_of(tmp_path, Step(name="eval-x", settings=EVAL, model="micro"))
    with cell_module._only_one(cell.folder):
        outcome = run_cell(cell, threads=1, stop=Stop())
    assert outcome.state == "busy"


def test_stop_ends_running_commands_and_starts_no_more():
    stop = Stop()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    assert stop.wait(process) != 0
    assert time.monotonic() - started < 30
    assert stop.requested


def test_local_executor_runs_as_many_cells_at_once_as_asked(tmp_path, monkeypatch):
    running, most, both = set(), [], threading.Barrier(2, timeout=60)

    def fake(cell, step, threads, stop):
        running.add(cell.label)
        most.append(len(running))
        if cell.label in ("c0/seed-0", "c1/seed-0"):
            both.wait()
        running.discard(cell.label)
        return 0 if cell.label != "c2/seed-0" else 1

    monkeypatch.setattr(cell_module, "_run_step", fake)
    cells = cells_of(tmp_path, Step(name="eval-x", settings=EVAL, model="micro"), n=5)
    outcomes = {o.label: o.state for o in local(cells, 2)}
    assert max(most) == 2
    assert outcomes == {"c0/seed-0": "done", "c1/seed-0": "done", "c2/seed-0": "failed", "c3/seed-0": "done",
                        "c4/seed-0": "done"}  # fmt: skip


def test_interrupting_the_consumer_stops_the_rest(tmp_path, monkeypatch):
    begun = []

    def fake(cell, step, threads, stop):
        begun.append(cell.label)
        while len(begun) > 1 and not stop.requested:
            time.sleep(0.01)
        return 0

    monkeypatch.setattr(cell_module, "_run_step", fake)
    cells = cells_of(tmp_path, Step(name="eval-x", settings=EVAL, model="micro"), n=20)
    stream = local(cells, 1)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt())
    assert len(begun) <= 2


def test_ray_executor_runs_cells_in_workers_and_reports_failures(tmp_path):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'")
    good = Step(name="eval-x", settings=EVAL, model="micro")
    bad = Step(name="eval-x", settings=EVAL, model="no-such-model")
    cells = [*cells_of(tmp_path / "a", good), *cells_of(tmp_path / "b", bad)]
    outcomes = list(on_ray(cells, 2))
    assert sorted(o.state for o in outcomes) == ["done", "failed"]
    assert is_finished(cells[0], good)
    assert not ray.is_initialized()


def test_command_shows_the_grid_without_running_it(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    command = ["sweep", str(file), "-o", str(tmp_path / "out"), "--only", "off", "--dry-run", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *command],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    plan = json.loads(done.stdout)
    assert [c["cell"] for c in plan["cells"]] == ["off/seed-0", "off/seed-1"]
    assert {c["state"] for c in plan["cells"]} == {"new"}
    assert plan["training_hours"]["this machine"] > 0
    assert not (tmp_path / "out").exists()
