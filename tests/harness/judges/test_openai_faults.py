"""Faults in front of the server: no invented score, and every failure with status, cause and number of tries."""

import asyncio
import json
import time
from collections import Counter

import pytest
from PIL import Image

from harness.errors import JudgeError
from harness.images import ref_of_image
from harness.judges.openai import load
from harness.judges.vlm.limiter import Limiter
from tests.harness.judges.servers import FakeVLM, FaultProxy, error, micro_answer, serving
from tests.harness.judges.test_openai import SHARE, by_number, two_numbers, written, yes_no

N_IMAGES = 6


def picture(i):
    return ref_of_image(Image.new("RGB", (16, 16 + i)))


def requests():
    return [yes_no(*SHARE, picture=picture(i)) for i in range(N_IMAGES)]


def run(plan, settings="", *, upstream=None, asked=None, model="fake"):
    """Replies and counters with faults planned by `plan`."""
    with serving(upstream or FakeVLM(answer=by_number)) as server:
        proxy = FaultProxy(server.url, plan)
        with serving(proxy) as front:
            judge = load(f"{model}@{front.url}/v1,backoff_s=0.01,{settings}")
            try:
                replies = judge.ask(asked or requests())
                return replies, judge.counters, proxy
            finally:
                judge.close()


def check(replies, *, cause=None, attempts=None):
    """All values are the true ones; failures have no value, and a status, a cause and tries. Returns their number."""
    n = 0
    for reply in replies:
        for answer, true in zip(reply.answers, SHARE.values(), strict=True):
            if answer.status == "ok":
                assert answer.value == pytest.approx(true, abs=1e-6)
                continue
            n += 1
            assert answer.value is None and answer.status in ("error", "refused", "unparsed")
            assert answer.error and answer.payload["cause"] in answer.error
            assert answer.payload["attempts"] >= 1
            assert cause is None or answer.payload["cause"] == cause
            assert attempts is None or answer.payload["attempts"] == attempts
    return n


SELF_TEST = 11
"""Chat requests before the first question: three protocol probes and eight about pictures."""


def every(n, fault):
    return lambda i, body: fault if i >= SELF_TEST and i % n == 0 else None


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("429", "http_429"),
        ("500", "http_500"),
        ("drop", "connection"),
        ("cut", "connection"),
        ("truncated", "truncated"),
    ],
)
def test_passing_faults_are_made_good(fault, cause):
    replies, counters, _ = run(every(10, fault))
    assert check(replies) == 0
    assert counters.faults[cause] >= 5 and counters.n_tries > counters.n_requests
    assert max(a.payload["attempts"] for r in replies for a in r.answers) >= 2
    assert max(r.attempts for r in replies) >= 2


def always(fault, question="q3?"):
    def plan(i, body):
        last = body["messages"][-1]["content"][-1]
        return fault if last.get("text") == question else None

    return plan


@pytest.mark.parametrize(
    ("fault", "cause", "attempts"),
    [
        ("429", "http_429", 3),
        ("500", "http_500", 3),
        ("drop", "connection", 3),
        ("cut", "connection", 3),
        ("truncated", "truncated", 3),
        ("few_logprobs", "bad_reply", 1),
    ],
)
def test_lasting_faults_end_as_errors_of_just_these_questions(fault, cause, attempts):
    replies, _, _ = run(always(fault), "attempts=3")
    assert check(replies, cause=cause, attempts=attempts) == N_IMAGES
    assert all([a.status for a in r.answers].count("error") == 1 for r in replies)


def test_a_stalled_server_is_left_after_the_time_limit():
    started = time.perf_counter()
    replies, counters, _ = run(always("stall"), "attempts=2,timeout_s=1.5,unverified=true")
    assert check(replies, cause="timeout", attempts=2) == N_IMAGES
    assert counters.faults["timeout"] >= 2 * N_IMAGES
    assert time.perf_counter() - started < 40
    assert "no answer within 1.5 s" in replies[0].answers[3].error


def test_fewer_log_probabilities_than_asked_are_an_error_in_top_k_too():
    replies, _, _ = run(always("few_logprobs"), "p_yes=top_k")
    assert check([r for r in replies if r.answers[3].status != "ok"], cause="bad_reply") == N_IMAGES
    assert "2 of 20" in replies[0].answers[3].error


def test_a_wrong_model_name_stops_everything():
    with pytest.raises(JudgeError, match="404 for model 'fake'"):
        run(always("wrong_model"))


def test_a_request_that_the_server_rejects_is_not_repeated():
    fake = FakeVLM(answer=by_number)

    async def picky(request):
        if b"q3?" in request.body:
            return error(400, "prompt is too long")
        return await fake(request)

    replies, _, proxy = run(lambda i, body: None, upstream=picky)
    assert check(replies, cause="http_400", attempts=1) == N_IMAGES
    assert "prompt is too long" in replies[0].answers[3].error
    assert proxy.n_chat == SELF_TEST + N_IMAGES * len(SHARE)


def test_a_content_filter_is_a_refusal():
    fake = FakeVLM(answer=by_number)

    async def filtering(request):
        return error(400, "filtered", "content_filter") if b"q3?" in request.body else await fake(request)

    replies, _, _ = run(lambda i, body: None, upstream=filtering)
    assert {r.answers[3].status for r in replies} == {"refused"}


def test_written_replies_survive_faults_too():
    fake = FakeVLM(write=lambda images, text: "1 2")
    asked = [written(two_numbers, images=(picture(i),)) for i in range(10)]
    seen = Counter()

    def plan(i, body):
        url = body["messages"][-1]["content"][0]["image_url"]["url"]
        seen[url] += 1
        return {1: "500", 2: "truncated"}.get(seen[url]) if i >= 8 else None

    replies, _, _ = run(plan, upstream=fake, asked=asked)
    assert [r.attempts for r in replies] == [3] * 10
    assert [[a.value for a in r.answers] for r in replies] == [[1.0, 2.0]] * 10


