"""Simulated benchmarks with known truth: probit scores with prompt, seed and cell effects, k images per prompt."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm

from harness.stats import condition_difference


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of a coverage table; `seed_sd` is in score units at a score of one half."""

    sizes: tuple[int, ...]
    s_x: int
    s_y: int
    seed_sd: float
    k: int
    missing: float = 0.0
    questions: bool = False
    prompt_sd: float = 1.0
    cell_sd: float = 0.5
    level: float = 0.3


def simulated_arms(setting, rng):
    """Scores of both arms, their denominators, the categories, and the true difference."""
    cat = np.repeat(np.arange(len(setting.sizes)), setting.sizes)
    n = len(cat)
    total = np.sqrt(1 + setting.prompt_sd**2 + setting.cell_sd**2)
    latent_seed_sd = setting.seed_sd * total / norm.pdf(setting.level / total)
    prompt = rng.normal(0, setting.prompt_sd, n)
    asked = rng.integers(1, 8, n) if setting.questions else np.full(n, setting.k)
    arms, dens, truths = [], [], []
    for s in (setting.s_x, setting.s_y):
        shift = setting.level + rng.normal(0, latent_seed_sd, (s, 1))
        prob = ndtr(shift + prompt + rng.normal(0, setting.cell_sd, (s, n)))
        right = rng.binomial(asked, prob).astype(float)
        right[rng.random((s, n)) < setting.missing] = np.nan
        arms.append(right if setting.questions else right / setting.k)
        dens.append(np.broadcast_to(asked.astype(float), (s, n)) if setting.questions else None)
        random_seed = ndtr(setting.level / np.sqrt(total**2 + latent_seed_sd**2))
        truths.append(float(random_seed if s > 1 else ndtr(shift[0, 0] / total)))
    return arms, dens, cat, truths[0] - truths[1]


def coverage(setting, n_runs, seed):
    """Share of runs whose 95 % interval contains the truth (tested on the error distribution, without solving)."""
    rng, hits, n_categories = np.random.default_rng(seed), 0, len(setting.sizes)
    w = np.full(n_categories, 1 / n_categories)
    for _ in range(n_runs):
        (x, y), (den_x, den_y), cat, truth = simulated_arms(setting, rng)
        r = condition_difference(x, y, cat, w, den_x=den_x, den_y=den_y, level=0.5)
        hits += r.error.cdf(-abs(r.est - truth)) >= 0.025
    return hits / n_runs


GENEVAL = (80, 99, 80, 94, 100, 100)
TIIF = (7,) * 38 + (11,)
WISE = (400, 167, 133, 100, 100, 100)
SETTINGS = {
    "02 geneval k4 S3 sd.03": Setting(sizes=GENEVAL, s_x=3, s_y=3, seed_sd=0.03, k=4),
    "03 geneval k4 S3 sd.1": Setting(sizes=GENEVAL, s_x=3, s_y=3, seed_sd=0.1, k=4),
    "05 geneval k4 S5 sd.03": Setting(sizes=GENEVAL, s_x=5, s_y=5, seed_sd=0.03, k=4),
    "06 geneval k4 S5 sd.1": Setting(sizes=GENEVAL, s_x=5, s_y=5, seed_sd=0.1, k=4),
    "08 geneval k4 S10 sd.03": Setting(sizes=GENEVAL, s_x=10, s_y=10, seed_sd=0.03, k=4),
    "09 geneval k4 S10 sd.1": Setting(sizes=GENEVAL, s_x=10, s_y=10, seed_sd=0.1, k=4),
    "10 tiif ratio S5 sd.03": Setting(sizes=TIIF, s_x=5, s_y=5, seed_sd=0.03, k=1, questions=True),
    "13 wise k1 miss10 S5 sd.03": Setting(sizes=WISE, s_x=5, s_y=5, seed_sd=0.03, k=1, missing=0.1),
    "18 base vs S3 sd.03": Setting(sizes=GENEVAL, s_x=3, s_y=1, seed_sd=0.03, k=4),
    "20 base vs S10 sd.1": Setting(sizes=GENEVAL, s_x=10, s_y=1, seed_sd=0.1, k=4),
}
