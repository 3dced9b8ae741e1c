import csv
import io
import json
from html.parser import HTMLParser

import pytest

from harness.errors import ConfigError, StoreError
from reports.tables import FORMATS, Table, escape_tex, render, write_tables

NASTY = r"50% of $x_1 & {a}\b #~^ <b>|"


def table(**changes):
    values = {
        "name": "t",
        "title": NASTY,
        "columns": ("what", "value", "p", "text"),
        "rows": ((NASTY, 0.791666, 3, '<script>alert("x")</script>'), ("[a]", None, None, "line\nbreak, comma")),
        "notes": ("see | & <i>",),
    }
    return Table(**{**values, **changes})


def test_markdown_escapes_pipes_and_markup_and_keeps_one_line_per_row():
    lines = render(table(), "md").splitlines()
    assert lines[2] == "| what | value | p | text |"
    assert lines[3] == "| --- | ---: | ---: | --- |"
    assert r"\<b\>\|" in lines[4] and r"\_1" in lines[4] and "0.7917" in lines[4]
    assert lines[5] == r"| \[a\] |  |  | line break, comma |"
    unescaped = [sum(c == "|" and line[i - 1] != "\\" for i, c in enumerate(line)) for line in lines[2:6]]
    assert unescaped == [5, 5, 5, 5]


def test_latex_escapes_every_special_character():
    assert escape_tex(NASTY) == (
        r"50\% of \$x\_1 \& \{a\}\textbackslash{}b \#\textasciitilde{}\textasciicircum{} "
        r"\textless{}b\textgreater{}\textbar{}"
    )
    text = render(table(), "tex")
    assert r"\begin{tabular}{lrrl}" in text and r"\toprule" in text and r"\bottomrule" in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == 2 and all(line.endswith(r"\\") for line in body)
    assert body[1].startswith("{[}a{]} &  &  & line break")


def test_latex_writes_typographic_characters_in_ascii():
    assert escape_tex("−1 ± 2 – 3 × Δ ≤ 4") == r"$-$1 $\pm$ 2 -- 3 $\times$ $\Delta$ $\le$ 4"


def test_csv_round_trips_text_and_exact_numbers():
    read = list(csv.reader(io.StringIO(render(table(), "csv"))))
    assert read[0] == ["what", "value", "p", "text"]
    assert read[1] == [NASTY, "0.791666", "3", '<script>alert("x")</script>']
    assert read[2] == ["[a]", "", "", "line\nbreak, comma"]
    assert float(read[1][1]) == 0.791666


def test_json_holds_one_object_per_row_with_null_for_none():
    value = json.loads(render(table(), "json"))
    assert value["rows"][0] == {"what": NASTY, "value": 0.791666, "p": 3, "text": '<script>alert("x")</script>'}
    assert value["rows"][1]["value"] is None
    assert (value["title"], value["notes"], value["columns"][3]) == (NASTY, ["see | & <i>"], "text")


def test_html_shows_cells_as_text_and_no_element_comes_from_data():
    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.texts = set(), []

        def handle_starttag(self, tag, attrs):
            self.tags.add(tag)

        def handle_data(self, data):
            self.texts.append(data)

    reader = Reader()
    reader.feed(render(table(), "html"))
    assert reader.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert NASTY in reader.texts and '<script>alert("x")</script>' in reader.texts


def test_columns_of_numbers_stand_right_also_when_formatted_as_text():
    t = Table(name="a", title="", columns=("x", "y", "z"), rows=(("+0.5", "1 of 2", None), ("–", "3", None)))
    assert t.alignment == "rll"
    assert Table(name="a", title="", columns=("x",), rows=((1.0,),), align="l").alignment == "l"


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (85.0, "", "85.0"),
        (0.00001, "", "1.0e-05"),
        (-0.00001, "+.2f", "-0.00"),
        (0.12345, "", "0.1235"),
        (0.0, "", "0.0"),
        (7, "+.2f", "7"),
    ],
)
def test_floats_are_shown_with_at_most_four_decimals_or_the_given_format(value, form, shown):
    t = Table(name="a", title="", columns=("x",), rows=((value,),), formats=(form,))
    assert t.shown() == [[shown]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": (("a",),)}, "1 cells in 4 columns"),
        ({"rows": (("a", float("nan"), None, None),)}, "None is the only spelling"),
        ({"rows": (("a", True, None, None),)}, "bool"),
        ({"columns": ("a", "a", "b", "c")}, "named differently"),
        ({"name": "../x"}, "file stem"),
        ({"align": "lrx"}, "align"),
        ({"formats": ("",)}, "formats"),
    ],
)
def test_a_malformed_table_is_refused_on_creation(changes, message):
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_files_are_written_per_table_and_format(tmp_path):
    files = write_tables([table(), table(name="u")], tmp_path / "new", ["md", "csv"])
    assert [f.name for f in files] == ["t.md", "t.csv", "u.md", "u.csv"]
    assert files[1].read_text() == render(table(), "csv")


def test_nothing_is_written_when_a_format_or_a_name_is_wrong(tmp_path):
    with pytest.raises(ConfigError, match=r"Unknown table format 'markdwn'.*csv, html, json, md, tex"):
        write_tables([table()], tmp_path, ["md", "markdwn"])
    with pytest.raises(ConfigError, match="Two tables are named 't'"):
        write_tables([table(), table()], tmp_path, ["md"])
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"t\.md"):
        write_tables([table()], tmp_path / "file", ["md"])


@pytest.mark.parametrize("format", FORMATS)
def test_a_table_without_rows_renders(format):
    assert "what" in render(table(rows=(), notes=()), format)
