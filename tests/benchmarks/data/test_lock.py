import pytest

from benchmarks.data.lock import git_blob, names, parse_lock, read_lock
from harness.errors import ConfigError, DataError

from . import synthetic


def test_every_shipped_lock_fits_the_schema():
    assert names()[:5] == ["dpg", "gedit", "geneval", "tiif", "wise"]
    for name in names():
        lock = read_lock(name)
        assert lock.sources
        assert all(s.licence and (s.revision or s.package) for s in lock.sources)


def test_the_shipped_locks_hold_what_the_specifications_count():
    counts = {n: len(list(read_lock(n).files())) for n in names() if read_lock(n).is_benchmark}
    assert counts == {"dpg": 1, "gedit": 0, "geneval": 7, "tiif": 156, "wise": 10}
    scripts = {n: read_lock(n).script_names() for n in names()}
    assert scripts["wise"] == ["legacy", "verified"]
    assert scripts["tiif"] == scripts["gedit"] == [""]
    assert len(read_lock("gedit").scripts) == 3  # the same bytes in three repositories


def test_a_near_miss_is_offered_for_an_unknown_name():
    with pytest.raises(ConfigError, match="Did you mean 'geneval'"):
        read_lock("gen-eval")
    with pytest.raises(ConfigError):
        read_lock("../locks/geneval")


def test_git_blob_ids_are_those_of_git():
    assert git_blob(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\b"])
def test_a_name_that_leaves_the_data_folder_is_refused(tmp_path, name):
    entry = {"name": name, "path": "x", "sha256": "0" * 64}
    source = {"repository": "a/b", "revision": "c" * 40, "licence": "MIT", "files": [entry]}
    with pytest.raises(DataError, match="below the data folder"):
        synthetic.write_lock(tmp_path, sources=[source])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a", "path": "a", "sha256": "0" * 63}, "sha256"),
        ({"name": "a", "path": "a"}, "either sha256 or git_blob"),
        ({"name": "a", "sha256": "0" * 64}, "path"),
    ],
)
def test_a_damaged_lock_is_named_with_its_field(tmp_path, entry, message):
    source = {"repository": "a/b", "revision": "c" * 40, "licence": "MIT", "files": [entry]}
    with pytest.raises(DataError, match=message):
        synthetic.write_lock(tmp_path, sources=[source])


def test_a_lock_without_sources_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("benchmark: x\npaper: y\n")
    with pytest.raises(DataError, match=r"x\.yaml: not a valid lock"):
        parse_lock(tmp_path / "x.yaml")
