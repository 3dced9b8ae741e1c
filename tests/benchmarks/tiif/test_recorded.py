"""The official summaries of recorded results of two models, recomputed."""

import hashlib
import json
from pathlib import PurePosixPath

import pytest

from benchmarks.sources import read_files
from benchmarks.tiif.records import read_records

from . import synthetic

_GROUPS = {
    "Basic_Following_Overall - Overall": "Basic/avg",
    "Advanced_Following_Overall - Overall": "Advanced/avg",
    "Real_World_Following_Overall - Overall": "Real World/avg",
    "Real_Complex - Complex": "Real World/Complex",
}
MODELS = ["GPT-4o", "sd1_5"]


def our_key(official_key):
    if official_key in _GROUPS:
        return _GROUPS[official_key]
    section, _, name = official_key.partition(" - ")
    return f"{section.split('_')[0]}/{name}"


@pytest.fixture(scope="module")
def archive(official):
    return official / "tiif_bench" / "recorded" / "gpt4o_judge_two_models.tar.gz"


@pytest.fixture(scope="module")
def expected(official):
    return json.loads((official / "tiif_bench" / "recorded" / "expected.json").read_text())["judges"]["GPT-4o"]


@pytest.fixture(scope="module", params=["without data", "with data"])
def benchmark(request, official, tmp_path_factory):
    if request.param == "without data":
        return synthetic.adapter()
    folder = tmp_path_factory.mktemp("data")
    (folder / "tiif").symlink_to(official / "tiif_bench")
    return synthetic.adapter(data_dir=folder)


@pytest.fixture(scope="module")
def imported(benchmark, archive):
    return benchmark.import_results(archive)


@pytest.mark.parametrize("model", MODELS)
def test_every_official_number_is_reproduced(benchmark, imported, expected, model):
    table = {s.metric: s for s in benchmark.aggregate(imported[model].prompts, imported[model].scores)}
    official = expected[model]
    for type_, lengths in official["types"].items():
        for length, cell in lengths.items():
            ours = table[f"type/{type_}/{length}"]
            assert (ours.extra["correct"], ours.extra["total"]) == (cell["correct"], cell["total"])
            assert ours.printed == f"{cell['accuracy']:.4f}"
    assert len(official["types"]) == 39
    assert len(official["groups"]) == 12
    for key, lengths in official["groups"].items():
        for length, value in lengths.items():
            assert table[f"{our_key(key)}/{length}"].printed == f"{value:.4f}", key
    for length, value in official["overall"].items():
        assert table[f"overall/{length}"].printed == f"{value:.4f}"
        assert table[f"overall/{length}"].value == pytest.approx(value, abs=1e-4)
    assert table["mean_accuracy"].printed == f"{official['mean_accuracy']:.4f}"


def test_sources_are_named_and_all_replies_parse_to_the_recorded_predictions(imported, expected):
    assert sorted(imported) == MODELS
    for model, result in imported.items():
        assert result.judge == "GPT-4o"
        assert result.report["convention"] == "full-set rows"
        assert result.report["scored"] == result.report["reparsed"] == expected[model]["files"]
        assert not result.report["extra"] + result.report["duplicates"] + result.report["other_questions"]
    assert sum(r.report["reparsed"] for r in imported.values()) == 1073


def test_the_35_missing_images_are_named_and_flagged(benchmark, imported):
    assert [len(imported[m].report["missing"]) for m in MODELS] == [35, 0]
    strong = imported["GPT-4o"]
    lost = {s.key.prompt_id for s in strong.scores if s.value is None}
    assert lost == set(strong.report["missing"])
    overall = [s for s in benchmark.aggregate(strong.prompts, strong.scores) if s.metric.startswith("overall/")]
    assert sum(s.n_missing for s in overall) == 35
    for cell in overall:
        assert not cell.extra["complete"]
        assert "of 277 images" in cell.extra["note"]
        low, high = cell.extra["bounds"]
        assert low < cell.value < high
        assert cell.ci_low < cell.value < cell.ci_high
    weak = imported["sd1_5"]
    complete = [s for s in benchmark.aggregate(weak.prompts, weak.scores) if s.metric.startswith("overall/")]
    assert all(s.extra["complete"] and s.n_missing == 0 and s.n == 277 for s in complete)


def test_protocols_differ_by_the_intermediate_rounding_only(imported):
    weak = imported["sd1_5"]
    official = {s.metric: s for s in synthetic.adapter().aggregate(weak.prompts, weak.scores)}
    corrected = {s.metric: s for s in synthetic.adapter(protocol="corrected").aggregate(weak.prompts, weak.scores)}
    assert official.keys() == corrected.keys()
    assert official["overall/short"].value != corrected["overall/short"].value
    for key, cell in official.items():
        assert cell.value == pytest.approx(corrected[key].value, abs=1e-4)
        assert cell.extra["unrounded"] == corrected[key].value


def test_the_archive_is_the_one_that_the_summary_was_made_from(archive, expected):
    digests = {}
    for file in read_files(archive, (".json",)):
        model, *rest = file.path.parts[1:]
        digest = digests.setdefault(model, hashlib.sha256())
        digest.update(str(PurePosixPath(*rest)).encode() + b"\0" + file.data + b"\0")
    assert {m: d.hexdigest() for m, d in digests.items()} == {m: expected[m]["tree_sha256"] for m in MODELS}


def test_read_records_keeps_questions_trimmed_and_answers_lower_case(archive):
    models, n_other = read_records(archive)
    assert n_other == 0
    for model in models.values():
        for record in model.records:
            assert all(q == q.strip() and "\n" not in q for q in record.questions)
            assert set(record.answers) <= {"yes", "no"}
