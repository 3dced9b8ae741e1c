"""What is written, without a browser."""

import json
import re

import pytest
from PIL import Image

from harness.errors import DataError
from reports.page import write_page
from reports.page.build import fill, static, static_code
from reports.page.catalogue import ABSENT, GRADED, MISSING, RIGHT, WRONG, read_catalogue
from reports.page.encode import data_script, json_text
from reports.page.pictures import PER_SHEET, Picture, fitted, make_sheets
from reports.page.records import JudgementLine, Key, RecordFile, ScoreLine, newest
from reports.page.single import write_single
from reports.runs import load_run
from tests.reports.page.made import HOSTILE, MadeRun, block, key, small_run


def small_pair(folder):
    return [small_run(folder / "a", "A run", is_better=True), small_run(folder / "b", "B run", is_better=False)]


def received(script):
    """What a data file hands over."""
    name, text = re.fullmatch(r'UMM\.receive\("([^"]+)",(".*")\);\n', script, re.DOTALL).groups()
    return name, json.loads(json.loads(text))


def test_json_text_ends_no_element_and_keeps_the_value():
    value = {"text": HOSTILE, "list": ["<!--", "&amp;", "\u2029"], "__proto__": 1}
    text = json_text(value)
    assert not re.search(rb"[<>&]|\xe2\x80[\xa8\xa9]", text)
    assert json.loads(text) == value
    assert received(data_script("x", value).decode()) == ("x", value)


def test_the_pages_own_code_ends_no_script_element():
    assert "</script" not in static_code()
    assert "innerHTML" not in static_code()
    assert "</style" not in static("page.css")


def test_filled_in_text_is_not_filled_again():
    assert fill("{{a}} {{b}}", a="{{b}}", b="x") == "{{b}} x"


def test_a_damaged_line_is_named_with_file_and_number(tmp_path):
    path = tmp_path / "scores.jsonl"
    good = json.dumps({"key": key("quiz", "quiz/0"), "metric": "m", "value": 1.0})
    path.write_text(f"{good}\n{good[:-9]}\n{good}\n")
    with pytest.raises(DataError, match=r"scores\.jsonl, line 2: not a record of scores"):
        list(RecordFile(path, ScoreLine).read())


def test_a_torn_last_line_does_not_count(tmp_path):
    path = tmp_path / "scores.jsonl"
    good = json.dumps({"key": key("quiz", "quiz/0"), "metric": "m", "value": 1.0})
    path.write_text(f"{good}\n{good[:20]}")
    assert len(list(RecordFile(path, ScoreLine).read())) == 1
    with pytest.raises(
        DataError, match=r"scores\.jsonl, line 2: the line is cut off\. Repeat the run's `eval` command"
    ):
        list(RecordFile(path, ScoreLine, is_derived=True).read())


def test_rows_find_their_lines_wherever_they_are_in_the_file(tmp_path):
    path = tmp_path / "scores.jsonl"
    lines = [(i % 3, i) for i in range(12)]
    path.write_text(
        "".join(json.dumps({"key": key("q", f"q/{p}"), "metric": str(i), "value": 1.0}) + "\n" for p, i in lines)
    )
    file = RecordFile(path, ScoreLine)
    rows = {("q", f"q/{p}", 0, 0): 1 - p for p in (0, 1)}  # q/2 is not of the page
    assert file.index(rows) == 8
    assert [s.metric for s in file.of(1)] == ["0", "3", "6", "9"]
    assert [s.metric for s in file.of(0)] == ["1", "4", "7", "10"]
    assert file.count(0) == 4


def test_the_later_record_counts_and_calls_cut_short_are_left_out():
    def line(id_, call, size, value):
        return JudgementLine(id=id_, key=Key("q", "p"), question_id=id_, value=value, call_id=call, call_size=size)

    found = newest([line("a", "1", 2, 0.1), line("b", "1", 2, 0.2), line("c", "2", 2, 0.3), line("a", "1", 2, 0.9)])
    assert [(j.id, j.value) for j in found] == [("a", 0.9), ("b", 0.2)]


