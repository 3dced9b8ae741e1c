"""Recorded results in the official layout: read, matched, counted; and written."""

import math
import shutil
import tarfile

import numpy as np
import pytest

from benchmarks.gedit.adapter import GEdit, GEditOptions
from benchmarks.gedit.groups import GROUPS, ROWS
from benchmarks.gedit.records import COLUMNS, read_results, read_table, tables
from harness.errors import DataError

from .synthetic import csv_bytes, full_prompts, key_of, record, sample, scores_of, write_copy, write_results


def benchmark(protocol="official", data_dir=None, **options):
    return GEdit(profile="official", protocol=protocol, options=GEditOptions(**options), data_dir=data_dir)


def results(rng=None, lang="en"):
    """One record for every row, with made-up scores; the flags are those of the made-up data set."""
    rng = rng or np.random.default_rng(1)
    return {
        g: [
            record(g, i, int(rng.integers(0, 11)), int(rng.integers(0, 11)), lang=lang, flag=str(i % 3 != 0))
            for i in range(ROWS[g])
        ]
        for g in GROUPS
    }


def values(benchmark_, imported):
    return {s.metric: s for s in benchmark_.aggregate(imported.prompts, imported.scores)}


def official_average(rows_by_group, flagged=False):
    """Means of the recorded rows, one after the other, as the statistics are described."""
    groups = []
    for rows in rows_by_group.values():
        mine = [r for r in rows if not flagged or r["intersection_exist"] == "True"]
        groups.append(sum(math.sqrt(r["sementics_score"] * r["quality_score"]) for r in mine) / len(mine))
    return sum(groups) / len(groups)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_copy(root / "gedit")
    return root


@pytest.mark.parametrize("place", ["model/gpt4o/eval_results_new", "gpt4o/eval_results_new"])
@pytest.mark.parametrize("has_data", [True, False])
def test_complete_results_give_the_official_average(tmp_path, data_dir, place, has_data):
    rows = results()
    write_results(tmp_path / place, rows)
    b = benchmark(data_dir=data_dir if has_data else None)
    imported = b.import_results(tmp_path)["model"]
    found = values(b, imported)
    assert found["overall/O"].value == pytest.approx(official_average(rows), abs=1e-12)
    assert found["overall/O"].printed == f"{official_average(rows):.3f}"
    assert found["overall/O"].extra["complete"]
    assert found["intersection/overall/O"].value == pytest.approx(official_average(rows, flagged=True), abs=1e-12)
    assert imported.judge.startswith("gpt4o (folder name; upstream's script calls gpt-4.1")
    assert imported.data.startswith("gedit/en-full@" if has_data else "gedit/en-full as carried")
    assert [n for n in imported.notes if "intersection:" not in n] == []


@pytest.mark.parametrize("depth", range(4))
def test_the_judge_is_known_wherever_the_source_starts(tmp_path, depth):
    path = tmp_path / "model" / "qwen25vl" / "eval_results_new"
    write_results(path, {"color_alter": [record("color_alter", 0, 5, 5)]}, combined=False)
    source = [tmp_path, tmp_path / "model", path, path / "model_color_alter_gpt_score.csv"][depth]
    (found,) = read_results(source)
    assert (found.model, found.judge) == ("model", "qwen25vl")


