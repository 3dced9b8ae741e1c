"""Finished runs as reports read them, and how they become conditions."""

import json

import numpy as np
import pytest

from harness.errors import ConfigError, DataError
from reports.groups import conditions_of, design_of, parse_group, read_sweep, sweeps_below
from reports.runs import differences_in_identity, load_run
from tests.reports.significance_data import make_terms, write_run

TERMS = {"geneval": {"overall": make_terms([0.0, 1.0, 0.5, np.nan], [0, 0, 1, 1], [0.5, 0.5])}}


def test_a_run_gives_its_table_and_the_parts_of_its_values(tmp_path):
    run = load_run(write_run(tmp_path / "r", TERMS, model="m"))
    assert (run.name, run.benchmarks) == ("m", ["geneval"])
    assert run.block("geneval")["values"]["overall"]["value"] == 0.5
    stored, made = run.terms("geneval")["overall"], TERMS["geneval"]["overall"]
    assert stored.prompts == made.prompts and (stored.num == made.num).all() and (stored.den == made.den).all()
    with pytest.raises(DataError, match="holds no 'tiif'; it holds geneval"):
        run.block("tiif")


def test_unfinished_and_damaged_runs_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="is no run directory"):
        load_run(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="was not finished: repeat its `eval` command"):
        load_run(tmp_path / "a")
    (tmp_path / "a" / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"summary\.json: cannot be read as JSON"):
        load_run(tmp_path / "a")
    run = write_run(tmp_path / "b", TERMS)
    (run / "terms.json").unlink()
    with pytest.raises(DataError, match="Repeat the `eval` command of this run"):
        load_run(run).terms("geneval")
    (run / "terms.json").write_text('{"geneval": {"prompts": ["p"], "metrics": {"overall": {"range": [0, 1]}}}}')
    with pytest.raises(DataError, match="metric 'overall': damaged"):
        load_run(run).terms("geneval")


def test_differing_identity_is_named(tmp_path):
    a = load_run(write_run(tmp_path / "a", TERMS))
    b = load_run(write_run(tmp_path / "b", TERMS, judge="judge-2", protocol="corrected"))
    assert differences_in_identity(a, a, "geneval") == []
    assert differences_in_identity(a, b, "geneval") == [
        "protocol: 'official' and 'corrected'",
        "judge: 'judge-1' and 'judge-2'",
    ]


def test_conditions_are_named_by_model_or_by_folder(tmp_path):
    a, b = (load_run(write_run(tmp_path / n, TERMS, model="m")) for n in "ab")
    c = load_run(write_run(tmp_path / "c", TERMS, model="other"))
    assert [x.name for x in conditions_of([a, c])] == ["m", "other"]
    assert [x.name for x in conditions_of([a, b])] == ["a", "b"]
    with pytest.raises(ConfigError, match="is given twice"):
        conditions_of([a, load_run(tmp_path / "c" / ".." / "a")])


def test_groups_are_conditions_of_several_seeds(tmp_path):
    folders = [write_run(tmp_path / n, TERMS, model="m") for n in "abcd"]
    design = design_of([folders[0]], [f"x={folders[1]},{folders[2]}"], against="x")
    assert [(c.name, len(c.runs)) for c in design.conditions] == [("m", 1), ("x", 2)]
    assert design.reference == "x"
    with pytest.raises(ConfigError, match="expected NAME=DIR"):
        parse_group("x")
    with pytest.raises(ConfigError, match="is given twice; one run is one training seed"):
        design_of([folders[0]], [f"x={folders[0]},{folders[2]}"])
    with pytest.raises(ConfigError, match="Two conditions are called 'm'"):
        design_of([folders[0]], [f"m={folders[1]}"])


def test_an_unknown_reference_is_refused_with_near_misses(tmp_path):
    folders = [write_run(tmp_path / n, TERMS, model=n) for n in ("base", "trained")]
    with pytest.raises(ConfigError, match=r"'traned'\. Did you mean 'trained'\? Known: base, trained\."):
        design_of(folders, against="traned")
    assert design_of(folders, against=str(folders[1])).reference == "trained"


def test_a_folder_of_runs_names_them(tmp_path):
    write_run(tmp_path / "runs" / "a", TERMS)
    with pytest.raises(DataError, match="Run directories in it: a"):
        design_of([tmp_path / "runs"])
    with pytest.raises(ConfigError, match="no such folder"):
        design_of([tmp_path / "none"])


def sweep(tmp_path, **changes):
    for name in ("base", "off-0", "off-1", "init-0", "init-1"):
        write_run(tmp_path / "s" / name, TERMS)
    folder = tmp_path / "s" / "results" / "verifier"
    folder.mkdir(parents=True)
    index = {
        "name": "fpr",
        "title": "Floors",
        "evaluation": "verifier",
        "reference": "off",
        "conditions": {
            c: [{"seed": i, "run": f"../../{c}-{i}", "train": f"../../train-{c}-{i}"} for i in (0, 1)]
            for c in ("off", "init")
        },
        "base": "../../base",
        "family": ["geneval"],
        "seeds_paired": True,
        **changes,
    }
    (folder / "sweep.json").write_text(json.dumps(index))
    return folder


def test_a_sweep_brings_conditions_seeds_reference_and_base(tmp_path):
    folder = sweep(tmp_path, missing=["init/seed-2"])
    design = read_sweep(folder)
    assert [(c.name, c.seeds, c.is_base) for c in design.conditions] == [
        ("off", (0, 1), False),
        ("init", (0, 1), False),
        ("base", (), True),
    ]
    assert (design.reference, design.family, design.seeds_paired) == ("off", ("geneval",), True)
    assert design.notes == ("1 cell is not finished and left out: init/seed-2.",)
    assert [len(t) for t in design.train.values()] == [2, 2] and design.title == "Floors, evaluation verifier"
    assert [r.name for r in design.runs] == ["off/seed-0", "off/seed-1", "init/seed-0", "init/seed-1", "base"]
    assert sweeps_below(tmp_path / "s") == [folder] and sweeps_below(folder) == []


def test_without_a_reference_the_base_takes_its_place(tmp_path):
    assert read_sweep(sweep(tmp_path, reference="")).reference == "base"


def test_a_reference_without_runs_is_said(tmp_path):
    design = read_sweep(sweep(tmp_path, conditions={"off": [], "init": [{"seed": 0, "run": "../../init-0"}]}))
    assert design.reference is None
    assert design.notes[:2] == (
        "Condition off has no finished run.",
        "Nothing is compared: the reference off has no finished run.",
    )


def test_a_damaged_index_and_mixed_folders_are_refused(tmp_path):
    folder = sweep(tmp_path, conditions={"off": [{"seed": 0}]})
    with pytest.raises(DataError, match=r"sweep\.json: damaged \(KeyError: 'run'\)"):
        read_sweep(folder)
    with pytest.raises(ConfigError, match="A sweep is reported on its own"):
        design_of([folder, tmp_path / "s" / "base"])
