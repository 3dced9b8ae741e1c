"""Calibration error: recorded values, unbiasedness, coverage, clusters and small samples."""

import numpy as np
import pytest
from scipy.special import ndtr
from stats_golden import close

from harness.stats import calibration_error


def test_recorded_values():
    i = np.arange(40)
    conf = (i + 0.5) / 40
    r = calibration_error(conf, ((7 * i) % 40) / 40 < conf**2, n_bins=4)
    assert close((r.ece_l1, r.ece_squared, r.rms, r.low, r.high), (0.15, 0.0169965278, 0.130370732, 0, 0.24242418))
    assert [b.n for b in r.bins] == [10, 10, 10, 10]


def draws(n, n_runs, shape, seed):
    rng = np.random.default_rng(seed)
    for _ in range(n_runs):
        conf = rng.random(n)
        yield calibration_error(conf, rng.random(n) < shape(conf))


def test_a_perfect_judge_has_zero_debiased_error_and_a_biased_plug_in():
    runs = list(draws(200, 400, lambda c: c, 1))
    assert abs(np.mean([r.ece_squared for r in runs])) < 3e-4
    assert np.mean([r.ece_l1 for r in runs]) > 0.05
    assert np.mean([r.low == 0 for r in runs]) > 0.97


def test_interval_covers_a_strongly_miscalibrated_judge():
    grid = (np.arange(100_000) + 0.5) / 100_000
    gaps = [(g**3 - g).mean() for g in np.array_split(grid, 10)]
    truth = np.sqrt(np.mean(np.square(gaps)))
    runs = list(draws(500, 400, lambda c: c**3, 2))
    assert 0.92 < np.mean([r.low <= truth <= r.high for r in runs]) < 0.98


def test_order_of_items_does_not_matter():
    rng = np.random.default_rng(3)
    conf, y = rng.random(100), rng.integers(0, 2, 100)
    order = rng.permutation(100)
    a, b = calibration_error(conf, y), calibration_error(conf[order], y[order])
    assert close((a.ece_squared, a.low, a.high), (b.ece_squared, b.low, b.high), 1e-12)


def test_repeating_every_item_does_not_narrow_a_clustered_interval():
    rng = np.random.default_rng(4)
    conf = rng.random(200)
    y = rng.random(200) < conf**3
    labels = np.repeat(np.arange(200), 3)
    single = calibration_error(conf, y)
    tripled = calibration_error(np.repeat(conf, 3), np.repeat(y, 3), clusters=labels)
    naive = calibration_error(np.repeat(conf, 3), np.repeat(y, 3))
    assert close((tripled.ece_squared, tripled.low, tripled.high), (single.ece_squared, single.low, single.high), 1e-12)
    assert naive.high - naive.low < 0.8 * (single.high - single.low)
    widths = [b.high - b.low for b in tripled.bins]
    assert all(w > 0.9 * (s.high - s.low) for w, s in zip(widths, single.bins, strict=True))


def test_interval_covers_with_several_questions_per_prompt():
    grid = (np.arange(100_000) + 0.5) / 100_000
    truth = np.sqrt(np.mean([((g**3 - g).mean()) ** 2 for g in np.array_split(grid, 10)]))
    rng, labels, hits, naive_hits = np.random.default_rng(6), np.repeat(np.arange(50), 20), 0, 0
    for _ in range(300):
        conf = rng.random(1000)
        latent = np.sqrt(0.5) * (rng.normal(size=50)[labels] + rng.normal(size=1000))
        y = ndtr(latent) < conf**3
        r, naive = calibration_error(conf, y, clusters=labels), calibration_error(conf, y)
        hits += r.low <= truth <= r.high
        naive_hits += naive.low <= truth <= naive.high
    assert 0.89 < hits / 300 < 0.98
    assert naive_hits / 300 < 0.8


def test_clusters_of_one_item_change_nothing():
    rng = np.random.default_rng(5)
    conf, y = rng.random(60), rng.integers(0, 2, 60)
    a, b = calibration_error(conf, y), calibration_error(conf, y, clusters=[f"p{i}" for i in range(60)])
    assert close((a.ece_squared, a.low, a.high), (b.ece_squared, b.low, b.high), 1e-12)
    assert a.bins == b.bins


@pytest.mark.parametrize(("n", "bins"), [(200, 10), (45, 4), (19, 1), (5, 1)])
def test_bins_hold_at_least_ten_items(n, bins):
    assert len(calibration_error(np.linspace(0, 1, n), np.arange(n) % 2).bins) == bins


def test_too_little_data_gives_a_reason():
    assert calibration_error([0.5], [1]).reason == "fewer than 2 items"
    one_prompt = calibration_error(np.linspace(0, 1, 20), np.arange(20) % 2, clusters=np.zeros(20))
    assert (one_prompt.rms, one_prompt.reason) == (None, "a bin holds one prompt only")


@pytest.mark.parametrize(
    ("conf", "y"), [([0.2, 1.2], [0, 1]), ([0.2, 0.3], [0, 2]), ([0.2], [0, 1]), ([np.nan, 0.1], [0, 1])]
)
def test_values_out_of_range_are_refused(conf, y):
    with pytest.raises(ValueError, match="of equal length"):
        calibration_error(conf, y)
