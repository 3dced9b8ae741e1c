import dataclasses
from pathlib import Path

import pytest

from harness.config import build, read_yaml
from harness.errors import ConfigError
from harness.evalconfig import EvalConfig
from harness.evaluate import make_benchmark
from harness.registry import MODELS
from reports.paper.pricing import config_of, locked_counts, price
from reports.paper.rows import rows, table, with_models
from tests.reports.paper.making import row_of

ALL = [(n, r) for n in range(1, 6) for r in rows(n)]
CONFIGS = Path(__file__).parents[3] / "trainers" / "configs"


@pytest.mark.parametrize(("number", "row"), ALL, ids=[f"{n}-{r.key}" for n, r in ALL])
def test_every_row_is_a_valid_evaluation_of_one_benchmark(number, row):
    config = build(EvalConfig, {"models": [row.model], **row.eval})
    assert (config.profile, config.protocol, config.benchmarks) == ("official", "official", [row.benchmark])
    benchmark = make_benchmark(row.benchmark, config)
    published = [v for v in table(number).values if v.row == row.row and v.judge is not None]
    columns = table(number).columns
    for value in published:
        if columns[value.column].benchmark == row.benchmark and columns[value.column].metric:
            assert value.judge in row.eval["judge"]
            assert value.judge_wording in (None, benchmark.judge_prompt)
    assert ("models" in row.eval) is not row.is_placeholder


@pytest.mark.parametrize("number", range(1, 6))
def test_no_row_of_the_paper_is_dropped_and_keys_differ(number):
    keys = [r.key for r in rows(number)]
    assert len(set(keys)) == len(keys)
    assert list(dict.fromkeys(r.row for r in rows(number))) == list(table(number).rows)


def test_models_outside_this_version_are_listed_with_the_reason():
    for key, family in (("show-o/geneval", "show-o"), ("janus-pro/tiif", "janus-pro"), ("bagel/wise", "bagel")):
        row = row_of(1, key)
        assert row.family == family
        missing = f"model {family!r} is not part of this version"
        assert (missing in row.state) is (family not in MODELS.names())
    assert row_of(1, "sd3-medium/geneval").state == "ready"


def test_a_row_without_public_checkpoint_waits_for_the_users_own():
    row = row_of(1, "alphagrpo-rt2i/geneval")
    assert row.is_placeholder and "give one with --model alphagrpo-rt2i=PATH" in row.state
    filled = {r.key: r for r in with_models(rows(1), {"alphagrpo-srr": "bagel:/ckpt", "alphagrpo-rt2i": "ck/rt2i"})}
    assert filled["alphagrpo-rt2i/geneval"].eval["models"] == ["ck/rt2i"]
    assert filled["alphagrpo-srr-inference/dpg"].model == "bagel:/ckpt"
    assert "--model" not in filled["alphagrpo-srr/wise/think"].state
    assert filled["bagel/geneval"].model == row_of(1, "bagel/geneval").model


def test_a_mistyped_placeholder_is_told():
    with pytest.raises(ConfigError, match=r"Unknown placeholder 'alphagrpo-rt2'\. Did you mean 'alphagrpo-rt2i'"):
        with_models(rows(1), {"alphagrpo-rt2": "x"})


def test_refinement_rows_ask_for_all_gates_and_both_modes():
    found = [r for r in rows(1) if r.row == "alphagrpo-srr-inference"]
    assert {r.benchmark for r in found} == {"tiif", "geneval", "dpg"}
    for row in found:
        assert row.eval["gates"] == ["all", "self", "verifier", "oracle"] and row.eval["gate_judge"]
    assert {r.is_thinking for r in found} == {False, True}


def test_an_unknown_table_is_refused():
    with pytest.raises(ConfigError, match="the paper's tables are 1, 2, 3, 4, 5"):
        rows(6)


