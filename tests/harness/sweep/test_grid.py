import json

import pytest

from harness.errors import ConfigError, DataError
from harness.sweep.cells import BASE, expand, is_finished, part, record_settings
from harness.sweep.config import load_sweep, shipped_sweeps
from harness.sweep.index import write_index

TINY = """
title: tiny
train: micro-rt2i
set: {steps: 1, prompts_per_step: 2, group_size: 2, samples_every: 0}
seeds: 0-1
base: micro
reference: plain
conditions:
  plain: {}
  off: {reward.options.dvreward.scoring: binary}
evaluate:
  cnn: {benchmarks: [geneval], judge: micro-cnn, images_of: verifier}
  verifier: {benchmarks: [geneval], limit: 12, samples_per_prompt: 1}
"""


def sweep(tmp_path, text=TINY, *settings):
    file = tmp_path / "tiny.yaml"
    file.write_text(text)
    return load_sweep(str(file), settings)[0]


@pytest.mark.parametrize("name", shipped_sweeps())
def test_shipped_sweeps_expand_into_valid_cells_with_ten_micro_seeds(name, tmp_path):
    config, _ = load_sweep(name)
    cells = expand(config, tmp_path)
    assert len(cells) == len(config.seeds) * len(config.conditions) + (config.base is not None)
    assert len({c.folder for c in cells}) == len(cells)
    assert config.note
    if config.base == "micro":
        assert len(config.seeds) == 10


def test_sweep_of_recipes_leaves_to_the_recipe_what_recipes_differ_in(tmp_path):
    config, _ = load_sweep("recipes")
    settings = expand(config, tmp_path)[-1].steps[0].settings
    assert "text_weight" not in settings["loss"]
    assert settings["recipe"] == "official_code"


def test_grid_runs_seed_by_seed_and_evaluates_own_pictures_before_other_judges_see_them(tmp_path):
    cells = expand(sweep(tmp_path), tmp_path / "out")
    assert [c.label for c in cells] == ["base", "plain/seed-0", "off/seed-0", "plain/seed-1", "off/seed-1"]
    assert [s.name for s in cells[1].steps] == ["train", "eval-verifier", "eval-cnn"]
    assert cells[1].steps[2].images_of == "eval-verifier"
    assert cells[1].steps[2].settings["limit"] == 12  # the samples of the evaluation that made them
    assert cells[2].steps[0].settings["reward"]["options"]["dvreward"] == {"scoring": "binary"}
    assert cells[2].steps[0].settings["seed"] == 0
    assert cells[0].steps[0].model == "micro"


def test_parts_for_a_job_scheduler_cover_the_grid_once(tmp_path):
    cells = expand(sweep(tmp_path), tmp_path)
    parts = [c.label for i in range(1, 4) for c in part(cells, f"{i}/3")]
    assert sorted(parts) == sorted(c.label for c in cells)
    for wrong in ("0/3", "4/3", "1", "a/b"):
        with pytest.raises(ConfigError, match="i/n"):
            part(cells, wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("evaluate: {}", "evaluate"), "name at least one evaluation"),
        (("off: {reward.options", "'../x': {reward.options"), "names a folder"),
        (("scoring: binary", "scorin: binary"), "scorin"),
        (("reference: plain", "reference: plein"), "plain"),
        (("images_of: verifier", "images_of: verifyer"), "verifier"),
        (("judge: micro-cnn", "jugde: micro-cnn"), "judge"),
        (("seeds: 0-1", "seeds: 1-0"), "line 5: seeds"),
        (("seeds: 0-1", "seeds: 3"), "line 5: seeds is '3'; expected a list, or a range as 0-9"),
        (("steps: 1", "stesp: 1"), "steps"),
        (("seeds: 0-1", "unset: [loss.nothing]"), "does not set"),
    ],
)
def test_mistakes_in_a_sweep_are_told_before_anything_runs(tmp_path, change, message):
    old, new = change
    text = TINY.replace(old, new) if old != "evaluate: {}" else TINY.split("evaluate")[0] + "evaluate: {}\n"
    with pytest.raises(ConfigError, match=message):
        expand(sweep(tmp_path, text), tmp_path / "out")


def test_unknown_sweep_lists_the_shipped_ones():
    with pytest.raises(ConfigError, match=r"fpr.*table1"):
        load_sweep("frp")


def test_settings_change_the_sweep_itself(tmp_path):
    assert sweep(tmp_path, TINY, "seeds=[7]", "set.steps=3").seeds == [7]
    assert sweep(tmp_path, TINY, "seeds=2-4").seeds == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"^--set seeds=5: seeds is '5'; expected a list, or a range"):
        sweep(tmp_path, TINY, "seeds=5")


def finish(cell, step):
    record_settings(cell, step)
    if step.name == "train":
        folder = cell.folder / "train" / "checkpoints" / "step-000001"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    else:
        (cell.folder / step.name).mkdir(parents=True)
        (cell.folder / step.name / "summary.json").write_text('{"complete": true}')


def test_finished_steps_are_recognised_and_other_settings_are_refused(tmp_path):
    out = tmp_path / "out"
    cell = expand(sweep(tmp_path), out)[1]
    assert not any(is_finished(cell, s) for s in cell.steps)
    for step in cell.steps:
        finish(cell, step)
    assert all(is_finished(cell, s) for s in cell.steps)
    changed = expand(sweep(tmp_path, TINY, "set.optim.lr=0.5"), out)[1]
    with pytest.raises(ConfigError, match=r"optim\.lr"):
        is_finished(changed, changed.steps[0])


def test_incomplete_evaluation_is_not_finished(tmp_path):
    cell = expand(sweep(tmp_path), tmp_path / "out")[0]
    finish(cell, cell.steps[0])
    (cell.folder / cell.steps[0].name / "summary.json").write_text('{"complete": false}')
    assert not is_finished(cell, cell.steps[0])


def test_a_damaged_summary_is_unfinished_and_damaged_settings_are_named(tmp_path):
    cell = expand(sweep(tmp_path), tmp_path / "out")[0]
    step = cell.steps[0]
    finish(cell, step)
    (cell.folder / step.name / "summary.json").write_text('{"complete": tr')
    assert not is_finished(cell, step)
    own = cell.folder / f"{step.name}.json"
    own.write_text(own.read_text()[:-5])
    with pytest.raises(DataError, match=rf"{own.name}: damaged .* Restore it, or remove it together with"):
        is_finished(cell, step)


def test_index_lists_finished_runs_by_evaluation_and_names_what_is_missing(tmp_path):
    out = tmp_path / "out"
    config = sweep(tmp_path)
    cells = expand(config, out)
    for cell in cells[:3]:
        for step in cell.steps[:2]:
            finish(cell, step)
    folders = write_index(config, "tiny", cells, out)
    assert [f.name for f in folders] == ["verifier"]  # no trained cell has answers of the other judge
    index = json.loads((out / "results" / "verifier" / "sweep.json").read_text())
    assert [r["seed"] for r in index["conditions"]["plain"]] == [0]
    assert (folders[0] / index["conditions"]["off"][0]["run"]).resolve() == (out / "off/seed-0/eval-verifier").resolve()
    assert (folders[0] / index["base"]).resolve() == (out / BASE / "eval-verifier").resolve()
    assert index["missing"] == ["plain/seed-1", "off/seed-1"]
    assert index["reference"] == "plain"
    assert index["family"] == ["geneval"]
    assert index["seeds_paired"]
