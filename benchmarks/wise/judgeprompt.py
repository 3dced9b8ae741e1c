"""What the judge is asked, in this project's own words: one fixed template per variant.

They ask for the reply forms that `replies` reads. Numbers made with them are not the published ones; records and tables
say `judge_prompt: builtin`.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.wise.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePrompt:
    """System message, and the user text in pieces around the two fields."""

    system: str
    user: tuple[str, ...]
    """Literal text, with `PROMPT` and `EXPLANATION` where the record's fields stand."""

    def render(self, prompt: str, explanation: str) -> str:
        """The user text for one record: plain concatenation, so that braces and backslashes stay what they are."""
        fields = {PROMPT: prompt, EXPLANATION: explanation}
        return "".join(fields.get(piece, piece) for piece in self.user)


PROMPT, EXPLANATION = "@@PROMPT@@", "@@EXPLANATION@@"
"""Field markers; a piece equal to one of them is a field."""

_SYSTEM = "You compare pictures with what was asked for, and you report what is visible, nothing else."

_VERIFIED = (
    """The picture was made from an instruction that hints at something without naming it. Someone who knows the world \
can tell what has to be in the picture; the note below says what that is.

Decide whether the picture gets it right:
- Everything that the instruction and the note call for is there and can be recognised.
- Properties, numbers, states and arrangements agree with the note.
- Nothing in the picture contradicts the note.

Only the content counts. A plain, rough or unusual style is no fault as long as the content can be told. If an \
essential part is absent, wrong or too unclear to tell, the answer is 0; so it is when you cannot make up your mind.

Instruction: \"""",
    PROMPT,
    """"
Note: \"""",
    EXPLANATION,
    """"

Reply with a single line: `Score: 1` if the picture gets it right, `Score: 0` if it does not.""",
)

_LEGACY = (
    """Rate the picture on three scales, each with the whole numbers 0, 1 and 2. It was made from an instruction that \
hints at something without naming it; the note below says what has to be visible.

- Consistency: 2 if everything that the instruction and the note call for is shown correctly; 1 if the main content is \
there but a part is missing or wrong; 0 if the main content is missing or contradicted.
- Realism: 2 if materials, light, shapes and space look as they would in the real world; 1 if they look right apart \
from small faults; 0 if they are plainly impossible or broken.
- Aesthetic Quality: 2 if composition, colours and execution are outstanding; 1 if they are pleasant but ordinary; \
0 if they are poor.

Be sparing with 2, and take the lower number when you waver.

Instruction: \"""",
    PROMPT,
    """"
Note: \"""",
    EXPLANATION,
    """"

Reply with exactly three lines and nothing else, N being your number:
Consistency: N
Realism: N
Aesthetic Quality: N""",
)

BUILTIN: dict[Variant, JudgePrompt] = {
    "verified": JudgePrompt(system=_SYSTEM, user=_VERIFIED),
    "legacy": JudgePrompt(system=_SYSTEM, user=_LEGACY),
}
"""The built-in wording by variant."""

QUESTIONS: dict[str, str] = {
    "score": "Does the picture show what the instruction implies?",
    "consistency": "How well does the picture agree with the instruction and the note?",
    "realism": "How real does the picture look?",
    "aesthetic_quality": "How well is the picture made?",
}
"""What each scale asks, for records and for judges that need no wording."""
