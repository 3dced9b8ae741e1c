"""Slow second routes, written out with loops: lone prompts, paired seeds, judge noise, clusters and judge's help."""

import math

import numpy as np
import pytest
from scipy import stats
from stats_golden import CAT, A, B, W, close

from harness.stats import (
    calibration_error,
    condition_difference,
    estimate_judge_noise,
    paired_difference,
    prediction_powered,
    score_interval,
)


def variance(values):
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)


def slow_kernel(d, cat, w):
    """V and df of per-prompt values, categories of one prompt included."""
    terms, dfs, pooled, below, lone = [], [], 0.0, 0, 0.0
    for g in range(len(w)):
        values = [d[p] for p in range(len(d)) if cat[p] == g]
        n = len(values)
        if n == 1:
            lone += w[g] ** 2
        if n < 2:
            continue
        terms.append(n * n / (n - 1) * (variance(values) * (n - 1) / n))
        dfs.append(n - 1)
        pooled += (n / w[g]) ** 2 * variance(values) * (n - 1)
        below += n - 1
    if lone:
        terms.append(lone * pooled / below)
        dfs.append(below)
    return sum(terms), sum(terms) ** 2 / sum(v**2 / f for v, f in zip(terms, dfs, strict=True))


def slow_psi(row, cat, w):
    psi = []
    for p, g in enumerate(cat):
        members = [row[q] for q in range(len(row)) if cat[q] == g]
        psi.append(w[g] * (row[p] - sum(members) / len(members)) / len(members))
    return psi


LONE = np.array([0, 0, 0, 0, 1, 2, 2, 2, 3, 0])
LONE_W = np.array([0.3, 0.15, 0.35, 0.2])


def test_two_categories_of_one_prompt_share_one_pooled_variance():
    r, d = score_interval(A[0], LONE, LONE_W), paired_difference(A[1], B[1], LONE, LONE_W)
    v, df = slow_kernel(slow_psi(A[0], LONE, LONE_W), LONE, LONE_W)
    assert close((r.se**2, r.df), (v, df), 1e-12)
    psi = np.subtract(slow_psi(A[1], LONE, LONE_W), slow_psi(B[1], LONE, LONE_W))
    v, df = slow_kernel(psi, LONE, LONE_W)
    assert d.few_differences
    largest = max(abs(A[1] - B[1]))
    n0 = 1 / sum(LONE_W[g] ** 2 / sum(g == LONE) for g in range(4))
    assert close((d.se**2, d.df), (v + 2 * (largest / n0) ** 2, df), 1e-12)


def test_paired_seeds_are_one_arm_of_differences():
    x, y = A[:3], B
    theta = [sum(W[g] * (x - y)[s][g == CAT].mean() for g in range(3)) for s in range(3)]
    psi = [slow_psi((x - y)[s], CAT, W) for s in range(3)]
    mean = [sum(row[p] for row in psi) / 3 for p in range(10)]
    v_p, f_p = slow_kernel(mean, CAT, W)
    v_e = 0.0
    for g in range(3):
        members = [p for p in range(10) if CAT[p] == g]
        for row in psi:
            residual = [row[p] - mean[p] for p in members]
            centre = sum(residual) / len(residual)
            v_e += len(members) / (len(members) - 1) * sum((z - centre) ** 2 for z in residual) / (3 * 2)
    r = condition_difference(x, y, CAT, W, paired_seeds=True)
    assert close((r.est, r.v_p, r.f_p, r.v_s, r.v_e), (sum(theta) / 3, v_p, f_p, variance(theta) / 3, v_e), 1e-12)
    assert close(r.se**2, max(v_p, v_p + variance(theta) / 3 - v_e), 1e-12)


def test_judge_noise_in_weighted_categories():
    rng = np.random.default_rng(8)
    cat, w = np.array([0, 0, 0, 1, 1, 1, 1]), [0.6, 0.4]
    y = rng.random((7, 3, 2))
    v_judge = v_image = 0.0
    for p in range(7):
        share = w[cat[p]] / sum(cat == cat[p])
        calls = sum(variance(y[p, k]) for k in range(3)) / 3
        images = variance([sum(y[p, k]) / 2 for k in range(3)])
        v_judge += share**2 * calls / (3 * 2)
        v_image += share**2 * (images - calls / 2) / 3
    r = estimate_judge_noise(y, cat, w)
    v, df = slow_kernel(slow_psi(y.mean(axis=(1, 2)), cat, w), cat, w)
    assert close((r.v_judge, r.v_image, r.variance, r.df), (v_judge, max(0.0, v_image), v, df), 1e-12)


