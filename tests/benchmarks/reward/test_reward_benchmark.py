"""Any reward as a benchmark: names, prompts, refusals, means, missing data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from benchmarks.micro import dvtest
from benchmarks.reward import RewardBenchmark, RewardOptions
from benchmarks.reward.summaries import UNBOUNDED, UNIT, Means
from harness.errors import ConfigError, DataError
from harness.evalconfig import EvalConfig
from harness.evaluate import default_benchmarks, judge_spec_of, make_benchmark, with_arguments
from harness.judges.base import JudgeRequest
from harness.plan import checked_prompts
from harness.registry import REWARDS
from harness.rewards import Reward, RewardValue
from harness.types import Prompt, Question, SampleKey, Score
from harness.world.grammar import sample_layout

from .support import generation_of, scored


class EditReward(Reward):
    """A reward of edits with a raw part, for the tests."""

    name: ClassVar[str] = "edit-test"
    value_range: ClassVar[tuple[float, float]] = (0.0, 10.0)
    needs_source: ClassVar[bool] = True
    default_judge: ClassVar[Mapping[str, str]] = {"micro": "micro", "official": "other:x"}
    fingerprint = "edit-test"

    def requests(self, item):
        question = Question(id="q", text=item.prompt.text)
        return [JudgeRequest(kind="text", form="edit", questions=(question,), images=(item.image, *item.sources))]

    def value(self, item, answers):
        answer = answers["q"]
        if answer.value is None:
            return RewardValue(value=None, reason=f"{answer.status} {answer.error}", n_asked=1, n_failed=1)
        return RewardValue(value=answer.value, parts={"raw": answer.payload["raw"], "n_seen": 2.0})


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(REWARDS._entries, "edit-test", EditReward)


def make(profile="micro", **options):
    return RewardBenchmark(profile=profile, protocol="official", options=RewardOptions(**options))


def config(*names, **options):
    return with_arguments(EvalConfig(benchmarks=list(names), options=options))


def test_the_argument_names_reward_and_options():
    made = config("tiif", "reward:dvreward,scoring=binary,max_missing=0.1", reward={"n_prompts": 20})
    assert made.benchmarks == ["tiif", "reward"]
    assert made.options["reward"] == {
        "name": "dvreward",
        "settings": {"scoring": "binary", "max_missing": 0.1},
        "n_prompts": 20,
    }
    benchmark = make_benchmark("reward", made)
    assert benchmark.reward.scoring == "binary" and len(benchmark.prompts()) == 20
    assert benchmark.title == "Reward dvreward (max_missing=0.1, scoring=binary)"
    assert with_arguments(made) == made


def test_a_new_argument_replaces_the_settings_of_a_run_that_is_judged_again():
    before = config("reward:dvreward,scoring=binary")
    again = with_arguments(replace(before, benchmarks=["reward:edit-test"]))
    assert again.options["reward"] == {"name": "edit-test", "settings": {}}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["reward:dvreward", "reward:dvreward,scoring=binary"], "--from RUN -b reward:dvreward,scoring=binary"),
        (["geneval:x"], "'geneval' takes no argument"),
        (["reward:dvreward,binary"], "expected KEY=VALUE"),
        (["rewrd:dvreward"], "Did you mean 'reward'"),
    ],
)
def test_wrong_arguments_are_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        config(*names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Name the reward, e.g. -b reward:dvreward"),
        ({"name": "dvrewad"}, "Did you mean 'dvreward'"),
        ({"name": "dvreward", "settings": {"scorng": 1}}, "scorng"),
        ({"name": "dvreward", "n_prompts": 0}, "expected a positive number"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_rewards_are_not_among_the_default_benchmarks_and_bring_their_own_judge():
    assert not {"reward", "dvtest"} & set(default_benchmarks(EvalConfig()))
    assert judge_spec_of(make(name="dvreward"), EvalConfig()) == "micro"
    assert make(name="edit-test", prompts="x").default_judge["official"] == "other:x"
    assert make(name="edit-test", prompts="x").value_range == (0.0, 10.0)


def test_prompts_are_those_of_the_test_edition_under_ids_that_hold_the_text():
    benchmark = make(name="dvreward", n_prompts=30)
    assert [p.text for p in benchmark.prompts()] == [p.text for p in dvtest.prompts(30)]
    assert [p.id[:11] for p in checked_prompts(benchmark, None)][:2] == ["reward/0000", "reward/0001"]
    other = make(name="dvreward", n_prompts=30, prompt_seed=1)
    assert not {p.id for p in benchmark.prompts()} & {p.id for p in other.prompts()}
    assert benchmark.data_id != other.data_id != make(name="dvreward", settings={"scoring": "binary"}).data_id


def test_the_official_profile_needs_a_file():
    with pytest.raises(ConfigError, match=r"no prompts of its own.*dvtest"):
        make("official", name="dvreward").prompts()


def test_a_text_file_gives_one_prompt_a_line(tmp_path):
    (tmp_path / "p.txt").write_text("a red cup\n\n  two dogs \n")
    benchmark = make("official", name="dvreward", prompts=str(tmp_path / "p.txt"))
    assert [p.text for p in benchmark.prompts()] == ["a red cup", "two dogs"]
    assert benchmark.mode == "t2i" and benchmark.data_id.startswith("p.txt@")
    with pytest.raises(DataError, match=r"reward/0000.*needs questions"):
        benchmark.requests(benchmark.prompts()[0], generation_of(benchmark.prompts()[0], "reward"), [None])


def write(path, *objects):
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return str(path)


def test_a_record_file_gives_questions_categories_and_sources(tmp_path):
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "cup.png")
    file = write(
        tmp_path / "p.jsonl",
        {"prompt": "paint it red", "difficulty": "easy", "source_images": ["cup.png"], "semantic_questions": ["Red?"]},
    )
    benchmark = make("official", name="edit-test", prompts=file)
    (prompt,) = benchmark.prompts()
    assert (prompt.category, prompt.source_images, prompt.meta["semantic_questions"]) == (
        "easy",
        ("cup.png",),
        ["Red?"],
    )
    assert benchmark.mode == "edit"
    source = benchmark.source_image(prompt, "cup.png")
    assert source.load().getpixel((0, 0)) == (9, 8, 7)
    (request,) = benchmark.requests(prompt, generation_of(prompt, "reward"), [source, source])
    assert len(request.images) == 2


def test_a_reward_of_edits_is_refused_for_prompts_without_sources(tmp_path):
    for benchmark in (
        make(name="edit-test"),
        make(name="edit-test", prompts=write(tmp_path / "p.jsonl", {"prompt": "a"})),
    ):
        with pytest.raises(ConfigError, match="judges edits and must see the source image"):
            benchmark.prompts()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"prompt": "a"}', "{"], r"p\.jsonl, line 2: not valid JSON"),
        (['{"text": "a"}'], r"p\.jsonl, line 1, field 'prompt': expected a non-empty text, got nothing"),
        (
            ['{"prompt": "a", "semantic_questions": [{"question": 3}]}'],
            r"line 1, field 'semantic_questions', ques",
        ),
        (['{"prompt": "a", "source_images": "x.png"}'], "field 'source_images': expected a list of paths"),
        (['{"prompt": "a", "category": 3}'], "field 'category': expected a text"),
        (['{"prompt": "a", "source_images": ["x"]}', '{"prompt": "b"}'], "reward/0001.*has no 'source_images'"),
        ([], "holds no prompt"),
    ],
)
def test_damaged_files_are_refused_with_line_and_field(tmp_path, lines, message):
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        make(name="dvreward", prompts=str(tmp_path / "p.jsonl")).prompts()


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a \.jsonl file"):
        make(name="dvreward", prompts=str(tmp_path / "p.csv")).prompts()
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        make(name="dvreward", prompts=str(tmp_path / "none.txt")).prompts()


@pytest.fixture(scope="module")
def drawn():
    cases = dvtest.cases(30)
    rng = np.random.default_rng(0)
    return cases, [sample_layout(rng, c.spec) for c in cases]


def test_right_pictures_have_rewards_near_one_with_all_parts(drawn):
    benchmark = make(name="dvreward", n_prompts=30)
    prompts = benchmark.prompts()
    table = {s.metric: s for s in benchmark.aggregate({p.id: p for p in prompts}, scored(benchmark, prompts, drawn[1]))}
    assert table["overall"].value > 0.97 and table["overall"].n == 30 and table["overall"].n_missing == 0
    assert table["overall"].ci_low <= table["overall"].value <= table["overall"].ci_high
    assert table["part/all_yes"].value == 1.0
    assert {"category/easy", "category/medium", "category/hard", "part/semantic", "part/quality"} <= set(table)
    assert "n_saturated" in table["overall"].extra and "part/n_saturated" not in table


def test_a_lost_answer_is_a_missing_reward_in_every_row_it_belongs_to(drawn):
    benchmark = make(name="dvreward", n_prompts=30)
    prompts = benchmark.prompts()
    lost = prompts[3].id

    def change(j):
        return replace(j, value=None, status="error", error="time-out") if j.key.prompt_id == lost else j

    scores = scored(benchmark, prompts, drawn[1], change)
    assert {s.value for s in scores if s.key.prompt_id == lost} == {None}
    assert all("time-out" in s.reason for s in scores if s.key.prompt_id == lost)
    table = {s.metric: s for s in benchmark.aggregate({p.id: p for p in prompts}, scores)}
    assert (table["overall"].n, table["overall"].n_missing) == (29, 1)
    assert table["part/semantic"].n_missing == 1
    low, high = table["overall"].extra["bounds"]
    assert high - low == pytest.approx(1 / 30)
    assert sum(s.value is None for s in scores) / len(scores) == pytest.approx(1 / 30, rel=0.3)


def test_an_image_that_was_not_made_is_missing_with_the_reason():
    benchmark = make(name="dvreward", n_prompts=10)
    prompt = benchmark.prompts()[0]
    failed = replace(generation_of(prompt, "reward", status="refused"), error="policy")
    scores = benchmark.score(prompt, failed, [])
    assert scores[0].value is None and scores[0].reason == "no image: refused policy"
    unjudged = benchmark.score(prompt, generation_of(prompt, "reward"), [])
    assert "not judged" in unjudged[0].reason


def test_a_reward_with_written_answers_gives_one_missing_score_and_open_ranges_for_raw_parts():
    benchmark = make(name="edit-test", prompts="x")
    prompt = Prompt(id="reward/0000", text="a")
    missing = benchmark.score(prompt, generation_of(prompt, "reward"), [])
    assert [(s.metric, s.value) for s in missing] == [("reward", None)]
    keys = [SampleKey(benchmark="reward", prompt_id=f"reward/{i}") for i in range(25)]
    scores = [Score(key=k, metric="reward", value=float(i % 11)) for i, k in enumerate(keys)]
    scores += [Score(key=k, metric="raw", value=0.1 * (i % 3)) for i, k in enumerate(keys)]
    prompts = {k.prompt_id: Prompt(id=k.prompt_id, text="") for k in keys}
    table = {s.metric: s for s in benchmark.aggregate(prompts, scores)}
    assert 0 <= table["overall"].ci_low < table["overall"].value < table["overall"].ci_high <= 10
    assert table["part/raw"].method == "stratified t"


def test_means_are_over_prompts_of_means_over_images():
    prompts = {i: Prompt(id=i, text="") for i in ("a", "b", "c")}
    scores = [
        Score(key=SampleKey(benchmark="reward", prompt_id=p, index=i), metric="reward", value=v)
        for p, i, v in (("a", 0, 1.0), ("a", 1, 0.0), ("a", 2, None), ("b", 0, 0.0))
    ]
    means = Means(prompts, scores)
    summary = means.summary("overall", "reward", UNIT)
    assert (summary.value, summary.n, summary.n_missing) == (0.25, 2, 2)
    assert summary.extra["bounds"] == pytest.approx([(1 / 3 + 0 + 0) / 3, (2 / 3 + 0 + 1) / 3])
    assert means.summary("x", "reward", UNBOUNDED, only=lambda p: p.id == "c").method == "no image has a value"
    assert means.summary("x", "reward", (0.5, 1.0)).method == "none: a score lies outside 0.5 to 1"
    with pytest.raises(DataError, match="no such prompt"):
        Means({}, scores)
