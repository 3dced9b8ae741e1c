"""Agreement, calibration and prediction-powered estimates."""

from functools import partial

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from bench.simulations.table import Row, Table, shares
from harness.stats import calibration_error, krippendorff_alpha, prediction_powered, spearman


def run_alpha(alpha: float, units: int, n: int, rng) -> dict[str, float]:
    """Three raters with three labels, each keeping the true label with probability sqrt(alpha), else guessing."""
    covered, keep = 0, alpha**0.5
    for _ in range(n):
        label = rng.integers(0, 3, units)
        x = np.where(rng.random((3, units)) < keep, label, rng.integers(0, 3, (3, units)))
        r = krippendorff_alpha(x)
        covered += r.low <= alpha <= r.high
    return shares({"default": covered}, n)


def run_spearman(r_s: float, pairs: int, n: int, rng) -> dict[str, float]:
    """Bivariate normal pairs; beside the default the interval with 1/sqrt(n - 3)."""
    rho, hits = 2 * np.sin(np.pi * r_s / 6), {"default": 0, "1/sqrt(n-3)": 0}
    for _ in range(n):
        x = rng.normal(size=pairs)
        r = spearman(x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=pairs))
        hits["default"] += r.low <= r_s <= r.high
        hits["1/sqrt(n-3)"] += abs(np.arctanh(r.value) - np.arctanh(r_s)) <= 1.959964 / np.sqrt(pairs - 3)
    return shares(hits, n)


SHAPES = {
    "perfect": lambda c: c,
    "mild": lambda c: 0.5 + 0.85 * (c - 0.5),
    "strong": lambda c: 0.5 + 0.5 * (c - 0.5),
    "skewed": lambda c: c**3,
}
"""P(right) by confidence; confidence is uniform. Mild and strong are sure in excess at both ends, skewed at one."""


def binned_truth(shape) -> float:
    """Root mean squared gap of ten population bins."""
    grid = (np.arange(100_000) + 0.5) / 100_000
    return float(np.sqrt(np.mean([(shape(g) - g).mean() ** 2 for g in np.split(grid, 10)])))


