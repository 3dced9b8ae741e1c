"""Text chat with an OpenAI-compatible server: one system text, one user text, one written reply.

Address, key, tries and limits are those of server judges (`MODEL@URL,key_env=NAME,concurrency=N,...`).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ConfigError
from harness.judges.vlm.completion import BadReplyError, answer_text, chat_body, read_completion
from harness.judges.vlm.target import Target, parse_target
from harness.judges.vlm.transport import CallFailed, Transport

_SEED_MASK = 0x7FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A written reply and its cost."""

    text: str
    """Without thinking. Empty where `problem` says why it is unusable."""
    problem: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0


class TextChat:
    """A model on a server, asked in text. All coroutines belong to one event loop.

    Args:
        target: model, server and settings.

    Raises:
        ConfigError: the variable of the key is not set.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._transport = Transport(target, target.key())

    async def ask(
        self, system: str, user: str, *, max_tokens: int, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
    ) -> Reply:
        """One reply; transport faults are tried again within the settings' bounds.

        Raises:
            CallFailed: no reply within the allowed tries.
            JudgeError: the server cannot be used at all.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body = chat_body(
            self.target.model,
            messages,
            max_tokens=self.target.settings.max_tokens or max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed & _SEED_MASK,
            extra=self.target.preset.extra,
        )
        received = await self._transport.chat(body)
        try:
            completion = read_completion(received.data)
        except BadReplyError as error:
            raise CallFailed("bad_reply", str(error), received.attempts) from None
        price = self.target.preset.price
        usd = price.usd(completion.tokens_in, completion.tokens_out, completion.cached) if price else 0.0
        problem = ""
        if completion.refusal:
            problem = f"refused: {completion.refusal}"
        elif completion.finish_reason == "length":
            problem = f"the reply was cut after {body['max_tokens']} tokens (max_tokens)"
        return Reply(
            text="" if problem else answer_text(completion.text).strip(),
            problem=problem,
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
            cost_usd=usd,
        )

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._transport.aclose()


def parse_via(spec: str) -> Target:
    """The target that `--via openai:MODEL@URL,...` names.

    Raises:
        ConfigError: not of that form.
    """
    name, _, argument = spec.partition(":")
    if name != "openai" or not argument:
        raise ConfigError(f"--via {spec!r}: expected micro, or openai:MODEL@http://HOST:PORT/v1[,key_env=NAME,...].")
    return parse_target(argument)
