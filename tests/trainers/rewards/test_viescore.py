"""VIEScore as a reward: what each call sees and asks, the arithmetic, and what happens to unreadable replies."""

import json
import math
import tarfile

import pytest

from harness.errors import ConfigError, DataError
from harness.judges.base import Answer
from harness.judges.micro import MicroJudge
from harness.prompttemplates import Field, Template, write_cache
from harness.rewards import make_reward, score

from .judges import PICTURE, SOURCE, Writer, item


def value_of(reward, judge, **options):
    (found,) = score(reward, judge, [item(**options)]).values
    return found


def reply(*scores):
    return json.dumps({"score": list(scores), "reasoning": "fine"})


def test_text_to_image_shows_the_picture_twice_and_the_prompt_once():
    sc, pq = make_reward("viescore").requests(item())
    assert (sc.form, pq.form) == ("viescore-sc", "viescore-pq")
    assert sc.images == pq.images == (PICTURE,)
    assert sc.prompt.count("a dog {in} a <prompt>") == 1 and "dog" not in pq.prompt
    assert sc.temperature == pq.temperature == 0.0 and sc.seed != pq.seed


def test_an_edit_shows_source_and_picture_at_the_sources_size():
    reward = make_reward("viescore", {"task": "edit"})
    assert reward.needs_source and not make_reward("viescore").needs_source
    sc, pq = reward.requests(item("make it blue", sources=(SOURCE,)))
    assert (sc.form, pq.form) == ("viescore-edit-sc", "viescore-edit-pq")
    assert [i.load().size for i in sc.images] == [(30, 30), (30, 30)] and sc.images[0] is SOURCE
    assert [i.load().size for i in pq.images] == [(30, 30)]
    assert sc.prompt.count("make it blue") == 1 and "make it blue" not in pq.prompt


def test_an_edit_without_its_source_is_named():
    with pytest.raises(DataError, match=r"p/1.*needs the source image"):
        make_reward("viescore", {"task": "edit"}).requests(item())


@pytest.mark.parametrize(
    ("sc", "pq", "expected"), [([8], [9, 5], math.sqrt(40) / 10), ([0], [9, 9], 0.0), ([10], [10, 10], 1.0)]
)
def test_the_reward_is_the_root_of_the_smallest_scores_over_ten(sc, pq, expected):
    judge = Writer(viescore_sc=reply(*sc), viescore_pq=reply(*pq))
    found = value_of(make_reward("viescore"), judge)
    assert found.value == pytest.approx(expected)
    assert found.parts == pytest.approx({"semantic": min(sc) / 10, "quality": min(pq) / 10, "raw": 10 * expected})
    assert value_of(make_reward("viescore", {"scale": "raw"}), judge).value == pytest.approx(10 * expected)


def test_of_an_edits_two_consistency_scores_the_smaller_counts():
    judge = Writer(viescore_edit_sc=reply(9, 4), viescore_edit_pq=reply(4, 10))
    found = value_of(make_reward("viescore", {"task": "edit"}), judge, sources=(SOURCE,))
    assert found.value == pytest.approx(0.4)


def test_a_reply_that_stays_unreadable_is_missing_and_no_score():
    judge = Writer(viescore_sc="I would rather not.", viescore_pq=reply(5, 5))
    batch = score(make_reward("viescore"), judge, [item()])
    (found,) = batch.values
    assert found.value is None and (found.n_asked, found.n_failed) == (2, 1)
    assert found.reason.startswith("sc: unparsed no JSON object")
    assert batch.replies[0][0].attempts == 3


def test_a_second_try_that_can_be_read_counts():
    judge = Writer(viescore_sc=["hm", reply(9)], viescore_pq=reply(4, 4))
    assert value_of(make_reward("viescore"), judge).value == pytest.approx(0.6)


def test_thinking_is_left_out_under_both_rules():
    text = '<think>{"score": [1]} or perhaps {"score": [2]}</think>' + reply(9)
    for rules in ("strict", "official"):
        judge = Writer(viescore_sc=text, viescore_pq="a thought</think>" + reply(4, 4))
        assert value_of(make_reward("viescore", {"rules": rules}), judge).value == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("text", "strict", "official"),
    [
        (reply(6, 3), None, 3.0),  # two numbers where one was asked for
        ("[6, 3]", None, 3.0),
        ("7", 7.0, 7.0),
        ("{score: 7, reasoning: fine}", 7.0, 7.0),
        (reply(11), None, None),  # read by the official rules, but no reward
        (reply(-1), None, None),
        (reply(True), None, 1.0),
        (reply("seven"), None, None),
        (reply(), None, None),
        ("", None, None),
    ],
)
def test_rules_differ_in_what_they_read_and_neither_guesses(text, strict, official):
    for rules, expected in (("strict", strict), ("official", official)):
        judge = Writer(viescore_sc=text, viescore_pq=reply(10, 10))
        found = value_of(make_reward("viescore", {"rules": rules}), judge)
        if expected is None:
            assert found.value is None and found.reason
        else:
            assert found.value == pytest.approx(math.sqrt(expected * 10) / 10)


