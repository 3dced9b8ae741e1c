"""The language model inside a policy: what text log-probabilities and free text need, beyond images.

Optional: a policy offers it by a method `text_side()`, or an entry in `TEXT_SIDES` under the policy's name makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import PolicyError
from harness.models.base import Policy
from harness.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPair:
    """A text to be scored after another, as token ids."""

    context: tuple[int, ...]
    """What is given, with the start tokens that the model needs; never empty."""
    continuation: tuple[int, ...]
    """What is scored, possibly empty."""
    n_dropped: int = 0
    """Tokens at the context's left that did not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """Log-probabilities of one continuation."""

    log_probs: tuple[float, ...]
    """Nats, one per token; -inf for a token that the model cannot write."""
    is_greedy: bool
    """Whether each token is the most probable one at its place; True for an empty continuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Text that the model wrote."""

    text: str
    n_dropped: int = 0
    """Tokens at the context's left that did not fit."""


class TextSide(Protocol):
    """A policy's text, without images. Results never depend on which samples share a call (but for rounding)."""

    @property
    def max_tokens(self) -> int:
        """Most tokens of one continuation."""

    def encode(self, context: str, continuation: str) -> TextPair:
        """Both texts as ids; the context is cut at its left where it is too long, and may be empty.

        Raises:
            PolicyError: the continuation alone is too long.
        """

    def windows(self, text: str) -> list[TextPair]:
        """`text` of any length as pairs that together score each token once, each with all the context that fits."""

    def log_probs(self, pairs: Sequence[TextPair]) -> list[TokenScores]:
        """Scores of the pairs, in order."""

    def write(
        self, contexts: Sequence[str], *, max_tokens: int, temperature: float, top_p: float, seeds: Sequence[int]
    ) -> list[Written]:
        """Text after each context until its end token or `max_tokens`; temperature 0 takes the most probable tokens.

        Raises:
            PolicyError: more tokens than a continuation can have.
        """


TEXT_SIDES: Registry[Callable[[Policy], TextSide]] = Registry("text side")
"""Callables that make the text side of a policy, by the policy's name."""
TEXT_SIDES.add_lazy("micro", "harness.models.micro.textside:MicroTextSide")


def text_side(policy: Policy) -> TextSide:
    """The policy's text side.

    Raises:
        PolicyError: the policy has none.
    """
    own: Callable[[], TextSide] | None = getattr(policy, "text_side", None)
    if own is not None:
        return own()
    if policy.name not in TEXT_SIDES.names():
        known = ", ".join(TEXT_SIDES.names())
        raise PolicyError(
            f"Model {policy.name!r} offers no log-probabilities of text, so its language cannot be measured. Models "
            f"that do: {known}, and those with a method `text_side` (see harness/models/textside.py)."
        )
    return TEXT_SIDES.get(policy.name)(policy)
