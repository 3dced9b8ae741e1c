"""The sheet: what is drawn, what is written, and what a sheet that people filled in may hold."""

import numpy as np
import pytest

from harness.errors import ConfigError, DataError, StoreError
from reports.human import draw_prompts, read_sheet, write_sheet
from reports.runs import load_run
from tests.reports.human.made import fill, judged_run, read, truth_and_judge, write

N, K = 120, 2


@pytest.fixture
def run(tmp_path):
    return load_run(judged_run(tmp_path / "run", truth_and_judge(N, K, 0)[1]))


@pytest.fixture
def sheet(run, tmp_path):
    terms = run.terms("geneval")["overall"]
    file = tmp_path / "labels.csv"
    write_sheet(run, {"geneval": draw_prompts(terms, 36, 0, "geneval")}, file)
    return file


def test_prompts_are_drawn_within_categories_by_weight_and_seed(run):
    terms = run.terms("geneval")["overall"]
    drawn = draw_prompts(terms, 60, 3, "geneval")
    cat = dict(zip(terms.prompts, terms.cat, strict=True))
    assert np.bincount([cat[p] for p in drawn]).tolist() == [10] * 6 and len(set(drawn)) == 60
    assert drawn == draw_prompts(terms, 60, 3, "geneval")
    assert drawn != draw_prompts(terms, 60, 4, "geneval") != draw_prompts(terms, 60, 4, "wise")
    # At least five of each category, and two of each stay without a label.
    assert len(draw_prompts(terms, 4, 0, "geneval")) == 30 and len(draw_prompts(terms, 10_000, 0, "geneval")) == 6 * 18


def test_every_prompt_is_equally_likely_within_its_category(run):
    terms = run.terms("geneval")["overall"]
    counts = dict.fromkeys(terms.prompts, 0)
    for seed in range(400):
        for p in draw_prompts(terms, 30, seed, "geneval"):
            counts[p] += 1
    assert np.mean(list(counts.values())) == 100  # 5 of 20 in each category
    assert np.std(list(counts.values())) == pytest.approx(np.sqrt(400 * 0.25 * 0.75), rel=0.25)


def test_a_category_of_three_prompts_cannot_be_labelled(tmp_path):
    terms = load_run(judged_run(tmp_path / "r", np.ones((18, 1)))).terms("geneval")["overall"]
    with pytest.raises(ConfigError, match="category 'single_object' has 3 scored prompts; at least 4"):
        draw_prompts(terms, 12, 0, "geneval")


def test_the_sheet_has_every_image_of_a_prompt_and_nothing_of_the_judge(sheet, run):
    rows = read(sheet)
    assert len(rows) == 36 * K and {r["value"] for r in rows} == {""}
    assert set(rows[0]) == {
        "benchmark", "prompt_id", "gen_seed", "index", "image", "image_sha256", "prompt", "rater", "value"
    }  # fmt: skip
    assert rows[0]["image"] == f"run/images/{rows[0]['prompt_id']}/0-0.png" and rows[0]["prompt"] == "a star"
    with pytest.raises(StoreError, match="exists; labels in it would be lost"):
        write_sheet(run, {}, sheet)


def test_a_prompt_is_no_formula(tmp_path):
    run = load_run(judged_run(tmp_path / "r", np.ones((60, 1)), text='=HYPERLINK("http://x")'))
    write_sheet(run, {"geneval": ["geneval/00000"]}, tmp_path / "s.csv")
    assert read(tmp_path / "s.csv")[0]["prompt"].startswith("'=")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_what_spreadsheets_make_of_it_is_read(sheet, delimiter):
    truth = truth_and_judge(N, K, 0)[0]
    plain = read_sheet(fill(sheet, truth))
    write(sheet, [{**r, "comment": "fine"} for r in read(sheet)], delimiter)
    sheet.write_bytes(b"\xef\xbb\xbf" + sheet.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert read_sheet(sheet).values == plain.values


def test_decimal_commas_are_read_where_semicolons_split_columns(sheet):
    rows = [{**r, "value": "0,5"} for r in read(sheet)]
    found = read_sheet(write(sheet, rows, ";")).values["geneval"]
    assert {label.value for images in found.values() for label in images.values()} == {0.5}
    with pytest.raises(DataError, match="line 2, value: expected a number"):
        read_sheet(write(sheet, rows, ","))


def test_several_raters_are_averaged(sheet):
    rows = read(sheet)
    write(sheet, [{**r, "rater": who, "value": v} for r in rows for who, v in (("ann", 1), ("bob", 0), ("cy", 0.5))])
    found = read_sheet(sheet).values["geneval"]
    assert {label.value for images in found.values() for label in images.values()} == {0.5}
    write(sheet, [{**r, "value": 1} for r in rows for _ in range(2)])
    with pytest.raises(DataError, match=r"labels\.csv, line 3: .* was labelled in line 2 already; .* 'rater'"):
        read_sheet(sheet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "yes"}, "line 4, value: expected a number such as 1 or 0.5, or nothing, got 'yes'"),
        ({"value": "inf"}, "line 4, value: expected a number"),
        ({"index": "first"}, "line 4, index: expected a whole number, got 'first'"),
    ],
)
def test_a_wrong_cell_is_named(sheet, change, message):
    rows = read(sheet)
    rows[2] |= change
    with pytest.raises(DataError, match=message):
        read_sheet(write(sheet, rows))


def test_an_empty_sheet_a_foreign_file_and_none_are_refused(sheet, tmp_path):
    with pytest.raises(DataError, match="no value is filled in yet"):
        read_sheet(sheet)
    (tmp_path / "other.csv").write_text("prompt,score\nx,1\n")
    with pytest.raises(DataError, match=r"other\.csv, line 1: no column 'benchmark'"):
        read_sheet(tmp_path / "other.csv")
    with pytest.raises(DataError, match=r"`run\.py labels RUN -o .*absent\.csv` draws"):
        read_sheet(tmp_path / "absent.csv")
    (tmp_path / "latin.csv").write_bytes("benchmark,prompt_id,value\ngeneval,é,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_sheet(tmp_path / "latin.csv")
