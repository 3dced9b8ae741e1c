"""The command `report` on a real pair of micro runs and on runs written by hand: console, files, mistakes."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from harness.cli.main import main
from tests.conftest import ROOT
from tests.reports.significance_data import make_terms, write_run

CAT, W = np.arange(60) % 3, np.full(3, 1 / 3)


def call(capsys, *arguments):
    """(exit code, standard output, standard error) of a command run in this process."""
    with pytest.raises(SystemExit) as leaving:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    """Two evaluations of the shipped micro model that differ in the number of steps."""
    folder = tmp_path_factory.mktemp("micro")
    for steps in (1, 10):
        with pytest.raises(SystemExit) as leaving:
            out, setting = str(folder / f"s{steps}"), f"generation.num_inference_steps={steps}"
            limits = ["--limit", "24", "--samples-per-prompt", "1"]
            main(["eval", "-b", "geneval", *limits, "-o", out, "--set", setting])
        assert leaving.value.code == 0
    return folder


def made(folder, name, *, shift=0.0, seed=0, **options):
    rng = np.random.default_rng(seed)
    values = {
        "overall": make_terms(np.clip(rng.random(60) * 0.5 + 0.2 + shift, 0, 1), CAT, W),
        "task/a": make_terms(rng.random(60).round(), CAT, W),
    }
    return write_run(folder / name, {"geneval": values}, model=name, **options)


def test_two_real_runs_are_compared(capsys, micro, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(
        capsys, "report", micro / "s10", micro / "s1", "-o", tmp_path, "--no-page", "--format", "md,csv"
    )
    assert code == 0
    assert "Differences from s10" in out and "about these checkpoints only (paired t)" in out
    assert [line for line in out.splitlines() if len(line) > 80 and "/" not in line] == []
    found = json.loads((tmp_path / "report.json").read_text())
    d = found["differences"][0]
    tables = [json.loads((micro / s / "summary.json").read_text())["benchmarks"]["geneval"] for s in ("s1", "s10")]
    assert d["est"] == pytest.approx(tables[0]["values"]["overall"]["value"] - tables[1]["values"]["overall"]["value"])
    assert d["n_prompts"] == 24 == d["n_better"] + d["n_worse"] + d["n_equal"]
    assert d["mcnemar"]["only_x"] == d["n_better"]  # one image per prompt
    assert "Differences from s10" in (tmp_path / "report.md").read_text()
    rows = list(csv.DictReader((tmp_path / "tables" / "differences.csv").open()))
    assert [r["condition"] for r in rows] == ["s1"] and float(rows[0]["difference"]) == d["est"]
    assert (tmp_path / "figures" / "differences.svg").stat().st_size > 1000


def test_reading_leaves_the_runs_as_they_are(capsys, micro, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in micro.rglob("*") if p.is_file()}
    assert call(capsys, "report", micro / "s10", micro / "s1", "-o", tmp_path, "--no-plots", "--no-page")[0] == 0
    assert {p: p.stat().st_mtime_ns for p in micro.rglob("*") if p.is_file()} == before


def test_a_single_real_run_shows_its_values_and_gets_a_page(capsys, micro):
    code, out, _ = call(capsys, "report", micro / "s1", "--no-plots")
    values = json.loads((micro / "s1" / "summary.json").read_text())["benchmarks"]["geneval"]["values"]
    assert code == 0 and f"{values['overall']['value']:.4f}" in out and "Differences" not in out
    assert (micro / "s1" / "report" / "index.html").is_file()
    assert "task/position" in (micro / "s1" / "report" / "report.md").read_text()


def test_view_writes_the_page_once_and_prints_its_path(capsys, micro):
    page = micro / "s10" / "report" / "index.html"
    code, out, _ = call(capsys, "view", micro / "s10", "--no-open")
    assert code == 0 and out.strip() == str(page) and page.is_file()
    written = page.stat().st_mtime_ns
    assert call(capsys, "view", micro / "s10", "--no-open")[0] == 0 and page.stat().st_mtime_ns == written
    code, _, err = call(capsys, "view", micro / "none", "--no-open")
    assert code == 2 and "no such folder" in err


def test_a_page_that_cannot_be_written_is_told_with_its_path(capsys, micro, tmp_path):
    shutil.copytree(micro / "s10", tmp_path / "run", ignore=shutil.ignore_patterns("report"))
    (tmp_path / "run" / "report").touch()
    code, _, err = call(capsys, "view", tmp_path / "run", "--no-open")
    assert code == 1 and err.startswith(f"Error: {tmp_path / 'run' / 'report'}") and "permissions" in err


def test_view_opens_a_browser_where_there_is_a_display(capsys, micro, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    call(capsys, "view", micro / "s10")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    call(capsys, "view", micro / "s10")
    assert opened == [(micro / "s10" / "report" / "index.html").as_uri()]


def test_a_mistyped_reference_lists_the_conditions(capsys, tmp_path):
    a, b = made(tmp_path, "base"), made(tmp_path, "trained", seed=1)
    code, _, err = call(capsys, "report", a, b, "--against", "bsae")
    assert code == 2 and "Unknown condition in --against 'bsae'. Did you mean 'base'? Known: base, trained." in err


def test_the_reference_may_be_called_by_its_folder_where_conditions_carry_models_names(capsys, tmp_path):
    a, b = (write_run(tmp_path / n, {"geneval": {"overall": t}}, model=m) for n, m, t in folders_and_models())
    code, out, _ = call(capsys, "report", a, b, "--against", "trained", "-o", tmp_path / "o", "--no-page", "--no-plots")
    assert code == 0 and "Differences from long/path/of/a/checkpoint" in out


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_names_and_numbers_survive_every_width_of_the_terminal(capsys, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    a, b = (write_run(tmp_path / n, {"geneval": {"overall": t}}, model=m) for n, m, t in folders_and_models())
    code, out, _ = call(capsys, "report", a, b, "-o", tmp_path / "o", "--no-page", "--no-plots")
    lines = out.splitlines()
    assert code == 0 and "long/path/of/a/checkpoint" in lines
    (row,) = [line for line in lines if line.startswith("  geneval")]
    assert row.endswith(("higher", "lower", "no")) and "[" in row


def folders_and_models():
    rng = np.random.default_rng(5)
    for folder, model in (("base", "micro"), ("trained", "long/path/of/a/checkpoint")):
        yield folder, model, make_terms(rng.random(60), CAT, W)


def test_a_refused_comparison_is_told_once_and_no_correction_is_claimed(capsys, tmp_path):
    a, b = made(tmp_path, "a"), made(tmp_path, "b", judge="judge-2")
    code, out, _ = call(capsys, "report", a, b, "-o", tmp_path / "o", "--no-page", "--no-plots")
    text = " ".join(out.split())
    assert code == 0 and text.count("differ in judge") == 1 and "Holm" not in text


def test_a_reader_that_leaves_is_no_failure(tmp_path):
    run = made(tmp_path, "a")
    code = (
        "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); from harness.cli.main import main; "
        f"main(['report', {str(run)!r}, '--no-page', '--no-plots'])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Name at least one run directory"),
        (["none"], 2, "none: no such folder."),
        (["a", "--format", "mdd"], 2, "Unknown table format 'mdd'. Did you mean 'md'?"),
        (["a", "a"], 2, "a is given twice"),
        (["a", "--group", "x"], 2, "--group 'x': expected NAME=DIR,DIR,..."),
        (["a", "--table", "9"], 2, "9 is not in the range 1<=x<=5"),
        (["a", "b", "--against", "a"], 1, "Nothing can be compared with a: geneval: b and a differ in judge"),
    ],
)
def test_mistakes_are_answered(capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    made(tmp_path, "a")
    made(tmp_path, "b", judge="judge-2")
    found, _, err = call(capsys, "report", *arguments)
    assert found == code and message in " ".join(err.split())
    assert not (tmp_path / "report").exists()


def test_groups_of_seeds_are_compared_with_seeds_as_a_factor(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arms = {
        n: [made(tmp_path, f"{n}{s}", seed=10 * s + i, shift=0.2 * i) for s in range(4)] for i, n in enumerate("xy")
    }
    groups = [f"{n}={','.join(map(str, runs))}" for n, runs in arms.items()]
    code, out, _ = call(capsys, "report", "--group", groups[0], "--group", groups[1], "--no-page", "--json")
    d = json.loads(out)["differences"][0]
    assert code == 0 and (d["seeds_x"], d["seeds_y"], d["level"]) == (4, 4, "new seeds, new prompts")
    assert d["verdict"] == "higher, significant" and d["exact"]["test"] == "permutation"
    assert (tmp_path / "report" / "report.md").is_file()
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Satterthwaite t" in text and "seed sd" in text


def test_a_sweeps_directory_gets_one_report_per_evaluation(capsys, tmp_path):
    for name in ("off-0", "off-1", "init-0", "init-1", "base"):
        made(tmp_path / "s", name, seed=len(name) + int(name[-1] == "1"))
    for evaluation in ("first", "second"):
        folder = tmp_path / "s" / "results" / evaluation
        folder.mkdir(parents=True)
        conditions = {c: [{"seed": i, "run": f"../../{c}-{i}"} for i in (0, 1)] for c in ("off", "init")}
        index = {"name": "t", "reference": "off", "conditions": conditions, "base": "../../base", "family": ["geneval"]}
        (folder / "sweep.json").write_text(json.dumps({**index, "evaluation": evaluation}))
    code, out, _ = call(capsys, "report", tmp_path / "s", "--no-page", "--no-plots")
    assert code == 0 and out.count("Differences from off") == 2 and out.count("the model before training") == 2
    assert out.count("p: one planned test") == 2 and out.count("Holm over 2 planned tests") == 2  # the base's own
    assert (tmp_path / "s" / "results" / "first" / "report" / "tables" / "differences.tex").is_file()
    for evaluation in ("first", "second"):
        found = json.loads((tmp_path / "s" / "results" / evaluation / "report" / "report.json").read_text())
        assert [d["x"] for d in found["differences"]] == ["init"]
        assert [d["x"] for d in found["against_base"]] == ["off", "init"]
        assert found["against_base"][0]["test"] == "integrated t"


def test_names_from_data_are_text_everywhere(capsys, tmp_path):
    a, b = made(tmp_path, "a"), made(tmp_path, "b", seed=1)
    for folder, name in ((a, "[bold]x|y"), (b, "<script>")):
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps({**summary, "model": name}))
    code, out, _ = call(capsys, "report", a, b, "-o", tmp_path / "o", "--no-page", "--format", "md,html")
    assert code == 0 and "[bold]x|y" in out and "<script>" in out
    assert "<script>" not in (tmp_path / "o" / "tables.html").read_text()
    assert "\\[bold\\]x\\|y" in (tmp_path / "o" / "report.md").read_text()


def test_several_runs_beyond_the_limit_get_no_page_unasked(capsys, tmp_path):
    runs = [made(tmp_path, f"r{i}", seed=i) for i in range(7)]
    code, out, _ = call(capsys, "report", *runs, "-o", tmp_path / "o", "--no-plots")
    out = " ".join(out.split())
    assert code == 0 and "No page: 7 runs are more than 6; --page makes it all the same." in out
    assert "Holm over 6 planned tests" in out and not (tmp_path / "o" / "index.html").exists()


def test_report_loads_no_model_library(tmp_path):
    a, b = made(tmp_path, "a"), made(tmp_path, "b", seed=1)
    code = (
        "import sys\nfrom harness.cli.main import main\n"
        f"try:\n main(['report', {str(a)!r}, {str(b)!r}, '--no-page', '--no-plots', '-o', {str(tmp_path / 'o')!r}])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'statsmodels', 'pandas'} & set(sys.modules)\nassert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path, env=environment)
