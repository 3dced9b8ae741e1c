"""Judge `openai` against a server with known probabilities."""

import threading
import time

import pytest
from PIL import Image

from harness.errors import ConfigError, JudgeError
from harness.images import ref_of_file, ref_of_image
from harness.judges.base import Answer, JudgeRequest, Unparsed
from harness.judges.openai import OpenAIJudge, load
from harness.registry import JUDGES
from harness.types import Question
from tests.harness.judges.servers import NO_IDS, YES_IDS, FakeVLM, serving

SHARE = {f"q{i}?": (i + 1) / 14 for i in range(13)}


def by_number(images, question):
    return SHARE[question]


def image(colour="red", size=(32, 32)):
    return ref_of_image(Image.new("RGB", size, colour))


def yes_no(*texts, picture=None, **fields):
    questions = tuple(Question(id=f"id{i}", text=t) for i, t in enumerate(texts))
    return JudgeRequest(kind="yesno", form="f", questions=questions, images=(picture or image(),), **fields)


def written(parse, **fields):
    questions = (Question(id="a", text="A"), Question(id="b", text="B"))
    base = {"kind": "text", "form": "f", "questions": questions, "images": (image(),), "prompt": "Score it"}
    return JudgeRequest(**{**base, "parse": parse, **fields})


def two_numbers(text):
    parts = text.split()
    if len(parts) != 2:
        raise Unparsed(f"expected two numbers, got {text!r}")
    return [Answer(value=float(p)) for p in parts]


@pytest.fixture
def judge_of():
    """fake server, settings -> judge; everything is closed afterwards."""
    opened = []

    def make(fake, settings="", model="fake"):
        context = serving(fake)
        server = context.__enter__()
        judge = load(f"{model}@{server.url}/v1,backoff_s=0.01,timeout_s=10{settings and ',' + settings}")
        opened.append((judge, context))
        return judge

    yield make
    for judge, context in opened:
        judge.close()
        context.__exit__(None, None, None)


def test_p_yes_is_exact_by_token_id_however_improbable(judge_of):
    fake = FakeVLM(answer=lambda images, q: 1e-6, mass=0.6)
    answer = judge_of(fake).ask([yes_no("Is it?")])[0].answers[0]
    assert answer.status == "ok"
    assert answer.value == pytest.approx(1e-6, rel=1e-9)
    assert answer.payload["mass"] == pytest.approx(0.6, rel=1e-9)
    assert answer.payload["how"] == "token_ids" and "bound" not in answer.payload
    sent = fake.requests[-1]
    assert sent["logprob_token_ids"] == [*YES_IDS, *NO_IDS]
    assert (sent["max_tokens"], sent["temperature"], sent["top_p"]) == (1, 0.0, 1.0)


def test_other_servers_give_top_k_with_a_bound(judge_of):
    fake = FakeVLM(vllm=False, answer=lambda images, q: 0.4, mass=0.9)
    payload = judge_of(fake).ask([yes_no("Is it?")])[0].answers[0].payload
    assert payload["how"] == "top_k"
    assert payload["p_yes"] == pytest.approx(0.4, abs=1e-4)
    low, high = payload["bound"]
    assert low <= 0.4 <= high and high - low < 1e-3
    assert len(payload["top"]) == 20


def test_answers_come_in_the_order_of_the_questions_whatever_the_grouping(judge_of):
    judge = judge_of(FakeVLM(answer=by_number), "concurrency=8")
    pictures = [image("red"), image("blue")]
    requests = [yes_no(*[f"q{(i + j) % 13}?" for j in range(6)], picture=pictures[i % 2]) for i in range(7)]
    replies = judge.ask(requests)
    for request, reply in zip(requests, replies, strict=True):
        assert [a.value for a in reply.answers] == [pytest.approx(SHARE[q.text]) for q in request.questions]


def test_the_first_question_of_an_image_goes_ahead_and_its_others_follow(judge_of):
    fake = FakeVLM(answer=by_number)
    judge = judge_of(fake, "concurrency=4,unverified=true")
    pictures = [ref_of_image(Image.new("RGB", (16, 16 + i))) for i in range(6)]
    judge.ask([yes_no("q0?", "q1?", "q2?", picture=p) for p in pictures])
    sent = [r["messages"][-1]["content"][0]["image_url"]["url"] for r in fake.requests if "logprob_token_ids" in r]
    firsts = {url: sent.index(url) for url in sent}
    # Four pictures start at once; the others wait while the places are needed by the followers of the first ones.
    assert max(firsts.values()) > 5
    assert all(r["messages"][-1]["content"][0]["type"] == "image_url" for r in fake.requests)


