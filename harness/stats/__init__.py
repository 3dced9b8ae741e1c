"""Intervals, tests and decisions for benchmark headlines: pure functions on arrays.

Importing the package loads numpy only; scipy and statsmodels are imported by the functions that use them.

- `agreement`: Krippendorff's alpha, Spearman, Cohen's kappa
- `bootstrap`: bootstrap by weights, for pictures
- `calibration`: calibration error of a judge's confidence
- `conditions`: training seeds as a random factor
- `error_distributions`: from a standard error to limits and p-values
- `exact`: sign-flip and permutation tests on few seeds
- `gate`: regression, equivalence or inconclusive
- `influence`: influence values of other statistics
- `intervals`: one checkpoint
- `judge_noise`: what repeated judge calls say
- `missing`: bounds and intervals under missing scores
- `multiplicity`: Holm and Benjamini-Hochberg
- `paired`: two checkpoints on the same prompts
- `power`: smallest detectable effect, planning
- `ppi`: few human labels and many judge labels
- `variance`: influence values of a headline and the variance over prompts
"""

from harness.stats.agreement import Agreement, Kappa, cohens_kappa, krippendorff_alpha, rating_table, spearman
from harness.stats.bootstrap import bootstrap_headlines, bootstrap_weights
from harness.stats.calibration import Calibration, CalibrationBin, calibration_error
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
from harness.stats.gate import (
    GateDecision,
    GateFamily,
    ImagesNeeded,
    gate_decision,
    gate_family,
    generation_variance,
    images_needed,
    prompts_needed,
)
from harness.stats.influence import jackknife_influence, overlapping_influence
from harness.stats.intervals import ScoreInterval, interval_from_influence, score_interval
from harness.stats.judge_noise import JudgeNoise, best_repeats, estimate_judge_noise
from harness.stats.missing import (
    DifferenceBounds,
    ScoreBounds,
    difference_bounds,
    distrust_reason,
    equal_rates_p,
    imbens_manski,
    score_bounds,
)
from harness.stats.multiplicity import benjamini_hochberg, holm, simultaneous_level
from harness.stats.paired import McNemar, PairedDifference, difference_from_influence, mcnemar, paired_difference
from harness.stats.power import (
    Plan,
    Spread,
    difference_mde,
    pilot_spread,
    plan_design,
    prompts_for_effect,
    seeds_needed,
    smallest_detectable_effect,
)
from harness.stats.ppi import PredictionPowered, prediction_powered
from harness.stats.variance import Influence, PromptVariance, influence_values, kish_size, prompt_variance

__all__ = [
    "Agreement",
    "Calibration",
    "CalibrationBin",
    "ConditionDifference",
    "DifferenceBounds",
    "ErrorDistribution",
    "ExactTest",
    "GateDecision",
    "GateFamily",
    "ImagesNeeded",
    "Influence",
    "IntegratedError",
    "JudgeNoise",
    "Kappa",
    "McNemar",
    "PairedDifference",
    "Plan",
    "PredictionPowered",
    "PromptVariance",
    "ScoreBounds",
    "ScoreInterval",
    "SeedVariance",
    "SignFlipInterval",
    "Spread",
    "StudentError",
    "benjamini_hochberg",
    "best_repeats",
    "bootstrap_headlines",
    "bootstrap_weights",
    "calibration_error",
    "cell_variance",
    "cohens_kappa",
    "condition_difference",
    "difference_bounds",
    "difference_from_influence",
    "difference_mde",
    "distrust_reason",
    "equal_rates_p",
    "estimate_judge_noise",
    "gate_decision",
    "gate_family",
    "generation_variance",
    "holm",
    "images_needed",
    "imbens_manski",
    "influence_values",
    "interval_from_influence",
    "jackknife_influence",
    "kish_size",
    "krippendorff_alpha",
    "mcnemar",
    "overlapping_influence",
    "paired_difference",
    "paired_seeds_needed",
    "permutation_test",
    "pilot_spread",
    "plan_design",
    "pooled_seed_variance",
    "prediction_powered",
    "prompt_variance",
    "prompts_for_effect",
    "prompts_needed",
    "rating_table",
    "score_bounds",
    "score_interval",
    "seeds_needed",
    "sign_flip",
    "sign_flip_interval",
    "simultaneous_level",
    "smallest_detectable_effect",
    "smallest_permutation_p",
    "smallest_sign_flip_p",
    "spearman",
    "two_sided_p",
]
