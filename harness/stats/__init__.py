"""Intervals, tests and decisions for benchmark headlines: pure functions on arrays.

Importing the package loads numpy only; scipy and statsmodels are imported by the functions that use them.

- `variance`: influence values of a headline and the variance over prompts
- `intervals`: one checkpoint; `paired`: two checkpoints on the same prompts
"""

from harness.stats.intervals import ScoreInterval, interval_from_influence, score_interval
from harness.stats.paired import McNemar, PairedDifference, difference_from_influence, mcnemar, paired_difference
from harness.stats.variance import Influence, PromptVariance, influence_values, kish_size, prompt_variance

__all__ = [
    "Influence",
    "McNemar",
    "PairedDifference",
    "PromptVariance",
    "ScoreInterval",
    "difference_from_influence",
    "influence_values",
    "interval_from_influence",
    "kish_size",
    "mcnemar",
    "paired_difference",
    "prompt_variance",
    "score_interval",
]
