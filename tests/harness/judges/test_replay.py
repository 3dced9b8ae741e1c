"""Judge `replay`: recorded answers by content, and nothing that was not recorded."""

import json

import msgspec
import pytest
from PIL import Image

from harness.errors import ConfigError, DataError, JudgeError, StoreError
from harness.images import ref_of_image
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest
from harness.judges.replay import load
from harness.judging import call_id, records_of
from harness.types import Question, SampleKey

KEY = SampleKey(benchmark="toy", prompt_id="toy/1")
RED, BLUE = (ref_of_image(Image.new("RGB", (4, 4), c)) for c in ("red", "blue"))


class Recorded(Judge):
    name = "recorded"
    kinds = frozenset({"yesno"})

    def __init__(self, fingerprint="judge-1"):
        self._fingerprint = fingerprint

    @property
    def fingerprint(self):
        return self._fingerprint

    def ask(self, requests):
        raise AssertionError("nothing may be asked")


def request(image=RED, form="f", texts=("a?", "b?"), **fields):
    questions = tuple(Question(id=f"q{i}", text=t) for i, t in enumerate(texts))
    return JudgeRequest(kind="yesno", form=form, questions=questions, images=(image,), **fields)


def write(path, *entries):
    """Writes records of (judge fingerprint, request, answers) and returns the path."""
    lines = []
    for fingerprint, asked, answers in entries:
        judge = Recorded(fingerprint)
        reply = JudgeReply(answers=tuple(answers), raw="as written", attempts=2, tokens_in=9, seconds=1.0, cost_usd=0.5)
        lines += records_of(judge, call_id(fingerprint, asked), asked, KEY, reply)
    path.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in lines))
    return path


GOOD = [Answer(value=0.25, payload={"p_yes": 0.25, "mass": 0.9}), Answer(value=1.0)]


def test_recorded_answers_come_back_at_no_cost(tmp_path):
    judge = load(str(write(tmp_path / "judgements.jsonl", ("judge-1", request(), GOOD))))
    (reply,) = judge.ask([request()])
    assert list(reply.answers) == GOOD
    assert (reply.raw, reply.attempts, reply.tokens_in, reply.seconds, reply.cost_usd) == ("as written", 0, 0, 0.0, 0.0)
    assert judge.fingerprint == "replay(judge-1)"


def test_a_run_directory_is_read_too(tmp_path):
    write(tmp_path / "judgements.jsonl", ("judge-1", request(), GOOD))
    assert load(str(tmp_path)).ask([request()])[0].answers[1].value == 1.0


@pytest.mark.parametrize(
    "other",
    [
        request(image=BLUE),
        request(form="g"),
        request(texts=("a?", "c?")),
        request(texts=("a?",)),
        request(system="another instruction"),
        request(temperature=1.0),
    ],
)
def test_anything_else_is_skipped_with_the_reason(tmp_path, other):
    judge = load(str(write(tmp_path / "r.jsonl", ("judge-1", request(), GOOD))))
    for answer in judge.ask([other])[0].answers:
        assert (answer.status, answer.value) == ("skipped", None)
        assert "not recorded in" in answer.error and repr(other.form) in answer.error


def test_recorded_failures_stay_failures(tmp_path):
    lost = Answer(status="unparsed", error="no number")
    judge = load(str(write(tmp_path / "r.jsonl", ("judge-1", request(), [lost, lost]))))
    answer = judge.ask([request()])[0].answers[0]
    assert (answer.status, answer.value, answer.error) == ("unparsed", None, "recorded: no number")


def test_a_later_answer_takes_the_place_of_a_failure(tmp_path):
    lost = [Answer(status="error", error="x")] * 2
    entries = [("judge-1", request(), lost), ("judge-1", request(), GOOD), ("judge-1", request(), lost)]
    assert load(str(write(tmp_path / "r.jsonl", *entries))).ask([request()])[0].answers[0].value == 0.25


def test_two_judges_on_one_call_need_a_choice(tmp_path):
    other = [Answer(value=0.75), Answer(value=0.0)]
    path = write(tmp_path / "r.jsonl", ("judge-1", request(), GOOD), ("judge-2", request(), other))
    with pytest.raises(JudgeError, match=r"several judges.*judge-1, judge-2"):
        load(str(path)).ask([request()])
    assert load(f"{path},judge=judge-2").ask([request()])[0].answers[0].value == 0.75
    with pytest.raises(ConfigError, match="Recorded: judge-1, judge-2"):
        load(f"{path},judge=judge-3")


def test_wrong_places_and_damaged_files_are_explained(tmp_path):
    with pytest.raises(ConfigError, match="expected a run directory"):
        load("")
    with pytest.raises(DataError, match=r"judgements\.jsonl does not exist"):
        load(str(tmp_path))
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(DataError, match="holds no records"):
        load(str(empty))
    damaged = write(tmp_path / "r.jsonl", ("judge-1", request(), GOOD))
    damaged.write_text(damaged.read_text() + json.dumps({"id": 3}) + "\n")
    with pytest.raises(StoreError, match="line 3"):
        load(str(damaged))
    with pytest.raises(ConfigError, match="unknown key 'juge'"):
        load(f"{damaged},juge=x")


def test_a_run_judged_again_by_replay_has_the_same_scores(tmp_path):
    from harness.evalconfig import EvalConfig
    from harness.evaluate import evaluate
    from harness.progress import Silent

    first = evaluate(
        EvalConfig(benchmarks=["tiif"], limit=6, out=str(tmp_path / "first"), threads=1), "micro", Silent()
    )
    again = EvalConfig(
        benchmarks=["tiif"], limit=6, out=str(tmp_path / "again"), threads=1, judge=f"replay:{first.path}"
    )
    second = evaluate(again, f"stored:{first.path}", Silent())
    assert second.complete
    values = [[(s.metric, s.value) for s in r.scores["tiif"]] for r in (first, second)]
    assert values[0] == values[1] and len(values[0]) > 6
    assert second.summary["benchmarks"]["tiif"]["judge"].startswith("replay(micro-")
