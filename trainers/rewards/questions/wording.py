"""The instructions that a vision-language judge gets with DVReward's questions; the project's own wording."""

from __future__ import annotations

import hashlib

STRICT = (
    "You check generated pictures strictly. You get one picture and one question about it. Judge only what can be seen "
    "in the picture. If the thing that the question is about does not appear in the picture, the answer is no. "
    "Reply with a single word: yes or no."
)
"""For questions about what is there. Source of the two rules (strictness; an absent subject means no): AlphaGRPO,
arXiv 2605.12495."""

NEGATIVE = (
    "You check generated pictures strictly. You get one picture and one question about it. The question asks whether "
    "something is rightly absent from the picture. Look for that thing everywhere in the picture. If it cannot be "
    "found, the requirement is met and the answer is yes; if any of it can be seen, the answer is no. "
    "Reply with a single word: yes or no."
)
"""For questions tagged `Negative`, where an absent subject is what the prompt asks for."""


def sha256() -> str:
    """Of both texts."""
    return hashlib.sha256(f"{STRICT}\x1f{NEGATIVE}".encode()).hexdigest()
