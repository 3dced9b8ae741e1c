"""Terms: what a value is made of gives the value, its interval and its bounds, for every row of every benchmark."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.progress import Silent
from harness.rescore import rescore_run
from harness.stats import influence_values, score_bounds, score_interval
from harness.terms import Terms, aligned, from_json, make_terms, observed_step, to_json
from tests.harness.selections import CASES, draw, edition

PROTOCOLS = ("official", "corrected")
WITHOUT = ("mean_accuracy",)
"""Rows whose prompts are not independent: short and long of one case."""
ROUNDED = 5e-4
"""TIIF averages accuracies of four decimals."""


def small(**changes):
    given = {
        "prompts": ("a", "b", "c", "d"),
        "num": np.array([1.0, 2.0, 0.0, 0.1 + 0.2]),
        "den": np.array([2.0, 3.0, 0.0, 1.0]),
        "planned": np.array([2.0, 4.0, 1.0, 1.0]),
        "cat": np.array([0, 0, 1, 1]),
        "categories": ("x", "y"),
        "weights": np.array([1 / 3, 2 / 3]),
        "step": 1 / 3,
    }
    return Terms(**{**given, **changes})


def theta(terms):
    return float(influence_values(terms.num, terms.cat, terms.weights, terms.den).theta)


def bounds(terms):
    found = score_bounds(
        terms.num, terms.cat, terms.weights, den=terms.den, planned=terms.planned, lo=terms.lo, hi=terms.hi
    )
    return found.low, found.high


def table(case, protocol, seed, *, missing, samples=1):
    benchmark, prompts = edition(case, protocol)
    scores = draw(benchmark, prompts, np.random.default_rng(seed), missing=missing, samples=samples)
    return benchmark, prompts, benchmark.aggregate(prompts, scores)


def same(a, b):
    names = Terms.__dataclass_fields__
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names)


@pytest.mark.parametrize("terms", [small(), small(lo=-np.inf, hi=np.inf), small(lo=0.0, hi=10.0, step=9 - 80**0.5)])
def test_what_is_stored_comes_back_exactly(terms):
    text = json.dumps(to_json({"overall": terms, "other": small(prompts=("a", "b", "c", "e"))}), allow_nan=False)
    back = from_json(json.loads(text), "terms.json")
    assert list(back) == ["overall", "other"]
    assert same(back["overall"], terms)
    assert back["other"].prompts == ("a", "b", "c", "e")


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m.pop("num"),
        lambda m: m.update(den=[1.0]),
        lambda m: m.update(prompt=[0, 1, 2, 9]),
        lambda m: m.update(prompt=[0, 0, 1, 2]),
        lambda m: m.update(weights="many"),
        lambda m: m.update(range=[0.0]),
    ],
)
def test_a_damaged_file_is_told_with_its_metric(damage):
    value = to_json({"good": small(), "bad": small()})
    damage(value["metrics"]["bad"])
    with pytest.raises(DataError, match=r"run/terms\.json, metric 'bad': damaged .*repeat the `eval` command"):
        from_json(value, "run/terms.json")


def test_another_file_is_told_without_a_metric():
    with pytest.raises(DataError, match=r"^x: damaged"):
        from_json([], "x")


def test_terms_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="4 prompts, 3 of them different"):
        small(prompts=("a", "a", "b", "c"))
    with pytest.raises(ValueError, match="4 prompts"):
        small(den=np.ones(3))


def test_the_interval_is_that_of_the_scored_prompts():
    rng = np.random.default_rng(3)
    den = rng.integers(0, 5, 60)
    rows = [(f"p{i}", "xy"[i % 2], float(rng.integers(0, n + 1)), float(n), 5.0) for i, n in enumerate(den)]
    there = [r for r in rows if r[3]]
    plain = score_interval(
        [r[2] for r in there], ["xy".index(r[1]) for r in there], [0.25, 0.75], den=[r[3] for r in there]
    )
    found = make_terms(rows, {"x": 0.25, "y": 0.75}).interval()
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((plain.low, plain.high), abs=1e-12)
    assert found["method"] == plain.method


def test_why_there_is_no_interval_is_said():
    assert small(den=np.zeros(4)).interval() == {"method": "none: no valid score"}
    assert small(hi=0.6).interval() == {"method": "none: a score lies outside 0 to 0.6"}
    one = make_terms([("a", "x", 1.0, 1.0), ("b", "y", 0.0, 1.0)], {"x": 0.5, "y": 0.5})
    assert one.interval() == {"method": "none: one prompt per category"}


def test_a_prompt_without_a_score_counts_one_where_nothing_else_is_said():
    terms = make_terms([("a", "x", 9.0, 0.0), ("b", "x", 2.0, 4.0)], {"x": 1.0, "unused": 0.0})
    assert terms.num.tolist() == [0.0, 2.0]
    assert terms.planned.tolist() == [1.0, 4.0]
    assert terms.categories == ("x",)


def test_terms_are_put_in_the_order_of_others():
    first = small()
    other = small(
        prompts=("d", "b", "a", "c"),
        num=np.array([4.0, 2.0, 1.0, 3.0]),
        den=np.full(4, 4.0),
        planned=np.arange(4.0, 8.0),
        cat=np.array([0, 1, 1, 0]),
        categories=("y", "x"),
        weights=np.array([2 / 3, 1 / 3]),
    )
    found = aligned(first, other)
    assert (found.prompts, found.categories) == (first.prompts, first.categories)
    assert found.num.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert found.planned.tolist() == [6.0, 5.0, 7.0, 4.0]
    assert theta(found) == pytest.approx(theta(other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": ("a", "b", "c", "e")}, r"d is in before only \(4 prompts in before, 4 in after, 2 in one only"),
        ({"cat": np.array([0, 1, 1, 1])}, "b is of category 'x' in before and 'y' in after"),
        ({"weights": np.array([0.0, 1.0])}, "Category 'x' weighs 0.3333 in before and 0 in after"),
        ({"hi": 10.0}, "from 0 to 1 in before, from 0 to 10 in after"),
    ],
)
def test_terms_that_do_not_compare_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        aligned(small(), small(**changes), ("before", "after"))


def test_the_step_of_free_scores_is_the_smallest_gap_seen():
    assert observed_step([0.0, 1.0, 1.0, 0.25]) == 0.25
    assert observed_step([0.3, 0.1 + 0.2, 1.0]) == pytest.approx(0.7)
    assert observed_step([4.0, 4.0], 0, 5) == 5
    assert observed_step([4.0], -np.inf, np.inf) == 1


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.1, 0.5]), samples=st.integers(1, 3))
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", CASES)
def test_the_terms_of_every_value_give_it(case, protocol, seed, missing, samples):
    _, prompts, rows = table(case, protocol, seed, missing=missing, samples=samples)
    for row in rows:
        if row.terms is None:
            assert row.ci_low is None
            assert row.value is None or row.metric in WITHOUT, row.metric
            continue
        t = row.terms
        assert theta(t) == pytest.approx(row.value, abs=ROUNDED if case == "tiif" else 1e-9), row.metric
        assert set(t.prompts) <= set(prompts)
        assert t.weights.sum() == pytest.approx(1)
        assert (t.planned >= t.den).all()
        assert (t.den >= 0).all()
        assert not t.num[t.den == 0].any()
        assert t.step > 0
        assert {k: v for k, v in t.interval().items() if v == getattr(row, k)} == t.interval()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", CASES)
def test_bounds_from_terms_are_the_benchmarks_own(case, protocol):
    """With one image per prompt: of several under `corrected`, a prompt's mean does not tell how many are missing.

    Types that lost all prompts weigh nothing in the value and so in its terms; TIIF's own bounds count them.
    """
    n_compared = 0
    for seed in range(3):
        _, _, rows = table(case, protocol, seed, missing=0.1)
        for row in rows:
            if row.terms is None or (row.terms.weights == 0).any():
                continue
            low, high = bounds(row.terms)
            assert low - ROUNDED <= row.value <= high + ROUNDED
            assert (low < high) == (row.n_missing > 0 or row.extra.get("questions_missing", 0) > 0), row.metric
            if "bounds" in row.extra:
                n_compared += 1
                assert row.extra["bounds"] == pytest.approx((low, high), abs=1e-9), row.metric
    assert n_compared > 0


@pytest.mark.parametrize("case", CASES)
def test_the_headlines_list_every_prompt_also_without_a_score(case):
    benchmark, prompts, rows = table(case, "official", 5, missing=0.5)
    names = {*benchmark.headline, *(f"partial_{m}" for m in benchmark.headline)}
    listed = [p for r in rows if r.metric in names and r.terms is not None for p in r.terms.prompts]
    assert set(listed) == set(prompts)


@settings(max_examples=4, deadline=None)
@given(seeds=st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True))
@pytest.mark.parametrize("case", CASES)
def test_runs_that_lost_different_prompts_pair_in_every_row(case, seeds):
    x, y = ({r.metric: r for r in table(case, "official", seed, missing=0.2)[2]} for seed in seeds)
    for metric in x.keys() & y.keys():
        a, b = x[metric].terms, y[metric].terms
        if a is not None and b is not None and np.array_equal(a.weights, b.weights):  # no TIIF type lost altogether
            assert aligned(a, b).prompts == a.prompts


def test_missing_as_zero_leaves_nothing_missing():
    benchmark, prompts = edition("gedit", "official")
    benchmark = type(benchmark)(
        profile="micro", protocol="official", options=replace(benchmark.options, missing="zero")
    )
    scores = draw(benchmark, prompts, np.random.default_rng(0), missing=0.3)
    row = benchmark.aggregate(prompts, scores)[0]
    assert row.n_missing > 0
    assert row.terms.den.tolist() == row.terms.planned.tolist()
    assert bounds(row.terms) == pytest.approx((row.value, row.value))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    config = EvalConfig(benchmarks=["geneval", "wise"], limit=6, samples_per_prompt=2, out=str(out))
    evaluate(config, "micro", Silent())
    return out


def test_terms_are_made_again_from_a_runs_judgements(run):
    stored = {n: from_json(v, "terms.json") for n, v in json.loads((run / "terms.json").read_text()).items()}
    (run / "terms.json").rename(run / "gone.json")
    again = rescore_run(run, [], None, 0.01).terms
    (run / "gone.json").rename(run / "terms.json")
    assert {n: list(t) for n, t in again.items()} == {n: list(t) for n, t in stored.items()}
    assert all(same(again[n][m], t) for n, of in stored.items() for m, t in of.items())
    assert "overall" in again["geneval"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_terms_of_a_run_fit_its_rescored_values(run, protocol):
    found = rescore_run(run, [], protocol, 0.01)
    values = found.summary["benchmarks"]
    for name, of in found.terms.items():
        assert of
        for metric, t in of.items():
            assert theta(t) == pytest.approx(values[name]["values"][metric]["value"], abs=1e-12)
    assert list(rescore_run(run, ["wise"], protocol, 0.01).terms) == ["wise"]


def test_terms_of_a_benchmark_that_a_run_lacks_are_refused(run):
    with pytest.raises(DataError, match=r"holds no results of 'tiif'; it holds geneval, wise"):
        rescore_run(run, ["tiif"], None, 0.01)
