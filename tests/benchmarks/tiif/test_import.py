import io
import json
import tarfile
import zipfile

import pytest

from benchmarks import sources
from benchmarks.tiif.importer import import_results
from benchmarks.tiif.indices import full_to_testmini
from benchmarks.tiif.indices import testmini_to_full as to_full
from benchmarks.tiif.taxonomy import LENGTHS, TYPES, prompt_id
from harness.errors import DataError

from . import synthetic


def by_testmini(type_, row):
    return row


def by_global(order):
    offsets = synthetic.global_offsets(order)
    return lambda type_, row: offsets[type_] + row


def read(source, *, official=False, lengths=LENGTHS, set_name="testmini"):
    prompts = synthetic.testmini_prompts() if official else None
    return import_results(
        source, set_name=set_name, lengths=lengths, official=prompts, data_id="tiif/x" if official else None
    )


def only(tmp_path, files, **options):
    (imported,) = read(synthetic.write_tar(tmp_path / "r.tar.gz", files), **options).values()
    return imported


def question_of(imported, type_, row, length="short"):
    return imported.prompts[prompt_id(type_, row, length)].meta["questions"][0]


def expected_question(type_, row):
    return synthetic.question_row(type_, to_full(type_, row))[0][0].strip()


def assert_all_in_place(imported):
    for type_, n in synthetic.TESTMINI.items():
        for row in range(n):
            assert question_of(imported, type_, row) == expected_question(type_, row), (type_, row)
    assert imported.report["missing"] == []
    assert len(imported.scores) == 554 * 2


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize(
    ("number", "convention"),
    [
        (by_testmini, "testmini rows"),
        (to_full, "full-set rows"),
        (by_global(sorted(TYPES)), "global numbers"),
        (by_global(TYPES[::-1]), "global numbers"),
    ],
)
def test_the_three_numberings_are_told_apart(tmp_path, number, convention, official):
    imported = only(tmp_path, synthetic.records(number), official=official)
    assert imported.report["convention"] == convention
    assert_all_in_place(imported)
    assert imported.notes == []
    assert imported.judge == "J"


def test_data_at_hand_gives_texts_and_the_data_id(tmp_path):
    files = synthetic.records(to_full)
    without, with_data = only(tmp_path, files), only(tmp_path, files, official=True)
    assert without.data == "tiif/testmini as carried by the records"
    assert with_data.data == "tiif/x"
    assert with_data.prompts["tiif/text/0003/long"].text == "draw text 3"
    assert without.prompts["tiif/text/0003/long"].text == ""


def test_folder_tar_and_zip_give_the_same(tmp_path):
    files = synthetic.records(to_full, types=("text", "style"))
    folder = synthetic.write_folder(tmp_path / "f", files)
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        for path, value in files.items():
            archive.writestr(path, synthetic.as_bytes(value))
    found = [read(s)["m"] for s in (folder, tmp_path / "r.zip", synthetic.write_tar(tmp_path / "r.tgz", files))]
    assert found[0] == found[1] == found[2]
    inner = read(folder / "run_eval_results_J" / "m")["m"]
    assert (inner.scores, inner.judge) == (found[0].scores, "J")


def test_several_models_and_judges_keep_their_names(tmp_path):
    one = synthetic.records(to_full, types=("text",), model="a") | synthetic.records(
        to_full, types=("text",), model="b"
    )
    other = {p.replace("results_J", "results_K"): r for p, r in one.items() if "/a/" in p}
    found = read(synthetic.write_tar(tmp_path / "r.tar", one | other))
    assert {name: i.judge for name, i in found.items()} == {
        "run_eval_results_J/a": "J",
        "b": "J",
        "run_eval_results_K/a": "K",
    }


