"""Recorded values of the statistics, reached through run directories."""

import numpy as np
import pytest

from reports.groups import Condition, Design, design_of
from reports.runs import load_run
from reports.significance import analyse
from tests.harness.stats.stats_golden import A_MISSING, CAT, CORRECT, QUESTIONS, A, B, W, close
from tests.reports.significance_data import make_terms, write_run


def condition(tmp_path, name, rows, **options):
    """A condition with one run directory per row of scores."""
    runs = [
        load_run(write_run(tmp_path / f"{name}{s}", {"geneval": {"overall": make_terms(row, CAT, W, **options)}}))
        for s, row in enumerate(rows)
    ]
    return Condition(name=name, runs=tuple(runs), seeds=tuple(range(len(runs))))


def difference(tmp_path, x, y, **design):
    """The one planned difference of two conditions' rows."""
    conditions = (condition(tmp_path, "y", y), condition(tmp_path, "x", x))
    return analyse(Design(title="", conditions=conditions, reference="y", **design)).differences[0]


def value(tmp_path, row, **options):
    design = Design(title="", conditions=(condition(tmp_path, "x", [row], **options),), reference=None)
    return analyse(design).values[0]


def test_value_of_one_checkpoint(tmp_path):
    v = value(tmp_path, A[0])
    assert close([v.value, v.low, v.high], [0.702777778, 0.344230199, 0.914167846])
    assert (v.test, v.level, v.n_prompts) == ("score interval", "prompts", 10)


def test_value_of_pooled_questions(tmp_path):
    v = value(tmp_path, CORRECT, den=QUESTIONS)
    assert close([v.value, v.low, v.high], [0.684343434, 0.329604591, 0.905302723])
    assert v.n == 35


def test_missing_scores_leave_bounds(tmp_path):
    v = value(tmp_path, A_MISSING[0])
    assert close([v.bound_low, v.bound_high], [0.644444444, 0.727777778])
    assert close(v.bounds_interval, [0.452333498, 0.884732266])
    assert v.n_missing == 1 and "25.0 % of a category's scores are missing" in v.distrust


def test_two_checkpoints(tmp_path):
    d = difference(tmp_path, A[:1], B[:1])
    assert close([d.est, d.se, d.df, d.p], [0.141666667, 0.0605402631, 2.49180704, 0.118936353])
    assert close([d.low, d.high], [-0.0752538147, 0.358587148])
    assert d.few_differences and (d.test, d.level) == ("paired t", "these checkpoints")


def test_identical_checkpoints_have_an_interval_and_p_1(tmp_path):
    d = difference(tmp_path, A[:1], A[:1])
    assert close([d.est, d.p, d.low, d.high], [0, 1, -0.340601116, 0.340601116])
    assert (d.n_better, d.n_worse, d.n_equal, d.win_rate) == (0, 0, 10, 0.5)


def test_binary_verdicts_get_mcnemar_beside(tmp_path):
    i = np.arange(60)
    rows = [(i <= 24).astype(float), (((i >= 12) & (i <= 29)) | (i >= 55)).astype(float)]
    paths = [
        write_run(tmp_path / n, {"geneval": {"overall": make_terms(r, np.zeros(60), [1.0])}}, model=n)
        for n, r in zip("xy", rows, strict=True)
    ]
    d = analyse(design_of([paths[1], paths[0]])).differences[0]
    assert close([d.est, d.se, d.low, d.high], [0.0333333333, 0.0787137655, -0.124172548, 0.190839214])
    assert close(d.p, 0.673488338) and not d.few_differences
    assert (d.mcnemar.only_x, d.mcnemar.only_y) == (12, 10) == (d.n_better, d.n_worse)


def test_conditions_with_seeds(tmp_path):
    d = difference(tmp_path, A, B)
    assert close([d.est, d.se, d.df, d.p], [0.134027778, 0.0214079701, 2, 0.0245763647])
    assert close([d.low, d.high], [0.0419167169, 0.226138839])
    assert close(
        [d.variances[k] for k in ("prompts", "seeds", "cells")], [0.000280832047, 0.000928980195, 0.00075151106]
    )
    assert (d.test, d.level, d.seeds_x, d.seeds_y) == ("Satterthwaite t", "new seeds, new prompts", 4, 3)
    assert close(d.seed_sd, np.sqrt((3 * 0.0431525193**2 + 0) / 5))


def test_conditions_with_missing_scores(tmp_path):
    d = difference(tmp_path, A_MISSING, B)
    assert close([d.est, d.se, d.df, d.p], [0.147222222, 0.0310564997, 2, 0.0417338857])
    assert d.n_missing_x == 2 and d.bound_low < d.est < d.bound_high


def test_condition_against_a_single_base(tmp_path):
    d = difference(tmp_path, A, B[:1])
    assert close([d.est, d.se, d.p], [0.125694444, 0.0405304178, 0.106283842], 1e-5)
    assert close([d.low, d.high], [-0.0639204757, 0.315309365], 1e-5)
    assert (d.test, d.df, d.exact.test, d.exact.text) == ("integrated t", None, "sign-flip", "cannot reach 0.05")
    assert close(d.seed_sd, 0.0431525193)


def test_declared_pairs_of_seeds(tmp_path):
    d = difference(tmp_path, A[:3], B, seeds_paired=True)
    assert close([d.est, d.se, d.p], [0.150925926, 0.015072982, 0.014680109], 1e-5)
    assert close([d.low, d.high], [0.0814541681, 0.220397684], 1e-5)
    assert d.seeds_paired and (d.exact.test, d.exact.p) == ("sign-flip", 0.25)


def test_undeclared_pairs_are_independent_arms(tmp_path):
    d = difference(tmp_path, A[:3], B)
    assert not d.seeds_paired and d.test == "Satterthwaite t"
    assert (d.exact.test, d.exact.text) == ("permutation", "cannot reach 0.05")


@pytest.mark.parametrize(("n", "factor"), [(3, 1.1), (4, 1.0)])
def test_smallest_detectable_effect_is_raised_at_three_seeds(tmp_path, n, factor):
    from harness.stats import smallest_detectable_effect

    d = difference(tmp_path, A[:n], A[::-1][:n] - 0.1)
    assert d.mde == pytest.approx(factor * smallest_detectable_effect(d.se, d.df))