def test_verdicts_tell_right_wrong_graded_and_missing_apart(tmp_path):
    catalogue = read_catalogue(small_pair(tmp_path))
    verdicts = {k[1]: [catalogue.verdict(run, row, k[0]) for run in (0, 1)] for k, row in catalogue.rows.items()}
    assert verdicts["quiz/0"] == [(RIGHT, 1.0), (RIGHT, 1.0)]
    assert verdicts["quiz/1"] == [(MISSING, 1.0), (WRONG, 0.0)]  # a missing answer can hide no wrong one
    assert verdicts["quiz/2"] == [(RIGHT, 1.0), (WRONG, 0.5)]
    assert verdicts["quiz/3"] == [(MISSING, None), (MISSING, None)]
    assert verdicts["scale/7"] == [(GRADED, 9.0), (GRADED, 7.0)]


def test_samples_of_a_later_run_follow_and_are_absent_in_the_first(tmp_path):
    first = MadeRun(tmp_path / "a", {"quiz": block("Quiz", ["overall"])})
    second = MadeRun(tmp_path / "b", {"quiz": block("Quiz", ["overall"])})
    first.score(key("quiz", "quiz/1"), "correct", 1.0)
    second.score(key("quiz", "quiz/0"), "correct", 1.0)
    second.score(key("quiz", "quiz/1"), "correct", 0.0)
    catalogue = read_catalogue([first.write("a"), second.write("b")])
    assert [k[1] for k in catalogue.rows] == ["quiz/1", "quiz/0"]
    assert catalogue.verdict(0, 1, "quiz") == (ABSENT, None)
    assert catalogue.verdict(1, 0, "quiz") == (WRONG, 0.0)


def test_a_run_without_scores_says_what_to_do(tmp_path):
    run = small_run(tmp_path / "a", "A", is_better=True)
    (run.path / "scores.jsonl").unlink()
    with pytest.raises(DataError, match=r"scores\.jsonl: no such file. Repeat the `eval` command"):
        write_page([run], tmp_path / "page")


def test_originals_are_reached_by_relative_paths(tmp_path):
    run = small_run(tmp_path / "runs" / "odd name#1?", "A", is_better=True)
    write_page([run], tmp_path / "out" / "page")
    _, index = received((tmp_path / "out/page/page-data/index.js").read_text())
    assert index["runs"][0]["base"] == "../../runs/odd%20name%231%3F"
    _, details = received((tmp_path / "out/page/page-data/details-0-0.js").read_text())
    assert details["entries"][0]["image"]["file"] == "images/quiz/0/0-0-q0.png"


def test_an_image_path_out_of_the_run_is_not_followed(tmp_path):
    made = MadeRun(tmp_path / "a", {"quiz": block("Quiz", ["overall"])})
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    made.image(key("quiz", "quiz/0"), "g", image="../secret.png")
    made.score(key("quiz", "quiz/0"), "correct", 1.0)
    write_page([made.write("a")], tmp_path / "page")
    _, details = received((tmp_path / "page/page-data/details-0-0.js").read_text())
    image = details["entries"][0]["image"]
    assert (image["file"], image["thumb"]) == ("", -1)


def test_an_unreadable_image_leaves_an_empty_place_and_a_reason(tmp_path):
    run = small_run(tmp_path / "a", "A", is_better=True)
    (run.path / "images/quiz/0/0-0-q0.png").write_bytes(b"no picture")
    write_page([run], tmp_path / "page")
    _, index = received((tmp_path / "page/page-data/index.js").read_text())
    assert index["cells"][0]["thumb"][:3] == [-1, 1, 2]
    _, details = received((tmp_path / "page/page-data/details-0-0.js").read_text())
    assert "missing or damaged" in details["entries"][0]["image"]["error"]


