"""What must not matter, with denominators and missing scores: order, names, scale, which side comes first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_golden import close

from harness.stats import (
    StudentError,
    calibration_error,
    cohens_kappa,
    condition_difference,
    estimate_judge_noise,
    gate_decision,
    imbens_manski,
    paired_difference,
    permutation_test,
    prediction_powered,
    score_bounds,
    score_interval,
    sign_flip,
    spearman,
)

SEEDS = st.integers(0, 10**6)
quick = settings(max_examples=12, deadline=None)


def pooled(seed, n_seeds):
    """Counts of right answers out of a prompt's questions, some prompts without an answer; 36 prompts, 3 categories."""
    rng = np.random.default_rng(seed)
    cat = rng.permutation(np.repeat([0, 1, 2], [6, 12, 18]))
    asked = np.broadcast_to(rng.integers(2, 7, 36).astype(float), (n_seeds, 36)).copy()
    right = rng.binomial(asked.astype(int), rng.beta(3, 2, 36)).astype(float)
    asked[rng.random((n_seeds, 36)) < 0.08] = 0
    asked[:, [np.flatnonzero(cat == g)[i] for g in range(3) for i in (0, 1)]] = 3.0
    return np.minimum(right, asked), asked, cat, np.array([0.2, 0.3, 0.5]), rng


def limits(r):
    return (r.est, r.se, r.low, r.high, r.p)


def relabelled(cat, w, rng):
    order, names = rng.permutation(len(cat)), np.array([2, 0, 1])
    return order, names[cat[order]], w[np.argsort(names)]


@given(SEEDS)
@quick
def test_one_checkpoint_with_pooled_questions(seed):
    a, den, cat, w, rng = pooled(seed, 1)
    base = score_interval(a[0], cat, w, den=den[0])
    order, names, weights = relabelled(cat, w, rng)
    moved = score_interval(a[0][order], names, weights, den=den[0][order])
    assert close((moved.theta, moved.low, moved.high), (base.theta, base.low, base.high), 1e-12)
    scaled = score_interval(3 * a[0], cat, w, den=den[0], hi=3)
    assert close((scaled.theta, scaled.low, scaled.high), 3 * np.array([base.theta, base.low, base.high]), 1e-11)
    mirrored = score_interval(den[0] - a[0], cat, w, den=den[0])
    assert close((mirrored.low, mirrored.high), (1 - base.high, 1 - base.low), 1e-9)


@given(SEEDS)
@quick
def test_two_checkpoints_with_pooled_questions(seed):
    a, den, cat, w, rng = pooled(seed, 2)
    base = paired_difference(a[0], a[1], cat, w, den_x=den[0], den_y=den[1])
    order, names, weights = relabelled(cat, w, rng)
    moved = paired_difference(a[0][order], a[1][order], names, weights, den_x=den[0][order], den_y=den[1][order])
    assert close(limits(moved), limits(base), 1e-12)
    swapped = paired_difference(a[1], a[0], cat, w, den_x=den[1], den_y=den[0])
    assert close(limits(swapped), (-base.est, base.se, -base.high, -base.low, base.p), 1e-12)
    assert (swapped.n_better, swapped.n_worse) == (base.n_worse, base.n_better)


@given(SEEDS, st.sampled_from([(3, 4, False), (4, 1, False), (3, 3, True)]))
@quick
def test_conditions_with_pooled_questions(seed, design):
    s_x, s_y, paired = design
    a, den, cat, w, rng = pooled(seed, s_x + s_y)
    (x, y), (den_x, den_y) = (np.split(v, [s_x]) for v in (a, den))
    base = condition_difference(x, y, cat, w, den_x=den_x, den_y=den_y, paired_seeds=paired)
    order, names, weights = relabelled(cat, w, rng)
    seeds_x = rng.permutation(s_x)
    seeds_y = seeds_x if paired else rng.permutation(s_y)
    moved = condition_difference(
        x[seeds_x][:, order], y[seeds_y][:, order], names, weights,
        den_x=den_x[seeds_x][:, order], den_y=den_y[seeds_y][:, order], paired_seeds=paired,
    )  # fmt: skip
    assert close(limits(moved), limits(base), 1e-10)
    assert close((moved.v_p, moved.v_s, moved.v_e), (base.v_p, base.v_s, base.v_e), 1e-12)
    swapped = condition_difference(y, x, cat, w, den_x=den_y, den_y=den_x, paired_seeds=paired)
    assert close(limits(swapped), (-base.est, base.se, -base.high, -base.low, base.p), 1e-10)
    scaled = condition_difference(5 * x, 5 * y, cat, w, den_x=den_x, den_y=den_y, paired_seeds=paired)
    assert close((scaled.low, scaled.high, scaled.p), (5 * base.low, 5 * base.high, base.p), 1e-8)


