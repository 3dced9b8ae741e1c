import pytest

from harness.folders import replaced_folder


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_folder_appears_complete_with_its_parents(tmp_path):
    with replaced_folder(tmp_path / "a" / "b") as new:
        (new / "file").write_text("x")
        assert not (tmp_path / "a" / "b").exists()
    assert names(tmp_path) == ["a", "a/b", "a/b/file"]
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755


def test_a_folder_takes_the_place_of_all_that_an_older_one_held(tmp_path):
    for name in ("old", "new"):
        with replaced_folder(tmp_path / "b") as new:
            (new / name).write_text(name)
    assert names(tmp_path) == ["b", "b/new"]


def test_after_an_error_the_older_folder_stands_and_nothing_is_left(tmp_path):
    with replaced_folder(tmp_path / "b") as new:
        (new / "old").write_text("old")
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "b") as new:
        (new / "half").write_text("")
        raise RuntimeError
    assert names(tmp_path) == ["b", "b/old"] and (tmp_path / "b" / "old").read_text() == "old"
