import random

import pytest

from benchmarks.geneval.aggregate import METRIC, count_images, summarise
from benchmarks.geneval.metadata import TAGS
from harness.errors import DataError
from harness.types import Prompt, SampleKey, Score


def table(verdicts, protocol="official", samples_per_prompt=4):
    """Summaries by metric from {tag: [[1, 0, None, ...] per prompt]}."""
    prompts, scores = {}, []
    for tag, per_prompt in verdicts.items():
        for row in per_prompt:
            prompt = Prompt(id=f"geneval/{len(prompts):05d}", text="", category=tag)
            prompts[prompt.id] = prompt
            for i, value in enumerate(row):
                key = SampleKey(benchmark="geneval", prompt_id=prompt.id, index=i)
                scores.append(Score(key=key, metric=METRIC, value=value))
    random.Random(0).shuffle(scores)
    counts = count_images(prompts, scores, samples_per_prompt=samples_per_prompt)
    return {s.metric: s for s in summarise(counts, protocol=protocol)}


def full(rng, n_prompts=6):
    return {tag: [[float(rng.random() < 0.6) for _ in range(4)] for _ in range(n_prompts)] for tag in TAGS}


def test_overall_is_the_unweighted_mean_of_task_means():
    verdicts = {t: [[1.0, 0.0, 0.0, 0.0]] for t in TAGS} | {"counting": [[1.0] * 4, [1.0, 1.0, 1.0, 0.0]]}
    got = table(verdicts)
    assert got["overall"].value == pytest.approx((5 * 0.25 + 7 / 8) / 6, abs=1e-15)
    assert got["overall"].printed == "0.35417"
    assert got["task/counting"].printed == "87.50% (7 / 8)"
    assert (got["task/counting"].n, got["task/counting"].n_missing) == (8, 0)
    assert got["task/counting"].extra == {"correct": 7, "total": 8}
    assert next(iter(got)) == "overall"


def test_share_of_images_and_of_prompts_with_any_correct_image():
    got = table({"counting": [[1.0, 0.0], [0.0, 0.0]], "colors": [[1.0, 1.0]]}, samples_per_prompt=2)
    assert got["images/correct"].value == pytest.approx(3 / 6)
    assert got["prompts/correct"].value == pytest.approx(2 / 3)
    assert (got["images/correct"].n, got["prompts/correct"].n) == (6, 3)
    assert got["prompts/correct"].printed == "66.67%"


@pytest.mark.parametrize("seed", range(3))
def test_protocols_agree_where_every_prompt_has_the_same_number_of_images(seed):
    verdicts = full(random.Random(seed))
    official, corrected = table(verdicts), table(verdicts, "corrected")
    assert official.keys() == corrected.keys()
    for metric in official:
        assert official[metric].value == pytest.approx(corrected[metric].value, abs=1e-14)
        assert official[metric].ci_low == pytest.approx(corrected[metric].ci_low, abs=1e-12)


def test_missing_images_leave_official_denominators_and_corrected_weighs_prompts_alike():
    verdicts = full(random.Random(1)) | {"counting": [[1.0, None, None, None], [0.0, 0.0, 0.0, 0.0]]}
    official, corrected = table(verdicts), table(verdicts, "corrected")
    assert official["task/counting"].value == pytest.approx(1 / 5)
    assert corrected["task/counting"].value == pytest.approx(1 / 2)
    for got in (official, corrected):
        assert (got["task/counting"].n, got["task/counting"].n_missing) == (5, 3)
        assert got["overall"].n_missing == 3
        assert got["overall"].extra["bounds"][0] < got["overall"].extra["bounds"][1]
    assert official["task/counting"].extra["bounds"] == [1 / 8, 4 / 8]
    assert corrected["task/counting"].extra["bounds"] == [1 / 8, 4 / 8]


def test_task_without_images_is_left_out_by_official_and_refused_by_corrected():
    verdicts = full(random.Random(2)) | {"position": [[None] * 4, []]}
    official, corrected = table(verdicts), table(verdicts, "corrected")
    five = [official[f"task/{t}"].value for t in TAGS if t != "position"]
    assert official["overall"].value == pytest.approx(sum(five) / 5)
    assert official["overall"].extra["tasks_missing"] == ["position"]
    assert official["task/position"].value is None
    assert official["task/position"].n_missing == 8
    assert corrected["overall"].value is None
    assert "position" in corrected["overall"].method


def test_nothing_scored_gives_no_value_and_no_interval():
    got = table({t: [[None] * 4] for t in TAGS})
    assert [s.value for s in got.values()] == [None] * len(got)
    assert [s.ci_low for s in got.values()] == [None] * len(got)


def test_overall_interval_contains_the_value_and_is_that_of_the_stratified_mean():
    from harness.stats import score_interval

    verdicts = full(random.Random(3), n_prompts=12)
    got = table(verdicts)["overall"]
    a = [sum(row) for tag in TAGS for row in verdicts[tag]]
    cat = [g for g, tag in enumerate(TAGS) for _ in verdicts[tag]]
    expected = score_interval(a, cat, [1 / 6] * 6, den=[4] * len(a))
    assert got.ci_low < got.value < got.ci_high
    assert (got.ci_low, got.ci_high) == pytest.approx((expected.low, expected.high))
    assert got.value == pytest.approx(expected.theta)


def score_of(id="geneval/00000", metric=METRIC, value=1.0, index=0):
    return Score(key=SampleKey(benchmark="geneval", prompt_id=id, index=index), metric=metric, value=value)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([score_of(id="geneval/1")], "no such prompt"),
        ([score_of(metric="sc")], "metric"),
        ([score_of(value=0.5)], "expected 0 or 1"),
        ([score_of(), score_of()], "two scores"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, message):
    prompts = {"geneval/00000": Prompt(id="geneval/00000", text="", category="counting")}
    with pytest.raises(DataError, match=message):
        count_images(prompts, scores, samples_per_prompt=4)
