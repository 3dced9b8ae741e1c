"""Judge `openai` on a real vLLM server with a tiny random model: exactness, faults, planned against real cost."""

import json
import math

import httpx
import numpy as np
import pytest
from PIL import Image

from harness.images import ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.openai import load
from harness.judges.vlm.yesno import p_yes_top_k, spellings
from harness.types import Question
from tests.harness.judges.servers import FaultProxy, serving
from tests.harness.judges.test_openai_faults import command

THINGS = ("square", "circle", "triangle", "star")
COLOURS = ("red", "blue", "green", "yellow", "black")
TEXTS = [f"Is there a {c} {t}?" for t in THINGS for c in COLOURS]


def picture(seed, size=64):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return ref_of_image(Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST))


def request(seed, texts=TEXTS):
    questions = tuple(Question(id=f"{i}", text=t) for i, t in enumerate(texts))
    return JudgeRequest(kind="yesno", form="f", questions=questions, images=(picture(seed),))


@pytest.fixture(scope="module")
def judge(vllm_server):
    judge = load(f"{vllm_server.model}@{vllm_server.base_url},unverified=true,concurrency=8")
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def replies(judge):
    return judge.ask([request(seed) for seed in range(3)])


def root(vllm_server):
    return vllm_server.base_url.removesuffix("/v1")


def test_the_servers_own_spellings_are_those_of_its_tokenizer(vllm_server, judge, replies):
    vocabulary = json.loads((vllm_server.model_dir / "tokenizer.json").read_text())["model"]["vocab"]
    assert judge._reading.tokens == spellings(vocabulary)
    assert len(judge._reading.tokens.yes) >= 3


def test_every_answer_is_exact_and_spread(replies):
    values = [a.value for r in replies for a in r.answers]
    assert len(values) == 60 and {a.status for r in replies for a in r.answers} == {"ok"}
    assert {a.payload["how"] for r in replies for a in r.answers} == {"token_ids"}
    assert max(values) - min(values) > 0.3
    assert all(0 < a.payload["mass"] <= 1 for r in replies for a in r.answers)


def test_values_equal_those_read_from_the_whole_vocabulary(vllm_server, judge, replies):
    """The second route: every token's log-probability, by text, without any id."""
    asked = request(0)
    from harness.judges.vlm.messages import openai_messages, question_chat

    for i in (0, 7, 13):
        chat = question_chat(asked, asked.questions[i])
        url = judge._protocol("f", 0.0).codec.data_url(asked.images[0])
        body = {"model": vllm_server.model, "messages": openai_messages(chat, [url]), "max_tokens": 1, "temperature": 0}
        ids = list(range(600))
        top = {}
        for start in range(0, len(ids), 120):
            part = {"logprobs": True, "logprob_token_ids": ids[start : start + 120], "return_tokens_as_token_ids": True}
            reply = httpx.post(f"{vllm_server.base_url}/chat/completions", json=body | part, timeout=60)
            if reply.status_code == 400:
                break
            for t in reply.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
                top[t["token"]] = t["logprob"]
        yes = math.fsum(math.exp(top[f"token_id:{t}"]) for t in judge._reading.tokens.yes)
        no = math.fsum(math.exp(top[f"token_id:{t}"]) for t in judge._reading.tokens.no)
        assert replies[0].answers[i].value == pytest.approx(yes / (yes + no), abs=1e-4)


def test_top_k_bounds_hold_the_exact_values(vllm_server, replies):
    other = load(f"{vllm_server.model}@{vllm_server.base_url},unverified=true,p_yes=top_k")
    bounded = other.ask([request(0)])[0]
    other.close()
    for exact, answer in zip(replies[0].answers, bounded.answers, strict=True):
        low, high = answer.payload["bound"]
        assert low - 1e-4 <= exact.value <= high + 1e-4
        if answer.value is not None:
            assert (
                answer.value == p_yes_top_k([tuple(t) for t in answer.payload["top"]]).value
                or abs(answer.value - p_yes_top_k([tuple(t) for t in answer.payload["top"]]).value) < 1e-4
            )


def test_the_images_prefix_is_cached_for_its_later_questions(judge):
    before = judge.counters.tokens_in, judge.counters.cached_tokens
    judge.ask([request(1000 + i, TEXTS[:12]) for i in range(4)])
    tokens, cached = judge.counters.tokens_in - before[0], judge.counters.cached_tokens - before[1]
    assert cached / tokens > 0.3


@pytest.mark.parametrize("fault", ["429", "500", "drop", "cut", "truncated"])
def test_a_tenth_of_faults_changes_no_value(vllm_server, replies, fault):
    with serving(FaultProxy(root(vllm_server), lambda i, body: fault if i % 10 == 7 else None)) as front:
        judge = load(f"{vllm_server.model}@{front.url}/v1,unverified=true,backoff_s=0.01,concurrency=8")
        again = judge.ask([request(0)])[0]
        assert judge.counters.n_tries > judge.counters.n_requests and sum(judge.counters.faults.values()) >= 2
        judge.close()
    assert [a.value for a in again.answers] == pytest.approx([a.value for a in replies[0].answers], abs=1e-5)


def test_fewer_log_probabilities_and_stalls_are_errors_with_causes(vllm_server, replies):
    plan = lambda i, body: {5: "few_logprobs", 8: "stall"}.get(i)  # noqa: E731
    with serving(FaultProxy(root(vllm_server), plan)) as front:
        settings = "unverified=true,backoff_s=0.01,concurrency=4,attempts=1,timeout_s=8"
        judge = load(f"{vllm_server.model}@{front.url}/v1,{settings}")
        again = judge.ask([request(0, TEXTS[:10])])[0]
        judge.close()
    lost = [a for a in again.answers if a.status != "ok"]
    assert sorted(a.payload["cause"] for a in lost) == ["bad_reply", "timeout"]
    assert all(a.value is None and a.payload["attempts"] == 1 for a in lost)
    for answer, true in zip(again.answers, replies[0].answers, strict=False):
        assert answer.status != "ok" or answer.value == pytest.approx(true.value, abs=1e-5)


def test_planned_calls_and_tokens_are_within_15_percent_of_the_real_ones(vllm_server, tmp_path, capsys):
    preset = tmp_path / "tiny.yaml"
    preset.write_text("image_tokens: {cell_px: 32, min_pixels: 4096, max_pixels: 262144}\n")
    judge = (
        f"openai:{vllm_server.model}@{vllm_server.base_url},unverified=true,preset={preset},calls_per_s=30,"
        f"price=2/8,tokenizer={vllm_server.model_dir}"
    )
    options = ["eval", "-b", "dpg", "--limit", "4", "--judge", judge, "--max-missing", "1", "-o", tmp_path / "run"]
    _, out, _ = command(capsys, *options, "--dry-run", "--json")
    (row,) = json.loads(out)["micro"]["benchmarks"]
    code, _, _ = command(capsys, *options)
    assert code == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "judgements.jsonl").read_text().splitlines()]
    assert all(r["status"] == "ok" for r in records)
    assert row["n_requests"] == pytest.approx(len(records), rel=0.15)
    assert row["tokens_in"] == pytest.approx(sum(r["tokens_in"] for r in records), rel=0.15)
    assert row["tokens_out"] == pytest.approx(sum(r["tokens_out"] for r in records), rel=0.15)
    assert row["usd"] == pytest.approx(sum(r["cost_usd"] for r in records), rel=0.15)
    assert row["hours"] == pytest.approx(row["n_requests"] / 30 / 3600)
