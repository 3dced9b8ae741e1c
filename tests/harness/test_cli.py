"""The command line as a user meets it: help, mistakes, exit codes, JSON."""

import json
import subprocess
import sys

import pytest

from harness.cli.main import main
from tests.conftest import ROOT

PLUGIN = ["--plugin", "tests.harness.toy"]
EVAL = ["eval", "painter", "-b", "toy", *PLUGIN]


def call(capsys, *arguments):
    """(exit code, standard output, standard error) of a command run in this process."""
    with pytest.raises(SystemExit) as leaving:
        main(list(arguments))
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))


def test_help_imports_nothing_heavy_and_lists_every_command():
    code = (
        "import sys\ntry:\n from harness.cli.main import main; main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'matplotlib', 'rich', 'yaml', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert all(name in out for name in ("eval", "rescore", "train", "list", "doctor", "Exit codes", "Example"))


@pytest.mark.parametrize("command", ["eval", "rescore", "train", "data", "list", "doctor"])
def test_every_command_has_help_with_an_example(capsys, command):
    code, out, _ = call(capsys, command, "--help")
    assert code == 0 and "Example" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evl"], "No such command 'evl'. Did you mean 'eval'?"),
        (["eval", "--limt", "3"], "Did you mean"),
        (["eval", "-b", "genevl"], "Unknown benchmark 'genevl'. Did you mean 'geneval'?"),
        (["eval", "paintr", *PLUGIN], "Unknown model 'paintr'. Did you mean 'painter'?"),
        (["eval", "painter", "-b", "toy", "--judge", "tyo", *PLUGIN], "Unknown judge 'tyo'. Did you mean 'toy'?"),
        (["eval", "--set", "sede=3"], "unknown key 'sede'"),
        (["eval", "--set", "generation.temprature=0"], "Did you mean 'temperature'"),
        ([*EVAL, "--set", "toy.m=3"], "options of toy: unknown key 'm'"),
        (["eval", "--seeds", "a"], "--seeds 'a': expected integers"),
        (["eval", "-c", "none.yaml"], "none.yaml: cannot be read"),
        (["eval", "--plugin", "no_such_module"], "--plugin no_such_module: cannot be imported"),
        (["train", "micro-pretain"], "Did you mean 'micro-pretrain'"),
        (["rescore", "."], "name the benchmark whose format it has"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, arguments, message):
    code, out, err = call(capsys, *arguments)
    assert code == 2 and message in err and "Traceback" not in err + out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "./nowhere"], "nowhere: no such checkpoint folder"),
        (["eval", "images:nowhere", "-b", "toy", *PLUGIN], "no such folder"),
        (["rescore", "nowhere.jsonl", "-b", "geneval"], "no such file or folder"),
        (["eval", "--from", "nowhere"], "not the manifest of a run directory"),
    ],
)
def test_failures_are_one_line_and_exit_code_1(capsys, arguments, message):
    code, _, err = call(capsys, *arguments)
    assert code == 1 and message in err