def test_training_of_rows_with_a_shipped_configuration_is_a_valid_configuration():
    from harness import config as configs
    from trainers.grpo.config import GrpoConfig

    seen = 0
    for _, row in ALL:
        if row.train is None or not (CONFIGS / f"{row.train['config']}.yaml").exists():
            continue
        data, _ = read_yaml(CONFIGS / f"{row.train['config']}.yaml")
        for key, value in row.train["set"].items():
            *parents, last = key.split(".")
            target = data
            for part in parents:
                target = target.setdefault(part, {})
            target[last] = value
        made = configs.build(GrpoConfig, data)
        assert list(made.reward.weights) == [row.row.partition("-")[2]]
        seen += 1
    assert seen >= 4


def test_prices_without_official_data_come_from_the_locks_and_say_so(tmp_path):
    found = price(row_of(1, "bagel/geneval"), data_dir=str(tmp_path))
    assert (found["basis"], found["n_prompts"], found["n_images"]) == ("locked counts", 553, 2212)
    assert "data prepare geneval" in found["why"] and found["usd"] is None
    tiif = price(row_of(1, "bagel/tiif"), data_dir=str(tmp_path))
    assert (tiif["n_images"], tiif["n_calls"], tiif["n_questions"]) == (554, 554, 2892)
    gedit = price(row_of(2, "bagel/gedit"), data_dir=str(tmp_path))
    assert (gedit["n_prompts"], gedit["n_images"], gedit["n_calls"]) == (606, 606, 1212)
    dpg = price(row_of(1, "bagel/dpg"), data_dir=str(tmp_path))
    assert (dpg["n_prompts"], dpg["n_images"]) == (1065, 4260)


def test_a_refined_row_is_priced_with_its_refinements_and_controls(tmp_path):
    found = price(row_of(1, "alphagrpo-srr-inference/geneval"), data_dir=str(tmp_path))
    assert found["refinement"]["gates"] == ["all", "self", "verifier", "oracle"]
    assert (found["refinement"]["n_images"], found["refinement"]["n_gate_calls"]) == (4424, 6636)


@pytest.mark.parametrize("key", ["bagel/geneval", "sd3-medium/geneval", "alphagrpo-srr-inference/geneval"])
def test_prices_from_data_and_from_locks_count_the_same(official, key):
    row = row_of(1, key)
    from_data = price(row, data_dir=str(official))
    assert from_data["basis"] == "data"
    assert locked_counts(row)[0] * 4 == from_data["n_images"] == from_data["n_calls"] == 2212
    assert from_data["n_questions"] == locked_counts(row)[3]
    if row.eval.get("reflect"):
        counted = price(row, data_dir="/nonexistent")["refinement"]
        assert {k: counted[k] for k in ("n_images", "n_calls", "n_gate_calls", "gates")} == {
            k: from_data["refinement"][k] for k in ("n_images", "n_calls", "n_gate_calls", "gates")
        }


def test_prices_of_tiif_from_data_have_tokens_and_money(official, tmp_path):
    (tmp_path / "tiif").symlink_to(official / "tiif_bench")
    row = row_of(1, "bagel/tiif")
    builtin = {**row.eval, "options": {"tiif": {"set": "testmini"}}}  # upstream's wording is in no clone
    from_data = price(dataclasses.replace(row, eval=builtin), data_dir=str(tmp_path))
    assert from_data["basis"] == "data", from_data["why"]
    assert (from_data["n_prompts"], from_data["n_calls"], from_data["n_questions"]) == (554, 554, 2892)
    assert from_data["usd"] > 0 and from_data["tokens_in"] > 0


def test_prices_never_load_a_model(monkeypatch, tmp_path):
    monkeypatch.setattr("harness.models.load.load_policy", lambda *a, **k: pytest.fail("a model was loaded"))
    assert price(row_of(1, "sd3-medium/wise"), data_dir=str(tmp_path))["n_images"] == 1000


def test_configurations_name_the_model_or_its_placeholder():
    assert config_of(row_of(1, "sd3-medium/geneval")).models == [row_of(1, "sd3-medium/geneval").model]
    assert config_of(row_of(1, "alphagrpo-srr/geneval")).models == ["alphagrpo-srr"]