def test_no_more_requests_than_allowed_are_under_way(judge_of):
    fake = FakeVLM(answer=by_number)
    fake.delay_s = 0.01
    judge = judge_of(fake, "concurrency=5,unverified=true")
    judge.ask([yes_no("q0?", "q1?", picture=ref_of_image(Image.new("RGB", (16, 16 + i)))) for i in range(20)])
    assert 4 <= fake.most_under_way <= 5


def test_written_replies_are_parsed_and_counted(judge_of):
    fake = FakeVLM(write=lambda images, text: "3 4")
    reply = judge_of(fake).ask([written(two_numbers, system="S", temperature=0.7, seed=2**40 + 5)])[0]
    assert [a.value for a in reply.answers] == [3.0, 4.0]
    assert reply.raw == "3 4" and reply.attempts == 1 and reply.tokens_out == 2 and reply.tokens_in > 0
    sent = fake.requests[-1]
    assert sent["temperature"] == 0.7 and sent["seed"] == 5 and "logprobs" not in sent
    assert sent["messages"][0] == {"role": "system", "content": "S"}


def test_an_unparsable_reply_is_asked_for_again_and_ends_unparsed(judge_of):
    texts = iter(["hm", "5 6", *["hm"] * 9])
    fake = FakeVLM(write=lambda images, text: next(texts))
    judge = judge_of(fake, "asks=3")
    first, second = (judge.ask([written(two_numbers, temperature=1.0)])[0] for _ in range(2))
    assert [a.value for a in first.answers] == [5.0, 6.0] and first.attempts == 2
    assert {a.status for a in second.answers} == {"unparsed"} and {a.value for a in second.answers} == {None}
    assert second.attempts == 3 and "expected two numbers" in second.answers[0].error
    assert second.answers[0].payload == {"cause": "unparsed", "attempts": 3}
    assert [r["seed"] for r in fake.requests[-3:]] == [0, 1, 2]


def test_a_reply_cut_at_the_token_limit_is_never_read(judge_of):
    fake = FakeVLM(write=lambda images, text: "3 1")
    fake.finish = "length"
    reply = judge_of(fake, "max_tokens=9,unverified=true").ask([written(two_numbers)])[0]
    assert {a.status for a in reply.answers} == {"unparsed"}
    assert "cut after 9 tokens" in reply.answers[0].error and reply.raw == "3 1"


def test_thinking_before_a_written_reply_is_left_out(judge_of):
    fake = FakeVLM(write=lambda images, text: "<think>1 2 3</think>7 8")
    assert [a.value for a in judge_of(fake).ask([written(two_numbers)])[0].answers] == [7.0, 8.0]


def test_refusals_have_their_own_status(judge_of):
    fake = FakeVLM()
    fake.refusal = "I cannot look at this."
    judge = judge_of(fake, "unverified=true,p_yes=top_k")
    judge._verdicts = {"yesno": None, "text": None}
    replies = judge.ask([yes_no("q?"), written(two_numbers)])
    assert {a.status for r in replies for a in r.answers} == {"refused"}
    assert "I cannot look at this." in replies[0].answers[0].error


def test_neither_word_among_the_candidates_is_unparsed(judge_of):
    judge = judge_of(FakeVLM(mass=1e-9), "p_yes=top_k,unverified=true")
    answer = judge.ask([yes_no("Is it?")])[0].answers[0]
    assert (answer.status, answer.value) == ("unparsed", None)
    assert "neither yes nor no" in answer.error and answer.payload["bound"] == [0.0, 1.0]


def test_low_mass_and_saturation_are_counted_and_told(judge_of, caplog):
    judge = judge_of(FakeVLM(answer=lambda images, q: 1.0, mass=0.2), "unverified=true")
    judge.ask([yes_no("a?", "b?")])
    assert (judge.counters.n_low_mass, judge.counters.n_saturated, judge.counters.n_answers) == (2, 2, 2)
    judge.close()
    assert "in 2 of 2 answers" in caplog.text


