"""The decompose command: files in, records out; resuming, refusals, a language model behind a local server."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import pytest

from harness.cli.main import main
from harness.decompose.exact import MicroDecomposer
from harness.decompose.job import Job, read_items
from harness.decompose.micro import draw
from harness.progress import Silent
from tests.harness.judges.servers import Drop, as_json, error, serving

PROMPTS = ["two dogs", "a red cup without a handle", "a sign that says 'open'", "fog over a lake"]


def call(capsys, *arguments):
    """(exit code, standard output, standard error)."""
    with pytest.raises(SystemExit) as leaving:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return leaving.value.code, captured.out, captured.err


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


SIGNS = {
    "facts": "you list the facts",
    "questions": "For each fact write one question",
    "necessity": "Decide whether every picture",
    "tagging": "You sort questions",
    "quality": "how well a generated picture is made",
}
"""Step -> words of its system text."""


class Model:
    """A chat server that follows the templates, with faults on request."""

    def __init__(self):
        self.requests = []
        self.invalid = Counter()
        """Prompt -> how many of its checks still say no."""
        self.garbage = Counter()
        """Step -> how many replies still are unreadable."""
        self.fail = {}
        """Prompt -> the response to send instead."""
        self.faults = 0
        self.key = None
        self.slow = ()

    def steps(self):
        return Counter(step for step, _, _ in self.requests)

    async def __call__(self, request):
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "bad key")
        data = request.data
        system, user = (m["content"] for m in data["messages"])
        prompt = re.match(r"Request: (.*)", user)[1]
        step = next(s for s, sign in SIGNS.items() if sign in system)
        if self.faults:
            self.faults -= 1
            raise Drop
        if prompt in self.fail:
            return self.fail[prompt]
        self.requests.append((step, prompt, data))
        if prompt in self.slow:
            await asyncio.sleep(0.1)
        text = self.reply(step, prompt, user)
        if self.garbage[step]:
            self.garbage[step] -= 1
            text = "Sorry, what?"
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return as_json({"choices": [choice], "usage": usage})

    def reply(self, step, prompt, user):
        if step == "facts":
            return json.dumps([{"kind": "entity", "fact": f"{prompt} is there"}, {"kind": "place", "fact": "outside"}])
        if step == "questions":
            return "```json\n" + json.dumps([f"Is there {prompt}?", "Is it outside?"]) + "\n```"
        if step == "necessity":
            if self.invalid[prompt] and "outside" in user.rpartition("Question:")[2]:
                self.invalid[prompt] -= 1
                return '{"valid": false, "reason": "the place is open"}'
            return '<think>hm {"valid": false}</think>{"valid": true, "reason": "named"}'
        if step == "tagging":
            return '{"tag": "Environment"}' if "outside" in user.rpartition("Question:")[2] else '{"tag": "existence"}'
        return json.dumps([{"tag": "Lighting", "question": f"Is the light on {prompt} consistent?"}])


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def server(model):
    with serving(model) as found:
        yield found


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    records = [{"prompt": p, "original_index": 10 + i, "difficulty": "easy"} for i, p in enumerate(PROMPTS)]
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def via(server, **settings):
    extra = "".join(f",{k}={v}" for k, v in {"backoff_s": 0, "concurrency": 3, **settings}.items())
    return f"openai:writer@{server.url}/v1{extra}"


def test_a_model_writes_checked_and_tagged_questions_in_the_order_of_the_input(
    tmp_path, capsys, prompts, model, server
):
    model.slow = PROMPTS[:1]
    code, out, _ = call(capsys, "decompose", prompts, "-o", tmp_path / "q", "--via", via(server), "--json")
    result = json.loads(out)
    assert code == 0 and result["complete"] and result["n_records"] == 4 and result["n_questions"] == 12
    records = lines(tmp_path / "q" / "records.jsonl")
    assert [r["prompt"] for r in records] == PROMPTS and [r["original_index"] for r in records] == [10, 11, 12, 13]
    assert records[0]["semantic_questions"] == [
        {"question_type": "semantic", "question": "Is there two dogs?", "is_valid": True, "tag": "Existence"},
        {"question_type": "semantic", "question": "Is it outside?", "is_valid": True, "tag": "Environment"},
    ]
    assert records[0]["quality_questions"][0]["tag"] == "Lighting" and records[0]["difficulty"] == "easy"
    assert records[0]["decomposer"] == result["decomposer"]
    assert model.steps() == {"facts": 4, "questions": 4, "necessity": 8, "tagging": 8, "quality": 4}
    assert all(data["temperature"] == 0.0 for _, _, data in model.requests)
    assert (result["n_calls"], result["tokens_in"], result["tokens_out"]) == (28, 280, 140)
    assert set(result["templates_sha256"]) == {"facts", "questions", "necessity", "tagging", "quality"}


def test_a_finished_folder_costs_no_call_and_new_prompts_only_their_own(tmp_path, capsys, prompts, model, server):
    arguments = ("decompose", prompts, "-o", tmp_path / "q", "--via", via(server))
    call(capsys, *arguments, "--limit", 2)
    first = (tmp_path / "q" / "records.jsonl").read_bytes()
    call(capsys, *arguments, "--limit", 2)
    assert model.steps()["facts"] == 2 and (tmp_path / "q" / "records.jsonl").read_bytes() == first
    call(capsys, *arguments)
    assert model.steps()["facts"] == 4 and (tmp_path / "q" / "records.jsonl").read_bytes().startswith(first)


def test_a_prompt_with_an_invalid_question_is_made_anew_with_sampling(tmp_path, capsys, prompts, model, server):
    model.invalid[PROMPTS[1]] = 1
    code, _, _ = call(capsys, "decompose", prompts, "-o", tmp_path / "q", "--via", via(server))
    assert code == 0 and model.steps()["facts"] == 5 and model.steps()["quality"] == 4
    again = [d for s, p, d in model.requests if p == PROMPTS[1] and s == "facts"]
    assert [d["temperature"] for d in again] == [0.0, 0.6] and again[0]["seed"] != again[1]["seed"]


def test_a_prompt_that_never_passes_is_rejected_with_its_questions_and_not_tried_again(
    tmp_path, capsys, prompts, model, server
):
    model.invalid[PROMPTS[1]] = 99
    arguments = ("decompose", prompts, "-o", tmp_path / "q", "--via", via(server), "--attempts", 3)
    code, out, err = call(capsys, *arguments)
    assert code == 3 and "3 of 4 prompts" in out and "1 rejected, 0 failed" in err
    (rejected,) = lines(tmp_path / "q" / "rejected.jsonl")
    assert (rejected["prompt"], rejected["status"], rejected["attempts"]) == (PROMPTS[1], "rejected", 3)
    assert rejected["questions"] == [{"question": "Is it outside?", "reason": "the place is open"}]
    assert rejected["where"].endswith("prompts.jsonl, line 2") and "1 of 2 questions" in rejected["reason"]
    assert model.steps()["facts"] == 3 + 3
    code, _, _ = call(capsys, *arguments)
    assert code == 3 and model.steps()["facts"] == 3 + 3


def test_an_unreadable_reply_is_asked_for_again_a_bounded_number_of_times(tmp_path, capsys, prompts, model, server):
    model.garbage["questions"] = 2
    arguments = ("decompose", prompts, "--limit", 1, "--via", via(server, asks=2), "--attempts", 2)
    code, _, _ = call(capsys, *arguments, "-o", tmp_path / "q")
    assert code == 0 and model.steps() == {"facts": 2, "questions": 3, "necessity": 2, "tagging": 2, "quality": 1}
    model.garbage["questions"] = 99
    code, _, _ = call(capsys, *arguments, "-o", tmp_path / "r")
    (rejected,) = lines(tmp_path / "r" / "rejected.jsonl")
    assert code == 3 and "no JSON in the reply 'Sorry, what?' (asked 2 times)" in rejected["reason"]
    assert model.steps()["questions"] == 3 + 4


def test_dropped_connections_are_met_and_a_refused_prompt_alone_fails_and_is_tried_again(
    tmp_path, capsys, prompts, model, server
):
    model.faults = 4
    model.fail[PROMPTS[2]] = error(400, "too long")
    arguments = ("decompose", prompts, "-o", tmp_path / "q", "--via", via(server))
    code, _, err = call(capsys, *arguments)
    assert code == 3 and "0 rejected, 1 failed" in err
    (failed,) = lines(tmp_path / "q" / "rejected.jsonl")
    assert (failed["prompt"], failed["status"]) == (PROMPTS[2], "error") and "400: too long" in failed["reason"]
    model.fail.clear()
    n_before = model.steps()["facts"]
    code, _, _ = call(capsys, *arguments)
    assert code == 0 and model.steps()["facts"] == n_before + 1
    assert [r["prompt"] for r in lines(tmp_path / "q" / "records.jsonl")] == PROMPTS
    assert (tmp_path / "q" / "rejected.jsonl").read_bytes() == b""


def test_a_wrong_key_ends_the_command_and_the_key_is_written_nowhere(
    tmp_path, capsys, prompts, model, server, monkeypatch
):
    model.key = "right-key"
    arguments = ("decompose", prompts, "-o", tmp_path / "q", "--via", via(server, key_env="WRITER_KEY"))
    code, _, err = call(capsys, *arguments)
    assert code == 2 and "WRITER_KEY is not set" in err
    monkeypatch.setenv("WRITER_KEY", "wrong-key")
    code, _, err = call(capsys, *arguments)
    assert code == 1 and "Server at" in err and "401" in err and "wrong-key" not in err
    monkeypatch.setenv("WRITER_KEY", "right-key")
    assert call(capsys, *arguments)[0] == 0
    assert not any(b"right-key" in f.read_bytes() or b"wrong-key" in f.read_bytes() for f in (tmp_path / "q").iterdir())


def test_questions_of_two_models_or_settings_do_not_mix(tmp_path, capsys, prompts, server):
    call(capsys, "decompose", prompts, "-o", tmp_path / "q", "--via", via(server))
    code, _, err = call(capsys, "decompose", prompts, "-o", tmp_path / "q", "--via", via(server), "--seed", 1)
    assert code == 1 and "holds questions by openai:writer+" in err and "-o OUT" in err


def test_a_dry_run_counts_and_writes_nothing(tmp_path, capsys, prompts, model, server):
    arguments = ("decompose", prompts, "-o", tmp_path / "q", "--via", via(server), "--dry-run")
    code, out, _ = call(capsys, *arguments, "--json")
    assert code == 0 and json.loads(out)["n_calls"] == 4 * 27 and json.loads(out)["n_to_do"] == 4
    code, out, _ = call(capsys, *arguments)
    assert "about 108 calls (with 12 questions a prompt" in out
    assert not (tmp_path / "q").exists() and not model.requests


def training_prompts():
    return [draw(8, i, split="train").prompt for i in range(30)]


@pytest.fixture
def micro_prompts(tmp_path):
    path = tmp_path / "micro.txt"
    texts = [p.text for p in training_prompts()]
    path.write_text("\n".join([*texts[:10], "a photo of a dog", *texts[10:], texts[0]]))
    return path


def test_micro_decomposition_is_exact_and_byte_identical(tmp_path, capsys, micro_prompts):
    for name in ("a", "b"):
        code, _, _ = call(capsys, "decompose", micro_prompts, "-o", tmp_path / name)
        assert code == 3
    files = sorted(f.name for f in (tmp_path / "a").iterdir())
    assert files == ["journal.jsonl", "manifest.json", "records.jsonl", "rejected.jsonl"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    records = lines(tmp_path / "a" / "records.jsonl")
    expected = {p.text: p.meta for p in training_prompts()}
    assert len(records) == 31 and records[-1]["prompt"] == records[0]["prompt"]
    for record in records:
        drawn = {q["question"] for q in expected[record["prompt"]]["semantic_questions"]}
        found = {q["question"] for q in record["semantic_questions"]}
        # A dense wording may turn a relation round; everything else is word for word the same.
        assert {q for q in found ^ drawn if not re.search("left|right|above|below", q)} == set()
        assert len(found) == len(drawn)
        assert record["quality_questions"] == expected[record["prompt"]]["quality_questions"]
    (rejected,) = lines(tmp_path / "a" / "rejected.jsonl")
    assert "expected the name of an object at 'dog'" in rejected["reason"]


class Stopped(Silent):
    """Progress that is interrupted after some prompts."""

    def __init__(self, after):
        self.left = after

    def advance(self, stage, n=1):
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt


def test_an_interrupted_job_writes_what_it_has_and_ends_like_an_uninterrupted_one(tmp_path, capsys, micro_prompts):
    call(capsys, "decompose", micro_prompts, "-o", tmp_path / "whole")
    items = read_items([micro_prompts])
    for after in (0, 3, 7):
        with pytest.raises(KeyboardInterrupt):
            Job(tmp_path / "q", MicroDecomposer(), items).run(Stopped(after))
        manifest = json.loads((tmp_path / "q" / "manifest.json").read_text())
        assert manifest["n_not_done"] > 0 and not manifest["complete"]
        assert manifest["n_records"] == len(lines(tmp_path / "q" / "records.jsonl")) >= after
    # As a kill in the middle of a write leaves it.
    with (tmp_path / "q" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"id": "torn')
    call(capsys, "decompose", micro_prompts, "-o", tmp_path / "q")
    for name in ("records.jsonl", "rejected.jsonl", "manifest.json", "journal.jsonl"):
        assert (tmp_path / "q" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nope.txt", "-o", "q"], 1, "nope.txt: cannot be read"),
        (["empty.txt", "-o", "q"], 1, "empty.txt: no prompt"),
        (["bad.jsonl", "-o", "q"], 1, "bad.jsonl, line 2, field 'prompt'"),
        (["ok.txt", "-o", "full"], 1, "full holds other files"),
        (["ok.txt"], 2, "Missing option '-o'"),
        (["ok.txt", "-o", "q", "--via", "opnai:x"], 2, "expected micro, or openai:MODEL@"),
        (["ok.txt", "-o", "q", "--via", "openai:x"], 2, "no server for model 'x'"),
        (["ok.txt", "-o", "q", "--atempts", "3"], 2, "Did you mean"),
    ],
)
def test_wrong_usage_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.txt").write_text("a red circle\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n{"prompt": ""}\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    found, out, err = call(capsys, "decompose", *arguments)
    assert found == code and message in err and "Traceback" not in out + err