def test_missing_records_are_listed_and_count_as_missing_answers(tmp_path):
    def skip(type_, row, length):
        return type_ == "numeracy" and row == 7

    imported = only(tmp_path, synthetic.records(to_full, skip=skip), official=True)
    assert imported.report["missing"] == ["tiif/numeracy/0007/short", "tiif/numeracy/0007/long"]
    assert imported.notes == ["2 prompts have no record: tiif/numeracy/0007/short, tiif/numeracy/0007/long"]
    lost = [s for s in imported.scores if s.value is None]
    assert [(s.key.prompt_id, s.metric, s.reason) for s in lost[:2]] == [
        ("tiif/numeracy/0007/short", "question/0", "missing: no record"),
        ("tiif/numeracy/0007/short", "question/1", "missing: no record"),
    ]
    assert len(lost) == 4
    table = {s.metric: s for s in synthetic.adapter().aggregate(imported.prompts, imported.scores)}
    assert table["type/numeracy/short"].n_missing == 1
    assert table["overall/short"].n_missing == 1
    assert "276 of 277 images" in table["overall/short"].extra["note"]


def test_without_data_the_type_total_says_how_many_answers_are_missing(tmp_path):
    imported = only(tmp_path, synthetic.records(to_full, types=("style",)))
    lost = [s for s in imported.scores if s.value is None]
    assert len(lost) == 2 * (1446 - 30)


def test_one_length_can_be_imported_alone(tmp_path):
    imported = only(tmp_path, synthetic.records(to_full), lengths=("long",))
    assert len(imported.prompts) == 277
    assert {p.meta["length"] for p in imported.prompts.values()} == {"long"}


def test_a_repeated_image_is_counted_once(tmp_path):
    files = synthetic.records(to_full, types=("text",))
    files["run_eval_results_J/m/text/short/003.json"] = synthetic.record("text", "short", 3, 3, ("no", "no"))
    imported = only(tmp_path, files)
    assert len(imported.report["duplicates"]) == 1
    assert any("repeat an image" in n for n in imported.notes)
    assert sum(s.key.prompt_id == "tiif/text/0003/short" for s in imported.scores) == 2


def test_full_set_results_give_their_testmini_part_and_list_the_rest(tmp_path):
    files = {
        f"m/{type_}/short/{row}.json": synthetic.record(type_, "short", row, row)
        for type_ in TYPES
        for row in range(synthetic.FULL[type_])
    }
    imported = only(tmp_path, files, official=True, lengths=("short",))
    assert imported.report["convention"] == "full-set rows"
    assert (imported.report["scored"], len(imported.report["extra"])) == (277, 2538 - 277)
    assert imported.report["missing"] == []
    assert question_of(imported, "style", 2) == "Is there a style 1?"  # full-set row 11
    full = only(tmp_path, files, lengths=("short",), set_name="full")
    assert (full.report["scored"], full.report["extra"], full.prompts["tiif/style/0011/short"].meta["set"]) == (
        2538,
        [],
        "full",
    )


def test_global_numbers_of_an_incomplete_run_are_placed_by_their_tiling(tmp_path):
    def skip(type_, row, length):
        return row == 0 or (row == 3 and length == "long")

    order = sorted(TYPES)
    imported = only(tmp_path, synthetic.records(by_global(order), skip=skip))
    assert imported.report["convention"] == "global numbers"
    assert question_of(imported, "numeracy", 5) == expected_question("numeracy", 5)
    assert imported.report["scored"] == 2 * (277 - 39) - 39


def test_global_numbers_of_some_types_need_the_questions(tmp_path):
    def skip(type_, row, length):
        return row == 0

    files = synthetic.records(by_global(sorted(TYPES)), types=("text", "real_world", "style"), skip=skip)
    imported = only(tmp_path, files, official=True)
    assert imported.report["convention"] == "global numbers"
    assert question_of(imported, "real_world", 9) == expected_question("real_world", 9)
    with pytest.raises(DataError, match=r"fit no convention.*compare questions with"):
        only(tmp_path, files)


def real_world(rows):
    return [(i, f"m/real_world/short/{i}.json") for i in rows]