def test_the_published_rule_can_be_asked_for(judge_of):
    fake = FakeVLM(vllm=False, mass=0.5, answer=lambda images, q: 0.9)
    judge = judge_of(fake, "p_yes=official_code,unverified=true")
    answer = judge.ask([yes_no("Is it?")])[0].answers[0]
    sent = fake.requests[-1]
    assert (sent["top_logprobs"], sent["top_p"], sent["max_tokens"]) == (5, 0.9, 10)
    assert sent["messages"][-1]["content"][0]["image_url"]["url"].startswith("data:image/jpeg")
    assert answer.payload["text"] == "Yes" and "official_code" in judge.fingerprint and "jpeg75" in judge.fingerprint


def test_cost_comes_from_the_price(judge_of):
    judge = judge_of(FakeVLM(), "price=1000000/2000000")
    reply = judge.ask([yes_no("Is it?", "Is it now?")])[0]
    assert reply.cost_usd == pytest.approx(reply.tokens_in + 2 * reply.tokens_out)
    assert judge.counters.cost_usd == pytest.approx(reply.cost_usd)


def test_a_damaged_image_fails_its_own_questions_only(judge_of, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    replies = judge_of(FakeVLM()).ask([yes_no("a?", "b?", picture=ref_of_file(broken)), yes_no("a?")])
    assert [a.status for a in replies[0].answers] == ["error", "error"]
    assert "not an image" in replies[0].answers[0].error and replies[0].answers[0].payload["cause"] == "image"
    assert replies[1].answers[0].status == "ok"


def test_kinds_that_it_cannot_answer_are_errors(judge_of):
    request = JudgeRequest(kind="detect", form="geneval", questions=(Question(id="q", text=""),), images=(image(),))
    assert judge_of(FakeVLM()).ask([request])[0].answers[0].status == "error"


def test_wrong_model_stops_with_the_models_that_there_are(judge_of):
    with pytest.raises(JudgeError, match=r"404 for model 'other'.*It serves: fake"):
        judge_of(FakeVLM(), model="other").ask([yes_no("q?")])


def test_a_missing_or_wrong_key_stops_and_is_never_shown(judge_of, monkeypatch, caplog):
    monkeypatch.setenv("JUDGE_KEY", "key-12345")
    with pytest.raises(JudgeError, match=r"401.*key_env=NAME") as caught:
        judge_of(FakeVLM(key="another"), "key_env=JUDGE_KEY").ask([yes_no("q?")])
    judge = judge_of(FakeVLM(key="key-12345"), "key_env=JUDGE_KEY")
    reply = judge.ask([yes_no("q?")])[0]
    assert reply.answers[0].status == "ok"
    for text in (str(caught.value), repr(judge), judge.fingerprint, repr(reply), caplog.text):
        assert "12345" not in text


def test_no_key_is_ever_taken_from_the_librarys_own_variable(judge_of, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-user")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    seen = []
    fake = FakeVLM()

    async def spy(request):
        seen.append(dict(request.headers))
        return await fake(request)

    judge_of(spy).ask([yes_no("q?")])
    assert seen and not any("of-the-user" in v for headers in seen for v in headers.values())


def test_fingerprint_names_what_changes_answers_and_not_the_address():
    def of(settings="", port=1):
        return load(f"m@http://127.0.0.1:{port}/v1{settings}").fingerprint

    assert of() == of(port=2) == of(",concurrency=3,timeout_s=9")
    settings = [
        "codec=jpeg",
        "codec=jpeg,quality=90",
        "order=text_first",
        "revision=abc",
        "p_yes=top_k",
        "temperature=1",
    ]
    assert len({of(), *(of(f",{s}") for s in settings)}) == len(settings) + 1
    assert of(",unverified=true").endswith("+unverified")


def test_closing_ends_a_running_ask():
    fake = FakeVLM()
    fake.delay_s = 30
    with serving(fake) as server:
        judge = load(f"fake@{server.url}/v1")
        raised = []

        def ask():
            try:
                judge.ask([yes_no("q?")])
            except JudgeError as error:
                raised.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.3)
        judge.close()
        thread.join(10)
    assert not thread.is_alive() and "closed" in raised[0]


def test_it_is_registered_and_explains_a_wrong_argument():
    assert JUDGES.get("openai") is load
    assert isinstance(load("m@http://127.0.0.1:1/v1"), OpenAIJudge)
    with pytest.raises(ConfigError, match=r"e.g. openai:Qwen"):
        load("")
