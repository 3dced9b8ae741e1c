"""What the judge is asked about one pair of images: two calls, semantic consistency (SC) and perceptual quality (PQ).

The built-in wording is this project's own. It asks for the form that `parsing` reads and keeps the structure of
upstream's zero-shot prompts: role, form of the answer, which images there are, two scales of 0 to 10, and for SC the
instruction. It is English for both languages. Its texts are in `harness.viescore.wording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.prompttemplates import text_sha256
from harness.viescore.wording import INSTRUCTION, PQ_TEMPLATE, SC_TEMPLATE

PLACEHOLDER = INSTRUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePrompt:
    """The texts of the two calls."""

    name: Literal["builtin", "official"]
    sc: str
    """Holds `PLACEHOLDER` once."""
    pq: str

    def text(self, question: str, instruction: str) -> str:
        """The message of the call `sc` or `pq`, by plain replacement (the texts hold braces)."""
        return self.sc.replace(PLACEHOLDER, instruction) if question == "sc" else self.pq

    def label(self, question: str) -> str:
        """Whose wording it is and its hash before filling in, for the records: `judge_prompt:builtin@0123456789ab`."""
        return f"judge_prompt:{self.name}@{text_sha256(self.sc if question == 'sc' else self.pq)[:12]}"


BUILTIN = JudgePrompt(name="builtin", sc=SC_TEMPLATE, pq=PQ_TEMPLATE)
