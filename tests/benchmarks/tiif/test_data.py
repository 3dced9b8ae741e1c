import hashlib
import json

import pytest

import benchmarks.tiif as tiif
from benchmarks.sources import read_files
from benchmarks.tiif.data import data_root, load_set
from benchmarks.tiif.indices import comparison_order
from benchmarks.tiif.indices import testmini_to_full as to_full
from benchmarks.tiif.lock import shipped_lock
from benchmarks.tiif.taxonomy import TYPES
from harness.errors import DataError

from . import synthetic

COMPARISON = "test_eval_prompts/comparison_eval_prompts.jsonl"


def with_correction():
    """Files as in the pinned revision, the corrected comparison file, and a lock that knows both."""
    files = synthetic.data_files()
    lines = files[COMPARISON].splitlines(keepends=True)
    corrected = b"".join(lines[i] for i in comparison_order())
    return files, corrected, synthetic.lock_of(files, {COMPARISON: corrected})


def archives(root, files):
    for folder in sorted({path.split("/")[0] for path in files}):
        members = {path: data for path, data in files.items() if path.startswith(f"{folder}/")}
        root.mkdir(parents=True, exist_ok=True)
        synthetic.write_tar(root / f"{folder}.tar.gz", {**members, f"{folder}/.DS_Store": b"\0"})
    return root


def test_folders_and_archives_give_the_same_cases(tmp_path):
    files = synthetic.data_files()
    lock = synthetic.lock_of(files)
    folder = load_set(synthetic.write_folder(tmp_path / "a", files), "testmini", lock)
    assert folder == load_set(archives(tmp_path / "b", files), "testmini", lock)
    assert list(folder.cases) == list(TYPES)
    case = folder.cases["style"][1]
    assert (case.row, case.full_row, case.short, case.long) == (1, 217, "style 1", "long style 1")
    assert (case.questions, case.answers) == (("Is there a style 1?", "Is style 1 red?"), ("yes", "no"))


def test_a_changed_file_is_refused_with_both_hashes(tmp_path):
    files = synthetic.data_files()
    lock = synthetic.lock_of(files)
    path = "testmini_prompts/text_prompts.jsonl"
    changed = files[path].replace(b"text 0", b"text O")
    root = synthetic.write_folder(tmp_path, files | {path: changed})
    with pytest.raises(DataError, match=f"{path} has sha256 {hashlib.sha256(changed).hexdigest()}, expected"):
        load_set(root, "testmini", lock)


def test_crlf_line_ends_are_named_as_the_reason(tmp_path):
    files = synthetic.data_files()
    path = "testmini_prompts/text_prompts.jsonl"
    root = synthetic.write_folder(tmp_path, files | {path: files[path].replace(b"\n", b"\r\n")})
    with pytest.raises(DataError, match="CRLF"):
        load_set(root, "testmini", synthetic.lock_of(files))


def test_an_absent_file_is_named(tmp_path):
    files = synthetic.data_files()
    root = synthetic.write_folder(tmp_path, {k: v for k, v in files.items() if "negation_eval" not in k})
    with pytest.raises(DataError, match=r"negation_eval_prompts\.jsonl is missing"):
        load_set(root, "testmini", synthetic.lock_of(files))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type": "text", "short_desc', "line 2: not valid JSON"),
        (b'{"type": "style", "short_description": "", "long_description": ""}', "line 2, field 'type'"),
        (b'{"type": "text", "long_description": "b"}', "line 2, field 'short_description'"),
    ],
)
def test_a_damaged_row_is_located(tmp_path, line, message):
    files = synthetic.data_files()
    path = "testmini_prompts/text_prompts.jsonl"
    files[path] = files[path].splitlines(keepends=True)[0] + line + b"\n"
    root = synthetic.write_folder(tmp_path, files)
    with pytest.raises(DataError, match=f"{path}, {message}"):
        load_set(root, "testmini", synthetic.lock_of(files))


def test_answers_must_fit_the_questions(tmp_path):
    files = synthetic.data_files()
    path = "testmini_eval_prompts/text_eval_prompts.jsonl"
    files[path] = files[path].replace(b'["Yes", "no"]', b'["Yes"]')
    root = synthetic.write_folder(tmp_path, files)
    with pytest.raises(DataError, match="line 1, field 'yn_answer_list'"):
        load_set(root, "testmini", synthetic.lock_of(files))


def test_either_comparison_file_gives_either_order(tmp_path):
    files, corrected, lock = with_correction()
    snapshot_root = synthetic.write_folder(tmp_path / "snapshot", files)
    corrected_root = synthetic.write_folder(tmp_path / "corrected", files | {COMPARISON: corrected})
    repaired = load_set(snapshot_root, "full", lock, "corrected")
    assert repaired.cases == load_set(corrected_root, "full", lock, "corrected").cases
    kept = load_set(snapshot_root, "full", lock, "snapshot")
    assert kept.cases == load_set(corrected_root, "full", lock, "snapshot").cases
    assert [c.questions[0] for c in repaired.cases["comparison"]][22:27] == [
        f"Is there a comparison {i}?" for i in (22, 65, 23, 24, 70)
    ]
    assert kept.cases["comparison"][65].questions == repaired.cases["comparison"][23].questions
    assert kept.sha256 != repaired.sha256
    assert repaired.comparison_rows == "corrected order (files: snapshot)"
    assert load_set(snapshot_root, "testmini", lock).comparison_rows is None


def test_absent_data_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"run\.py data prepare tiif"):
        data_root(tmp_path)
    with pytest.raises(DataError, match=r"run\.py data prepare tiif"):
        synthetic.adapter(data_dir=tmp_path).prompts()
    with pytest.raises(DataError, match=r"run\.py data prepare tiif"):
        synthetic.adapter().prompts()