def test_archives_are_read_without_unpacking(tmp_path):
    write_results(tmp_path / "out" / "gpt4o" / "eval_results_new", results())
    with tarfile.open(tmp_path / "r.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "out", "out")
    shutil.rmtree(tmp_path / "out")
    imported = benchmark().import_results(tmp_path / "r.tar.gz")["model"]
    assert imported.report["records"] == 606


def test_the_subset_intersection_takes_flagged_rows_only(tmp_path, data_dir):
    rows = results()
    write_results(tmp_path, rows)
    b = benchmark(data_dir=data_dir, subset="intersection")
    imported = b.import_results(tmp_path)["model"]
    found = values(b, imported)
    assert found["overall/O"].value == pytest.approx(official_average(rows, flagged=True), abs=1e-12)
    assert found["overall/O"].extra["complete"]
    assert "intersection/overall/O" not in found


def test_languages_are_kept_apart(tmp_path, data_dir):
    english, chinese = results(), results(np.random.default_rng(2), lang="cn")
    write_results(tmp_path, {g: english[g] + chinese[g] for g in GROUPS})
    b = benchmark(data_dir=data_dir, lang="cn")
    imported = b.import_results(tmp_path)["model"]
    assert values(b, imported)["overall/O"].value == pytest.approx(official_average(chinese), abs=1e-12)
    assert any(n.startswith("606 records of the other language") for n in imported.notes)


def test_rows_judged_again_after_a_restart_count_twice_officially_and_once_when_corrected(tmp_path, data_dir):
    rows = results()
    again = record("color_alter", 0, 10, 10)
    first = rows["color_alter"][0] | {"sementics_score": 0, "quality_score": 0}
    rows["color_alter"][0] = first
    rows["color_alter"].append(again)
    write_results(tmp_path, rows)
    official, corrected = (benchmark(p, data_dir) for p in ("official", "corrected"))
    imported = official.import_results(tmp_path)["model"]
    scores = [math.sqrt(r["sementics_score"] * r["quality_score"]) for r in rows["color_alter"]]
    cell = values(official, imported)["group/color_alter/O"]
    assert cell.value == pytest.approx(sum(scores) / 41)
    assert (cell.n, cell.extra["items"]) == (40, 41)
    assert len(imported.report["duplicates"]) == 1
    assert any(n.startswith("1 records repeat a row") and "each counts" in n for n in imported.notes)
    imported = corrected.import_results(tmp_path)["model"]
    assert values(corrected, imported)["group/color_alter/O"].value == pytest.approx(sum(scores[:-1]) / 40)
    assert any("the first of each counts" in n for n in imported.notes)


@pytest.mark.parametrize("has_data", [True, False])
def test_missing_rows_are_counted_and_the_result_is_marked(tmp_path, data_dir, has_data):
    rows = results()
    rows["ps_human"] = rows["ps_human"][:60]
    write_results(tmp_path, rows)
    b = benchmark(data_dir=data_dir if has_data else None)
    imported = b.import_results(tmp_path)["model"]
    cell = values(b, imported)["overall/O"]
    assert (cell.n, cell.n_missing) == (596, 10)
    assert not cell.extra["complete"] and "596 of 606" in cell.extra["note"]
    assert len(imported.report["missing"]) == 10
    if has_data:
        assert imported.report["missing"][0] == f"gedit/en/ps_human/{key_of('ps_human', 'en', 60)}"


def test_a_missing_group_file_leaves_no_overall(tmp_path):
    rows = results()
    del rows["tone_transfer"]
    write_results(tmp_path, rows)
    b = benchmark()
    found = values(b, b.import_results(tmp_path)["model"])
    assert found["overall/O"].value is None
    assert "tone_transfer" in found["overall/O"].method
    assert found["group/color_alter/O"].value is not None


def test_extra_records_and_other_instructions_are_reported(tmp_path, data_dir):
    rows = results()
    rows["color_alter"].append(record("color_alter", 99, 0, 0))
    rows["text_change"][0]["instruction"] = "something else"
    write_results(tmp_path, rows)
    b = benchmark(data_dir=data_dir)
    imported = b.import_results(tmp_path)["model"]
    assert len(imported.report["extra"]) == len(imported.report["other_instruction"]) == 1
    assert imported.data == "gedit/en-full as carried by the records"
    assert values(b, imported)["overall/O"].extra["complete"]


def test_an_empty_flag_counts_as_true_officially_and_is_looked_up_when_corrected(tmp_path, data_dir):
    rows = results()
    rows["color_alter"][0]["intersection_exist"] = ""
    write_results(tmp_path, rows)
    sizes = {}
    for protocol in ("official", "corrected"):
        b = benchmark(protocol, data_dir)
        imported = b.import_results(tmp_path)["model"]
        sizes[protocol] = values(b, imported)["intersection/group/color_alter/O"].n
        assert len(imported.report["without_flag"]) == 1
    assert sizes == {"official": 27, "corrected": 26}


def test_scores_outside_the_scale_count_officially_and_are_missing_when_corrected(tmp_path):
    rows = results()
    rows["color_alter"][0] |= {"sementics_score": 11, "quality_score": 11}
    rows["color_alter"][1] |= {"sementics_score": -1, "quality_score": 5}
    rows["color_alter"][2] |= {"sementics_score": "", "quality_score": 5}
    write_results(tmp_path, rows)
    missing = {}
    for protocol in ("official", "corrected"):
        b = benchmark(protocol)
        imported = b.import_results(tmp_path)["model"]
        missing[protocol] = values(b, imported)["group/color_alter/SC"].n_missing
    assert missing == {"official": 2, "corrected": 3}


def test_the_combined_file_stands_in_for_the_group_files(tmp_path):
    rows = results()
    write_results(tmp_path, rows)
    for path in tmp_path.glob("model_*"):
        if "combined" not in path.name:
            path.unlink()
    b = benchmark()
    imported = b.import_results(tmp_path)["model"]
    assert "read from the combined file only." in imported.notes
    assert values(b, imported)["overall/O"].value == pytest.approx(official_average(rows), abs=1e-12)


def test_a_combined_file_that_differs_is_reported_and_not_used(tmp_path):
    rows = results()
    write_results(tmp_path, rows)
    (tmp_path / "model_combined_gpt_score.csv").write_bytes(csv_bytes(rows["ps_human"]))
    b = benchmark()
    imported = b.import_results(tmp_path)["model"]
    assert any("combined file (70 records) differs" in n for n in imported.notes)
    assert imported.report["records"] == 606


def test_several_models_and_judges_are_told_apart(tmp_path):
    for judge in ("gpt4o", "qwen25vl"):
        write_results(tmp_path / "a" / judge / "eval_results_new", results(), model="a")
    write_results(tmp_path / "b_2" / "gpt4o" / "eval_results_new", results(), model="b_2")
    assert sorted(benchmark().import_results(tmp_path)) == ["a (gpt4o)", "a (qwen25vl)", "b_2"]


def test_the_same_results_twice_are_refused(tmp_path):
    for run in ("one", "two"):
        write_results(tmp_path / run / "gpt4o" / "eval_results_new", results())
    with pytest.raises(DataError, match="a second file of model 'model', judge 'gpt4o'"):
        benchmark().import_results(tmp_path)


GOOD = record("color_alter", 0, 5, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sementics_score": "good"}, r"line 2, field 'sementics_score': 'good' is not a number"),
        ({"quality_score": "inf"}, r"line 2, field 'quality_score': 'inf' is not a finite number"),
        ({"intersection_exist": "yes"}, r"line 2, field 'intersection_exist': 'yes', expected True or False"),
        ({"instruction_language": "zh"}, r"line 2, field 'instruction_language': 'zh', expected en or cn"),
        ({"edited_image": "a/b/other.png"}, r"line 2, field 'edited_image': .* does not belong to the source"),
        ({"edited_image": "", "source_image": ""}, r"line 2, field 'edited_image'"),
    ],
)
def test_damaged_fields_are_named(change, message):
    with pytest.raises(DataError, match="^here, " + message):
        read_table(csv_bytes([{**GOOD, **change}]), where="here", group="color_alter")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no column source_image"),
        (b"a,b\n1,2\n", "no column source_image"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (csv_bytes([GOOD])[:-20], "cut off|expected"),
        (csv_bytes([GOOD]).replace(b"make", b'"make"x'), "not a readable CSV|more fields"),
        (csv_bytes([GOOD]).replace(b"make change 0", b"a, b, c"), "more fields than the header"),
        (csv_bytes([{**GOOD, "instruction": "x" * 200_000}]), "not a readable CSV"),
        (csv_bytes([record("subject-add", 0, 5, 5)]), "group 'subject-add' in the file of 'color_alter'"),
    ],
)
def test_damaged_files_are_refused_with_their_place(data, message):
    with pytest.raises(DataError, match=message):
        read_table(data, where="here", group="color_alter")