def test_calibration_without_clusters():
    rng = np.random.default_rng(9)
    conf = rng.random(97)
    y = (rng.random(97) < conf**2).astype(float)
    order = sorted(range(97), key=lambda i: conf[i])
    sizes = [11] * 7 + [10] * 2
    l1 = squared = var = 0.0
    for b, size in enumerate(sizes):
        start = sum(sizes[:b])
        d = [y[i] - conf[i] for i in order[start : start + size]]
        g, v, weight = sum(d) / size, variance(d) / size, size / 97
        l1 += weight * abs(g)
        squared += weight * (g * g - v)
        var += weight**2 * max(4 * g * g * v - 2 * v * v, 2 * v * v)
    r = calibration_error(conf, y)
    half = stats.norm.ppf(0.975) * math.sqrt(var)
    limits = [math.sqrt(max(0.0, squared + sign * half)) for sign in (-1, 1)]
    assert [b.n for b in r.bins] == sizes
    assert close((r.ece_l1, r.ece_squared, r.low, r.high), (l1, squared, *limits), 1e-12)


def test_unbiased_squared_gap_with_clusters_inside_bins():
    rng = np.random.default_rng(10)
    conf = np.sort(rng.random(60))
    y = (rng.random(60) < conf).astype(float)
    labels = np.arange(60) // 4
    squared = 0.0
    for start in range(0, 60, 10):
        items = range(start, start + 10)
        g = sum(y[i] - conf[i] for i in items) / 10
        prompts = sorted({int(labels[i]) for i in items})
        v = sum(sum(y[i] - conf[i] - g for i in items if labels[i] == c) ** 2 for c in prompts) / 100
        squared += (g * g - v * len(prompts) / (len(prompts) - 1)) / 6
    assert close(calibration_error(conf, y, clusters=labels).ece_squared, squared, 1e-12)


@pytest.mark.parametrize("lam", [None, 1.0, 0.3])
def test_prediction_powered_in_weighted_categories(lam):
    rng = np.random.default_rng(11)
    cat, other, w = rng.permutation([0] * 30 + [1] * 50), rng.permutation([0] * 90 + [1] * 60), [0.7, 0.3]
    y = rng.random(80)
    f, u = 0.5 * y + 0.4 * rng.random(80), rng.random(150)
    top = bottom = 0.0
    for g in (0, 1):
        labelled, judged = [i for i in range(80) if cat[i] == g], [i for i in range(150) if other[i] == g]
        my, mf = (sum(v[i] for i in labelled) / len(labelled) for v in (y, f))
        cov = sum((y[i] - my) * (f[i] - mf) for i in labelled) / (len(labelled) - 1)
        every = [f[i] for i in labelled] + [u[i] for i in judged]
        top += w[g] ** 2 * cov / len(labelled)
        bottom += w[g] ** 2 * variance(every) * (1 / len(labelled) + 1 / len(judged))
    weight = min(1.0, max(0.0, top / bottom)) if lam is None else lam
    est, terms, dfs = 0.0, [], []
    for g in (0, 1):
        labelled, judged = [i for i in range(80) if cat[i] == g], [i for i in range(150) if other[i] == g]
        mean_u = sum(u[i] for i in judged) / len(judged)
        est += w[g] * (sum(y[i] - weight * f[i] for i in labelled) / len(labelled) + weight * mean_u)
        terms += [w[g] ** 2 * weight**2 * variance([u[i] for i in judged]) / len(judged)]
        terms += [w[g] ** 2 * variance([y[i] - weight * f[i] for i in labelled]) / len(labelled)]
        dfs += [len(judged) - 1, len(labelled) - 1]
    v, df = sum(terms), sum(terms) ** 2 / sum(t * t / n for t, n in zip(terms, dfs, strict=True))
    half = stats.t.ppf(0.975, df) * math.sqrt(v)
    r = prediction_powered(y, f, u, cat_labelled=cat, cat_unlabelled=other, weights=w, lam=lam)
    assert not r.few_errors
    assert close((r.lam, r.est, r.se, r.low, r.high), (weight, est, math.sqrt(v), est - half, est + half), 1e-12)
    assert close(r.df, df, 1e-9)
