"""Judge noise: recorded split, recovery of known variances, missing calls, best number of repeats."""

import math

import numpy as np
import pytest
from stats_golden import close

from harness.stats import best_repeats, estimate_judge_noise, score_interval

Y = np.array(
    [
        [[0.8, 0.6], [0.5, 0.7]],
        [[0.2, 0.2], [0.4, 0.1]],
        [[0.9, 1.0], [0.7, 0.8]],
        [[0.3, 0.5], [0.6, 0.6]],
    ]
)
ONE = np.zeros(4, int)


def test_recorded_split():
    r = estimate_judge_noise(Y, ONE, [1.0])
    assert close((r.theta, r.variance, r.df), (0.55625, 0.0173307292, 3))
    assert close((r.v_judge, r.v_image, r.judge_share), (0.0008984375, 0.000546875, 0.0518407213), 1e-9)


def test_the_total_is_the_variance_of_the_interval():
    r = estimate_judge_noise(Y, ONE, [1.0])
    assert close(r.variance, score_interval(Y.mean(axis=(1, 2)), ONE, [1.0]).se ** 2, 1e-15)


def test_repeats_and_noise_floor_follow_from_the_judge_part():
    r = estimate_judge_noise(Y, ONE, [1.0])
    assert close(r.variance_with_repeats(2), r.variance, 1e-15)
    assert close(r.variance_with_repeats(1), r.variance + r.v_judge, 1e-15)
    assert close(r.noise_floor, math.sqrt(2 * r.v_judge), 1e-15)
    assert close(r.smallest_real_change, 2.8 * math.sqrt(r.v_judge), 1e-15)


def test_known_variances_are_recovered():
    rng = np.random.default_rng(0)
    p, k, j = 4000, 3, 2
    y = rng.normal(0, 1, (p, 1, 1)) + rng.normal(0, 0.5, (p, k, 1)) + rng.normal(0, 0.8, (p, k, j))
    r = estimate_judge_noise(y, np.arange(p) % 2, [0.5, 0.5])
    assert close((r.s2_judge, r.s2_image), (0.64, 0.25), 0.03)
    assert close(p * r.v_judge, 0.64 / (k * j), 0.005)
    assert close(p * r.v_image, 0.25 / k, 0.01)


def test_variance_with_other_repeats_is_what_such_data_show():
    rng = np.random.default_rng(1)
    y = rng.normal(0, 1, (3000, 1, 1)) + rng.normal(0, 2, (3000, 2, 4))
    cat = np.zeros(3000, int)
    expected = estimate_judge_noise(y[:, :, :2], cat, [1.0]).variance_with_repeats(4)
    assert close(3000 * expected, 3000 * estimate_judge_noise(y, cat, [1.0]).variance, 0.08)


def test_one_call_per_image_or_one_image_per_prompt_leave_parts_unknown():
    one_call = estimate_judge_noise(Y[:, :, :1], ONE, [1.0])
    assert (one_call.v_judge, one_call.v_image, one_call.noise_floor, one_call.judge_share) == (None,) * 4
    one_image = estimate_judge_noise(Y[:, :1], ONE, [1.0])
    assert one_image.v_judge > 0
    assert one_image.v_image is None


def test_a_deterministic_judge_has_no_judge_variance():
    r = estimate_judge_noise(np.repeat(Y[:, :, :1], 3, axis=2), ONE, [1.0])
    assert (r.v_judge, r.judge_share) == (0, 0)
    assert r.v_image > 0


def test_missing_calls_use_what_is_there():
    y = Y.copy()
    y[0, 0, 1] = y[1, 1] = np.nan
    y[3] = np.nan
    r = estimate_judge_noise(y, ONE, [1.0])
    assert close(r.theta, np.mean([(0.8 + 0.6) / 2, 0.2, 0.85]), 1e-12)
    assert r.v_judge > 0
    assert estimate_judge_noise(y * np.nan, ONE, [1.0]).theta is None


def test_best_repeats_balance_cost_and_variance():
    assert close(best_repeats(4, 1, 0.09, 0.01), 6, 1e-12)
    assert best_repeats(1, 4, 0.01, 0.09) == 1
    assert best_repeats(1, 1, 0, 0) == 1
    assert best_repeats(1, 1, 0.1, 0) == math.inf


def test_shape_is_checked():
    with pytest.raises(ValueError, match="prompts, images, calls"):
        estimate_judge_noise(Y[0], ONE, [1.0])
