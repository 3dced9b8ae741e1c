"""The data set: prepared copies, Arrow files, damage of every kind."""

import importlib.util
import json
import sys

import pytest

from benchmarks.gedit import arrow, data
from benchmarks.gedit.data import load
from benchmarks.gedit.groups import GROUPS
from benchmarks.gedit.prepare import prepare
from benchmarks.gedit.rows import check_set, parse_row, selected
from harness.errors import DataError
from harness.images import sha256

from .synthetic import dataset_rows, write_copy

ROW = {
    "task_type": "subject-add",
    "key": "0" * 32,
    "instruction": "add a hat",
    "instruction_language": "en",
    "Intersection_exist": True,
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return write_copy(tmp_path_factory.mktemp("data") / "gedit")


def test_a_copy_holds_all_rows_by_language_and_subset(copy):
    found = load(copy.parent)
    assert len(found.rows) == 1212
    english = selected(found.rows, "en", "full")
    assert len(english) == 606 == len({r.id for r in english})
    assert [r.group for r in english] == sorted(r.group for r in english)
    assert list(dict.fromkeys(r.group for r in english)) == list(GROUPS)
    inside = selected(found.rows, "cn", "intersection")
    assert 0 < len(inside) < 606
    assert all(r.intersection and r.lang == "cn" for r in inside)


def test_source_images_are_known_by_hash_before_they_are_opened(copy):
    found = load(copy.parent)
    row = found.rows[0]
    ref = found.source(row.image_sha256)
    assert ref.id == row.image_sha256
    assert sha256(ref.file.read_bytes()) == ref.id
    assert ref.load().size == (8, 6)
    with pytest.raises(DataError, match="no source image"):
        found.source("0" * 64)


def test_a_changed_source_image_is_found_when_opened(tmp_path):
    root = write_copy(tmp_path / "gedit")
    found = load(tmp_path)
    path = found.source(found.rows[0].image_sha256).file
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match=path.name):
        found.source(found.rows[0].image_sha256).load()
    path.unlink()
    with pytest.raises(DataError, match=r"1 of .* source images are missing"):
        load(root.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_type": "subject_add"}, r"field 'task_type': unknown .* Did you mean 'subject-add'"),
        ({"instruction_language": "zh"}, r"field 'instruction_language': 'zh', expected en or cn"),
        ({"Intersection_exist": "True"}, r"field 'Intersection_exist': expected bool, got 'True'"),
        ({"instruction": " "}, r"field 'instruction': empty"),
        ({"instruction": None}, r"field 'instruction': expected str, got None"),
        ({"key": "../../etc/passwd"}, r"field 'key': .* cannot name an image file"),
        ({"key": ""}, r"field 'key'"),
    ],
)
def test_a_damaged_row_is_named_with_its_field(change, message):
    assert parse_row(ROW, "ab", "here").id == f"gedit/en/subject-add/{'0' * 32}"
    with pytest.raises(DataError, match="here, " + message):
        parse_row({**ROW, **change}, "ab", "here")


def test_an_absent_field_is_named():
    with pytest.raises(DataError, match="here: field 'key' is missing"):
        parse_row({k: v for k, v in ROW.items() if k != "key"}, "ab", "here")


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"a": 1}', "", '{"image": 5}', '{"image": "../x.png", "image_sha256": "0"}']
)
def test_a_damaged_index_line_is_named(tmp_path, line):
    root = write_copy(tmp_path / "gedit")
    lines = (root / "index.jsonl").read_text().split("\n")
    (root / "index.jsonl").write_text("\n".join([lines[0], line, *lines[1:]]))
    with pytest.raises(DataError, match=r"index\.jsonl, line 2"):
        load(tmp_path)


def test_incomplete_and_repeated_rows_are_refused(copy):
    rows = load(copy.parent).rows
    with pytest.raises(DataError, match=r"not the complete data set of 1212 rows: cn/tone_transfer 39 \(expected 40\)"):
        check_set(rows[:-1], "x")
    with pytest.raises(DataError, match="1 rows occur twice"):
        check_set([*rows, rows[0]], "x")


