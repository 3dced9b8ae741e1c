import json
import warnings
from collections import Counter

import pytest

from benchmarks.tiif import officialprompt
from benchmarks.tiif.judgeprompt import PLACEHOLDER, SYSTEM, TEMPLATE, render
from benchmarks.tiif.lock import shipped_lock
from harness.errors import DataError

from . import synthetic

LOCK = synthetic.lock_of({})


@pytest.fixture(autouse=True)
def known_script():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_texts_are_read_without_running_the_script():
    prompt = officialprompt.extract(synthetic.SCRIPT, LOCK)
    assert prompt.templates == synthetic.TEMPLATES
    assert (prompt.placeholder, prompt.system, prompt.is_known) == ("##Q##", "You judge.", True)


def test_a_path_with_crlf_line_ends_gives_the_same_texts(tmp_path):
    path = tmp_path / "eval_with_vlm.py"
    path.write_bytes(synthetic.SCRIPT.replace("\n", "\r\n").encode())
    assert officialprompt.extract(path, LOCK) == officialprompt.extract(synthetic.SCRIPT, LOCK)


def test_rendering_replaces_the_placeholder_plainly():
    text = render(synthetic.TEMPLATES["raw_b"], "##Q##", [" Is {it} \\d? ", "Red?"])
    assert text == "Second {braces} \\d: Is {it} \\d?\nRed?"


def test_another_version_with_the_same_structure_is_accepted_with_a_warning():
    changed = synthetic.SCRIPT.replace("First", "Firstly")
    with pytest.warns(UserWarning, match="raw_a"):
        prompt = officialprompt.extract(changed, LOCK)
    assert not prompt.is_known
    assert prompt.hashes["raw_a"] != officialprompt.extract(synthetic.SCRIPT, LOCK).hashes["raw_a"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format_questions_prompt", "other", "no function 'format_questions_prompt'"),
        ("generate_with_prompt", "other", "no function 'generate_with_prompt'"),
        ("random.choice([raw_a, raw_b])", "raw_a", "choice"),
        ('.replace("##Q##", ', ".format(", "replace"),
        ('"role": "system"', '"role": "developer"', "role 'system'"),
        ("First: ##Q##", "First:", "'raw_a'"),
        ("raw_b: str =", "raw_c =", "'raw_b'"),
        ("def format", "def def format", "not valid Python"),
    ],
)
def test_a_missing_part_is_named(old, new, message):
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        officialprompt.extract(synthetic.SCRIPT.replace(old, new), LOCK)


def test_the_cache_returns_what_was_stored(tmp_path):
    prompt = officialprompt.extract(synthetic.SCRIPT, LOCK)
    officialprompt.write_cache(prompt, tmp_path / "tiif" / "judge_prompts.json")
    assert officialprompt.read_cache(tmp_path / "tiif" / "judge_prompts.json", LOCK) == prompt


def test_a_changed_or_damaged_cache_is_refused(tmp_path):
    path = tmp_path / "judge_prompts.json"
    officialprompt.write_cache(officialprompt.extract(synthetic.SCRIPT, LOCK), path)
    raw = json.loads(path.read_text())
    raw["templates"]["raw_a"] += "!"
    path.write_text(json.dumps(raw))
    with pytest.warns(UserWarning), pytest.raises(DataError, match="do not fit its hashes"):
        officialprompt.read_cache(path, LOCK)
    path.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        officialprompt.read_cache(path, LOCK)


def test_an_absent_cache_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"run\.py data prepare tiif --source"):
        officialprompt.read_cache(tmp_path / "judge_prompts.json", LOCK)


def test_the_draw_depends_on_the_sample_alone_and_is_even():
    prompt = officialprompt.extract(synthetic.SCRIPT, LOCK)
    names = [prompt.draw("tiif/text/0000/short", 0, i, 0) for i in range(400)]
    assert names == [prompt.draw("tiif/text/0000/short", 0, i, 0) for i in range(400)]
    assert min(Counter(names).values()) > 150


def test_the_lock_knows_three_templates_and_the_system_message():
    texts = shipped_lock().judge_script["texts"]
    assert {n: t["length"] for n, t in texts.items()} == {
        "raw_prompt": 619,
        "raw_prompt_1": 641,
        "raw_prompt_2": 515,
        "system": 36,
    }


def test_the_built_in_prompt_holds_the_questions_once_and_no_example_answers():
    text = render(TEMPLATE, PLACEHOLDER, [" A? ", "B {x}?"])
    assert "\n\nA?\nB {x}?\n\n" in text
    assert PLACEHOLDER not in text
    assert TEMPLATE.count(PLACEHOLDER) == 1
    assert SYSTEM.count(".") == 1