def test_rows_that_fit_two_numberings_are_settled_by_questions_or_noted(tmp_path):
    rows = (11, 19, 23)  # testmini rows of `style`, and full-set rows that testmini holds
    files = {f"m/real_world/short/{i}.json": synthetic.record("real_world", "short", i, i) for i in (0, 8, 9, 22)}
    imported = only(tmp_path, files, official=True)
    assert (imported.report["convention"], imported.notes[0][:3]) == ("full-set rows", "550")
    assert question_of(imported, "real_world", full_to_testmini("real_world", 22, 25)) == "Is there a real_world 22?"
    files = {p: synthetic.record("real_world", "short", i, to_full("real_world", i)) for i, p in real_world((0, 8, 9))}
    imported = only(tmp_path, files, official=True)
    assert imported.report["convention"] == "testmini rows"
    assert question_of(imported, "real_world", 8) == "Is there a real_world 85?"
    unsettled = only(tmp_path, {f"m/style/short/{i}.json": synthetic.record("style", "short", i, i) for i in rows})
    assert unsettled.report["convention"] == "full-set rows"
    assert "also fit the convention 'testmini rows'" in unsettled.notes[0]


def test_types_numbered_differently_are_refused(tmp_path):
    files = synthetic.records(by_testmini, types=("style",)) | synthetic.records(to_full, types=("real_world", "text"))
    for official in (False, True):
        with pytest.raises(DataError, match=r"mixed numbering. 'style'|mixed numbering. 'real_world'"):
            only(tmp_path, files, official=official)


def test_local_and_global_numbers_together_are_refused(tmp_path):
    files = synthetic.records(by_testmini, types=("shape+color", "text"))
    files |= synthetic.records(by_global(sorted(TYPES)), types=("shape+2d", "negation+color"))
    with pytest.raises(DataError, match=r"several mixed.*shape\+2d"):
        only(tmp_path, files)


def test_other_questions_than_the_data_are_noted_and_scored_as_carried(tmp_path):
    files = synthetic.records(to_full)
    path = "run_eval_results_J/m/numeracy/short/2.json"
    files[path] = {**files[path], "questions": ["Other?", "Another?"]}
    imported = only(tmp_path, files, official=True)
    assert imported.report["other_questions"] == ["tiif/numeracy/0002/short", "tiif/numeracy/0002/long"]
    assert any("other questions than the data" in n for n in imported.notes)
    assert question_of(imported, "numeracy", 2) == "Other?"
    assert imported.data == "tiif/testmini as carried by the records"


def test_replies_that_do_not_give_the_recorded_predictions_are_noted(tmp_path):
    files = synthetic.records(to_full, types=("text",))
    first, second = list(files)[:2]
    files[first] = {**files[first], "model_output": "yes, a\nyes, b"}
    files[second] = {k: v for k, v in files[second].items() if k != "model_output"}
    imported = only(tmp_path, files)
    assert imported.report["reparse_mismatches"] == [first]
    assert (imported.report["scored"], imported.report["reparsed"]) == (60, 58)
    assert any(n.startswith("1 replies, read again") for n in imported.notes)
    assert any(n.startswith("1 records hold no reply") for n in imported.notes)
    values = [s.value for s in imported.scores if s.key.prompt_id == "tiif/text/0000/short"]
    assert values == [1.0, 1.0]


