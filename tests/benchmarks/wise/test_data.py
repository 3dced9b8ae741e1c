import json
import warnings

import pytest

from benchmarks.data.local import prepare_from
from benchmarks.data.lock import read_lock
from benchmarks.wise.data import load_set
from benchmarks.wise.judgeprompt import BUILTIN, EXPLANATION, PROMPT, JudgePrompt
from benchmarks.wise.lock import shipped_lock
from benchmarks.wise.officialprompt import extract, hashes, read_cache, write_cache
from benchmarks.wise.replies import legacy_scores, verified_score
from harness.errors import DataError

from .synthetic import SCRIPT, SYSTEM, USER, data_files, lock_of, script_lock, write_data


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def files():
    return data_files()


def test_a_set_holds_a_thousand_prompts_with_categories_from_their_ids(tmp_path, files):
    found = load_set(write_data(tmp_path, files), "legacy", lock_of(files))
    assert [p.meta["prompt_id"] for p in found.prompts] == list(range(1, 1001))
    assert (found.prompts[566].id, found.prompts[566].category) == ("wise/legacy/0567", "TIME")
    assert found.prompts[567].category == "SPACE"
    assert found.prompts[0].text == "p 1 ü"
    assert found.prompts[0].meta["Explanation"] == "because 1"


def test_sets_have_ids_and_data_ids_of_their_own(tmp_path, files):
    folder = write_data(tmp_path, files)
    sets = [load_set(folder, name, lock_of(files)) for name in ("verified", "legacy", "legacy-rewrite")]
    assert len({s.data_id for s in sets}) == 3
    assert len({p.id for s in sets for p in s.prompts}) == 3000


def test_a_flipped_byte_is_noticed_and_the_file_named(tmp_path, files):
    name = "verified/natural_science_verified.json"
    folder = write_data(tmp_path, {**files, name: files[name].replace(b"p 641", b"q 641")})
    with pytest.raises(DataError, match=r"natural_science_verified\.json: sha256"):
        load_set(folder, "verified", lock_of(files))


def test_an_absent_file_says_how_to_get_it(tmp_path, files):
    with pytest.raises(DataError, match=r"cultural_common_sense\.json is missing.*run.py data prepare wise"):
        load_set(tmp_path, "legacy", lock_of(files))
    with pytest.raises(DataError, match="missing"):
        load_set(None, "legacy", lock_of(files))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "999 prompts, expected 1 to 1000; missing"),
        (lambda rows: [*rows, rows[0]], "field 'prompt_id': 641 again"),
        (lambda rows: [{**rows[0], "prompt_id": "641"}, *rows[1:]], "record 1, field 'prompt_id'"),
        (lambda rows: [{**rows[0], "Explanation": None}, *rows[1:]], "record 1, field 'Explanation'"),
        (lambda rows: ["x", *rows[1:]], "record 1: expected an object"),
        (lambda rows: {"a": 1}, "expected a list of records"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, files, change, message):
    name = "verified/natural_science_verified.json"
    changed = {**files, name: json.dumps(change(json.loads(files[name]))).encode()}
    with pytest.raises(DataError, match=message):
        load_set(write_data(tmp_path, changed), "verified", lock_of(changed))


def test_the_official_copy_prepares_and_verifies(official, tmp_path):
    prepare_from(read_lock("wise"), tmp_path, [official / "wise"])
    legacy = load_set(tmp_path, "legacy", shipped_lock())
    rewrite = load_set(tmp_path, "legacy-rewrite", shipped_lock())
    differing = [
        a.meta["prompt_id"]
        for a, b in zip(legacy.prompts, rewrite.prompts, strict=True)
        if a.meta["Explanation"] != b.meta["Explanation"]
    ]
    assert differing == [287, 442]
    assert all(a.text != b.text for a, b in zip(legacy.prompts, rewrite.prompts, strict=True))
    assert len({p.text for p in rewrite.prompts}) == 973


@pytest.mark.parametrize("name", ["verified", "legacy"])
def test_official_time_labels_and_id_ranges_agree(official, tmp_path, name):
    """So that BAGEL's split by label and the official one by id give the same parts for the original prompts."""
    for file in shipped_lock().sets[name]:
        (tmp_path / "wise" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "wise" / file).write_bytes((official / "wise" / file).read_bytes())
    prompts = load_set(tmp_path, name, shipped_lock()).prompts
    by_label = {p.meta["prompt_id"] for p in prompts if p.meta["Subcategory"].endswith("itudinal time")}
    by_label |= {p.meta["prompt_id"] for p in prompts if p.meta["Subcategory"] == "Horizontal time"}
    assert by_label == {p.meta["prompt_id"] for p in prompts if p.category == "TIME"}