def test_official_wording_comes_from_the_data_folder_and_is_recorded(tmp_path):
    with pytest.raises(DataError, match=r"judge_prompt=official needs upstream's text.*data prepare viescore"):
        make_reward("viescore", {"judge_prompt": "official", "data_dir": str(tmp_path)})
    parts = {
        "t2i_sc": ("Context {}\nPrompt: ", Field("prompt"), "\n"),
        "edit_sc": ("Edit: ", Field("instruction"), "\n"),
        "pq": ("Quality\n",),
    }
    templates = {n: Template(pieces=p, source_sha256="0" * 64) for n, p in parts.items()}
    write_cache(templates, tmp_path / "viescore" / "judge_prompts.json")
    options = {"judge_prompt": "official", "data_dir": str(tmp_path)}
    sc, pq = make_reward("viescore", options).requests(item())
    assert (sc.prompt, pq.prompt) == ("Context {}\nPrompt: a dog {in} a <prompt>\n", "Quality\n")
    assert sc.questions[0].tag == f"judge_prompt:official@{templates['t2i_sc'].sha256[:12]}"
    sc, _ = make_reward("viescore", {**options, "task": "edit"}).requests(item("blue", sources=(SOURCE,)))
    assert sc.prompt == "Edit: blue\n"
    builtin = make_reward("viescore")
    assert builtin.requests(item())[0].questions[0].tag.startswith("judge_prompt:builtin@")
    assert "builtin" in builtin.fingerprint and "official" in make_reward("viescore", options).fingerprint


def test_settings_are_in_the_fingerprint():
    options = ({}, {"task": "edit"}, {"rules": "official"}, {"scale": "raw"}, {"temperature": 1.0})
    assert len({make_reward("viescore", o).fingerprint for o in options}) == len(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "t2v"}, "Did you mean 't2i'"),
        ({"rules": "offical"}, "Did you mean 'official'"),
        ({"judge_prompt": "own"}, "Known: builtin, official"),
        ({"temperature": "hot"}, "temperature"),
        ({"guess": True}, "guess"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        make_reward("viescore", options)


def test_the_micro_judge_does_not_answer_under_this_name():
    found = value_of(make_reward("viescore"), MicroJudge())
    assert found.value is None and "no written answer of the form 'viescore-sc'" in found.reason
    assert make_reward("viescore").default_judge == {}


def test_a_negative_product_is_missing():
    answers = {"sc": Answer(value=-4.0), "pq": Answer(value=4.0)}
    assert make_reward("viescore", {"rules": "official"}).value(item(), answers).value is None


def test_recorded_text_to_image_answers_give_the_reward_of_their_scores(official):
    path = official / "viescore" / "recorded_answers.tar.gz"
    if not path.is_file():
        pytest.skip("recorded VIEScore answers are not here (../shared/official/viescore)")
    rows = {}
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.removesuffix(".jsonl").split("/")
            if parts[:2] == ["gpt4o_0shot", "ImagenHub_Text-Guided_IG"] and parts[2] == "SDXL":
                lines = archive.extractfile(member).read().decode().splitlines()
                rows[parts[3]] = {r["uid"]: r for r in map(json.loads, lines) if not r["guessed"]}
    shared = sorted(rows["SC"].keys() & rows["PQ"].keys())
    assert len(shared) > 150
    reward = make_reward("viescore", {"rules": "official"})
    requests = dict(zip(("SC", "PQ"), reward.requests(item()), strict=True))
    for uid in shared:
        lists = {}
        answers = {}
        for call, request in requests.items():
            row = rows[call][uid]
            lists[call] = row["score"] if isinstance(row["score"], list) else [row["score"]]
            text = json.dumps({"score": row["score"], "reasoning": row["reasoning"]})
            (answers[call.lower()],) = request.parse(text)
        expected = math.sqrt(min(lists["SC"]) * min(lists["PQ"])) / 10
        assert reward.value(item(), answers).value == pytest.approx(expected)
