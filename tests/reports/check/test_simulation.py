"""How often the gate is right on simulated pairs, through the project's own functions (`bench/gate.py`)."""

import numpy as np
import pytest

from bench.gate import MODELS, PairModel, simulate

PAIRS = 1000


def test_a_five_point_drop_is_flagged_in_nine_of_ten_cases_with_400_prompts_of_4_images():
    shares = simulate(MODELS["micro"], 400, 4, 0.05, n_pairs=PAIRS, seed=3)
    assert shares["regression"] >= 0.9 and shares["pass"] <= 0.01


def test_equal_checkpoints_are_flagged_in_at_most_six_of_a_hundred_cases():
    shares = simulate(MODELS["micro"], 400, 4, 0.0, n_pairs=PAIRS, seed=4)
    assert shares["regression"] <= 0.06 and shares["strict"] <= 0.01


@pytest.mark.parametrize("name", MODELS)
def test_drawn_pairs_have_the_moments_of_their_model(name):
    model, rng = MODELS[name], np.random.default_rng(0)
    k = 50
    x, y = (v / k for v in model.draw(60_000, k, 0.0, rng))
    cat = np.arange(60_000) * 6 // 60_000
    inside = [(x[cat == g], y[cat == g]) for g in range(6)]
    assert [a.mean() for a, _ in inside] == pytest.approx(model.means, abs=0.006)
    between = np.mean([a.var() - (a * (1 - a)).mean() / (k - 1) for a, _ in inside])
    assert between == pytest.approx(model.between, rel=0.05)
    covariance = np.mean([np.cov(a, b)[0, 1] for a, b in inside])
    assert covariance == pytest.approx(model.covariance, rel=0.08)


def test_a_planted_loss_lowers_every_category_by_that_much():
    model = PairModel((0.5, 0.8), between=0.02, covariance=0.01)
    x, y = model.draw(100_000, 4, 0.05, np.random.default_rng(1))
    assert (x - y)[:50_000].mean() / 4 == pytest.approx(0.05, abs=0.005)
    assert (x - y)[50_000:].mean() / 4 == pytest.approx(0.05, abs=0.005)