def test_eval_prints_the_table_and_writes_the_files(capsys, tmp_path):
    code, out, _ = call(capsys, *EVAL, "-o", "out")
    assert code == 0 and "overall" in out and "Run directory: out" in out
    for name in ("manifest.json", "summary.json", "summary.md", "scores.jsonl", "report/contact-toy.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "complete" and manifest["identity"]["policy"] == "painter-"


def test_eval_json_is_summary_json(capsys, tmp_path):
    code, out, _ = call(capsys, *EVAL, "--json")
    summary = json.loads(out)
    assert code == 0 and summary["complete"]
    assert json.loads((tmp_path / summary["run"] / "summary.json").read_text()) == summary
    cell = summary["benchmarks"]["toy"]["values"]["overall"]
    assert set(cell) >= {"value", "ci_low", "ci_high", "n", "n_missing"}


def test_missing_answers_end_with_exit_code_3_and_the_reason(capsys):
    code, out, err = call(capsys, "eval", "painter:failing", "-b", "toy", *PLUGIN)
    assert code == 3 and "6 missing: out of paint" in out and "Repeat the command" in err
    code, _, _ = call(capsys, "eval", "painter:failing", "-b", "toy", "--max-missing", "0.5", *PLUGIN)
    assert code == 0


def test_several_models_get_a_directory_each(capsys, tmp_path):
    code, out, _ = call(capsys, "eval", "painter:a", "painter:b", "-b", "toy", "-o", "both", "--json", *PLUGIN)
    assert code == 0 and set(json.loads(out)["models"]) == {"painter:a", "painter:b"}
    assert len(list((tmp_path / "both").iterdir())) == 2


def test_dry_run_counts_and_writes_nothing(capsys, tmp_path):
    code, out, _ = call(capsys, *EVAL, "--dry-run", "--json")
    row = json.loads(out)["painter"]["benchmarks"][0]
    assert code == 0 and (row["n_images"], row["n_calls"], row["n_questions"], row["n_images_stored"]) == (
        24,
        24,
        72,
        0,
    )
    assert not (tmp_path / "runs").exists()
    call(capsys, *EVAL)
    _, out, _ = call(capsys, *EVAL, "--dry-run", "--json")
    assert json.loads(out)["painter"]["benchmarks"][0]["n_images_stored"] == 24


def test_a_configuration_file_and_options_combine(capsys, tmp_path):
    (tmp_path / "run.yaml").write_text("benchmarks: [toy]\nmodels: [painter]\nlimit: 3\ntoy:\n  n: 6\n")
    _, out, _ = call(capsys, "eval", "-c", "run.yaml", "--limit", "2", "--json", *PLUGIN)
    block = json.loads(out)["benchmarks"]["toy"]
    assert (block["data"], block["n_prompts"]) == ("toy-6", 2)


def test_rescore_of_a_run_equals_its_summary(capsys):
    _, out, _ = call(capsys, *EVAL, "-o", "out", "--json")
    code, again, _ = call(capsys, "rescore", "out", "--json", *PLUGIN)
    assert code == 0 and json.loads(again) == json.loads(out)
    code, _, err = call(capsys, "rescore", "out", "-b", "geneval", *PLUGIN)
    assert code == 1 and "holds no results of 'geneval'" in err


def test_images_judged_again_with_another_judge(capsys):
    call(capsys, *EVAL, "-o", "out", "--limit", "4")
    code, out, _ = call(capsys, "eval", "--from", "out", "--judge", "toy:second", "-o", "again", "--json", *PLUGIN)
    block = json.loads(out)["benchmarks"]["toy"]
    assert code == 0 and block["judge"] == "eye-second" and block["n_samples"] == 8


def test_pictures_made_elsewhere_are_scored_and_missing_ones_counted(capsys, tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        for j in range(2):
            Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(folder / f"{i:03d}_{j}.png")
    (folder / "003_1.png").write_text("not an image")
    arguments = ["eval", f"images:{folder}", "-b", "toy", "--set", "toy.n=5", "-o", "out", "--json", *PLUGIN]
    code, out, _ = call(capsys, *arguments)
    reasons = json.loads(out)["benchmarks"]["toy"]["missing_reasons"]
    assert code == 3 and sum(reasons.values()) == 9
    assert any("003_1.png: not an image" in r for r in reasons) and any("no picture of toy/004" in r for r in reasons)


def test_list_answers_as_text_and_json(capsys):
    code, out, _ = call(capsys, "list", "--json")
    found = json.loads(out)
    assert code == 0 and {"geneval", "tiif"} <= {e["name"] for e in found["benchmarks"]}
    assert "micro" in {e["name"] for e in found["models"]} & {e["name"] for e in found["judges"]}
    code, out, _ = call(capsys, "list", "benchmarks")
    assert code == 0 and "2310.11513" in out
