"""What a comparison of runs shows, and what it does not: intervals, tests, families, smallest detectable effects.

- `stack`: values of several runs as arrays on the same prompts
- `values`: one condition's value with its interval
- `compare`: two conditions in one value; `describe`: what a table says of it
- `family`: Holm over what was planned, false discovery rate over what is only looked at
- `analysis`: all of it for a report's conditions
- `planning`: seeds or prompts that the next experiment needs
- `arrangements`: exact tests on few seeds
- `wording`: sentences
- `results`: the records
"""

from reports.significance.analysis import PRIMARY, analyse, primary_metric
from reports.significance.compare import Comparison, compare_value
from reports.significance.describe import describe
from reports.significance.family import Test, compare_conditions, explored, planned
from reports.significance.planning import Needed, what_would_show
from reports.significance.results import Analysis, Difference, Discordant, Exact, Family, Value
from reports.significance.stack import Stack, stack

__all__ = [
    "PRIMARY",
    "Analysis",
    "Comparison",
    "Difference",
    "Discordant",
    "Exact",
    "Family",
    "Needed",
    "Stack",
    "Test",
    "Value",
    "analyse",
    "compare_conditions",
    "compare_value",
    "describe",
    "explored",
    "planned",
    "primary_metric",
    "stack",
    "what_would_show",
]