def test_absent_data_says_what_to_do(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(DataError, match="data prepare gedit"):
            load(folder)


def test_arrow_without_pyarrow_gives_the_install_hint(tmp_path, monkeypatch):
    (tmp_path / "gedit").mkdir()
    (tmp_path / "gedit" / "data-00000-of-00001.arrow").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        load(tmp_path)


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": "a.png"}, {"bytes": b"", "path": None}, "a.png", 5])
def test_images_that_are_not_embedded_are_refused(cell):
    with pytest.raises(DataError, match="expected embedded image bytes"):
        arrow.image_bytes(cell, "row 3")


def test_preparing_a_copy_gives_the_same_rows_and_can_be_repeated(copy, tmp_path):
    done = prepare(copy, tmp_path)
    assert done[0].startswith("1212 rows, 99 source images")
    assert done[1].startswith("intersection subset: en ")
    assert load(tmp_path).sha256 == load(copy.parent).sha256
    damaged = next((tmp_path / "gedit" / "images").iterdir())
    damaged.write_bytes(b"cut")
    prepare(copy, tmp_path)
    assert sha256(damaged.read_bytes()) == damaged.stem


def test_preparing_leaves_no_index_where_the_source_is_damaged(tmp_path):
    source = write_copy(tmp_path / "source")
    victim = json.loads((source / "index.jsonl").read_text().split("\n")[3])["image"]
    (source / victim).write_bytes(b"other")
    with pytest.raises(DataError, match="expected"):
        prepare(source, tmp_path / "data")
    assert not (tmp_path / "data" / "gedit" / "index.jsonl").exists()


def test_preparing_from_something_else_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="neither Arrow files"):
        prepare(tmp_path, tmp_path / "data")
    with pytest.raises(DataError, match="no such file"):
        prepare(tmp_path / "absent", tmp_path / "data")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="reading Arrow files needs pyarrow")
class TestWithPyarrow:
    def write(self, folder, *, columns=None, as_file=False):
        import pyarrow as pa

        rows = list(dataset_rows())
        content = {name: [r[name] for r, _ in rows] for name in rows[0][0]}
        content["input_image"] = [{"bytes": d, "path": None} for _, d in rows]
        content["input_image_raw"] = [{"bytes": b"unused", "path": None} for _ in rows]
        table = pa.table({k: v for k, v in content.items() if columns is None or k in columns})
        folder.mkdir(parents=True)
        middle = table.num_rows // 2
        for number, part in enumerate((table.slice(0, middle), table.slice(middle))):
            with pa.OSFile(str(folder / f"data-0000{number}-of-00002.arrow"), "wb") as sink:
                new = pa.ipc.new_file if as_file else pa.ipc.new_stream
                with new(sink, part.schema) as writer:
                    writer.write_table(part, max_chunksize=100)

    @pytest.mark.parametrize("as_file", [False, True])
    def test_arrow_files_give_the_rows_of_the_copy(self, copy, tmp_path, as_file):
        self.write(tmp_path / "gedit", as_file=as_file)
        found = load(tmp_path)
        assert found.sha256 == load(copy.parent).sha256
        assert found.source(found.rows[5].image_sha256).load().size == (8, 6)
        prepare(tmp_path / "gedit", tmp_path / "prepared")
        assert load(tmp_path / "prepared").sha256 == found.sha256

    def test_an_arrow_file_without_a_column_is_refused(self, tmp_path):
        self.write(tmp_path / "gedit", columns={"task_type", "key"})
        with pytest.raises(DataError, match="no column instruction"):
            load(tmp_path)

    def test_a_damaged_arrow_file_is_refused(self, tmp_path):
        (tmp_path / "gedit").mkdir()
        (tmp_path / "gedit" / "data.arrow").write_bytes(b"not arrow at all")
        with pytest.raises(DataError, match="not a readable Arrow file"):
            load(tmp_path)


def test_has_data_means_a_prepared_copy(copy, tmp_path):
    assert data.has_data(copy.parent)
    assert not data.has_data(tmp_path) and not data.has_data(None)
