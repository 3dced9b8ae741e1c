import io
import tarfile

import pytest

from benchmarks.dpg.grid import boxes
from benchmarks.dpg.importer import JUDGE
from benchmarks.dpg.resultfiles import item_of_path, read_details, read_results
from harness.errors import DataError
from harness.rescore import imported_block

from . import literal
from .synthetic import TABLE, benchmark, write_data

ANSWERS = {
    "7": [{1: 1, 2: 1, 3: 0, 4: 1}, {1: 0, 2: 1, 3: 1, 4: 1}],
    "b.x": [{1: 1, 2: 1}, {1: 0, 2: 1}],
}


def official_files(answers=ANSWERS, rows=TABLE, root="/out/my, model/images"):
    """(results, detail) as the official script writes them, from the literal implementation."""
    table = literal.read_like_upstream(rows)
    total, per_prompt, categories, _ = literal.official(rows, answers)
    scores, details = [], []
    for item, crops in answers.items():
        path = f"{root}/{item}.png"
        for box, crop in zip(boxes(512), crops, strict=False):
            for number, text in table[item]["texts"].items():
                details.append(f"{path}, {box}, {text}, {'yes' if crop[number] else 'no'}")
        if item in per_prompt:
            own = per_prompt[item]
            scores.append(f"{path}, {', '.join(map(str, own))}, {sum(own) / len(own)}")
    summary = ["Model: images", "L1 category scores:"]
    summary += [f"\t{c}: {v}" for c, v in literal.pooled(categories, "L1").items()] + ["L2 category scores:"]
    summary += [f"\t{c}: {v}" for c, v in literal.pooled(categories, "L2").items()]
    summary += [f"Image path: {root}", "Save results to: x.txt", f"DPG-Bench score: {total}"]
    return "\n".join([*scores, *summary, ""]).encode(), "\n".join([*details, ""]).encode()


@pytest.fixture
def make(monkeypatch, tmp_path):
    def build(protocol="official", *, data=True, **options):
        folder = write_data(tmp_path / "data") if data else tmp_path / "nothing"
        return benchmark(monkeypatch, folder, protocol=protocol, **options)

    return build


@pytest.fixture
def folder(tmp_path):
    """A folder with both files; item `b.x` has the upstream key `b`, so its name there is `b`."""
    root = tmp_path / "images"
    root.mkdir()
    results, details = official_files(rows=RENAMED, answers={**FIRST, "7": ANSWERS["7"], "b": ANSWERS["b.x"]})
    (root / "dpg-bench_1_results.txt").write_bytes(results)
    (root / "dpg-bench_1_results_detail.txt").write_bytes(details)
    return root


RENAMED = [{**r, "item_id": "b"} if r["item_id"] == "b.x" else r for r in TABLE]
FIRST = {"first9": [{1: 1, 2: 1}]}
TEXTS = {"first9": "A red cat\n", "7": " A large dog left of a ball", "b": "Nacht"}


@pytest.fixture
def renamed(monkeypatch, tmp_path):
    from .synthetic import lock_of

    def build(protocol="official", *, data=True, **options):
        place = write_data(tmp_path / "data", RENAMED, TEXTS) if data else tmp_path / "nothing"
        return benchmark(monkeypatch, place, protocol=protocol, lock=lock_of(RENAMED, TEXTS), **options)

    return build


def test_answers_give_the_recorded_total_and_categories(renamed, folder):
    bench = renamed()
    (name,) = found = bench.import_results(folder)
    imported = found[name]
    values = {k: v["value"] for k, v in imported_block(bench, imported)["values"].items()}
    assert name == "images"
    assert imported.judge == JUDGE
    assert imported.data.startswith("dpg@")
    assert values == pytest.approx(imported.report["recorded"])
    assert "overall" in values and "L2/global -" in values
    assert imported.notes == []
    assert (imported.report["pic_num"], imported.report["resolution"], imported.report["source"]) == (2, 512, "answers")


def test_the_first_prompt_is_dropped_not_missing(renamed, folder):
    bench = renamed()
    result = imported_block(bench, bench.import_results(folder)["images"])
    assert result["n_missing"] == 0
    assert result["values"]["overall"]["prompts_failed"].keys() == {"dpg/first9"}
    assert result["values"]["overall"]["complete"]


def test_corrected_is_computed_from_answers_where_they_are_all_there(renamed, folder):
    bench = renamed("corrected")
    imported = bench.import_results(folder)["images"]
    values = imported_block(bench, imported)["values"]
    assert values["overall"]["value"] is None  # question 1 of the first prompt was never asked
    assert values["partial_overall"]["value"] == pytest.approx(100 * (0.5 * (3 / 4 + 1 / 4) + 0.5 * (1 + 1 / 2)) / 2)
    assert imported.report["missing"] == []


def test_a_results_file_alone_gives_the_official_total_without_the_table(renamed, folder):
    (folder / "dpg-bench_1_results_detail.txt").unlink()
    bench = renamed(data=False)
    imported = bench.import_results(folder)["images"]
    values = imported_block(bench, imported)["values"]
    assert list(values) == ["overall"]
    assert values["overall"]["complete"]
    assert values["overall"]["value"] == pytest.approx(imported.report["recorded"]["overall"])
    assert imported.data == "dpg (question table not at hand)"
    assert imported.notes == ["Categories are not recorded in a form that can be recomputed."]


def test_a_results_file_alone_is_refused_under_corrected(renamed, folder):
    (folder / "dpg-bench_1_results_detail.txt").unlink()
    with pytest.raises(DataError, match=r"protocol=corrected needs the _detail\.txt"):
        renamed("corrected").import_results(folder)


