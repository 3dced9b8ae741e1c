"""Intervals, tests and decisions for benchmark headlines: pure functions on arrays.

Importing the package loads numpy only; scipy and statsmodels are imported by the functions that use them.

- `conditions`: training seeds as a random factor
- `error_distributions`: from a standard error to limits and p-values
- `exact`: sign-flip and permutation tests on few seeds
- `intervals`: one checkpoint
- `multiplicity`: Holm and Benjamini-Hochberg
- `paired`: two checkpoints on the same prompts
- `variance`: influence values of a headline and the variance over prompts
"""

from harness.stats.conditions import (
    ConditionDifference,
    SeedVariance,
    cell_variance,
    condition_difference,
    pooled_seed_variance,
)
from harness.stats.error_distributions import ErrorDistribution, IntegratedError, StudentError, two_sided_p
from harness.stats.exact import (
    ExactTest,
    SignFlipInterval,
    paired_seeds_needed,
    permutation_test,
    sign_flip,
    sign_flip_interval,
    smallest_permutation_p,
    smallest_sign_flip_p,
)
from harness.stats.intervals import ScoreInterval, interval_from_influence, score_interval
from harness.stats.multiplicity import benjamini_hochberg, holm, simultaneous_level
from harness.stats.paired import McNemar, PairedDifference, difference_from_influence, mcnemar, paired_difference
from harness.stats.variance import Influence, PromptVariance, influence_values, kish_size, prompt_variance

__all__ = [
    "ConditionDifference",
    "ErrorDistribution",
    "ExactTest",
    "Influence",
    "IntegratedError",
    "McNemar",
    "PairedDifference",
    "PromptVariance",
    "ScoreInterval",
    "SeedVariance",
    "SignFlipInterval",
    "StudentError",
    "benjamini_hochberg",
    "cell_variance",
    "condition_difference",
    "difference_from_influence",
    "holm",
    "influence_values",
    "interval_from_influence",
    "kish_size",
    "mcnemar",
    "paired_difference",
    "paired_seeds_needed",
    "permutation_test",
    "pooled_seed_variance",
    "prompt_variance",
    "score_interval",
    "sign_flip",
    "sign_flip_interval",
    "simultaneous_level",
    "smallest_permutation_p",
    "smallest_sign_flip_p",
    "two_sided_p",
]
