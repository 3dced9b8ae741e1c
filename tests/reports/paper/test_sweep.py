import json

import pytest
from click.testing import CliRunner

from harness.cli.sweep_command import command
from harness.errors import ConfigError
from reports.paper.sweep import table_sweep, write_report


@pytest.mark.parametrize("number", range(1, 6))
def test_every_row_is_a_cell_or_left_out_with_its_reason(number, tmp_path):
    sweep = table_sweep(f"table{number}", tmp_path, ())
    keys = [r.key for r in sweep.rows]
    cells = [c.condition for c in sweep.cells]
    assert sorted([*cells, *sweep.left_out]) == sorted(keys)
    assert all(sweep.left_out.values())
    assert len({c.folder for c in sweep.cells}) == len(cells)


def test_row_with_a_shipped_training_configuration_is_trained_with_the_row_s_reward(tmp_path):
    cells = {c.condition: c for c in table_sweep("table3", tmp_path, ()).cells}
    train, evaluation = cells["sd35m-viescore/geneval"].steps
    assert train.settings["reward"]["weights"] == {"viescore": 1.0}
    assert train.settings["model"].startswith("sd3:")
    assert evaluation.settings["benchmarks"] == ["geneval"]
    assert "models" not in evaluation.settings


def test_given_checkpoint_fills_a_row_without_training(tmp_path):
    cells = {c.condition: c for c in table_sweep("table3", tmp_path, ("sd35m-viescore=sd3:my/model",)).cells}
    (evaluation,) = cells["sd35m-viescore/tiif"].steps
    assert evaluation.model == "sd3:my/model"
    with pytest.raises(ConfigError, match="sd35m-viescore"):
        table_sweep("table3", tmp_path, ("sd35m-vie=x",))
    with pytest.raises(ConfigError, match="PLACEHOLDER=MODEL"):
        table_sweep("table3", tmp_path, ("sd35m-viescore",))


def test_dry_run_prices_every_row_and_says_what_cannot_run(tmp_path):
    done = CliRunner().invoke(command, ["table1", "-o", str(tmp_path / "t"), "--dry-run", "--json"])
    assert done.exit_code in (0, None), done.output
    plan = json.loads(done.output)
    assert all(p["n_images"] > 0 and p["n_calls"] > 0 for p in plan["rows"])
    assert plan["left_out"]
    assert not (tmp_path / "t").exists()


def test_report_of_a_table_of_which_nothing_ran_has_published_values_and_leaves_ours_empty(tmp_path):
    files = write_report(table_sweep("table5", tmp_path, ()), tmp_path)
    assert {f.suffix for f in files} >= {".md", ".tex", ".csv", ".json", ".html"}
    main = json.loads(next(f for f in files if f.name == "table5.json").read_text())["rows"]
    assert {r["published"] for r in main} >= {77.8, 79.5}
    assert all(r["ours"] is None for r in main)
