import hashlib
import subprocess

import pytest

from benchmarks.dpg.data import mark_first_row, prompts_jsonl, read_prompts
from benchmarks.dpg.graph import MissingParent, category_of, filter_in_place, graph_order, l1_of, nodes_of
from benchmarks.dpg.lock import shipped_lock
from benchmarks.dpg.table import git_blob_id, read_table
from harness.errors import DataError
from harness.types import Prompt

from .synthetic import COLUMNS, TABLE, TEXTS, csv_bytes, lock_of, row, write_data


def table(tmp_path, rows, protocol="official", lock=None, columns=COLUMNS):
    path = tmp_path / "t.csv"
    path.write_bytes(rows if isinstance(rows, bytes) else csv_bytes(rows, columns))
    return read_table(path, protocol, lock or lock_of())


def test_the_blob_id_is_that_of_git(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a,b\n1,2\n")
    try:
        told = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not installed; the id is compared with git's own")
    assert git_blob_id(b"a,b\n1,2\n") == told.strip()


def test_the_official_table_is_known_by_its_blob_id_and_any_other_is_dpg_like(tmp_path):
    assert table(tmp_path, TABLE).data_id.startswith("dpg@")
    other = table(tmp_path, [*TABLE, row("c", 1)])
    assert not other.is_official
    assert other.data_id == f"dpg-like@{other.blob_id[:12]}"


def test_every_row_is_kept_and_the_first_is_marked(tmp_path):
    found = table(tmp_path, TABLE)
    assert [len(q) for q in found.questions.values()] == [2, 4, 2]
    assert [q.get("first_row", False) for q in found.questions["first9"]] == [True, False]
    assert found.texts["7"] == "prompt 7"


def test_both_protocols_see_the_same_questions_of_a_regular_table(tmp_path):
    assert table(tmp_path, TABLE).questions == table(tmp_path, TABLE, "corrected").questions


def test_ids_stay_text_and_quoted_cells_keep_commas_and_line_breaks(tmp_path):
    rows = [row("007", 1, question='Is "it", say,\na cat?'), row("007", 2, "1")]
    found = table(tmp_path, rows)
    assert list(found.questions) == ["007"]
    assert found.questions["007"][0]["question"] == 'Is "it", say,\na cat?'


def test_a_table_without_tuples_is_refused_officially_and_has_no_categories_otherwise(tmp_path):
    columns = [c for c in COLUMNS if c != "tuple"]
    with pytest.raises(DataError, match=r"line 1: no column 'tuple'.*re-export"):
        table(tmp_path, TABLE, columns=columns)
    assert table(tmp_path, TABLE, "corrected", columns=columns).questions["7"][0]["tuple"] == ""


def test_a_table_that_lost_its_first_row_is_refused_officially(tmp_path):
    with pytest.raises(DataError, match=r"question 2 of 'first9'.*already lacks the first question"):
        table(tmp_path, TABLE[1:])


def test_a_reordered_table_without_that_question_is_refused_too(tmp_path):
    with pytest.raises(DataError, match="already lacks the first question"):
        table(tmp_path, [*TABLE[2:], TABLE[1]])


def test_corrected_refuses_it_over_the_unknown_parent(tmp_path):
    with pytest.raises(DataError, match=r"question 2 names parent 1, which the prompt does not have"):
        table(tmp_path, TABLE[1:], "corrected")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("a", 1), row("a", 2, "3")], r"'a', field 'dependency': question 2 names parent 3"),
        ([row("a", 1), row("a", 2, "0,2")], "question 2 is its own parent"),
        ([row("a", 1, "3"), row("a", 2, "1"), row("a", 3, "2")], "questions 1, 2, 3 rest on each other in a cycle"),
        ([row("a", 1), row("a", 1)], r"line 3, field 'proposition_id': 1 again in 'a' \(first in .*line 2\)"),
        ([row("a", 1), row("b", 1), row("a", 2)], r"line 4, field 'item_id': 'a' again"),
    ],
)
def test_corrected_refuses_what_official_takes(tmp_path, rows, message):
    assert table(tmp_path, rows).questions
    with pytest.raises(DataError, match=message):
        table(tmp_path, rows, "corrected")