def test_texts_are_read_without_running_the_script():
    prompt = extract(SCRIPT.encode(), script_lock())
    assert prompt.system == SYSTEM
    assert "".join(prompt.user) == USER
    assert prompt.user.count(PROMPT) == prompt.user.count(EXPLANATION) == 1


def test_crlf_scripts_give_the_same_texts(tmp_path):
    path = tmp_path / "vllm_eval.py"
    path.write_bytes(SCRIPT.replace("\n", "\r\n").encode())
    assert extract(path, script_lock()) == extract(SCRIPT.encode(), script_lock())


def test_rendering_keeps_braces_quotes_backslashes_and_marker_like_data():
    prompt = extract(SCRIPT.encode(), script_lock())
    data = ('{0} "x" \\n\n%s', "@@PROMPT@@ {row}")
    assert prompt.render(*data) == USER.replace("@@PROMPT@@", data[0]).replace("@@EXPLANATION@@", data[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def build_evaluation_messages", "def other", "found 0"),
        ('"role": "system"', '"role": "developer"', "a system and a user message"),
        ('f"""First', '"""First', "not a formatted string"),
        ('row["Explanation"]', 'row["Subcategory"]', "more than Prompt and Explanation"),
        ("{row['Prompt']}", "{row['Prompt']!r}", "more than Prompt and Explanation"),
        ("{row['Prompt']}", "{image['Prompt']}", "more than Prompt and Explanation"),
        ("{row['Prompt']}", "x", "once each"),
        ('"type": "image_url"', '"type": "image"', "not the parts text, image_url"),
        ('"text": "Judge \\u00e9."', '"text": str(row)', "system text is not a constant"),
        ("def build", "def def build", "not valid Python"),
        ("    return [", "    if row:\n        return []\n    return [", "does not return a list"),
    ],
)
def test_another_structure_is_refused_with_the_place(old, new, message):
    assert old in SCRIPT
    with pytest.raises(DataError, match=message):
        extract(SCRIPT.replace(old, new).encode(), script_lock(), "gpt_eval.py")


def test_another_wording_is_refused_and_another_script_with_the_same_wording_is_not():
    with pytest.raises(DataError, match=r"the user text has sha256 .* Another wording is another judge"):
        extract(SCRIPT.replace("First", "Firstly").encode(), script_lock())
    with pytest.warns(UserWarning, match="the script differs"):
        assert extract((SCRIPT + "\nx = 1\n").encode(), script_lock()).system == SYSTEM


def test_the_cache_returns_what_was_stored_and_refuses_changes(tmp_path):
    path = tmp_path / "judge_prompts.json"
    prompt = extract(SCRIPT.encode(), script_lock())
    write_cache({"verified": prompt}, path)
    assert read_cache(path, "verified", script_lock()) == prompt
    with pytest.raises(DataError, match="no prompt of the variant 'legacy', only verified"):
        read_cache(path, "legacy", script_lock())
    path.write_text(path.read_text(encoding="utf-8").replace("First", "Fist"), encoding="utf-8")
    with pytest.raises(DataError, match="Another wording"):
        read_cache(path, "verified", script_lock())
    for damaged in ("{", "[]", '{"verified": {"system": "x"}}'):
        path.write_text(damaged)
        with pytest.raises(DataError, match="damaged"):
            read_cache(path, "verified", script_lock())


def test_an_absent_cache_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"run.py data prepare wise --source.*judge_prompt=builtin"):
        read_cache(tmp_path / "none.json", "verified", script_lock())


@pytest.mark.parametrize("variant", ["verified", "legacy"])
def test_the_built_in_prompt_holds_both_fields_once_and_is_not_the_official_one(variant):
    prompt = BUILTIN[variant]
    assert [prompt.user.count(m) for m in (PROMPT, EXPLANATION)] == [1, 1]
    assert prompt.render("<A>", "<B>").count("<A>") == prompt.render("<A>", "<B>").count("<B>") == 1
    known = shipped_lock().scripts[variant]
    assert hashes(prompt)["user"] != known.user_sha256
    assert hashes(prompt)["system"] != known.system_sha256


def test_the_built_in_prompts_ask_for_the_forms_that_are_read():
    assert verified_score("Score: 1") == 1.0
    assert "`Score: 1`" in "".join(BUILTIN["verified"].user)
    form = "".join(BUILTIN["legacy"].user).split("\n")[-3:]
    assert legacy_scores("\n".join(form).replace("N", "2")) == {
        "consistency": 2.0,
        "realism": 2.0,
        "aesthetic_quality": 2.0,
    }


def test_a_marker_in_the_data_is_not_replaced_again():
    prompt = JudgePrompt(system="", user=("a ", PROMPT, " b ", EXPLANATION))
    assert prompt.render("@@EXPLANATION@@", "e") == "a @@EXPLANATION@@ b e"
