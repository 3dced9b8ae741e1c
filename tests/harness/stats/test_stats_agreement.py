"""Agreement: recorded coefficients, literal pair counting, agreement with scipy and statsmodels, undefined cases."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from stats_golden import close
from statsmodels.stats.inter_rater import cohens_kappa as sm_kappa

from harness.stats import cohens_kappa, krippendorff_alpha, rating_table, spearman

_ = np.nan
TEXTBOOK = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("nominal", (0.743421053, 0.146326652, 0.0857160416, 0.927995285)),
        ("ordinal", (0.815387504, 0.148031342, -0.1020087, 0.969073045)),
        ("interval", (0.849107143, 0.140839831, -0.207445493, 0.98114312)),
    ],
)
def test_recorded_alpha(metric, expected):
    r = krippendorff_alpha(TEXTBOOK, metric=metric)
    assert close((r.value, r.se, r.low, r.high), expected)
    assert r.n == 11


def literal_alpha(ratings, metric):
    """Observed over expected disagreement by listing every ordered pair of ratings."""
    units = [[v for v in column if v == v] for column in np.array(ratings).T]
    units = [u for u in units if len(u) >= 2]
    pooled = [v for u in units for v in u]

    def distance(c, d):
        if metric == "nominal":
            return float(c != d)
        if metric == "interval":
            return (c - d) ** 2
        low, high = min(c, d), max(c, d)
        between = sum(low <= v <= high for v in pooled)
        return (between - (pooled.count(c) + pooled.count(d)) / 2) ** 2

    observed = sum(distance(c, d) / (len(u) - 1) for u in units for c, d in itertools.permutations(u, 2)) / len(pooled)
    expected = sum(distance(c, d) for c, d in itertools.permutations(pooled, 2)) / len(pooled) / (len(pooled) - 1)
    return 1 - observed / expected


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
def test_alpha_equals_pair_counting(metric):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (3, 15)) + rng.integers(0, 2, 15).astype(float)
    x[rng.random((3, 15)) < 0.2] = np.nan
    assert close(krippendorff_alpha(x, metric=metric).value, literal_alpha(x, metric), 1e-12)


def test_alpha_jackknife_deletes_units_or_prompts():
    x = np.array(TEXTBOOK)[:, :11]
    left_out = [krippendorff_alpha(np.delete(x, u, axis=1)).value for u in range(11)]
    se = math.sqrt(10 / 11 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert close(krippendorff_alpha(x).se, se, 1e-12)
    pairs = np.arange(11) // 2
    left_out = [krippendorff_alpha(x[:, pairs != c]).value for c in range(6)]
    se = math.sqrt(5 / 6 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert close(krippendorff_alpha(x, clusters=pairs).se, se, 1e-12)


def test_alpha_ignores_order_of_raters_and_units():
    x = np.array(TEXTBOOK)
    base, moved = krippendorff_alpha(x), krippendorff_alpha(x[::-1, ::-1])
    assert close((moved.value, moved.low, moved.high), (base.value, base.low, base.high), 1e-12)


def test_alpha_in_special_cases():
    perfect = krippendorff_alpha([[1, 2, 3], [1, 2, 3]])
    assert (perfect.value, perfect.low, perfect.high, perfect.reason) == (1, 1, 1, "perfect agreement")
    constant = krippendorff_alpha([[1, 1, 1], [1, 1, 1]])
    assert (constant.value, constant.reason) == (None, "one value only")
    alone = krippendorff_alpha([[1, _, 1], [_, 2, _]])
    assert (alone.value, alone.reason) == (None, "no unit has two ratings")
    fragile = krippendorff_alpha([[1, 1, 1, 1], [1, 1, 1, 2]])
    assert fragile.value is not None
    assert (fragile.low, fragile.reason) == (None, "alpha is undefined without one of the units")
    with pytest.raises(ValueError, match="raters, units"):
        krippendorff_alpha([1, 2, 3])


def test_recorded_spearman():
    r = spearman(range(1, 11), [2, 1, 4, 3, 7, 5, 6, 10, 8, 8])
    assert close((r.value, r.low, r.high), (0.899700205, 0.531792954, 0.981924959))


def test_spearman_agrees_with_scipy_under_ties():
    x, y = np.random.default_rng(0).integers(0, 5, (2, 40))
    assert close(spearman(x, y).value, stats.spearmanr(x, y).statistic, 1e-9)


def test_spearman_in_special_cases():
    assert spearman([1, 2, 3], [1, 2, 3]).reason == "fewer than 4 pairs"
    assert spearman([1, 2, 3, 4], [2, 2, 2, 2]).reason == "a rater is constant"
    down = spearman([1, 2, 3, 4], [4, 3, 2, 1])
    assert (down.value, down.low, down.high) == (-1, -1, -1)
    assert spearman([1, 2, 3, 4, _], [1, 3, 2, 4, 9]).n == 4


def test_spearman_with_duplicated_items_needs_clusters():
    rng = np.random.default_rng(4)
    x = rng.normal(size=60)
    y = x + rng.normal(size=60)
    labels = np.repeat(np.arange(60), 4)
    honest = spearman(x, y)
    naive = spearman(np.repeat(x, 4), np.repeat(y, 4))
    clustered = spearman(np.repeat(x, 4), np.repeat(y, 4), clusters=labels)
    assert naive.se < 0.6 * honest.se
    assert 0.75 < clustered.se / honest.se < 1.35


def test_recorded_kappa():
    r = cohens_kappa([[15, 10], [5, 20]])
    assert close((r.value, r.se, r.low, r.high), (0.4, 0.126996063, 0.15109229, 0.64890771))
    assert close((r.raw_agreement, *r.marginal_x, *r.marginal_y), (0.7, 0.5, 0.5, 0.4, 0.6))


def test_weighted_kappa_agrees_with_statsmodels():
    table = np.array([[9, 3, 1], [2, 8, 4], [0, 3, 10]])
    ref = sm_kappa(table, weights=np.arange(3), wt="quadratic")
    r = cohens_kappa(table, scores=[0, 1, 2])
    assert close((r.value, r.se), (ref.kappa, ref.std_kappa), 1e-9)
    far = cohens_kappa(table, scores=[0, 1, 10])
    assert far.value != r.value


def test_kappa_of_constant_raters_is_undefined_but_one_constant_rater_is_not():
    both = cohens_kappa([[20, 0], [0, 0]])
    assert (both.value, both.low, both.raw_agreement, both.reason) == (None, None, 1, "both raters are constant")
    one = cohens_kappa([[15, 5], [0, 0]])
    assert (one.value, one.low, one.high, one.reason) == (0, None, None, "one rater is constant")
    perfect = cohens_kappa([[10, 0], [0, 5]])
    assert (perfect.value, perfect.low, perfect.high, perfect.reason) == (1, 1, 1, "perfect agreement")
    with pytest.raises(ValueError, match="square"):
        cohens_kappa([[1, 2]])


def test_rating_table_counts_pairs():
    table, values = rating_table([0, 1, 1, 2, _], [0, 1, 2, 2, 1])
    assert values.tolist() == [0, 1, 2]
    assert table.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


def test_alpha_interval_covers_a_known_agreement():
    rng, hits, truth = np.random.default_rng(5), 0, 0.64
    for _run in range(300):  # two raters who keep the true label with probability .8, else guess one of two
        label = rng.integers(0, 2, 60)
        x = np.where(rng.random((2, 60)) < 0.8, label, rng.integers(0, 2, (2, 60)))
        r = krippendorff_alpha(x)
        hits += r.low <= truth <= r.high
    assert 0.91 < hits / 300 < 0.99
