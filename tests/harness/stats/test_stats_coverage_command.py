"""The command that measures coverage: exact truths, comparison with what was recorded, resuming, the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def root_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize("name", ["GENEVAL", "TIIF", "GEDIT", "WISE", "DPG", "SMALL"])
def test_simulated_headlines_have_the_truth_that_is_stated(name):
    from bench.simulations import benchmarks
    from harness.stats import influence_values

    b = getattr(benchmarks, name)
    rng, values = np.random.default_rng(1), []
    for _ in range(60):
        a, den = b.draw(rng, b.prompts(rng), [0.0])
        values.append(float(influence_values(a, b.cat, b.w, den).theta[0]))
    assert abs(b.headline(0.0) - b.theta) < 1e-6
    assert abs(np.mean(values) - b.theta) < 4 * np.std(values) / 60**0.5 + 1e-3
    assert len(b.cat) == {"GENEVAL": 553, "TIIF": 277, "GEDIT": 606, "WISE": 1000, "DPG": 1065, "SMALL": 200}[name]


def test_the_seed_effect_has_the_standard_deviation_asked_for():
    from bench.simulations.benchmarks import GENEVAL

    scale = GENEVAL.seed_scale(0.03)
    heads = [GENEVAL.headline(scale * x) for x in np.random.default_rng(2).normal(size=4000)]
    assert abs(np.std(heads) - 0.03) < 0.001
    assert GENEVAL.seed_scale(0.0) == 0.0


def test_a_base_checkpoint_is_one_draw_and_its_own_truth():
    from bench.simulations.seeds import GENEVAL, Seeds

    setting = Seeds(benchmark=GENEVAL, s_x=3, s_y=1, sd_x=0.0, sd_y=0.1)
    rng, errors, truths = np.random.default_rng(3), [], []
    for _ in range(40):
        x, y, _, _, truth = setting.draw(rng)
        head = [np.mean([row[GENEVAL.cat == g].mean() for g in range(6)]) for row in (x.mean(axis=0), y[0])]
        errors.append(head[0] - head[1] - truth)
        truths.append(truth)
    assert np.std(truths) > 3 * np.std(errors)


def test_a_row_is_marked_only_where_a_percentage_is_off():
    from bench.simulations.table import Row

    row = Row(name="r", recorded={"a": 95.0, "b": (4.8, 5.0), "w": 0.5}, run=None, units=frozenset({"w"}))
    assert [row.is_marked("a", v) for v in (93.4, 93.6, 96.6)] == [True, False, True]
    assert [row.difference("b", v) for v in (4.9, 5.5, 4.0)] == pytest.approx([0.0, 0.5, -0.8])
    assert not row.is_marked("w", 9.0)
    assert row.difference("unknown", 3.0) is None


def test_every_row_has_its_own_name_and_every_table_a_key():
    from bench.coverage import TABLES

    assert len({t.key for t in TABLES}) == len(TABLES)
    for table in TABLES:
        assert len({r.name for r in table.rows}) == len(table.rows)


def test_a_second_run_uses_what_is_there_and_a_changed_seed_does_not(tmp_path, capsys):
    from bench.coverage import main

    command = ["--simulations", "10", "--tables", "exact,pairs", "--settings", "sign-flip, 6 normal*,60*", "-o"]
    assert main([*command, str(tmp_path)]) == 0
    first = json.loads((tmp_path / "coverage.json").read_text())
    assert main([*command, str(tmp_path)]) == 0
    assert json.loads((tmp_path / "coverage.json").read_text()) == first
    assert capsys.readouterr().out.count("earlier") >= 2
    assert main([*command, str(tmp_path), "--seed", "7"]) == 0
    second = json.loads((tmp_path / "coverage.json").read_text())
    assert {k: v["seed"] for k, v in second["rows"].items()} == dict.fromkeys(first["rows"], 7)


def test_rows_do_not_depend_on_which_others_are_measured(tmp_path):
    from bench.coverage import main

    for folder, settings in (("all", "60*,100 prompts*"), ("one", "60*")):
        assert (
            main(["--simulations", "20", "--tables", "pairs", "--settings", settings, "-o", str(tmp_path / folder)])
            == 0
        )
    both, one = (json.loads((tmp_path / f / "coverage.json").read_text())["rows"] for f in ("all", "one"))
    (name,) = one
    assert len(both) == 2
    assert both[name]["measured"] == one[name]["measured"]


def test_tables_replace_only_what_stands_between_the_markers(tmp_path):
    from bench.coverage import BEGIN, END, update_page

    page = tmp_path / "statistics.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert update_page(page, ["### A", "### B"])
    assert page.read_text() == f"before\n{BEGIN}\n\n### A\n\n### B\n\n{END}\nafter\n"
    page.write_text("no markers")
    assert not update_page(page, ["x"])
    assert page.read_text() == "no markers"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tables", "score"], "no table score"),
        (["--settings", "zzz"], "no setting"),
        (["--simulations", "0"], "at least 1"),
    ],
)
def test_mistyped_options_are_named(options, message, capsys):
    from bench.coverage import main

    with pytest.raises(SystemExit):
        main(options)
    assert message in capsys.readouterr().err


def test_scripts_of_the_folder_do_not_take_the_command_for_the_coverage_package():
    code = "import coverage"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "bench")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ImportError: this is bench/coverage.py" in done.stderr
