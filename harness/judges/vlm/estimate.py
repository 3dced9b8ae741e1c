"""What requests to a vision-language judge will take: calls, tokens, money and hours, counted without asking it.

Image tokens follow from size and the model's patch rule. Text tokens are counted with the model's tokenizer where one
is given (`tokenizer=FOLDER`), else estimated from characters. Self-test, repeated tries and cache discounts are left
out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import ConfigError
from harness.judges.base import JudgeRequest
from harness.judges.vlm.messages import Chat, question_chat, text_chat
from harness.judges.vlm.target import Target

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Planned amount of work."""

    n_calls: int = 0
    """Requests to the server."""
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(
            n_calls=self.n_calls + other.n_calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
        )


class Planner:
    """Plans requests to one target.

    Args:
        target: model and settings; its server is not asked.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def text_rule(self) -> str:
        """How text tokens are counted, in words."""
        if self._target.settings.tokenizer:
            return "counted with the given tokenizer"
        return f"estimated at {self._target.preset.assumed.characters_per_token:g} characters a token"

    def use(self, request: JudgeRequest, sizes: Sequence[Size]) -> Use:
        """Work of one request whose images have these sizes."""
        preset = self._target.preset
        rule = self._target.form_rule
        protocol = preset.protocol(request.form, request.temperature, rule)
        pictures = sum(preset.image_tokens.count(*size) for size in sizes)
        if request.kind == "yesno":
            chats = [question_chat(request, q, protocol.order) for q in request.questions]
            return Use(
                n_calls=len(chats), tokens_in=sum(pictures + self._turn(c) for c in chats), tokens_out=len(chats)
            )
        if request.kind != "text":
            return Use()
        expected = preset.assumed.reply_tokens + preset.assumed.reply_tokens_per_question * len(request.questions)
        return Use(
            n_calls=1,
            tokens_in=pictures + self._turn(text_chat(request, protocol.order)),
            tokens_out=min(expected, protocol.max_tokens),
        )

    def total(self, requests: Iterable[tuple[JudgeRequest, Sequence[Size]]]) -> Use:
        """Work of many requests."""
        return sum((self.use(r, sizes) for r, sizes in requests), Use())

    def usd(self, use: Use) -> float | None:
        """The price without cache discounts; None for a model without a price."""
        price = self._target.preset.price
        return None if price is None else price.usd(use.tokens_in, use.tokens_out)

    def hours(self, use: Use) -> float | None:
        """Time at the given or assumed rate; None where neither is known."""
        target = self._target
        seconds = target.preset.assumed.seconds_per_call
        if target.settings.calls_per_s:
            return use.n_calls / target.settings.calls_per_s / 3600
        return None if seconds is None else use.n_calls * seconds / target.concurrency / 3600

    def _turn(self, chat: Chat) -> int:
        # Without a system text the turn's own marks are fewer by a handful, which does not matter here.
        return self._target.preset.assumed.turn_tokens + self._count(chat.system) + self._count(chat.text)

    @cached_property
    def _count(self) -> Callable[[str], int]:
        """Text -> tokens."""
        if not self._target.settings.tokenizer:
            rate = self._target.preset.assumed.characters_per_token
            return lambda text: math.ceil(len(text) / rate)
        from tokenizers import Tokenizer

        path = Path(self._target.settings.tokenizer).expanduser()
        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise ConfigError(f"tokenizer {file}: cannot be read ({error}).") from None
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
