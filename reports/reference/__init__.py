"""Published values as data: what was printed, by whom, under which protocol, judge, size and prompts.

One YAML file per table, checked when it is read: a value without a known source, row or column, or an unknown key, is
an error with file and field. Contradictions between sources are data too (`inconsistencies.yaml`) and hang on the
values that they concern.
"""

from reports.reference.data import Claim, Column, Inconsistency, PaperRow, Published, Reference, Source
from reports.reference.loading import NAMES, inconsistencies, load_reference, reference, sources

__all__ = [
    "NAMES",
    "Claim",
    "Column",
    "Inconsistency",
    "PaperRow",
    "Published",
    "Reference",
    "Source",
    "inconsistencies",
    "load_reference",
    "reference",
    "sources",
]
