"""The grammar: structured prompts (specs), their wordings, layouts, corruptions and questions.

`sample_spec` draws what to ask for, `wording` says it, `sample_layout` draws a scene that shows it, `corrupt`
breaks one fact of it, `questions` asks for it.
"""

from harness.world.grammar.facts import Fact, fact_of, holds, question_text
from harness.world.grammar.indirect import CATEGORIES, HINTS, Hint
from harness.world.grammar.layout import CORRUPTIONS, corrupt, sample_layout, satisfies
from harness.world.grammar.questions import Node, facts_of, question_graph, questions
from harness.world.grammar.sample import FEATURES, KINDS, sample_spec
from harness.world.grammar.spec import (
    HELD_OUT,
    Description,
    Group,
    Link,
    Spec,
    Split,
    Variety,
    canonical,
    split_of,
)
from harness.world.grammar.wording import STYLES, Style, hint_categories, wording

__all__ = [
    "CATEGORIES",
    "CORRUPTIONS",
    "FEATURES",
    "HELD_OUT",
    "HINTS",
    "KINDS",
    "STYLES",
    "Description",
    "Fact",
    "Group",
    "Hint",
    "Link",
    "Node",
    "Spec",
    "Split",
    "Style",
    "Variety",
    "canonical",
    "corrupt",
    "fact_of",
    "facts_of",
    "hint_categories",
    "holds",
    "question_graph",
    "question_text",
    "questions",
    "sample_layout",
    "sample_spec",
    "satisfies",
    "split_of",
    "wording",
]
