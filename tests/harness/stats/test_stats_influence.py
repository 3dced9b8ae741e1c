"""Influence values by jackknife and with overlapping categories; bootstrap weights; a light import."""

import subprocess
import sys

import numpy as np
import pytest
from stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, W, close

from harness.stats import (
    bootstrap_headlines,
    bootstrap_weights,
    influence_values,
    interval_from_influence,
    jackknife_influence,
    overlapping_influence,
    score_interval,
)


def test_jackknife_equals_the_closed_form_for_means():
    row = A_MISSING[0]
    valid = np.isfinite(row)
    psi = jackknife_influence(lambda keep: float(influence_values(row[keep], CAT[keep], W).theta), valid, CAT)
    assert close(psi, influence_values(row, CAT, W).psi, 1e-14)


def test_jackknife_leaves_the_only_prompt_of_a_category_out():
    row, cat = A[0, :8], CAT[:8]
    psi = jackknife_influence(lambda keep: float(influence_values(row[keep], cat[keep], W).theta), np.ones(8), cat)
    assert psi[7] == 0
    assert np.abs(psi[:6]).min() > 0


def test_overlapping_categories_add_their_terms():
    rng = np.random.default_rng(0)
    den = rng.integers(0, 4, (30, 3)).astype(float)
    a = rng.binomial(den.astype(int), 0.6).astype(float)
    inf = overlapping_influence(a, den, W)
    expected = sum(
        w * (a[:, g] - a[:, g].sum() / den[:, g].sum() * den[:, g]) / den[:, g].sum() for g, w in enumerate(W)
    )
    assert close(inf.psi, expected, 1e-14)
    assert close(inf.theta, np.mean(a.sum(axis=0) / den.sum(axis=0)), 1e-14)
    r = interval_from_influence(inf, lo=0, hi=1)
    assert r.low < r.theta < r.high


def test_separate_categories_are_a_special_case_of_overlapping_ones():
    one_hot = np.eye(3)[CAT]
    inf = overlapping_influence(CORRECT[:, None] * one_hot, QUESTIONS[:, None] * one_hot, W)
    plain = influence_values(CORRECT, CAT, W, QUESTIONS)
    assert close(inf.psi, plain.psi, 1e-15)
    assert close(inf.scores, plain.scores, 1e-15)


def test_an_empty_weighted_category_is_refused():
    with pytest.raises(ValueError, match="empty"):
        overlapping_influence(np.zeros((2, 2)), np.array([[1, 0], [1, 0]]), [0.5, 0.5])


def test_bootstrap_weights_sum_to_the_size_of_each_category():
    valid = np.isfinite(A_MISSING[0])
    w = bootstrap_weights(CAT, 500, np.random.default_rng(0), valid=valid)
    assert w.shape == (500, 10)
    for g in range(3):
        assert (w[:, g == CAT].sum(axis=1) == valid[g == CAT].sum()).all()
    assert (w[:, 3] == 0).all()


def test_bootstrap_spread_is_close_to_the_standard_error():
    rng = np.random.default_rng(1)
    den = rng.integers(1, 6, 300).astype(float)
    right, cat = rng.binomial(den.astype(int), 0.6).astype(float), np.arange(300) % 3
    draws = bootstrap_weights(cat, 4000, rng)
    headlines = bootstrap_headlines(draws, right, cat, W, den=den)
    assert close(headlines.std() / score_interval(right, cat, W, den=den).se, 1, 0.05)
    one = bootstrap_headlines(np.ones((1, 300)), right, cat, W, den=den)
    assert close(one, influence_values(right, cat, W, den).theta, 1e-12)


def test_a_draw_without_a_category_has_no_headline():
    draws = np.ones((1, 10))
    draws[0, 7:] = 0
    assert np.isnan(bootstrap_headlines(draws, A[0], CAT, W)).all()


def test_importing_the_package_loads_neither_scipy_nor_statsmodels_nor_torch():
    code = (
        "import sys, harness.stats; print([m for m in ('scipy', 'statsmodels', 'torch', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
