"""Figures: forest plots, learning curves, bars per category, reliability diagrams, reward against held-out score.

Every function takes plain data, writes an SVG and a PNG and returns their paths. Colours suit colour-blind readers and
are never the only difference; a missing value is left out and named, never drawn as zero. matplotlib loads on use.
"""

from reports.plots.categories import category_bars
from reports.plots.forest import ForestRow, forest
from reports.plots.hacking import RewardPoint, reward_against_held_out, training_points
from reports.plots.learning import learning_curves
from reports.plots.reliability import reliability_diagram

__all__ = [
    "ForestRow",
    "RewardPoint",
    "category_bars",
    "forest",
    "learning_curves",
    "reliability_diagram",
    "reward_against_held_out",
    "training_points",
]
