"""Figures: forest plots, learning curves, bars per category, reliability diagrams, reward against held-out score.

Every function takes plain data, writes an SVG and a PNG and returns their paths. Colours suit colour-blind readers and
are never the only difference; a missing value is left out and named, never drawn as zero. matplotlib is imported on use.
"""

from reports.plots.forest import ForestRow, forest
from reports.plots.learning import learning_curves

__all__ = ["ForestRow", "forest", "learning_curves"]