def test_a_header_without_rows_is_an_empty_group():
    assert read_table(csv_bytes([]), where="here", group="color_alter") == []


def test_paths_of_any_system_and_without_folders_are_read():
    windows = {k: v.replace("/", "\\") if k.endswith("image") else v for k, v in GOOD.items()}
    for row in (windows, record("color_alter", 0, 5, 5, base=None)):
        (found,) = read_table(csv_bytes([row]), where="here", group="color_alter")
        assert (found.group, found.key) == ("color_alter", key_of("color_alter", "en", 0))
    (found,) = read_table(csv_bytes([windows]), where="here", group=None)
    assert found.group == "color_alter"
    with pytest.raises(DataError, match="unknown GEdit-Bench group"):
        read_table(csv_bytes([record("color_alter", 0, 5, 5, base=None)]), where="here", group=None)


def test_files_of_other_names_are_refused(tmp_path):
    (tmp_path / "model_subject_add_gpt_score.csv").write_bytes(csv_bytes([GOOD]))
    with pytest.raises(DataError, match="with a group of background_change"):
        read_results(tmp_path)
    (tmp_path / "model_subject_add_gpt_score.csv").rename(tmp_path / "scores.csv")
    with pytest.raises(DataError, match="no recorded GEdit-Bench results"):
        read_results(tmp_path)


def test_written_tables_are_read_back_as_they_were(tmp_path):
    prompts = full_prompts()
    rng = np.random.default_rng(3)
    marks = {id_: (float(rng.integers(0, 11)), round(float(rng.uniform(0, 10)), 2)) for id_ in prompts}
    lost = next(iter(prompts))
    scores = [s for id_, v in marks.items() if id_ != lost for s in scores_of(sample(id_), *v)]
    written = tables("mine", prompts, scores, images="out/mine/fullset")
    assert len(written) == 12
    assert written["mine_color_alter_gpt_score.csv"].split("\r\n")[0] == ",".join(COLUMNS)
    for name, text in written.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    b = benchmark()
    imported = b.import_results(tmp_path)["mine"]
    found = {s.key.prompt_id: s.value for s in imported.scores if s.metric == "pq" and s.value is not None}
    assert found == {id_: v[1] for id_, v in marks.items() if id_ != lost}
    assert len(imported.report["missing"]) == 1
    assert {p.text for p in imported.prompts.values()} >= {"make change 5"}
