"""`run.py check` as a user and a CI system meet it."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from harness.cli.main import main
from tests.conftest import ROOT
from tests.reports.check.made import draw_pair, write_run


def call(capsys, *arguments):
    """(exit code, standard output, standard error)."""
    with pytest.raises(SystemExit) as leaving:
        main([str(a) for a in ("check", *arguments)])
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


@pytest.fixture
def runs(tmp_path):
    """Baseline, and a candidate five points worse: 400 prompts x 4 images."""
    verdicts = draw_pair(400, 4, 0.05, 0)
    return tuple(write_run(tmp_path / n, v, policy=n) for n, v in zip(("base", "new"), verdicts, strict=True))


def test_a_planted_drop_of_five_points_ends_with_exit_code_1_and_all_files(capsys, runs, tmp_path):
    base, new = runs
    code, out, _ = call(capsys, base, "--save-baseline", tmp_path / "b.json")
    assert code == 0 and "written to" in out
    summary = tmp_path / "summary.md"
    summary.write_text("earlier step\n")
    code, out, err = call(
        capsys, new, "--against", tmp_path / "b.json", "--junit", tmp_path / "j.xml", "--summary", summary
    )
    assert code == 1 and "Regression: 1 regression; exit code 1." in out and not err
    assert "Lost most: geneval/" in out
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "1"
    assert summary.read_text().startswith("earlier step\n") and "**regression**" in summary.read_text()


def test_equal_weights_pass_with_a_narrow_interval(capsys, runs):
    base, _ = runs
    code, out, _ = call(capsys, base, "--against", base, "--json")
    row = json.loads(out)["benchmarks"]["geneval"]
    assert code == 0 and row["verdict"] == "equivalent"
    assert 0 < row["decision"]["high"] - row["decision"]["low"] < 0.004


def test_json_says_what_the_exit_code_says(capsys, runs):
    base, new = runs
    code, out, _ = call(capsys, new, "--against", base, "--json", "--strict")
    answer = json.loads(out)
    assert (
        code == answer["exit_code"]
        and answer["is_strict"]
        and answer["benchmarks"]["geneval"]["margin"]["share"] == 0.02
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"judge": "other"}, "judge"), ({"data": "world-2"}, "world-2"), ({"protocol": "corrected"}, "protocol")],
)
def test_a_refused_comparison_ends_with_exit_code_2_and_an_error_in_the_report(capsys, runs, tmp_path, changes, word):
    other = write_run(tmp_path / "other", np.zeros((400, 4)), **changes)  # would be a regression
    report = tmp_path / "j.xml"
    code, _, err = call(capsys, other, "--against", runs[0], "--junit", report)
    assert code == 2 and word in err and err.startswith("Not compared:")
    assert ElementTree.parse(report).find("testsuite/testcase/error").get("type") == "refused"


def test_an_unfinished_run_ends_with_exit_code_3(capsys, runs):
    base, new = runs
    (new / "summary.json").unlink()
    code, out, err = call(capsys, new, "--against", base, "--json")
    assert code == 3 and "not finished" in err and json.loads(out)["answer"] == "incomplete"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{new}"], "either --against BASELINE"),
        (["{new}", "--against", "{base}", "--save-baseline", "x"], "either --against BASELINE"),
        (["{new}", "--against", "nowhere.json"], "no such run directory or baseline file"),
        (["nowhere", "--against", "{base}"], "no such run directory"),
        (["{new}", "--against", "{new}/prompts.jsonl"], "cannot be read as JSON"),
        (["{new}", "--against", "{new}/summary.json"], "not a baseline file"),
        (["{new}", "--against", "{base}", "-b", "genevl"], "Did you mean 'geneval'"),
        (["{new}", "--against", "{base}", "--margin", "2"], "between 0 and 1"),
        (["{new}", "--against", "{base}", "--margin-for", "geneval:1"], "BENCHMARK=SHARE"),
        (["{new}", "--against", "{base}", "--margn", "1"], "--margin"),
        (["{new}", "--against", "{base}", "--inconclusive", "skip"], "report"),
        (["{new}", "--against", "{base}", "--max-missing", "7"], "between 0 and 1"),
        (["--against", "{base}"], "RUN"),
        (["{new}", "{new}/.", "--against", "{base}"], "is given twice; one run is one training seed"),
        (["{new}", "--against", "{base}", "--against", "{base}"], "is given twice"),
        (["{new}", "{new}", "--save-baseline", "{new}/b.json"], "is given twice"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_never_that_of_a_regression(capsys, runs, arguments, message):
    code, out, err = call(capsys, *(a.format(base=runs[0], new=runs[1]) for a in arguments))
    assert code == 2 and message in err and "Traceback" not in err + out


@pytest.mark.parametrize("damage", ["{", '{"kind": "ummbench-baseline", "version": 9}', "[]"])
def test_a_damaged_baseline_is_exit_code_2(capsys, runs, tmp_path, damage):
    file = tmp_path / "b.json"
    file.write_text(damage)
    assert call(capsys, runs[1], "--against", file)[0] == 2


@pytest.mark.parametrize("field", ["runs.0.benchmarks.geneval.terms", "runs.0.benchmarks.geneval.identity", "runs"])
def test_a_baseline_that_lacks_a_field_is_exit_code_2(capsys, runs, tmp_path, field):
    file = tmp_path / "b.json"
    call(capsys, runs[0], "--save-baseline", file)
    data = json.loads(file.read_text())
    at = data
    *path, last = field.split(".")
    for name in path:
        at = at[int(name) if name.isdigit() else name]
    del at[last]
    file.write_text(json.dumps(data))
    code, _, err = call(capsys, runs[1], "--against", file)
    assert code == 2 and "Save the baseline anew" in err


def test_a_report_that_cannot_be_written_is_exit_code_2(capsys, runs):
    base, _ = runs
    code, _, err = call(capsys, base, "--against", base, "--junit", base)
    assert code == 2 and "cannot be written" in err


def test_several_runs_are_seeds_of_one_method(capsys, tmp_path):
    seeds = [write_run(tmp_path / f"s{i}", draw_pair(60, 4, 0.0, i)[1]) for i in range(3)]
    code, out, _ = call(capsys, *seeds, "--against", seeds[0], "--margin", "0.5")
    assert code == 0 and "new seeds, new prompts" in " ".join(out.split())


@pytest.mark.slow
def test_the_committed_baseline_passes_the_shipped_checkpoint_and_flags_a_damaged_one(tmp_path):
    """Noise on the weights that costs GenEval some points."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    damaged = tmp_path / "damaged"
    shutil.copytree(ROOT / "harness/models/micro/weights", damaged)
    weights, generator = load_file(damaged / "model.safetensors"), torch.Generator().manual_seed(0)
    noisy = {
        k: v + 0.04 * v.float().std().to(v.dtype) * torch.randn(v.shape, generator=generator).to(v.dtype)
        if v.ndim > 1
        else v
        for k, v in weights.items()
    }
    save_file(noisy, damaged / "model.safetensors")
    codes = {}
    for model in ("micro", str(damaged)):
        out = tmp_path / f"run-{len(codes)}"
        run = [sys.executable, "run.py"]
        subprocess.run(
            [*run, "eval", model, "-b", "geneval", "-o", str(out)], cwd=ROOT, check=True, capture_output=True
        )
        checked = [*run, "check", str(out), "--against", "baselines/micro.json"]
        codes[model] = subprocess.run(checked, cwd=ROOT, check=False, capture_output=True).returncode
    assert list(codes.values()) == [0, 1]
