"""The self-test refuses judges whose numbers would be wrong, and lets the user overrule only the semantic part."""

import math

import pytest

from harness.errors import JudgeError
from harness.judges.openai import load
from harness.judges.vlm.selftest import offset_problem, probes, sum_problem, temperature_problem, written_yes_no
from tests.harness.judges.servers import FakeVLM, serving
from tests.harness.judges.test_openai import two_numbers, written, yes_no


def asked(fake, request=None, settings=""):
    """Statuses of one request's answers."""
    with serving(fake) as server:
        judge = load(f"fake@{server.url}/v1,backoff_s=0.01{settings and ',' + settings}")
        try:
            return [a.status for a in judge.ask([request or yes_no("Is it?")])[0].answers]
        finally:
            judge.close()


def spoiled(**fields):
    fake = FakeVLM()
    for name, value in fields.items():
        setattr(fake, name, value)
    return fake


def test_a_fit_judge_passes_and_is_tested_once():
    fake = FakeVLM()
    with serving(fake) as server:
        judge = load(f"fake@{server.url}/v1")
        judge.ask([yes_no("Is it?")])
        n = len(fake.requests)
        judge.ask([yes_no("Is it?")])
        assert len(fake.requests) == n + 1
        results = judge.self_test()
        judge.close()
    assert len(results) == 8 and all(r.is_right for r in results)
    assert sum(r.probe.is_yes for r in results) == 4


PROTOCOL = [
    ({"follows_temperature": True}, "change with the sampling temperature.*raw_logprobs"),
    ({"double": True}, "add up to 1."),
    ({"prefix": ["ab"]}, None),
    ({"prefix": ["\n"]}, r"comes as token 2, after '\\n'"),
]


@pytest.mark.parametrize(("fields", "message"), PROTOCOL)
@pytest.mark.parametrize("settings", ["", "unverified=true"])
@pytest.mark.parametrize("vllm", [True, False])
def test_protocol_faults_always_refuse(fields, message, settings, vllm):
    fake = spoiled(**fields, vllm=vllm)
    if message is None and settings:
        # Another word first is no fault of the protocol: the judge simply answers something else.
        assert asked(fake, settings=settings) == ["ok"]
        return
    with pytest.raises(JudgeError, match=message or "failed 8 of 8"):
        asked(fake, settings=settings)


def test_a_judge_without_log_probabilities_is_refused_for_questions_only():
    fake = FakeVLM(write=lambda images, text: "1 2")
    complete = fake._complete

    def without(data):
        reply = complete(data)
        reply["choices"][0].pop("logprobs", None)
        return reply

    fake._complete = without
    with pytest.raises(JudgeError, match="has no log-probabilities"):
        asked(fake, settings="unverified=true")
    assert asked(fake, written(two_numbers)) == ["ok", "ok"]


def test_a_thinking_judge_is_refused():
    fake = FakeVLM()
    complete = fake._complete

    def thinking(data):
        reply = complete(data)
        reply["choices"][0]["message"]["reasoning_content"] = "Let me see"
        return reply

    fake._complete = thinking
    with pytest.raises(JudgeError, match="thinks before it answers"):
        asked(fake, settings="unverified=true")


def blind():
    """Sees every square as red."""
    fake = FakeVLM()
    complete = fake._complete

    def same(data):
        for part in data["messages"][-1]["content"]:
            if part["type"] == "text":
                part["text"] = "Is there something?"
        return complete(data)

    fake._complete = same
    return fake


@pytest.mark.parametrize("request_", [yes_no("Is it?"), written(two_numbers)])
def test_a_blind_judge_is_refused_with_what_it_said(request_):
    with pytest.raises(JudgeError, match=r"failed . of 8") as caught:
        asked(blind(), request_)
    assert "Is there a red square in the picture? expected yes" in str(caught.value) or request_.kind == "text"
    assert "unverified=true" in str(caught.value)


def test_a_blind_judge_can_be_used_if_the_user_insists_and_its_fingerprint_says_so():
    assert asked(blind(), settings="unverified=true") == ["ok"]
    assert load("m@http://127.0.0.1:1/v1,unverified=true").fingerprint.endswith("unverified")


def test_a_failed_test_stays_failed_without_asking_again():
    fake = blind()
    with serving(fake) as server:
        judge = load(f"fake@{server.url}/v1")
        for _ in range(2):
            with pytest.raises(JudgeError):
                judge.ask([yes_no("Is it?")])
            n = len(fake.requests)
        assert len(fake.requests) == n
        judge.close()


def test_an_unreachable_server_is_named():
    judge = load("fake@http://127.0.0.1:9/v1,backoff_s=0.01,attempts=2")
    with pytest.raises(JudgeError, match=r"http://127.0.0.1:9/v1 did not answer the self-test \(2 tries\)"):
        judge.ask([yes_no("Is it?")])
    judge.close()


def test_sums_and_temperatures_have_tolerances():
    top = [("a", math.log(0.6)), ("b", math.log(0.4))]
    assert not sum_problem([top]) and sum_problem([[*top, ("c", math.log(0.01))]])
    noisy = [("a", math.log(0.6) + 0.1), ("b", math.log(0.4) - 0.1)]
    assert not temperature_problem([top, noisy, top])
    sharp = [("a", -0.05), ("b", -3.0)]
    assert "temperature" in temperature_problem([top, sharp, top])
    rare = [("a", math.log(0.6)), ("z", -20.0)]
    assert not temperature_problem([[("z", -40.0)], rare, rare])


def test_pictures_differ_and_every_question_has_a_known_answer():
    found = probes()
    assert len({p.image.id for p in found}) == 4 and len({p.question for p in found}) == 4
    for probe in found:
        assert probe.is_yes == (probe.image == found[found.index(probe) // 2 * 2].image and found.index(probe) % 2 == 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("Yes.", 1.0), ("no", 0.0), ("<think>yes</think> No", 0.0), ("nothing", None), ("No. yes", 1.0)],
)
def test_written_answers_are_read_by_their_last_word(text, value):
    assert written_yes_no(text) == value


def test_no_offset_is_seen_where_the_answer_comes_first_or_not_at_all():
    from harness.judges.vlm.completion import Completion, Step, Token

    def completion(*texts, reasoning=""):
        steps = tuple(Step(Token(t, -0.1), ()) for t in texts)
        return Completion(
            text="".join(texts),
            finish_reason="stop",
            steps=steps,
            reasoning=reasoning,
            refusal="",
            tokens_in=1,
            tokens_out=1,
            cached=0,
        )

    assert not offset_problem(completion("Yes", ".", "\n", "No"))
    assert not offset_problem(completion("The", " answer", " yes"))
    assert "token 3" in offset_problem(completion("<x>", "\n\n", "No"))
    assert "thinks" in offset_problem(completion("<think>", "\n", "The"))