@pytest.fixture
def small_release(tmp_path, monkeypatch):
    files, _, lock = with_correction()
    monkeypatch.setattr(tiif, "shipped_lock", lambda: lock)
    synthetic.write_folder(tmp_path / "data" / "tiif", files)
    return tmp_path / "data"


def test_official_prompts_are_all_short_ones_then_all_long_ones(small_release):
    prompts = synthetic.adapter(data_dir=small_release).prompts()
    assert len(prompts) == 39 * 2 * 2
    assert [p.id for p in prompts[:3]] == [
        "tiif/shape+color/0000/short",
        "tiif/shape+color/0001/short",
        "tiif/color+texture/0000/short",
    ]
    last = prompts[-1]
    assert (last.id, last.text, last.category) == ("tiif/real_world/0001/long", "long real_world 1", "real_world")
    assert last.meta == {
        "type": "real_world",
        "length": "long",
        "row": 1,
        "questions": ["Is there a real_world 1?", "Is real_world 1 red?"],
        "answers": ["yes", "no"],
        "set": "testmini",
        "full_row": 0,
    }


def test_length_selects_prompts_and_leaves_the_data_id(small_release):
    both, long = synthetic.adapter(data_dir=small_release), synthetic.adapter(data_dir=small_release, length="long")
    assert {p.meta["length"] for p in long.prompts()} == {"long"}
    assert long.data_id == both.data_id


def test_the_data_id_tells_sets_and_comparison_orders_apart(small_release):
    ids = {
        synthetic.adapter(data_dir=small_release, set=s, comparison_rows=c).data_id
        for s in ("testmini", "full")
        for c in ("corrected", "snapshot")
    }
    assert len(ids) == 3
    assert any("comparison snapshot order (files: snapshot)" in i for i in ids)


def test_the_shipped_lock_has_the_official_counts():
    lock = shipped_lock()
    for name, rows, questions in (("testmini", 277, 1446), ("full", 2538, 12160)):
        assert sum(lock.n_rows(name, t) for t in TYPES) == rows
        assert sum(lock.n_questions(name, t) for t in TYPES) == questions
    assert len(lock.files) == 156
    assert [t for t in TYPES if lock.question_file("full", t).corrected_sha256] == ["comparison"]


@pytest.mark.parametrize(
    ("types", "n_full", "n_testmini"),
    [
        (["2d_spatial_relation", "3d_spatial_relation", "action+2d", "action+3d"], 75, 8),
        (["comparison", "differentiation", "negation", "numeracy"], 75, 8),
        (["shape+color", "shape+texture"], 100, 10),
        (["color+texture", "texture+color", "action+color", "action+texture"], 50, 5),
        (["color+2d", "color+3d", "shape+2d", "shape+3d", "texture+2d", "texture+3d"], 33, 4),
        (["numeracy+2d", "comparison+color", "differentiation+texture", "negation+3d"], 40, 4),
        (["real_world"], 100, 25),
        (["style", "text"], 300, 30),
    ],
)
def test_the_shipped_lock_has_the_official_rows_of_each_type(types, n_full, n_testmini):
    for type_ in types:
        assert (synthetic.FULL[type_], synthetic.TESTMINI[type_]) == (n_full, n_testmini)


@pytest.fixture(scope="module")
def data_dir(official, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "tiif").symlink_to(official / "tiif_bench")
    return folder


class TestOfficialFiles:
    """The real files, where they are."""

    @pytest.mark.parametrize(("name", "rows", "questions"), [("testmini", 277, 1446), ("full", 2538, 12160)])
    def test_counts(self, data_dir, name, rows, questions):
        benchmark = synthetic.adapter(data_dir=data_dir, set=name)
        prompts = benchmark.prompts()
        for length in ("short", "long"):
            mine = [p for p in prompts if p.meta["length"] == length]
            assert len(mine) == rows
            assert sum(len(p.meta["questions"]) for p in mine) == questions
        n_no = sum(a == "no" for p in prompts for a in p.meta["answers"]) // 2
        assert n_no == {"testmini": 34, "full": 329}[name]
        assert all(p.meta["questions"] == [q.strip() for q in p.meta["questions"]] for p in prompts)

    def test_the_index_map(self, official, data_dir):
        expected = json.loads((official / "tiif_bench" / "testmini_to_full_index.json").read_text())["map"]
        assert {t: [to_full(t, i) for i in range(synthetic.TESTMINI[t])] for t in expected} == expected
        testmini = load_set(data_dir / "tiif", "testmini", shipped_lock())
        full = load_set(data_dir / "tiif", "full", shipped_lock())
        for type_, cases in testmini.cases.items():
            for case in cases:
                same = full.cases[type_][case.full_row]
                assert (case.short, case.long, case.questions) == (same.short, same.long, same.questions)

    def test_the_comparison_order_and_its_hash(self, official):
        fix = json.loads((official / "tiif_bench" / "comparison_eval_row_fix.json").read_text())
        assert comparison_order() == fix["eval_row_for_prompt"]
        entry = shipped_lock().files[COMPARISON]
        assert (entry.sha256, entry.corrected_sha256) == (fix["sha256_snapshot"], fix["sha256_corrected"])
        files = {
            f.path.name: f.data for f in read_files(official / "tiif_bench" / "test_eval_prompts.tar.gz", (".jsonl",))
        }
        lines = files["comparison_eval_prompts.jsonl"].splitlines(keepends=True)
        reordered = b"".join(lines[i] for i in comparison_order())
        assert hashlib.sha256(reordered).hexdigest() == entry.corrected_sha256
