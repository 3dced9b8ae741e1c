"""Conditions with training seeds, the exact tests on few seeds, and the power at the smallest detectable effect."""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.simulations.benchmarks import GEDIT, GENEVAL, SMALL, TIIF, WISE, Benchmark
from bench.simulations.table import Row, Table, shares
from harness.stats import (
    Spread,
    StudentError,
    condition_difference,
    permutation_test,
    plan_design,
    sign_flip,
    sign_flip_interval,
)


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Two conditions: seeds per arm and seed sds of the headline."""

    benchmark: Benchmark
    s_x: int
    s_y: int
    sd_x: float
    sd_y: float
    heavy: bool = False
    by_category: float = 0.0

    @cached_property
    def scales(self) -> tuple[float, float]:
        return self.benchmark.seed_scale(self.sd_x), self.benchmark.seed_scale(self.sd_y)

    @cached_property
    def category_scale(self) -> float:
        """Latent sd of a seed's shift of one category, given on the score scale."""
        b = self.benchmark
        slope = (b.headline(0.01) - b.headline(-0.01)) / 0.02
        return self.by_category / slope

    def shifts(self, rng, n_seeds, scale):
        # A tenth from a normal three times as wide, the whole scaled to the stated sd.
        wide = np.where(rng.random(n_seeds) < 0.1, 3.0, 1.0) / 1.8**0.5 if self.heavy else 1.0
        a = scale * wide * rng.normal(size=n_seeds)
        if not self.by_category:
            return a
        return a[:, None] + self.category_scale * rng.normal(size=(n_seeds, len(self.benchmark.sizes)))

    @cached_property
    def arm_means(self) -> tuple[float, float]:
        """Mean headline of each arm over seeds; only needed where the arms differ in law."""
        return self.benchmark.over_seeds(self.scales[0])[0], self.benchmark.over_seeds(self.scales[1])[0]

    def draw(self, rng):
        """Scores and denominators of both arms, and the true difference."""
        b, (scale_x, scale_y) = self.benchmark, self.scales
        prompts = b.prompts(rng)
        base = scale_y * rng.normal() if self.s_y == 1 else None
        shift_y = np.array([base]) if base is not None else self.shifts(rng, self.s_y, scale_y)
        x, den_x = b.draw(rng, prompts, self.shifts(rng, self.s_x, scale_x))
        y, den_y = b.draw(rng, prompts, shift_y)
        if base is not None:
            truth = self.arm_means[0] - b.headline(base)
        else:
            truth = 0.0 if scale_x == scale_y else self.arm_means[0] - self.arm_means[1]
        return x, y, den_x, den_y, truth


def run_condition(setting: Seeds, n: int, rng) -> dict[str, float]:
    """Coverage of prompts only, seeds only and the default; mean width of the default."""
    b, hits, widths = setting.benchmark, {"prompts only": 0, "seeds only": 0, "default": 0}, []
    for _ in range(n):
        x, y, den_x, den_y, truth = setting.draw(rng)
        r = condition_difference(x, y, b.cat, b.w, den_x=den_x, den_y=den_y)
        s = condition_difference(x, y, b.cat, b.w, den_x=den_x, den_y=den_y, prompts="fixed")
        p_only = StudentError(se=r.v_p**0.5, df=r.f_p).quantile(0.975)
        hits["prompts only"] += abs(r.est - truth) <= p_only
        hits["seeds only"] += s.low <= truth <= s.high
        hits["default"] += r.low <= truth <= r.high
        widths.append(r.high - r.low)
    return shares(hits, n) | {"width": float(np.mean(widths))}


def _row(name, benchmark, s_x, s_y, sd_x, sd_y, recorded, **more) -> Row:
    setting = Seeds(benchmark=benchmark, s_x=s_x, s_y=s_y, sd_x=sd_x, sd_y=sd_y, **more)
    p, s, default, width = recorded
    return Row(
        name=name,
        recorded={"prompts only": p, "seeds only": s, "default": default, "width": width},
        run=partial(run_condition, setting),
        units=frozenset({"width"}),
    )


def _equal(name, benchmark, s, sd, recorded, **more) -> Row:
    return _row(name, benchmark, s, s, sd, sd, recorded, **more)


