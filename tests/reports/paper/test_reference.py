import re

import pytest

from harness.errors import ConfigError, DataError
from reports.reference import NAMES, inconsistencies, load_reference, reference, sources

# Written by hand from the published summaries: (table, row, column, printed, source).
SPOT = [
    ("table1", "sd3-medium", "tiif-overall", "64.8", "W"),
    ("table1", "sd3-medium", "geneval", "74.0", "W"),
    ("table1", "sd3-medium", "dpg", "84.1", "W"),
    ("table1", "sd3-medium", "wise", "0.4", "W"),
    ("table1", "flux1-dev", "tiif-overall", "71.5", "W"),
    ("table1", "flux1-dev", "geneval", "82.0", "W"),
    ("table1", "flux1-dev", "dpg", "83.8", "W"),
    ("table1", "flux1-dev", "wise", "0.5", "W"),
    ("table1", "bagel", "tiif-a1", "81.7", "S2"),
    ("table1", "bagel", "tiif-a2", "86.1", "S2"),
    ("table1", "bagel", "tiif-short", "75.2", "S2"),
    ("table1", "bagel", "tiif-long", "78.6", "S2"),
    ("table1", "bagel", "geneval", "85.0", "S2"),
    ("table1", "bagel", "dpg", "84.0", "S2"),
    ("table1", "alphagrpo-rt2i", "tiif-a1", "85.5", "S2"),
    ("table1", "alphagrpo-rt2i", "tiif-a2", "84.2", "S2"),
    ("table1", "alphagrpo-rt2i", "tiif-short", "78.9", "S2"),
    ("table1", "alphagrpo-rt2i", "tiif-long", "79.5", "S2"),
    ("table1", "alphagrpo-rt2i", "geneval", "86.0", "S2"),
    ("table1", "alphagrpo-rt2i", "dpg", "85.0", "S2"),
    ("table1", "alphagrpo-srr", "tiif-a1", "85.6", "S2"),
    ("table1", "alphagrpo-srr", "tiif-a2", "83.3", "S2"),
    ("table1", "alphagrpo-srr", "tiif-short", "79.1", "S2"),
    ("table1", "alphagrpo-srr", "tiif-long", "79.5", "S2"),
    ("table1", "alphagrpo-srr", "geneval", "86.3", "S2"),
    ("table1", "alphagrpo-srr", "dpg", "84.2", "S2"),
    ("table1", "alphagrpo-srr-inference", "tiif-split", "83.9", "S2"),
    ("table1", "alphagrpo-srr-inference", "geneval", "87.9", "S2"),
    ("table1", "alphagrpo-srr-inference", "dpg", "88.2", "S2"),
    ("table2", "bagel", "sc", "7.36", "B"),
    ("table2", "bagel", "pq", "6.83", "B"),
    ("table2", "bagel", "o", "6.52", "B"),
    ("table2", "bagel", "overall", "7.36", "S2"),
    ("table2", "alphagrpo-rt2i", "overall", "7.54", "S2"),
    ("table2", "alphagrpo-srr", "sc", "7.67", "S2"),
    ("table2", "alphagrpo-srr", "pq", "7.46", "S2"),
    ("table2", "alphagrpo-srr", "o", "7.08", "S2"),
    ("table3", "bagel-hpsv3", "geneval", "83.4", "S2"),
    ("table3", "bagel-unifiedreward", "geneval", "83.7", "S2"),
    ("table3", "bagel-viescore", "geneval", "81.7", "S2"),
    ("table3", "bagel-dvreward", "geneval", "85.1", "S2"),
    ("table3", "bagel-dvreward", "tiif-long", "79.5", "S2"),
    ("table3", "sd35m-viescore", "tiif-long", "72.9", "S2"),
    ("table3", "sd35m-dvreward", "tiif-long", "77.7", "S2"),
    ("table4", "binary", "geneval", "84.0", "S2"),
    ("table4", "binary", "tiif-long", "78.9", "S2"),
    ("table4", "confidence", "geneval", "85.1", "S2"),
    ("table4", "confidence", "tiif-long", "79.5", "S2"),
    ("table5", "fpr-off", "tiif-long", "77.8", "S2"),
    ("table5", "fpr-on", "tiif-long", "79.5", "S2"),
    ("crosscheck", "none", "geneval", "84.0", "X"),
    ("crosscheck", "none", "tiif-short", "75.2", "X"),
    ("crosscheck", "none", "tiif-long", "78.6", "X"),
    ("crosscheck", "scalar", "geneval", "77.7", "X"),
    ("crosscheck", "scalar", "tiif-short", "67.5", "X"),
    ("crosscheck", "scalar", "tiif-long", "76.0", "X"),
    ("crosscheck", "vqa", "geneval", "83.1", "X"),
    ("crosscheck", "vqa", "tiif-short", "77.4", "X"),
    ("crosscheck", "vqa", "tiif-long", "78.9", "X"),
    ("crosscheck", "likelihood", "geneval", "89.5", "X"),
    ("crosscheck", "likelihood", "tiif-short", "85.1", "X"),
    ("crosscheck", "likelihood", "tiif-long", "84.3", "X"),
    ("bagel-geneval", "readme", "short", "0.82", "B"),
    ("bagel-geneval", "readme", "long", "0.88", "B"),
    ("bagel-geneval", "user", "short", "0.78", "U"),
    ("bagel-geneval", "user", "long", "0.86", "U"),
    ("bagel-geneval", "later", "unstated", "84.0", "X"),
    ("pilot", "viescore", "failed", "0.848", "S2"),
    ("pilot", "viescore", "successful", "0.848", "S2"),
    ("pilot", "questions", "failed", "0.592", "S2"),
    ("pilot", "questions", "successful", "0.914", "S2"),
]

