"""What an analysis says: plain records, ready for JSON.

None is the only spelling of no value; infinite limits do not occur. Scores keep the unit of the benchmark's own script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One table value of one condition."""

    benchmark: str
    metric: str
    condition: str
    value: float | None
    """The official number; with several training seeds their mean."""
    low: float | None = None
    """95 % limits: `level` says of what."""
    high: float | None = None
    test: str = ""
    """How the interval was computed."""
    level: str = ""
    """`prompts` (another draw of prompts and images from the same checkpoint) or `new seeds, new prompts`."""
    n: int = 0
    """As the official script counts (prompts, images or questions), over all seeds."""
    n_prompts: int = 0
    """With a valid score."""
    n_seeds: int = 1
    per_seed: tuple[float, ...] = ()
    seed_sd: float | None = None
    """Standard deviation over training seeds, noise of prompts and images removed."""
    n_missing: int = 0
    """Planned scores that are not there, over all seeds, as the value counts them (prompts, images or questions)."""
    n_planned: int = 0
    bound_low: float | None = None
    """The value with every missing score at its worst; None where nothing is missing."""
    bound_high: float | None = None
    bounds_interval: tuple[float, float] | None = None
    """95 % interval of the value whatever the missing scores are (Imbens and Manski); single checkpoints."""
    distrust: str = ""
    """Why the plain interval should not be trusted."""
    reason: str = ""
    """Why there is no interval."""
    scale: tuple[float | None, float | None] = (0.0, 1.0)
    """Smallest and largest possible score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The exact test beside an interval; it speaks about these prompts."""

    test: str
    """`sign-flip` or `permutation`."""
    p: float
    smallest_p: float
    """The smallest that this number of seeds can give."""
    text: str
    """p as it is printed, or `cannot reach 0.05`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discordant:
    """McNemar's exact test of one binary verdict per prompt."""

    only_x: int
    only_y: int
    p: float
    p_mid: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Condition `x` less condition `y` in one table value."""

    benchmark: str
    metric: str
    x: str
    y: str
    est: float | None
    """Difference of the official numbers (means over training seeds)."""
    low: float | None = None
    """Pointwise 95 % limits."""
    high: float | None = None
    simultaneous_low: float | None = None
    """Limits that hold for the whole family at once (Bonferroni)."""
    simultaneous_high: float | None = None
    se: float | None = None
    df: float | None = None
    """None for the integrated t, which has none."""
    p: float | None = None
    p_adjusted: float | None = None
    correction: str = ""
    """`Holm over 5 tests`, `false discovery rate over 40 tests`; empty: none was made."""
    test: str = ""
    """`paired t`, `integrated t`, `Satterthwaite t`, `Welch t` or `t over seeds`."""
    level: str = ""
    """`these checkpoints`, `new seeds, new prompts` or `new seeds, these prompts`."""
    n_prompts: int = 0
    """With a valid score on both sides."""
    seeds_x: int = 1
    seeds_y: int = 1
    seeds_paired: bool = False
    value_x: float | None = None
    value_y: float | None = None
    per_seed_x: tuple[float, ...] = ()
    per_seed_y: tuple[float, ...] = ()
    seed_sd: float | None = None
    """Of one training seed's value, pooled over the arms that have several; of the seed-wise difference where seeds are
    paired. None without seeds."""
    seed_share: float | None = None
    """Share of the variance that comes from training seeds, in [0, 1]."""
    variances: dict[str, float] = field(default_factory=dict)
    """`prompts`, `seeds` and `cells` (contained in both of the others)."""
    effect: float | None = None
    """est / seed_sd."""
    mde: float | None = None
    """True difference found with 80 % power at p < 0.05; None without a standard error and without any variation."""
    mde_family: float | None = None
    """The same after the family's correction."""
    n_better: int = 0
    """Prompts on which x scores higher (where less is better: lower), on the mean over its seeds."""
    n_worse: int = 0
    n_equal: int = 0
    win_rate: float | None = None
    """Share of prompts on which x is better, equal ones counted half."""
    exact: Exact | None = None
    mcnemar: Discordant | None = None
    n_missing_x: int = 0
    n_missing_y: int = 0
    n_planned_x: int = 0
    n_planned_y: int = 0
    bound_low: float | None = None
    """Smallest difference that the missing scores leave possible; None where nothing is missing."""
    bound_high: float | None = None
    is_robust: bool | None = None
    """Whether the sign of the difference stands whatever the missing scores are."""
    distrust: str = ""
    few_differences: bool = False
    """Fewer than 20 prompts differ: the interval holds two pseudo-prompts."""
    no_variation: str = ""
    """Where all scores are alike, over what: the interval is a point and shows nothing about other ones."""
    borrowed: str = ""
    """Where the seed variance was taken from, if not from these arms."""
    reason: str = ""
    """Why a number is None."""
    verdict: str = ""
    """One sentence."""
    scale: tuple[float | None, float | None] = (0.0, 1.0)
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Tests that were planned together."""

    size: int
    correction: str
    """`Holm`."""
    simultaneous_level: float
    members: tuple[str, ...]
    """`benchmark metric: x against y`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Everything a report of several conditions says in numbers."""

    title: str
    conditions: tuple[dict[str, Any], ...]
    """Name, runs and training seeds of each."""
    reference: str | None
    identities: tuple[dict[str, Any], ...]
    """What each table's numbers rest on: benchmark, table, conditions and identity fields."""
    values: tuple[Value, ...]
    differences: tuple[Difference, ...] = ()
    """The planned family."""
    family: Family | None = None
    against_base: tuple[Difference, ...] = ()
    """Every condition against the model before training, a family of its own."""
    base_family: Family | None = None
    exploratory: tuple[Difference, ...] = ()
    """All other values: secondary headlines, tasks, categories."""
    refused: tuple[str, ...] = ()
    """Comparisons that were not made, and why."""
    notes: tuple[str, ...] = ()
