"""The built-in wording, and taking the official texts from a checkout without running it."""

import json

import pytest

from benchmarks.gedit import officialprompt
from benchmarks.gedit.judgeprompt import BUILTIN, PLACEHOLDER
from benchmarks.gedit.lock import shipped_lock
from benchmarks.gedit.prepare import prepare
from harness.errors import DataError
from harness.prompttemplates import text_sha256

SCRIPT = '''
_context_no_delimit = """Context {"score": []}
"""
_other = "not used"
_prompts_0shot_two_image_edit_rule = """Two images.
"""
_prompts_0shot_tie_rule_SC = """Scales.
Editing instruction: <instruction>
"""
_prompts_0shot_rule_PQ = "Quality {}\\n"
'''
SC = 'Context {"score": []}\n\nTwo images.\n\nScales.\nEditing instruction: <instruction>\n'
PQ = 'Context {"score": []}\n\nQuality {}\n'
KNOWN = {"sc": text_sha256(SC), "pq": text_sha256(PQ)}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "checkout" / "GEdit-Bench" / "viescore" / "vie_prompts.py"
    path.parent.mkdir(parents=True)
    path.write_text(SCRIPT)
    return path


def test_builtin_wording_has_one_place_for_the_instruction_and_none_in_the_quality_call():
    assert BUILTIN.sc.count(PLACEHOLDER) == 1
    assert PLACEHOLDER not in BUILTIN.pq
    text = BUILTIN.text("sc", 'turn {x} into "<instruction>" 你好')
    assert 'turn {x} into "<instruction>" 你好' in text
    assert BUILTIN.text("pq", "never shown") == BUILTIN.pq
    for part in ("score", "reasoning", "0 ", "10 "):
        assert part in BUILTIN.sc and part in BUILTIN.pq


def test_builtin_wording_is_not_the_official_one():
    assert {text_sha256(BUILTIN.sc), text_sha256(BUILTIN.pq)}.isdisjoint(shipped_lock().prompt_sha256.values())
    assert BUILTIN.label("sc") == f"judge_prompt:builtin@{text_sha256(BUILTIN.sc)[:12]}"


def test_official_texts_are_joined_from_the_constants(script):
    found = officialprompt.extract(script, known=KNOWN)
    assert (found.sc, found.pq, found.name) == (SC, PQ, "official")
    assert found.text("sc", "{a}") == SC.replace("<instruction>", "{a}")
    assert found.label("pq").startswith("judge_prompt:official@")


def test_the_script_is_never_run(script, tmp_path):
    script.write_text(SCRIPT + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    officialprompt.extract(script, known=KNOWN)
    assert not (tmp_path / "ran").exists()


def test_changed_texts_are_refused(script):
    script.write_text(SCRIPT.replace("Two images.", "Two images. "))
    with pytest.raises(DataError, match="the sc prompt has sha256"):
        officialprompt.extract(script, known=KNOWN)
    with pytest.raises(DataError, match=f"expected {shipped_lock().prompt_sha256['sc']}"):
        officialprompt.extract(script)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "not valid Python"),
        ("a = 1", "no text constant _context_no_delimit"),
        (SCRIPT.replace('"Quality {}\\n"', "3"), "no text constant _prompts_0shot_rule_PQ"),
        ("(" * 5000, "not valid Python"),
    ],
)
def test_other_files_are_refused(script, text, message):
    script.write_text(text)
    with pytest.raises(DataError, match=message):
        officialprompt.extract(script, known=KNOWN)


def test_the_stored_texts_come_back_and_changes_are_found(script, tmp_path):
    path = tmp_path / "data" / "gedit" / "judge_prompts.json"
    officialprompt.write_cache(officialprompt.extract(script, known=KNOWN), path)
    assert officialprompt.read_cache(path, known=KNOWN).sc == SC
    raw = json.loads(path.read_text())
    raw["texts"]["pq"] += " "
    path.write_text(json.dumps(raw))
    with pytest.raises(DataError, match="the pq prompt has sha256"):
        officialprompt.read_cache(path, known=KNOWN)
    path.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        officialprompt.read_cache(path)
    with pytest.raises(DataError, match="data prepare gedit"):
        officialprompt.read_cache(tmp_path / "absent.json")


@pytest.mark.parametrize("place", officialprompt.SCRIPT_PATHS)
def test_the_file_is_found_in_each_repository(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(SCRIPT)
    assert officialprompt.find_script(tmp_path) == path
    assert officialprompt.find_script(path) == path
    assert officialprompt.find_script(tmp_path / "absent") is None


def test_preparing_from_a_checkout_refuses_texts_that_are_not_pinned(script, tmp_path):
    with pytest.raises(DataError, match="the sc prompt has sha256"):
        prepare(tmp_path / "checkout", tmp_path / "data")
    assert not (tmp_path / "data" / "gedit" / "judge_prompts.json").exists()
