"""One checkpoint, two checkpoints and the gate: prompts are the only random factor."""

from functools import partial

import numpy as np

from bench.simulations.benchmarks import DPG, GEDIT, GENEVAL, SMALL, TIIF, WISE, Benchmark
from bench.simulations.table import Row, Table, shares
from harness.stats import (
    StudentError,
    bootstrap_headlines,
    bootstrap_weights,
    gate_decision,
    paired_difference,
    score_bounds,
    score_interval,
)

BOOTSTRAP_DRAWS = 400


def run_score(b: Benchmark, with_bootstrap: bool, n: int, rng) -> dict[str, float]:
    """Coverage of the default, of the stratified t, of sd/sqrt(P) over all prompts and of the percentile bootstrap."""
    hits = {"stratified t": 0, "default": 0, "sd/sqrt(P)": 0} | ({"bootstrap": 0} if with_bootstrap else {})
    truth = b.headline(0.0)
    for _ in range(n):
        a, den = b.draw(rng, b.prompts(rng), [0.0])
        a, den = a[0], None if den is None else den[0]
        r = score_interval(a, b.cat, b.w, den=den)
        hits["default"] += r.low <= truth <= r.high
        t = StudentError(se=r.se, df=r.df).quantile(0.975)
        hits["stratified t"] += abs(r.theta - truth) <= t
        scores = (a if den is None else a / den)[np.isfinite(a)]
        hits["sd/sqrt(P)"] += abs(r.theta - truth) <= 1.96 * scores.std(ddof=1) / len(scores) ** 0.5
        if with_bootstrap:
            valid = np.isfinite(a)
            draws = bootstrap_weights(b.cat, BOOTSTRAP_DRAWS, rng, valid=valid)
            low, high = np.quantile(bootstrap_headlines(draws, a, b.cat, b.w, den=den), [0.025, 0.975])
            hits["bootstrap"] += low <= truth <= high
    return shares(hits, n)


def _score_row(name, b, t, default, plain=None, bootstrap=None) -> Row:
    recorded = {"stratified t": t, "default": default, "sd/sqrt(P)": plain, "bootstrap": bootstrap}
    return Row(
        name=f"{name}, truth {b.theta:.3f}",
        recorded={k: v for k, v in recorded.items() if v is not None},
        run=partial(run_score, b, bootstrap is not None),
    )


ONE = GENEVAL.but(own=0.0, cell=0.0)
TOP = ONE.but(theta=0.9973, levels=(), prompt=1.2)

SCORES = Table(
    key="scores",
    title="One checkpoint",
    note=f"`score_interval`; columns: stratified t, the default, sd/sqrt(P) over all prompts with 1.96, percentile "
    f"bootstrap within categories ({BOOTSTRAP_DRAWS} draws)",
    rows=(
        _score_row("GenEval 6 x 80-100, 4 images", ONE, 95.2, 95.4, 96.2, 94.5),
        _score_row("same, 1 image", ONE.but(k=1), 95.2, 95.0, 95.6, 94.5),
        _score_row("same, 4 images, near the top", TOP.but(theta=0.986), 93.3, 97.0, 92.2, 92.8),
        _score_row("4 images, at the top", TOP, 90.3, 99.8, 90.0, 90.1),
        _score_row("1 image, at the top", TOP.but(k=1), 77.3, 94.8, 77.1, 76.9),
        _score_row("TIIF-like, 39 types, pooled questions, 277 prompts", TIIF, 94.4, 94.6),
        _score_row("GEdit-like, skewed with 15 % zeros, 1 image", GEDIT, 94.8, 94.8, 94.6, 94.1),
        _score_row("categories of 5, 10, 40, 145, equal weights", SMALL.but(k=4), 93.0, 93.7, 62.0, 89.4),
        _score_row("WISE weights, 10 % missing at random", WISE, 95.3, 95.3, 96.0),
        _score_row("DPG 1065, skewed", DPG, 94.9, 95.1, 94.9, 94.4),
    ),
)


def run_pair(prompts: int, p_x: float, p_y: float, n: int, rng) -> dict[str, float]:
    """Coverage of the plain t on differences, of the default, and of the t with m - 1 degrees of freedom."""
    hits, cat, differing = {"plain t": 0, "default": 0, "df = m - 1": 0}, np.zeros(prompts, int), 0
    for _ in range(n):
        u = rng.random(prompts)
        x, y = (u < p_x).astype(float), ((u >= p_x) & (u < p_x + p_y)).astype(float)
        r = paired_difference(x, y, cat, [1.0])
        error, se = abs(r.est - (p_x - p_y)), (x - y).std(ddof=1) / prompts**0.5
        hits["default"] += r.low <= p_x - p_y <= r.high
        hits["plain t"] += error <= StudentError(se=se, df=prompts - 1).quantile(0.975)
        differing += r.n_differing
        hits["df = m - 1"] += error <= StudentError(se=se, df=max(1, r.n_differing - 1)).quantile(0.975)
    return {"mean m": differing / n} | shares(hits, n)


