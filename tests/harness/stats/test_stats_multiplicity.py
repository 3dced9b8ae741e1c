"""Holm and Benjamini-Hochberg: recorded values, agreement with statsmodels, tests that could not be computed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_golden import close
from statsmodels.stats.multitest import multipletests

from harness.stats import benjamini_hochberg, holm, simultaneous_level

P = [0.001, 0.012, 0.03, 0.04, 0.2]


def test_recorded_adjustments():
    assert close(holm(P), [0.005, 0.048, 0.09, 0.09, 0.2])
    assert close(benjamini_hochberg(P), [0.005, 0.03, 0.05, 0.05, 0.2])
    assert close(holm([0.02, 0.02, 0.5]), [0.06, 0.06, 0.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_agree_with_statsmodels(p):
    assert close(holm(p), multipletests(p, method="holm")[1], 1e-12)
    assert close(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], 1e-12)


def test_a_planned_test_that_could_not_be_computed_counts_as_one_and_stays_none():
    assert holm([0.01, None, 0.04]) == [0.03, None, 0.08]
    assert benjamini_hochberg([None, 0.01, None]) == [None, 0.03, None]


def test_order_does_not_matter():
    order = np.random.default_rng(0).permutation(5)
    shuffled = [P[i] for i in order]
    assert close(holm(shuffled), np.array(holm(P))[order], 0)


def test_an_empty_family_stays_empty():
    assert holm([]) == benjamini_hochberg([]) == []


@pytest.mark.parametrize("bad", [-0.1, 1.2, float("nan")])
def test_a_value_that_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match="outside"):
        holm([0.1, bad])


def test_simultaneous_intervals_share_alpha():
    assert close(simultaneous_level(10), 0.995, 1e-15)
    with pytest.raises(ValueError, match="at least 1"):
        simultaneous_level(0)
