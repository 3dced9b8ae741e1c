"""Scores that people would give, from few labels of theirs and the judge's scores of everything else."""

from reports.human.scores import HumanScore, human_scores, human_table
from reports.human.sheet import Labels, draw_prompts, read_sheet, write_sheet

__all__ = [
    "HumanScore",
    "Labels",
    "draw_prompts",
    "human_scores",
    "human_table",
    "read_sheet",
    "write_sheet",
]