def _pair_row(prompts, p_x, p_y, m, t, default, other) -> Row:
    return Row(
        name=f"{prompts} prompts, A only {p_x:g}, B only {p_y:g}",
        recorded={"mean m": m, "plain t": t, "default": default, "df = m - 1": other},
        run=partial(run_pair, prompts, p_x, p_y),
        times=2.5,
        units=frozenset({"mean m"}),
    )


PAIRS = Table(
    key="pairs",
    title="Two checkpoints",
    note="`paired_difference` of verdicts with one image; m: prompts that differ; columns: plain t, the default, t "
    "with m - 1 degrees of freedom",
    rows=(
        _pair_row(550, 0.10, 0.10, 110, 95.5, 95.5, 95.6),
        _pair_row(550, 0.05, 0.02, 39, 95.1, 95.1, 95.6),
        _pair_row(550, 0.01, 0.01, 11, 95.6, 97.4, 97.9),
        _pair_row(550, 0.01, 0.0, 5.5, 91.0, 97.3, 99.5),
        _pair_row(277, 0.02, 0.01, 8, 95.6, 97.9, 98.5),
        _pair_row(100, 0.02, 0.01, 3, 86.6, 99.5, 95.3),
        _pair_row(60, 0.15, 0.05, 12, 95.0, 96.7, 97.0),
    ),
)


def run_missing(strength: float, n: int, rng) -> dict[str, float]:
    """Coverage with one score in ten missing, low scores more often by `strength` per sd of the score."""
    hits, truth = {"default": 0, "bounds": 0}, ONE.headline(0.0)
    for _ in range(n):
        a = ONE.draw(rng, ONE.prompts(rng), [0.0])[0][0]
        a[rng.random(len(a)) < 0.1 * (1 + strength * (truth - a) / a.std())] = np.nan
        r, bounds = score_interval(a, ONE.cat, ONE.w), score_bounds(a, ONE.cat, ONE.w)
        hits["default"] += r.low <= truth <= r.high
        hits["bounds"] += bounds.interval_low <= truth <= bounds.interval_high
    return shares(hits, n)


MISSING = Table(
    key="missing",
    title="Missing scores",
    note="`score_interval` on the scores that exist and the interval of `score_bounds`, 10 % missing, GenEval's shape",
    rows=(
        Row(name="at random", recorded={"default": 95.1, "bounds": 100.0}, run=partial(run_missing, 0.0)),
        Row(name="mildly informative", recorded={"default": 87.9, "bounds": 100.0}, run=partial(run_missing, 0.33)),
        Row(name="low scores fail", recorded={"default": 65.3, "bounds": 100.0}, run=partial(run_missing, 0.66)),
    ),
)

MARGIN = 0.02


def run_gate(prompts: int, k: int, loss: float, n: int, rng) -> dict[str, float]:
    """Answers of the gate at a known loss; about 24 % of single verdicts differ between the two checkpoints."""
    b = Benchmark(sizes=(prompts,), weights=(1,), theta=0.573, k=k, prompt=1.65, own=0.26)
    shift = _shift_for(b, loss)
    labels = {"regression": 0, "strict": 0, "pass": 0, "inconclusive": 0}
    for _ in range(n):
        shared = b.prompts(rng)
        (x, _), (y, _) = b.draw(rng, shared, [shift]), b.draw(rng, shared, [0.0])
        d = paired_difference(x[0], y[0], b.cat, b.w, step=1 / k)
        r = gate_decision(d.est, d.error, MARGIN)
        labels["regression"] += r.label == "regression"
        labels["strict"] += gate_decision(d.est, d.error, MARGIN, strict=True).label == "regression"
        labels["pass"] += r.is_pass
        labels["inconclusive"] += r.label == "inconclusive"
    return shares(labels, n)


def _shift_for(b: Benchmark, loss: float) -> float:
    from scipy.optimize import brentq

    return brentq(lambda s: b.headline(s) - (b.theta - loss), -5, 0) if loss else 0.0


def _gate_rows(prompts, k, *answers):
    return tuple(
        Row(
            name=f"{prompts} x {k}, loss {loss:g}",
            recorded=dict(zip(("regression", "strict", "pass", "inconclusive"), row, strict=True)),
            run=partial(run_gate, prompts, k, loss),
            times=2.5,
        )
        for loss, row in zip((0.0, 0.02, 0.05), answers, strict=True)
    )


GATE = Table(
    key="gate",
    title="Answers of the gate, margin .02",
    note="`gate_decision` on `paired_difference` of verdicts; prompts x images",
    rows=(
        *_gate_rows(400, 1, (5.2, 0.8, 21, 74), (21, 4.9, 5.0, 74), (65, 33, 0.2, 35)),
        *_gate_rows(400, 4, (5.0, 0.1, 47, 48), (45, 4.8, 5.3, 49), (98.5, 74, 0, 1.5)),
        *_gate_rows(553, 4, (4.9, 0.0, 58, 38), (56, 4.7, 5.0, 39), (99.8, 85, 0, 0.2)),
        *_gate_rows(2212, 4, (2.2, 0.0, 98, 0), (95, 5.0, 4.9, 0), (100, 100, 0, 0)),
    ),
)