K1 = GENEVAL.but(k=1)

CONDITIONS = Table(
    key="conditions",
    title="Conditions with training seeds",
    note="`condition_difference`; columns: t over prompts alone, Welch t over seeds alone, the default and its width",
    rows=(
        _equal("01 geneval k4 S3 sd0", GENEVAL, 3, 0.0, (96.1, 89.7, 97.7, 0.048)),
        _equal("02 geneval k4 S3 sd.03", GENEVAL, 3, 0.03, (56.7, 96.0, 95.4, 0.147)),
        _equal("03 geneval k4 S3 sd.1", GENEVAL, 3, 0.1, (19.9, 95.8, 95.7, 0.478)),
        _equal("04 geneval k4 S5 sd0", GENEVAL, 5, 0.0, (95.2, 79.5, 96.2, 0.040)),
        _equal("05 geneval k4 S5 sd.03", GENEVAL, 5, 0.03, (63.6, 94.6, 95.3, 0.093)),
        _equal("06 geneval k4 S5 sd.1", GENEVAL, 5, 0.1, (22.9, 94.8, 94.8, 0.286)),
        _equal("07 geneval k4 S10 sd0", GENEVAL, 10, 0.0, (95.6, 62.3, 95.9, 0.035)),
        _equal("08 geneval k4 S10 sd.03", GENEVAL, 10, 0.03, (72.6, 92.3, 95.5, 0.065)),
        _equal("09 geneval k4 S10 sd.1", GENEVAL, 10, 0.1, (29.9, 95.0, 95.2, 0.184)),
        _equal("10 tiif ratio S5 sd.03", TIIF, 5, 0.03, (75.0, 91.2, 94.0, 0.101)),
        _equal("11 tiif ratio S10 sd.01", TIIF, 10, 0.01, (93.9, 68.2, 95.3, 0.056)),
        _equal("12 gedit skew k1 S5 sd.02", GEDIT, 5, 0.02, (77.0, 93.9, 95.1, 0.071)),
        _equal("13 wise k1 miss10 S5 sd.03", WISE, 5, 0.03, (65.0, 95.1, 95.5, 0.097)),
        _equal("14 small unbal S5 sd.03 k1", SMALL, 5, 0.03, (93.1, 91.9, 97.8, 0.241)),
        _row("15 hetero sd .1/.0 S5", GENEVAL, 5, 5, 0.1, 0.0, (31.2, 93.9, 93.7, 0.225)),
        _equal("16 heavy seeds S5 sd.05", GENEVAL, 5, 0.05, (45.8, 95.3, 95.9, 0.144), heavy=True),
        _equal("17 seed x category S5", GENEVAL, 5, 0.02, (66.3, 94.4, 95.4, 0.088), by_category=0.05),
        _row("18 base vs S3 sd.03", GENEVAL, 3, 1, 0.03, 0.03, (76.4, 92.8, 97.2, 0.147)),
        _row("19 base vs S5 sd.03", GENEVAL, 5, 1, 0.03, 0.03, (81.7, 89.5, 96.4, 0.087)),
        _row("20 base vs S10 sd.1", GENEVAL, 10, 1, 0.1, 0.1, (53.1, 93.5, 95.4, 0.144)),
        _row("21 S3 vs S10 sd.05", GENEVAL, 3, 10, 0.05, 0.05, (44.0, 92.8, 93.1, 0.187)),
        _equal("22 S3 sd.01 k1 noisy", K1, 3, 0.01, (91.3, 94.8, 97.0, 0.093)),
        _equal("23 S5 sd.01 k1 noisy", K1, 5, 0.01, (92.6, 92.3, 96.6, 0.063)),
        _row("24 base vs S3 sd.1", GENEVAL, 3, 1, 0.1, 0.1, (33.5, 94.4, 95.1, 0.432)),
        _row("25 base vs S3 sd0", GENEVAL, 3, 1, 0.0, 0.0, (94.8, 75.6, 97.6, 0.063)),
        _row("26 hetero sd .1/.0 S3", GENEVAL, 3, 3, 0.1, 0.0, (27.1, 93.8, 92.3, 0.407)),
        _row("27 base vs S5 gedit skew", GEDIT, 5, 1, 0.02, 0.02, (90.0, 83.2, 96.5, 0.077)),
    ),
)