def run_calibration(name: str, items: int, per_prompt: int, n: int, rng) -> dict[str, float]:
    """Coverage of the root mean squared gap; with several items per prompt half the latent variance is the prompt's."""
    shape, hits = SHAPES[name], {"default": 0} | ({"clusters ignored": 0} if per_prompt > 1 else {})
    truth, labels = binned_truth(shape), np.repeat(np.arange(items // per_prompt), per_prompt)
    for _ in range(n):
        conf = rng.random(items)
        if per_prompt == 1:
            r = calibration_error(conf, rng.random(items) < shape(conf))
        else:
            latent = np.sqrt(0.5) * (rng.normal(size=labels[-1] + 1)[labels] + rng.normal(size=items))
            y = ndtr(latent) < shape(conf)
            r, naive = calibration_error(conf, y, clusters=labels), calibration_error(conf, y)
            hits["clusters ignored"] += naive.low <= truth <= naive.high
        hits["default"] += r.low <= truth <= r.high
    return shares(hits, n)


def _alpha_row(alpha, units, recorded):
    return Row(
        name=f"alpha {alpha:g}, {units} units", recorded={"default": recorded}, run=partial(run_alpha, alpha, units)
    )


def _spearman_row(r_s, pairs):
    recorded = {"default": (94.4, 96.4)}
    return Row(name=f"Spearman {r_s:g}, {pairs} pairs", recorded=recorded, run=partial(run_spearman, r_s, pairs))


def _calibration_row(name, items, recorded, per_prompt=1):
    label = f"calibration, {name}, {items} items" + (f", {per_prompt} per prompt" if per_prompt > 1 else "")
    known = {} if recorded is None else {"default": recorded}
    return Row(name=label, recorded=known, run=partial(run_calibration, name, items, per_prompt))


AGREEMENT = Table(
    key="agreement",
    title="Agreement and calibration",
    note="`krippendorff_alpha`, `spearman`, `calibration_error`; the other columns are what the default replaces",
    rows=(
        _alpha_row(0.48, 50, 96.0),
        _alpha_row(0.48, 200, 94.5),
        _alpha_row(0.88, 200, 95.6),
        *(_spearman_row(r, pairs) for r in (0.0, 0.58, 0.89) for pairs in (30, 100, 300)),
        _calibration_row("perfect", 200, 99.8),
        _calibration_row("perfect", 500, 99.9),
        _calibration_row("perfect", 2000, 99.9),
        _calibration_row("mild", 200, 99.6),
        _calibration_row("mild", 500, 98.1),
        _calibration_row("mild", 2000, 94.6),
        _calibration_row("strong", 200, 95.2),
        _calibration_row("strong", 500, 94.8),
        _calibration_row("strong", 2000, 94.3),
        *(_calibration_row("skewed", items, None) for items in (200, 500, 2000)),
        _calibration_row("skewed", 1000, None, per_prompt=5),
        _calibration_row("skewed", 1000, None, per_prompt=20),
        _calibration_row("skewed", 4000, None, per_prompt=20),
    ),
)

UNLABELLED = 1000


def run_ppi(rho: float, labelled: int, n: int, rng) -> dict[str, float]:
    """Normal scores with correlation rho; width ratio against the t interval of the labels alone."""
    hits, widths = {"default": 0, "lambda 1": 0}, np.zeros((n, 3))
    for i in range(n):
        y = rng.normal(size=labelled)
        f = rho * y + np.sqrt(1 - rho**2) * rng.normal(size=labelled)
        u = rng.normal(size=UNLABELLED)
        r, plain = prediction_powered(y, f, u), prediction_powered(y, f, u, lam=1.0)
        classical = 2 * student.ppf(0.975, labelled - 1) * y.std(ddof=1) / labelled**0.5
        hits["default"] += r.low <= 0 <= r.high
        hits["lambda 1"] += plain.low <= 0 <= plain.high
        widths[i] = r.high - r.low, plain.high - plain.low, classical
    mean = widths.mean(axis=0)
    return shares(hits, n) | {"width ratio": float(mean[0] / mean[2]), "lambda 1 width ratio": float(mean[1] / mean[2])}


def run_ppi_verdicts(labelled: int, n: int, rng) -> dict[str, float]:
    """Verdicts with mean .7 and a judge that is wrong one time in ten; the judge's own mean beside."""
    hits, widths, m = {"default": 0, "judge alone": 0}, np.zeros((n, 2)), labelled + UNLABELLED
    for i in range(n):
        y = (rng.random(m) < 0.7).astype(float)
        f = np.where(rng.random(m) < 0.1, 1 - y, y)
        r = prediction_powered(y[:labelled], f[:labelled], f[labelled:])
        hits["default"] += r.low <= 0.7 <= r.high
        hits["judge alone"] += abs(f.mean() - 0.7) <= 1.96 * f.std(ddof=1) / m**0.5
        labels = y[:labelled]
        widths[i] = r.high - r.low, 2 * student.ppf(0.975, labelled - 1) * labels.std(ddof=1) / labelled**0.5
    mean = widths.mean(axis=0)
    return shares(hits, n) | {"width ratio": float(mean[0] / mean[1])}


def _ppi_row(labelled, rho, covers, ratio):
    return Row(
        name=f"{labelled} labels, rho {rho:g}",
        recorded={"default": covers, "width ratio": ratio},
        run=partial(run_ppi, rho, labelled),
        times=1.25,
        units=frozenset({"width ratio", "lambda 1 width ratio"}),
    )


def _verdict_row(labelled, covers, ratio):
    recorded = {"default": covers, "judge alone": (0.0, 28.0)} | ({} if ratio is None else {"width ratio": ratio})
    return Row(
        name=f"{labelled} labels, verdicts of a 90 % accurate judge",
        recorded=recorded,
        run=partial(run_ppi_verdicts, labelled),
        times=1.25,
        units=frozenset({"width ratio"}),
    )


PPI = Table(
    key="ppi",
    title="Few human labels and many judge labels",
    note=f"`prediction_powered` with {UNLABELLED} judge labels; widths against the t interval of the human labels",
    rows=(
        _ppi_row(20, 0.9, 93.8, 0.48),
        _ppi_row(20, 0.6, 93.5, 0.80),
        _ppi_row(20, 0.0, 94.3, 0.99),
        _verdict_row(20, 97.8, None),
        _ppi_row(40, 0.9, 94.1, 0.49),
        _ppi_row(40, 0.6, 94.6, 0.81),
        _ppi_row(40, 0.0, 95.0, 0.99),
        _verdict_row(40, 97.3, 0.76),
        _ppi_row(100, 0.9, 94.6, 0.53),
        _ppi_row(100, 0.6, 94.9, 0.83),
        _ppi_row(100, 0.0, 95.1, 1.00),
        _verdict_row(100, 95.7, 0.71),
        _ppi_row(300, 0.9, 94.8, 0.62),
        _ppi_row(300, 0.6, 94.6, 0.86),
        _ppi_row(300, 0.0, 94.9, 1.00),
        _verdict_row(300, 94.9, 0.73),
    ),
)
