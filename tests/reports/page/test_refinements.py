"""Refinements of a real micro evaluation: the page finds each image's own answers and scores."""

import json
import re

import pytest

from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.progress import Silent
from reports.page import write_page
from reports.runs import load_run


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """The run, and its samples as the page has them."""
    folder = tmp_path_factory.mktemp("refined")
    config = EvalConfig(benchmarks=["gedit"], limit=6, samples_per_prompt=1, out=str(folder / "edits"))
    edits = load_run(evaluate(config, "micro", Silent()).path)
    config = EvalConfig(benchmarks=["geneval"], limit=6, samples_per_prompt=1, out=str(folder / "run"), reflect=1)
    run = load_run(evaluate(config, "micro", Silent()).path)
    return run, read(write_page([run], folder / "page")), read(write_page([edits], folder / "edit-page"))


def read(page):
    found = []
    for file in sorted((page.parent / "page-data").glob("details-0-*.js")):
        text = re.fullmatch(r'UMM\.receive\("[^"]+",(".*")\);\n', file.read_text(), re.DOTALL).group(1)
        value = json.loads(json.loads(text))
        found += [{**e, "asked": value["asked"]} for e in value["entries"]]
    return found


def test_gate_rewards_give_the_runs_own_number_of_kept_images(entries):
    run, samples, _ = entries
    rows = run.block("geneval")["refinement"]["rows"]
    for arm in ("refine", "again"):
        made = [next(r for r in e["refined"] if r["arm"] == arm) for e in samples]
        row = next(r for r in rows if r["gate"] == "verifier" and r["arm"] == arm)
        assert row["n_offered"] == len(made) == 6
        assert row["n_accepted"] == sum(gate(r) > gate(e) for r, e in zip(made, samples, strict=True))


def test_scores_of_refinements_give_the_runs_own_value(entries):
    run, samples, _ = entries
    for arm in ("refine", "again"):
        row = next(r for r in run.block("geneval")["refinement"]["rows"] if r["gate"] == "all" and r["arm"] == arm)
        scores = [own(next(r for r in e["refined"] if r["arm"] == arm)["scores"]) for e in samples]
        # One prompt of each of the six tasks: their mean is the overall value, gate `all` keeps every replacement.
        assert row["values"]["overall"]["value"] == pytest.approx(sum(s[0][1] for s in scores) / 6)


def own(scores):
    return [s[:2] for s in scores if s[0] != "gate"]


def gate(entry):
    scores = entry.get("gate") or [s for s in entry["scores"] if s[0] == "gate"]
    return next(s[1] for s in scores if s[0] == "gate")


def test_answers_of_refinement_and_control_are_kept_apart(entries):
    run, samples, _ = entries
    judge = run.block("geneval")["judge"]
    for entry in samples:
        for refined in entry["refined"]:
            own = [q for q in refined["questions"] if entry["asked"][q[0]][3] == judge]
            assert [entry["asked"][q[0]][0] for q in own] == ["detections"]
            assert refined["parent"] == 0


def test_source_images_of_edits_come_from_the_benchmark(entries):
    _, _, edits = entries
    assert all(len(e["sources"]) == 1 and e["sources"][0][1:] == [48, 48] for e in edits)