GOOD = """
title: "T"
columns:
  c: {label: "C", unit: "%", benchmark: geneval, metric: overall, scale: 100, protocol: official, judge: j,
      judge_wording: null, prompt_set: long, resolution_px: 512, setting: "s"}
rows:
  r: {label: "R", model: "m"}
values:
  - {row: r, column: c, value: "1.50", source: S2}
"""


def test_every_published_number_is_the_one_written_down_by_hand_and_there_are_no_others():
    held = {(n, v.row, v.column, v.value, v.source) for n in NAMES for v in reference(n).values}
    assert held == set(SPOT)


def test_every_value_names_a_source_a_model_and_its_setting():
    for name in NAMES:
        for value in reference(name).values:
            assert value.source in sources() and value.model and value.setting


def test_a_value_takes_its_columns_conditions_unless_it_states_its_own():
    bagel, sd3 = (reference("table1").at(row, "geneval") for row in ("bagel", "sd3-medium"))
    assert (bagel.judge, bagel.prompt_set, bagel.resolution_px) == ("geneval-official", "long", 512)
    assert (sd3.judge, sd3.prompt_set, sd3.resolution_px, sd3.rounded) == (None, None, None, True)


def test_all_eight_inconsistencies_hang_on_values_or_claims():
    assert sorted(inconsistencies()) == list(range(1, 9))
    used = {n for name in NAMES for n in reference(name).numbers_of_notes()}
    assert used == set(range(1, 9))


@pytest.mark.parametrize(
    ("table", "row", "column", "numbers"),
    [
        ("table1", "bagel", "tiif-a2", (1, 8)),
        ("table1", "bagel", "geneval", (3,)),
        ("table1", "alphagrpo-srr-inference", "geneval", (7,)),
        ("table1", "alphagrpo-srr-inference", "tiif-split", (6, 7)),
        ("table2", "alphagrpo-rt2i", "overall", (2,)),
        ("table3", "bagel-dvreward", "geneval", (4, 5)),
        ("crosscheck", "vqa", "geneval", (5,)),
    ],
)
def test_inconsistencies_are_attached_to_the_values_they_concern(table, row, column, numbers):
    assert reference(table).at(row, column).inconsistencies == numbers


def test_sub_scores_that_nobody_can_identify_have_no_counterpart():
    columns = reference("table1").columns
    unknown = [k for k, c in columns.items() if c.metric is None]
    assert unknown == ["tiif-a1", "tiif-a2", "tiif-overall", "tiif-split"]


def test_printed_decimals_give_the_rounding(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    value = load_reference(tmp_path / "x.yaml").at("r", "c")
    assert (value.value, value.number) == ("1.50", 1.5)
    assert value.half_unit == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: S2", "source: S9", r"x\.yaml, values\[0\]: field 'source' names 'S9'; known are S2, B, X, W, U"),
        ("row: r,", "row: q,", r"values\[0\]: field 'row' names 'q'"),
        ("column: c,", "", r"values\[0\]: field 'column' is missing"),
        ('value: "1.50"', "value: 1.50", r"values\[0\]: Expected `str`.*value"),
        ('value: "1.50"', 'value: "about 2"', r"values\[0\]: .*value"),
        ("source: S2}", "source: S2, jugde: x}", r"values\[0\]: unknown key 'jugde'\. Did you mean 'judge'"),
        ("source: S2}", "source: S2, inconsistencies: [9]}", r"values\[0\]: field 'inconsistencies' names 9"),
        ('unit: "%"', 'unit: "points"', r"columns\.c: .*unit"),
        ('label: "R", ', "", r"rows\.r: .*label"),
        ('title: "T"', "titel: T", r"x\.yaml, line 2: unknown key 'titel'"),
        (
            "source: S2}",
            'source: S2}\n  - {row: r, column: c, value: "2", source: B}',
            "row 'r', column 'c' is printed twice",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_place_and_field(tmp_path, old, new, message):
    assert old in GOOD
    (tmp_path / "x.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(DataError, match=message):
        load_reference(tmp_path / "x.yaml")


def test_a_missing_file_and_an_unknown_table_are_told(tmp_path):
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "no.yaml"))):
        load_reference(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match=r"Unknown published table 'tabel1'\. Did you mean 'table1'"):
        reference("tabel1")