def test_a_detail_file_alone_needs_the_table(renamed, folder):
    (folder / "dpg-bench_1_results.txt").unlink()
    assert imported_block(renamed(), renamed().import_results(folder)["images"])["values"]["overall"]["n"] == 2
    with pytest.raises(DataError, match="only be scored with the question table"):
        renamed(data=False).import_results(folder)


def test_missing_extra_and_repeated_items_are_reported(renamed, tmp_path):
    path = tmp_path / "r_results.txt"
    path.write_bytes(b"a/7.png, 0.5, 1.0, 0.75\na/7.jpg, 0.0, 0.0, 0.0\na/zz.png, 1.0, 1.0, 1.0\n")
    imported = renamed().import_results(path)[tmp_path.name]
    assert imported.report["missing"] == ["b"]
    assert imported.report["repeated"] == ["7"]
    assert imported.report["extra"] == ["zz"]
    assert [n.split(":")[0] for n in imported.notes] == [
        "1 prompts have no record",
        "1 prompts have a second picture; the first was kept, upstream counts every one",
        "1 records are of no known prompt and were left out",
        "The results file has no summary",
        "Categories are not recorded in a form that can be recomputed.",
    ]
    overall = imported_block(renamed(), imported)["values"]["overall"]
    assert (overall["value"], overall["n"], overall["n_missing"]) == (75.0, 1, 1)
    assert overall["note"] == "incomplete: 1 of 2 prompts are scored"


def test_without_data_missing_prompts_are_named_too(renamed, tmp_path):
    path = tmp_path / "r_results.txt"
    path.write_bytes(b"a/7.png, 0.5, 0.5\n")
    imported = renamed(data=False).import_results(path)[tmp_path.name]
    assert "1 prompts have no record: b." in imported.notes


def test_an_interrupted_run_has_missing_answers(renamed, folder):
    path = folder / "dpg-bench_1_results_detail.txt"
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:-2]))
    imported = renamed().import_results(folder)["images"]
    overall = imported_block(renamed(), imported)["values"]["overall"]
    assert (overall["n"], overall["n_missing"]) == (1, 1)


def test_answers_that_contradict_the_scores_are_reported(renamed, folder):
    path = folder / "dpg-bench_1_results_detail.txt"
    path.write_bytes(path.read_bytes().replace(b"7 1?, yes", b"7 1?, no"))
    imported = renamed().import_results(folder)["images"]
    assert imported.report["disagreeing"] == ["7"]


def test_other_questions_are_reported_and_do_not_count(renamed, folder):
    path = folder / "dpg-bench_1_results_detail.txt"
    path.write_bytes(path.read_bytes().replace(b"7 2?", b"7 two?"))
    imported = renamed().import_results(folder)["images"]
    assert imported.report["other_questions"] == ["7"]
    assert imported_block(renamed(), imported)["values"]["overall"]["n_missing"] == 1


def test_only_the_exact_word_is_a_yes(renamed, folder):
    path = folder / "dpg-bench_1_results_detail.txt"
    text = path.read_bytes()
    assert text.count(b", yes\n") > 0
    path.write_bytes(text.replace(b", yes\n", b", Yes\n"))
    (folder / "dpg-bench_1_results.txt").unlink()
    values = imported_block(renamed(), renamed().import_results(folder)["images"])["values"]
    assert values["overall"]["value"] == 0.0


def test_archives_are_read_and_models_named_after_their_summary_or_folder(renamed, folder, tmp_path):
    archive = tmp_path / "all.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for model in ("a", "b"):
            for file in folder.iterdir():
                data = file.read_bytes().replace(b"Model: images", f"Model: {model}".encode())
                info = tarfile.TarInfo(f"runs/{model}/{file.name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    assert list(renamed().import_results(archive)) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a/7.png, 0.5, 0.6", r"line 2: mean 0.6 is not that of the scores \[0.5\]"),
        ("a/7.png, 0.5", "line 2: expected 'path, score"),
        ("a/7.png, 1.5, 1.5", "numbers from 0 to 1"),
        ("a/7.png, nan, nan", "line 2"),
        ("garbage", "line 2"),
    ],
)
def test_damaged_score_lines_are_named(line, message):
    with pytest.raises(DataError, match=message):
        read_results(f"a/1.png, 1.0, 1.0\n{line}\n".encode(), "f.txt")


@pytest.mark.parametrize(
    "line",
    [
        "a/7.png, (0, 0, 9, 9), Q?",
        "a/7.png, Q?, yes",
        "a/7.png, (0, 0, 512), Q?, yes",
        "a/7.png, (1, 0, 513, 512), Q?, no",
    ],
)
def test_damaged_answer_lines_are_named(line):
    with pytest.raises(DataError, match=r"f\.txt, line 2"):
        read_details(f"a/7.png, (0, 0, 512, 512), Q?, yes\n{line}\n".encode(), "f.txt")


def test_commas_in_paths_and_questions_are_kept():
    found = read_details(b"a, b/7.v2.png, (512, 0, 1024, 512), Is it, say, red?, no\n", "f")
    assert found.answers == {"7": {1: [("Is it, say, red?", "no")]}}


def test_paths_of_either_system_give_the_key():
    assert [item_of_path(p) for p in ("a/b/7.png", "C:\\x\\7.v2.jpg", "7")] == ["7", "7", "7"]


def test_unknown_files_are_refused(renamed, tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(DataError, match=r"no DPG-Bench results.*readme.txt"):
        renamed().import_results(tmp_path)