def test_a_page_written_again_reuses_thumbnails_and_drops_old_files(tmp_path):
    other = MadeRun(tmp_path / "b", {"quiz": block("Quiz", ["overall"])})
    other.image(key("quiz", "quiz/0"), "other")
    other.score(key("quiz", "quiz/0"), "correct", 1.0)
    runs = [small_run(tmp_path / "a", "A", is_better=True), other.write("B")]
    data = tmp_path / "page/page-data"

    def sheets():
        return {f.name: f.stat().st_mtime_ns for f in data.glob("thumbs-*")}

    write_page(runs, tmp_path / "page")
    before = sheets()
    (data / "own notes.txt").write_text("kept")
    write_page(runs, tmp_path / "page")
    assert sheets() == before
    assert len(before) == 2
    write_page(runs[:1], tmp_path / "page")
    assert len(sheets()) == 1
    assert sheets().items() <= before.items()
    assert not list(data.glob("details-1-*"))
    assert (data / "own notes.txt").is_file()


def test_sheets_hold_sixty_four_thumbnails_with_the_sizes_of_the_originals(tmp_path):
    pictures = []
    for i in range(PER_SHEET + 2):
        file = tmp_path / f"{i}.png"
        Image.new("RGB", (200 + i, 100), (i * 3, 0, 0)).save(file)
        pictures.append(Picture(file, f"sha-{i}"))
    sheets = make_sheets(pictures, tmp_path)
    assert len(sheets.names) == 2
    assert sheets.sizes[65] == (265, 100)
    with Image.open(tmp_path / sheets.names[0]) as first, Image.open(tmp_path / sheets.names[1]) as second:
        assert (first.size, second.size) == ((768, 768), (768, 96))
        left, top = 7 * 96 + 48, 7 * 96 + 48
        assert abs(first.convert("RGB").getpixel((left, top))[0] - 63 * 3) < 12
        assert first.convert("RGBA").getpixel((left, top - 40))[3] == 0  # a wide picture leaves room above


def test_small_pictures_grow_by_whole_factors():
    assert fitted(Image.new("RGB", (30, 20)), 96).size == (90, 60)
    assert max(fitted(Image.new("RGB", (500, 20)), 96).size) == 96


def test_tables_and_names_are_escaped_in_the_overview(tmp_path):
    run = load_run(small_run(tmp_path / "a", "A", is_better=True).path, HOSTILE)
    run.summary["benchmarks"]["quiz"]["title"] = HOSTILE
    run.summary["benchmarks"]["quiz"]["judge"] = HOSTILE
    html = write_page([run], tmp_path / "page").read_text()
    assert "<img" not in html
    assert len(re.findall(r"<script", html)) == 2
    assert "&lt;/script&gt;&lt;img src=x" in html


def test_given_tables_stand_in_the_overview(tmp_path):
    from reports.tables import Table

    table = Table(name="t", title="Differences", columns=("a", "b"), rows=(("<b>", 0.5),))
    html = write_page(small_pair(tmp_path), tmp_path / "page", tables=[table]).read_text()
    assert "<summary>Differences</summary>" in html
    assert "&lt;b&gt;" in html


def test_runs_with_another_judge_are_said_not_to_compare(tmp_path):
    runs = small_pair(tmp_path)
    runs[1].summary["benchmarks"]["quiz"]["judge"] = "other"
    html = write_page(runs, tmp_path / "page").read_text()
    assert "Values of A and B do not compare: judge: &#x27;judge-1&#x27; and &#x27;other&#x27;" in html
    _, index = received((tmp_path / "page/page-data/index.js").read_text())
    assert index["incomparable"] == [[0, 1]]


def test_a_single_file_stays_below_its_limit_and_says_what_it_left_out(tmp_path):
    runs = small_pair(tmp_path)
    whole = write_single(runs, tmp_path / "whole", (), most_bytes=10_000_000)
    assert "holds everything" in whole.read_text()
    limit = whole.stat().st_size * 2 // 3
    cut = write_single(runs, tmp_path / "cut", (), most_bytes=limit)
    assert cut.stat().st_size <= limit
    assert "Left out of this single file: " in cut.read_text()


def test_a_page_needs_a_run(tmp_path):
    with pytest.raises(ValueError, match="needs a run"):
        write_page([], tmp_path)
