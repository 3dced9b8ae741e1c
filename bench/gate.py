"""How often the regression gate is right: simulated pairs of checkpoints through the project's own decision.

    python bench/gate.py [--pairs 10000] [--calibrate RUN RUN]

A pair shares its prompts (six categories of equal weight, as GenEval) and draws k images of each. A prompt's chance
of a right image is normal on the probit scale around its category's mean, and correlated between the two checkpoints.
The moments of the model `micro` were measured on GenEval's 540 micro prompts x 4 images of the shipped checkpoint and
of one that `train micro-rt2i` made from it (seed 0): a pair far apart, so that the gate has it harder than with two
versions of one training run. `--calibrate` measures them on two other runs. The model `close` is assumed: prompts that
both checkpoints find easy or both find hard.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

sys.path.insert(0, str(Path(__file__).parent.parent))
from harness.stats import gate_decision, paired_difference

MARGIN = 0.02
DESIGNS = ((400, 1), (400, 4), (553, 4), (2212, 4))
LOSSES = (0.0, 0.02, 0.05)
LABELS = ("regression", "pass", "inconclusive")


@dataclass(frozen=True)
class PairModel:
    """Chances of a right image."""

    means: tuple[float, ...]
    """Of the baseline, by category."""
    between: float
    """Variance of the chance over the prompts of a category."""
    covariance: float
    """Of the chances of the two checkpoints over the prompts of a category."""

    @cached_property
    def spread(self) -> float:
        """Standard deviation on the probit scale that gives `between`, averaged over categories."""
        return brentq(lambda sd: np.mean([_moment(m, sd, 1.0) for m in self.means]) - self.between, 1e-6, 20)

    @cached_property
    def correlation(self) -> float:
        """On the probit scale, that gives `covariance`."""
        return brentq(
            lambda r: np.mean([_moment(m, self.spread, r) for m in self.means]) - self.covariance, 0.0, 1.0 - 1e-9
        )

    def draw(self, n_prompts: int, k: int, loss: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(P,) right images of baseline and candidate; the candidate's categories have lower means by `loss`."""
        cat = categories(n_prompts, len(self.means))
        shared, own = rng.standard_normal((2, 1, n_prompts)), rng.standard_normal((2, n_prompts))
        z = np.sqrt(self.correlation) * shared[0] + np.sqrt(1 - self.correlation) * own
        means = np.array([self.means, np.maximum(0.0, np.array(self.means) - loss)])
        centre = ndtri(means) * np.sqrt(1 + self.spread**2)
        right = rng.binomial(k, ndtr(centre[:, cat] + self.spread * z))
        return right[0], right[1]


MODELS = {
    "micro": PairModel((0.9194, 0.8250, 0.7389, 0.7944, 0.4139, 0.6889), between=0.0159, covariance=0.0039),
    "close": PairModel((0.573,) * 6, between=0.137, covariance=0.1315),
}


def _moment(mean: float, sd: float, r: float) -> float:
    """Covariance of Phi(c + sd Z) and Phi(c + sd Z') with correlation r and the given mean, by quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(60)
    c = ndtri(mean) * np.sqrt(1 + sd**2)
    # Given the shared part, both are independent with the same conditional mean.
    given = ndtr((c + sd * np.sqrt(r) * x) / np.sqrt(1 + sd**2 * (1 - r)))
    return float((w * given**2).sum() / w.sum() - mean**2)


def categories(n_prompts: int, n: int) -> np.ndarray:
    """(P,) equally filled categories."""
    return np.arange(n_prompts) * n // n_prompts


def simulate(
    model: PairModel, n_prompts: int, k: int, loss: float, *, n_pairs: int, seed: int, margin: float = MARGIN
) -> dict[str, float]:
    """Shares of pairs: `regression`, `strict` (with the strict rule), `pass`, `inconclusive`."""
    rng = np.random.default_rng(seed)
    n = len(model.means)
    cat, weights, images = categories(n_prompts, n), np.full(n, 1 / n), np.full(n_prompts, float(k))
    counts = dict.fromkeys((*LABELS, "strict"), 0)
    for _ in range(n_pairs):
        baseline, candidate = model.draw(n_prompts, k, loss, rng)
        difference = paired_difference(candidate, baseline, cat, weights, den_x=images, den_y=images, step=1 / k)
        decision = gate_decision(difference.est, difference.error, margin)
        counts["pass" if decision.is_pass else decision.label] += 1
        counts["strict"] += gate_decision(difference.est, difference.error, margin, strict=True).label == "regression"
    return {name: count / n_pairs for name, count in counts.items()}


def calibrated(first: Path, second: Path, benchmark: str = "geneval") -> PairModel:
    """Moments within categories of two runs on the same prompts; the first one's means."""
    from reports.check.baseline import read_sides
    from reports.check.comparability import aligned

    values = [read_sides(p, [benchmark])[0].values[benchmark] for p in (first, second)]
    x, y = aligned(values, [str(first), str(second)], benchmark)
    rows = []
    for g in range(len(x.terms.categories)):
        a, b = (v.images.scores[x.terms.cat == g] for v in (x, y))
        k = a.shape[1]
        within = [v.var(axis=1, ddof=1).mean() for v in (a, b)]
        shared = ((a - a.mean(1)[:, None]) * (b - b.mean(1)[:, None])).sum(1).mean() / (k - 1)
        between = [v.mean(1).var(ddof=1) - w / k for v, w in zip((a, b), within, strict=True)]
        rows.append((a.mean(), np.mean(between), np.cov(a.mean(1), b.mean(1))[0, 1] - shared / k))
    means, between, covariance = np.array(rows).T
    return PairModel(tuple(means.round(4).tolist()), float(between.mean().round(4)), float(covariance.mean().round(4)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--calibrate", nargs=2, type=Path, metavar="RUN")
    args = parser.parse_args()
    models = {"calibrated": calibrated(*args.calibrate)} if args.calibrate else MODELS
    for name, model in models.items():
        started = time.perf_counter()
        print(f"\n{name}: {model}")
        print(f"{args.pairs:,} pairs, margin {MARGIN}; regression / strict / pass / inconclusive in %\n")
        print("| prompts x images | " + " | ".join(f"loss {x:g}" for x in LOSSES) + " |\n|---|" + "---|" * len(LOSSES))
        for n_prompts, k in DESIGNS:
            cells = []
            for loss in LOSSES:
                s = simulate(model, n_prompts, k, loss, n_pairs=args.pairs, seed=n_prompts * 10 + k)
                cells.append(" / ".join(f"{100 * s[x]:.1f}" for x in ("regression", "strict", "pass", "inconclusive")))
            print(f"| {n_prompts} x {k} | " + " | ".join(cells) + " |", flush=True)
        print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