def test_overload_halves_the_requests_under_way_and_waits_as_asked():
    fake = FakeVLM(answer=by_number)
    with serving(fake) as server:
        plan = lambda i, body: "429" if SELF_TEST <= i < SELF_TEST + 6 else None  # noqa: E731
        with serving(FaultProxy(server.url, plan, retry_after="0.4")) as front:
            judge = load(f"fake@{front.url}/v1,concurrency=16,backoff_s=0.01")
            started = time.perf_counter()
            replies = judge.ask(requests())
            seconds = time.perf_counter() - started
            counters = judge.counters
            judge.close()
    assert check(replies) == 0
    assert counters.lowest_concurrency == 8
    assert seconds > 0.4


def test_a_pause_that_is_too_long_is_a_failure_not_a_wait():
    fake = FakeVLM(answer=by_number)
    with serving(fake) as up, serving(FaultProxy(up.url, always("429"), retry_after="86400")) as front:
        judge = load(f"fake@{front.url}/v1,backoff_s=0.01")
        replies = judge.ask(requests())
        judge.close()
    assert check(replies, cause="http_429", attempts=1) == N_IMAGES


def test_an_empty_account_stops_at_once():
    async def broke(request):
        return error(429, "You exceeded your current quota", "insufficient_quota")

    with serving(broke) as server:
        judge = load(f"fake@{server.url}/v1")
        with pytest.raises(JudgeError, match="no credit left"):
            judge.ask([yes_no("q0?")])
        judge.close()


def test_a_server_that_goes_away_for_good_stops_the_run():
    server = serving(FakeVLM(answer=by_number))
    url = server.__enter__().url
    judge = load(f"fake@{url}/v1,backoff_s=0.001,attempts=2")
    judge.ask([yes_no("q0?")])
    server.__exit__(None, None, None)
    with pytest.raises(JudgeError, match=r"cannot be reached: \d+ requests in a row"):
        judge.ask(requests())
    judge.close()


def limited(coroutine):
    return asyncio.run(coroutine)


def test_the_limit_is_halved_once_per_round_and_grows_by_one_per_round():
    async def scenario():
        limiter = Limiter(8)
        tickets = [await limiter.acquire() for _ in range(8)]
        for ticket in tickets:
            limiter.overloaded(ticket)
        assert limiter.limit == 4
        for _ in tickets:
            limiter.release()
        later = await limiter.acquire()
        limiter.overloaded(later)
        assert limiter.limit == 2 and limiter.lowest == 2
        for _ in range(2):
            limiter.succeeded()
        assert limiter.limit == pytest.approx(2.9)
        for _ in range(1000):
            limiter.succeeded()
        assert limiter.limit == 8

    limited(scenario())


def test_smaller_priorities_go_first_and_a_cancelled_waiter_keeps_no_place():
    async def scenario():
        limiter, order = Limiter(1), []
        await limiter.acquire()

        async def work(name, priority):
            await limiter.acquire(priority)
            order.append(name)
            limiter.release()

        tasks = [asyncio.create_task(work(n, p)) for n, p in (("c", 2), ("a", 0), ("b", 1), ("gone", 0))]
        await asyncio.sleep(0)
        tasks[3].cancel()
        limiter.release()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["a", "b", "c"]

    limited(scenario())


# Through the command

EVAL = ["eval", "-b", "dpg", "--set", "dpg.n_prompts=5", "--set", "threads=1", "--limit", "5"]


def command(capsys, *arguments):
    from harness.cli.main import main

    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def records(run_dir):
    return [json.loads(line) for line in (run_dir / "judgements.jsonl").read_text().splitlines()]


def test_a_run_above_the_missing_limit_exits_3_and_a_repeat_fills_only_what_is_missing(capsys, tmp_path):
    spoil = {"on": True}
    fake = FakeVLM(answer=micro_answer)

    def plan(i, body):
        text = body["messages"][-1]["content"][-1].get("text", "")
        return "500" if spoil["on"] and len(text) % 3 == 0 and "square in the picture" not in text else None

    with serving(fake) as server, serving(FaultProxy(server.url, plan)) as front:
        judge = f"openai:fake@{front.url}/v1,attempts=2,backoff_s=0.001"
        out = tmp_path / "run"
        code, _, err = command(capsys, *EVAL, "--judge", judge, "-o", out)
        first = records(out)
        assert code == 3 and "Incomplete" in err
        lost = [r for r in first if r["status"] != "ok"]
        assert lost and len(lost) < len(first)
        for record in lost:
            assert record["value"] is None and record["payload"]["cause"] == "http_500"
            assert record["attempts"] == 2 and "http_500" in record["error"]
        spoil["on"] = False
        n_before = len(fake.requests)
        code, _, _ = command(capsys, *EVAL, "--judge", judge, "-o", out)
        assert code == 0
        again = records(out)[len(first) :]
        assert all(r["status"] == "ok" for r in again)
        calls = {r["call_id"] for r in lost}
        assert {r["call_id"] for r in again} == calls
        asked = [r for r in fake.requests[n_before:] if "logprob_token_ids" in r]
        n_questions = sum(len({r["question_id"] for r in first if r["call_id"] == c}) for c in calls)
        assert len(asked) == n_questions + 8  # and the self-test of the new process
        code, _, _ = command(capsys, *EVAL, "--judge", judge, "-o", out)
        assert code == 0 and len(records(out)) == len(first) + len(again)