PATH = "m/text/short/3.json"
GOOD = synthetic.record("text", "short", 3, 3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (json.dumps(GOOD, indent=1).encode()[:180], r"m/text/short/3.json, line \d+: not valid JSON .*cut off"),
        (b"\xff\xfe{}", "m/text/short/3.json: not UTF-8"),
        (b"[1]", "expected one JSON object, got list"),
        (b"[" * 100_000, "m/text/short/3.json"),
        ({k: v for k, v in GOOD.items() if k != "gt_answers"}, r"\(row 3\): field 'gt_answers' is missing"),
        ({k: v for k, v in GOOD.items() if k != "line_idx"}, "field 'line_idx' is missing"),
        ({**GOOD, "line_idx": "3"}, "field 'line_idx': expected int, got '3'"),
        ({**GOOD, "line_idx": 4}, "field 'line_idx': 4, but the file's place says 3"),
        ({**GOOD, "attribute": "style"}, "field 'attribute': 'style', but the file's place says 'text'"),
        ({**GOOD, "desc": "long_description"}, "field 'desc'"),
        ({**GOOD, "questions": []}, "field 'questions': expected a list of texts"),
        ({**GOOD, "model_pred": ["yes"]}, "field 'model_pred': 1 entries for 2 questions"),
        ({**GOOD, "gt_answers": ["yes"] * 3}, "field 'gt_answers': 3 entries for 2 questions"),
        ({**GOOD, "model_pred": ["yes", "maybe"]}, "field 'model_pred': expected yes or no, got 'maybe'"),
        ({**GOOD, "model_output": 5}, "field 'model_output': expected text"),
    ],
)
def test_a_damaged_record_is_located(tmp_path, value, message):
    with pytest.raises(DataError, match=message):
        only(tmp_path, {PATH: value})


def test_an_unknown_type_is_refused_with_near_misses(tmp_path):
    with pytest.raises(DataError, match=r"'shape\+colour'. Did you mean 'shape\+color'"):
        only(tmp_path, {"m/shape+colour/short/0.json": synthetic.record("shape+colour", "short", 0, 0)})


def test_system_files_are_ignored_and_other_json_files_are_counted(tmp_path):
    files = synthetic.records(to_full, types=("text",))
    files |= {
        "run_eval_results_J/m/text/short/.DS_Store": b"\0",
        "__MACOSX/m/text/short/._0.json": b"\0",
        "run_eval_results_J/m/text/short/._0.json": b"\0",
        "run_eval_results_J/m/notes.txt": b"x",
        "run_eval_results_J/m/summary.json": b"{}",
    }
    imported = only(tmp_path, files)
    assert imported.report["scored"] == 60
    assert imported.notes[-1] == "1 other JSON files in r.tar.gz are not records and were passed over."


def test_a_source_without_records_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recorded TIIF results"):
        read(tmp_path / "empty")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent")
    (tmp_path / "x.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(DataError, match="damaged or unreadable archive"):
        read(tmp_path / "x.tar.gz")


def test_a_cut_off_archive_is_refused(tmp_path):
    path = synthetic.write_tar(tmp_path / "r.tar.gz", synthetic.records(to_full, types=("text", "style")))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match="damaged or unreadable archive"):
        read(path)


@pytest.mark.parametrize("name", ["../m/text/short/3.json", "/m/text/short/3.json"])
def test_members_that_point_outside_are_refused_and_nothing_is_written(tmp_path, name):
    source = synthetic.write_tar(tmp_path / "in.tar", {name: GOOD})
    with pytest.raises(DataError, match="leaves the archive"):
        read(source)
    assert [p.name for p in tmp_path.iterdir()] == ["in.tar"]


def test_links_in_archives_are_not_followed(tmp_path):
    path = tmp_path / "r.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("m/text/short/4.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        member = tarfile.TarInfo(PATH)
        member.size = len(synthetic.as_bytes(GOOD))
        archive.addfile(member, io.BytesIO(synthetic.as_bytes(GOOD)))
    assert read(path)["m"].report["scored"] == 1


@pytest.mark.parametrize("limit", ["MAX_FILE_BYTES", "MAX_TOTAL_BYTES", "MAX_MEMBERS"])
def test_archives_beyond_the_limits_are_refused(tmp_path, monkeypatch, limit):
    path = synthetic.write_tar(tmp_path / "r.tar.gz", synthetic.records(to_full, types=("text",)))
    monkeypatch.setattr(sources, limit, 10)
    with pytest.raises(DataError, match=r"the limit is 10|more than 10 "):
        read(path)