def run_sign_flip(s: int, draw, n: int, rng) -> dict[str, float]:
    rejected = covered = 0
    for _ in range(n):
        d = draw(rng, s)
        rejected += sign_flip(d).p <= 0.05
        ci = sign_flip_interval(d)
        covered += ci.low <= 0 <= ci.high
    return shares({"rejected": rejected, "interval covers": covered}, n)


def run_permutation(s: int, ratio: float, n: int, rng) -> dict[str, float]:
    rejected = sum(permutation_test(rng.normal(size=s), ratio * rng.normal(size=s)).p <= 0.05 for _ in range(n))
    return shares({"rejected": rejected}, n)


def _normal(rng, s):
    return rng.normal(size=s)


def _skewed(rng, s):
    return rng.exponential(size=s) - 1.0


def _flip_row(s, rejected, covers=None, draw=_normal, name="normal"):
    recorded = {"rejected": rejected} | ({} if covers is None else {"interval covers": covers})
    return Row(name=f"sign-flip, {s} {name} seeds", recorded=recorded, run=partial(run_sign_flip, s, draw), times=5)


def _split_row(s, rejected, ratio=1.0):
    name = f"permutation, {s} + {s} seeds" + (f", seed sd ratio {ratio:g}" if ratio != 1 else "")
    return Row(name=name, recorded={"rejected": rejected}, run=partial(run_permutation, s, ratio), times=5)


EXACT = Table(
    key="exact",
    title="Exact tests under no difference",
    note="`sign_flip`, `sign_flip_interval` and `permutation_test` at .05; skewed: exponential differences of mean 0",
    rows=(
        _flip_row(6, 3.1, 96.4),
        _flip_row(8, 4.7, 95.2),
        _flip_row(10, 4.8, 95.1),
        _flip_row(6, (5.0, 9.0), None, _skewed, "skewed"),
        _flip_row(10, (5.0, 9.0), None, _skewed, "skewed"),
        _split_row(3, 0.0),
        _split_row(4, 2.8),
        _split_row(5, (4.8, 5.0)),
        _split_row(4, (6.7, 8.3), 5.0),
        _split_row(5, (6.7, 8.3), 5.0),
    ),
)

SPREAD = Spread(prompt=0.3, seed=0.03, cell=0.2, generation=0.4)


def run_power(n_seeds: int, n: int, rng) -> dict[str, float]:
    """Power of the default test at the planned smallest detectable effect, and at 1.1 times it; normal scores."""
    prompts, k = 500, 4
    mde = plan_design(SPREAD, n=prompts, n_seeds=n_seeds, k=k).mde()
    noise = float(np.sqrt(SPREAD.cell**2 + SPREAD.generation**2 / k))
    cat, found, more = np.zeros(prompts, int), 0, 0
    for _ in range(n):
        prompt = rng.normal(0, SPREAD.prompt / 2, prompts)
        x, y = (
            sign * prompt + rng.normal(0, SPREAD.seed, (n_seeds, 1)) + rng.normal(0, noise, (n_seeds, prompts))
            for sign in (1, -1)
        )
        found += condition_difference(x + mde, y, cat, [1.0]).p < 0.05
        more += condition_difference(x + 1.1 * mde, y, cat, [1.0]).p < 0.05
    return shares({"at the MDE": found, "at 1.1 MDE": more}, n)


POWER = Table(
    key="power",
    title="Power at the smallest detectable effect",
    note="`plan_design(...).mde()` for 500 prompts and 4 images, then the share of simulated p < .05",
    rows=(
        Row(name="3 seeds per arm", recorded={"at the MDE": 73.0}, run=partial(run_power, 3)),
        Row(name="5 seeds per arm", recorded={"at the MDE": (77.6, 78.8)}, run=partial(run_power, 5)),
        Row(name="10 seeds per arm", recorded={"at the MDE": 79.8}, run=partial(run_power, 10)),
    ),
)
