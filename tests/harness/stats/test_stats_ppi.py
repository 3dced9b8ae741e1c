"""Prediction-powered estimates: recorded values, the classical limit, invariances and coverage."""

import numpy as np
import pytest
from scipy import stats
from stats_golden import close

from harness.stats import prediction_powered

Y = [0.8, 0.3, 0.6, 0.9, 0.1, 0.7, 0.5, 0.4]
F = [0.7, 0.4, 0.7, 0.8, 0.3, 0.6, 0.6, 0.5]
U = [0.6, 0.2, 0.9, 0.5, 0.7, 0.4, 0.8, 0.3, 0.6, 0.7, 0.5, 0.65]
STRATA = {"cat_labelled": [0] * 4 + [1] * 4, "cat_unlabelled": [0] * 6 + [1] * 6, "weights": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (0.534381637, 0.748407028, 0.0758915573, 15.1084673, 0.3727237, 0.696039575)),
        ({"lam": 1}, (0.533333333, 1, 0.0802486441, 17.8191558, 0.364614457, 0.70205221)),
        (STRATA, (0.534809942, 0.645614035, 0.0758724077, 11.1880712, 0.368157752, 0.701462131)),
    ],
)
def test_recorded_values(options, expected):
    r = prediction_powered(Y, F, U, **options)
    assert close((r.est, r.lam, r.se, r.df, r.low, r.high), expected)
    assert r.few_errors


def test_recorded_value_with_many_errors():
    i = np.arange(30)
    y = np.tile([1.0, 0, 1], 10)
    f = 0.7 * np.where(i % 5 == 4, 1 - y, y) + 0.1 * (i % 3)
    r = prediction_powered(y, f, np.tile(f[::-1], 4))
    assert close(
        (r.est, r.lam, r.se, r.df, r.low, r.high),
        (0.666666667, 0.617433772, 0.0756320978, 33.4550653, 0.51287148, 0.820461853),
    )
    assert not r.few_errors


@pytest.mark.parametrize("options", [{"f": np.full(40, 0.5), "u": np.full(9, 0.5)}, {"lam": 0.0}])
def test_without_the_judge_it_is_the_classical_t_interval(options):
    y = np.random.default_rng(0).random(40)
    f, u = options.get("f", 1 - y), options.get("u", [0.1, 0.2])
    r = prediction_powered(y, f, u, lam=options.get("lam"))
    ci = stats.t.interval(0.95, 39, y.mean(), stats.sem(y))
    assert close((r.lam, r.est, r.df, r.low, r.high), (0, y.mean(), 39, *ci), 1e-9)
    assert not r.few_errors


def test_a_judge_that_was_never_wrong_keeps_a_width():
    y = np.array([1.0, 0, 1, 1, 0, 1])
    r = prediction_powered(y, y, np.tile(y, 100))
    assert r.few_errors
    assert r.se >= np.sqrt(2 * r.lam) / 6


def test_a_constant_bias_of_the_judge_cancels():
    base, shifted = prediction_powered(Y, F, U), prediction_powered(Y, np.array(F) + 0.1, np.array(U) + 0.1)
    assert close((shifted.est, shifted.lam), (base.est, base.lam), 1e-12)


def test_order_and_names_of_categories_do_not_matter():
    base = prediction_powered(Y, F, U, **STRATA)
    moved = prediction_powered(
        Y[::-1], F[::-1], U[::-1], cat_labelled=[0] * 4 + [1] * 4, cat_unlabelled=[0] * 6 + [1] * 6, weights=[0.5, 0.5]
    )
    assert close((moved.est, moved.se, moved.df), (base.est, base.se, base.df), 1e-12)


def test_labels_are_worth_more_with_a_correlated_judge():
    rng = np.random.default_rng(1)
    y = rng.normal(size=4000)
    f = 0.8 * y + 0.6 * rng.normal(size=4000)
    r = prediction_powered(y, f, 0.8 * rng.normal(size=36_000) + 0.6 * rng.normal(size=36_000))
    assert close(r.correlation, 0.8, 0.02)
    assert close(r.label_factor, 1 / (1 - 0.64 * 0.9), 0.1)


def test_too_few_labels_in_a_category_give_a_reason():
    r = prediction_powered(Y, F, U, **(STRATA | {"cat_labelled": [0] * 7 + [1]}))
    assert (r.est, r.low, r.reason) == (None, None, "fewer than 2 labelled images in category 1")
    r = prediction_powered(Y, F, U, **(STRATA | {"cat_unlabelled": [1] * 12}))
    assert r.reason == "fewer than 2 unlabelled images in category 0"


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((Y, F[:3], U), {}),
        ((Y, F, [0.1, np.nan]), {}),
        ((Y, F, U), {"weights": [0.9]}),
        ((Y, F, U), {"cat_labelled": [1] * 8}),
    ],
)
def test_wrong_input_is_refused(args, options):
    with pytest.raises(ValueError, match=r"disagree|finite|sum to 1"):
        prediction_powered(*args, **options)


def run_coverage(n, n_runs, seed):
    """Verdicts with mean .6 and a judge that is right nine times of ten; coverage of PPI++ and of the judge's mean."""
    rng, hits, judge_only = np.random.default_rng(seed), 0, 0
    for _ in range(n_runs):
        y = (rng.random(n + 1000) < 0.6).astype(float)
        wrong = rng.random(n + 1000) < np.where(y == 1, 0.15, 0.03)
        f = np.where(wrong, 1 - y, y)
        r = prediction_powered(y[:n], f[:n], f[n:])
        hits += r.low <= 0.6 <= r.high
        half = 1.96 * f.std() / np.sqrt(len(f))
        judge_only += abs(f.mean() - 0.6) <= half
    return hits / n_runs, judge_only / n_runs


def test_coverage_holds_where_the_judge_alone_fails():
    covered, judge_only = run_coverage(100, 600, 2)
    assert 0.93 < covered < 0.985
    assert judge_only < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 40, 100, 300])
def test_coverage_for_all_sizes(n):
    assert 0.94 < run_coverage(n, 5000, 3)[0] < (0.992 if n < 40 else 0.985)  # conservative with few errors
