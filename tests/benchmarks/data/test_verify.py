import pytest

from benchmarks.data.local import prepare_from
from benchmarks.data.verify import verify
from tests.benchmarks.gedit.synthetic import write_copy

from . import synthetic


@pytest.fixture
def lock(tmp_path):
    return synthetic.write_lock(tmp_path)


@pytest.fixture
def folder(lock, tmp_path):
    prepare_from(lock, tmp_path / "data", [synthetic.write_checkout(tmp_path / "bench")])
    return tmp_path / "data" / "toy"


def found(lock, folder):
    return {f.file: f.state for f in verify(lock, folder.parent).findings}


def test_a_prepared_folder_is_clean(lock, folder):
    checked = verify(lock, folder.parent)
    assert (checked.clean, checked.n_intact) == (True, 3)


def test_every_differing_missing_and_extra_file_is_named(lock, folder):
    (folder / "short.jsonl").write_bytes(b"changed")
    (folder / "names+1.txt").unlink()
    (folder / "sets" / "notes.txt").write_bytes(b"mine")
    (folder / "short.jsonl.part").write_bytes(b"half")
    (folder / ".DS_Store").write_bytes(b"")
    assert found(lock, folder) == {
        "short.jsonl": "differs",
        "names+1.txt": "missing",
        "sets/notes.txt": "extra",
        "short.jsonl.part": "unfinished",
    }


def test_every_flipped_bit_is_found(lock, folder):
    for name in synthetic.FILES:
        data = (folder / name).read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            (folder / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert found(lock, folder) == {name: "differs"}
        (folder / name).write_bytes(data)
    assert found(lock, folder) == {}


def test_a_folder_that_is_not_there_is_all_missing(lock, tmp_path):
    assert set(found(lock, tmp_path / "none" / "toy").values()) == {"missing"}


def test_verifying_writes_nothing(lock, folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    verify(lock, folder.parent)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def test_a_damaged_receipt_is_a_finding(tmp_path):
    lock = synthetic.rows_lock()
    prepare_from(lock, tmp_path / "data", [write_copy(tmp_path / "copy")])
    assert verify(lock, tmp_path / "data").clean
    (tmp_path / "data" / "gedit" / "prepared.json").write_text("{")
    assert found(lock, tmp_path / "data" / "gedit") == {"prepared.json": "differs"}
