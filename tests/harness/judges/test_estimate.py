"""The plan of a server judge's cost against what a server really counted, and how the command shows it."""

import json

import pytest
from PIL import Image

from harness.errors import ConfigError
from harness.images import ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.openai import planner
from harness.types import Question
from tests.harness.judges.test_openai_faults import command

URL = "http://127.0.0.1:1/v1"


def request(kind="yesno", n=3, **fields):
    questions = tuple(Question(id=f"{i}", text="x" * 42) for i in range(n))
    picture = ref_of_image(Image.new("RGB", (8, 8)))
    return JudgeRequest(kind=kind, form="f", questions=questions, images=(picture,), **fields)


def test_every_question_of_yes_and_no_is_a_call_with_the_picture_in_it():
    plan = planner(f"m@{URL}")
    use = plan.use(request(system="s" * 84), [(1024, 1024)])
    assert use.n_calls == 3 and use.tokens_out == 3
    assert use.tokens_in == 3 * (32 * 32 + 2 + 10 + 20 + 14)


def test_a_written_request_is_one_call_with_a_bounded_reply():
    plan = planner(f"m@{URL},max_tokens=100")
    use = plan.use(request("text", n=5, prompt="p" * 420), [(1024, 1024), (512, 512)])
    assert (use.n_calls, use.tokens_out) == (1, 100)
    assert use.tokens_in == 1026 + 258 + 100 + 14


def test_time_and_money_are_given_only_where_they_are_known():
    use = planner(f"m@{URL}").total([(request(), [(64, 64)])] * 100)
    assert planner(f"m@{URL}").usd(use) is None and planner(f"m@{URL}").hours(use) is None
    assert planner(f"m@{URL},calls_per_s=10").hours(use) == pytest.approx(30 / 3600)
    priced = planner(f"m@{URL},price=2/8").usd(use)
    assert priced == pytest.approx((use.tokens_in * 2 + use.tokens_out * 8) / 1e6)
    hosted = planner("gpt-4.1-2025-04-14")
    assert hosted.hours(use) == pytest.approx(300 * 4.0 / 16 / 3600) and hosted.usd(use) > 0


def test_a_tokenizer_counts_instead_of_estimating(tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    plan = planner(f"m@{URL},tokenizer={tmp_path}")
    assert "counted" in plan.text_rule
    use = plan.use(request("text", prompt="five words are in here"), [(1024, 1024)])
    assert use.tokens_in == 1026 + 5 + 14
    with pytest.raises(ConfigError, match="cannot be read"):
        planner(f"m@{URL},tokenizer={tmp_path}/absent").use(request("text"), [(8, 8)])


def test_dry_run_shows_requests_tokens_time_and_money_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["eval", "-b", "dpg,tiif", "--limit", "4", "--dry-run"]
    code, out, _ = command(capsys, *options, "--judge", "openai:gpt-4.1-2025-04-14", "--json")
    rows = json.loads(out)["micro"]["benchmarks"]
    assert code == 0 and not any(tmp_path.iterdir())
    by_name = {r["benchmark"]: r for r in rows}
    assert by_name["dpg"]["n_requests"] == by_name["dpg"]["n_questions"] > by_name["dpg"]["n_calls"]
    assert by_name["tiif"]["n_requests"] == by_name["tiif"]["n_calls"]
    for row in rows:
        assert row["tokens_in"] > row["tokens_out"] > 0 and row["usd"] > 0 and row["hours"] > 0
        assert "48 px" in row["rule"]
    code, out, _ = command(capsys, *options, "--judge", f"openai:m@{URL}")
    assert "tokens in" in out and "time unknown" in out and "no price" in out
    code, out, _ = command(capsys, *options)
    assert code == 0 and "tokens" not in out
