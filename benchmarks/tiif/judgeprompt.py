"""What the judge is asked about one image: one message with all of the image's questions.

The built-in wording is this project's own. It asks for the form that `replies` reads, and it is fixed, where the
official script draws one of three templates at random.
"""

from __future__ import annotations

from collections.abc import Sequence

PLACEHOLDER = "<<QUESTIONS>>"

SYSTEM = "You examine pictures and report faithfully what they show."

TEMPLATE = f"""
Inspect the attached picture thoroughly. Then decide each of these yes/no questions from what is visible in it:

{PLACEHOLDER}

Form of the reply:
- Write one line for each question, and keep the order in which they stand above.
- Begin the line with the plain word "yes" or "no" and add a short reason behind it on that same line.
- Use no numbering, bullets, quotation marks or bold type.
- Leave out introductions, summaries and anything else, so that there are exactly as many lines as questions.
"""


def render(template: str, placeholder: str, questions: Sequence[str]) -> str:
    """`template` with the trimmed questions, one a line and unnumbered, in place of `placeholder`."""
    return template.replace(placeholder, "\n".join(q.strip() for q in questions))