def test_the_order_of_unpaired_seeds_matters_once_they_are_declared_paired():
    rng = np.random.default_rng(1)
    common = rng.normal(0, 0.2, (4, 1))
    x, y = (0.5 + common + 0.02 * rng.random((4, 30)) for _ in range(2))
    cat = np.arange(30) % 2
    tied, loose = (
        condition_difference(x, y[o], cat, [0.5, 0.5], paired_seeds=True) for o in ([0, 1, 2, 3], [1, 2, 3, 0])
    )
    assert tied.high - tied.low < 0.2 * (loose.high - loose.low)


@pytest.mark.parametrize("est", [-0.03, -0.004, 0.0, 0.013, 0.05])
def test_equivalence_does_not_depend_on_which_side_is_the_candidate(est):
    error = StudentError(se=0.008, df=50.0)
    r, mirrored = gate_decision(est, error, 0.02), gate_decision(-est, error, 0.02)
    assert close((mirrored.low, mirrored.high, mirrored.p_tost), (-r.high, -r.low, r.p_tost), 1e-12)


def test_exact_tests_ignore_a_common_offset_and_scale():
    rng = np.random.default_rng(2)
    x, y = rng.random(5), rng.random(4)
    assert permutation_test(x, y).p == permutation_test(1000 + 7 * x, 1000 + 7 * y).p
    assert sign_flip(x - 0.3).p == sign_flip(40 * (x - 0.3)).p


def test_bounds_mirror():
    rng = np.random.default_rng(3)
    a, cat = rng.random(24), np.arange(24) % 3
    a[[1, 5, 9]] = np.nan
    w = [0.5, 0.25, 0.25]
    r, mirrored = score_bounds(a, cat, w), score_bounds(1 - a, cat, w)
    assert close(
        (mirrored.low, mirrored.high, mirrored.interval_low), (1 - r.high, 1 - r.low, 1 - r.interval_high), 1e-9
    )
    low, high = imbens_manski(0.2, 0.3, 0.01, 0.02)
    assert close(imbens_manski(-0.3, -0.2, 0.02, 0.01), (-high, -low), 1e-12)


def test_agreement_does_not_depend_on_the_raters_order():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 6, 40)
    y = np.clip(x + rng.integers(-1, 2, 40), 0, 5)
    a, b, c = spearman(x, y), spearman(y, x), spearman(np.exp(x), 3 * y + 1)
    assert close((a.value, a.low, a.high), (b.value, b.low, b.high), 1e-12)
    assert close((a.value, a.low, a.high), (c.value, c.low, c.high), 1e-12)
    table = np.array([[9, 3, 1], [2, 8, 4], [0, 3, 10]])
    k, t = cohens_kappa(table), cohens_kappa(table.T)
    assert close((k.value, k.se), (t.value, t.se), 1e-12)


def test_calibration_of_the_opposite_answer_is_the_same():
    rng = np.random.default_rng(5)
    conf = rng.random(80)
    y = rng.integers(0, 2, 80)
    r, opposite = calibration_error(conf, y), calibration_error(1 - conf, 1 - y)
    assert close((opposite.ece_l1, opposite.low, opposite.high), (r.ece_l1, r.low, r.high), 1e-9)


def test_scale_passes_through_judge_noise_and_judges_help():
    rng = np.random.default_rng(6)
    y, cat = rng.random((9, 2, 3)), np.arange(9) % 3
    r, scaled = (estimate_judge_noise(c * y, cat, np.full(3, 1 / 3)) for c in (1, 10))
    assert close(
        (scaled.v_judge, scaled.v_image, scaled.variance), np.multiply(100, (r.v_judge, r.v_image, r.variance)), 1e-10
    )
    human = rng.random(40)
    judge, other = 0.7 * human + 0.2 * rng.random(40), rng.random(200)
    p, wide = (prediction_powered(c * human, c * judge, c * other) for c in (1, 10))
    assert close((wide.lam, wide.est, wide.low, wide.high), (p.lam, 10 * p.est, 10 * p.low, 10 * p.high), 1e-10)