def test_official_replaces_a_second_block_and_overwrites_a_repeated_number_in_place(tmp_path):
    rows = [row("z", 1), row("a", 1), row("b", 1), row("b", 2), row("b", 1, "2", question="again"), row("a", 5)]
    found = table(tmp_path, rows)
    assert [q["proposition_id"] for q in found.questions["a"]] == [5]
    assert next((q["proposition_id"], q["question"]) for q in found.questions["b"]) == (1, "again")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proposition_id": "x"}, r"line 3, field 'proposition_id': expected a question number, got 'x'"),
        ({"proposition_id": "٣"}, "field 'proposition_id'"),
        ({"proposition_id": "0"}, "questions are numbered from 1"),
        ({"dependency": ""}, r"line 3, field 'dependency'"),
        ({"dependency": "1;2"}, r"line 3, field 'dependency'"),
        ({"dependency": "-1"}, r"line 3, field 'dependency'"),
        ({"item_id": " "}, r"line 3, field 'item_id': empty"),
        ({"question_natural_language": ""}, "field 'question_natural_language': empty"),
    ],
)
def test_a_damaged_cell_is_named(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path, [row("a", 1), {**row("a", 2), **change}])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no rows"),
        (csv_bytes([]), "no rows"),
        (b"item_id,text\n", "no column proposition_id, dependency"),
        (csv_bytes(TABLE) + b"short,row\n", r"line 10: 2 cells, expected 9"),
        (csv_bytes(TABLE) + b'a,"b', "not valid CSV"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path, data)


def test_an_absent_table_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"run.py data prepare dpg.*dpg.table=PATH"):
        read_table(tmp_path / "none.csv", "official", lock_of())


def test_categories_come_from_the_tuple():
    assert category_of("attribute - color (cat, red (dark))") == "attribute - color"
    assert (category_of("global - (night)"), l1_of("global -")) == ("global -", "global")
    assert (category_of("relation - non-spatial (a, b)"), l1_of("relation - non-spatial")) == (
        "relation - non-spatial",
        "relation",
    )


def nodes(*parents):
    return nodes_of([{"proposition_id": i, "dependency": p, "tuple": "", "question": "?"} for i, p in parents], "p")


def test_zeros_cascade_down_the_table_but_not_up():
    down = nodes((1, "0"), (2, "1"), (3, "2"))
    assert filter_in_place(down, {1: 0.0, 2: 1.0, 3: 1.0}) == {1: 0.0, 2: 0.0, 3: 0.0}
    up = nodes((3, "2"), (2, "1"), (1, "0"))
    assert filter_in_place(up, {1: 0.0, 2: 1.0, 3: 1.0}) == {3: 1.0, 2: 0.0, 1: 0.0}


def test_a_missing_parent_counts_only_if_it_is_reached():
    assert filter_in_place(nodes((1, "0"), (2, "1,9")), {1: 0.0, 2: 1.0}) == {1: 0.0, 2: 0.0}
    with pytest.raises(MissingParent, match="question 2 names parent 9"):
        filter_in_place(nodes((1, "0"), (2, "1,9")), {1: 1.0, 2: 0.0})


def test_graph_order_puts_parents_first_and_keeps_the_rest():
    assert [n.number for n in graph_order(nodes((3, "1"), (2, "0"), (1, "2")), "p")] == [2, 1, 3]


def test_prompt_files_and_the_collected_file_give_the_same_texts(tmp_path):
    for name, root in (("files", tmp_path / "a"), ("jsonl", tmp_path / "b")):
        root.mkdir()
        if name == "files":
            (root / "prompts").mkdir()
            for item, text in TEXTS.items():
                (root / "prompts" / f"{item}.txt").write_bytes(text.encode())
        else:
            (root / "prompts.jsonl").write_bytes(prompts_jsonl(TEXTS))
    assert read_prompts(tmp_path / "a", lock_of()) == read_prompts(tmp_path / "b", lock_of()) == TEXTS
    assert list(read_prompts(tmp_path / "b", lock_of())) == ["7", "b.x", "first9"]


def test_a_changed_prompt_is_noticed(tmp_path):
    write_data(tmp_path, texts={**TEXTS, "7": "A large dog left of a ball"})
    with pytest.raises(DataError, match=r"3 prompts with sha256 .* line ends and blanks count"):
        read_prompts(tmp_path / "dpg", lock_of())


def test_the_official_prompts_have_the_locked_hash(official):
    texts = read_prompts(official / "dpg_bench", shipped_lock())
    assert len(texts) == shipped_lock().n_prompts == 1065
    assert hashlib.sha256(prompts_jsonl(texts)).hexdigest() == shipped_lock().prompts_sha256
    assert texts["countbench4"].endswith("\n")
    assert texts["diffusiondb25"].startswith(" ")
    assert "159" not in texts
    assert shipped_lock().first_row_prompt in texts
    assert sorted(shipped_lock().ids) == sorted(texts)


def test_generated_prompts_are_one_table_with_a_first_row():
    made = [Prompt(id=f"dpg/{i}", text="t", meta={"questions": [{"proposition_id": 1}]}) for i in (1, 2)]
    marked = mark_first_row(made)
    assert [p.meta["questions"][0].get("first_row", False) for p in marked] == [True, False]
    assert "first_row" not in made[0].meta["questions"][0]
