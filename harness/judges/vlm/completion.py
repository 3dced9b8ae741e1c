"""Chat completions as plain data: the body of a request, and a checked reading of a reply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.judges.vlm.yesno import YesNo, YesNoTokens, p_yes_exact, p_yes_official_code, p_yes_top_k

_ID_PREFIX = "token_id:"

LOWEST = -9999.0
"""What servers write for minus infinity."""


class BadReplyError(ValueError):
    """A reply is not a usable chat completion; the message says how."""


@dataclass(frozen=True, slots=True)
class Token:
    """One candidate token: its text, or its id where the server was asked for ids."""

    text: str
    logprob: float
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One generated token with the candidates that the server shows for its place."""

    token: Token
    top: tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The parts of a chat completion that a judge needs."""

    text: str
    finish_reason: str
    steps: tuple[Step, ...]
    reasoning: str
    """Text that the server split off as thinking."""
    refusal: str
    """Why the model or a filter refused; empty where it did not."""
    tokens_in: int
    tokens_out: int
    cached: int
    """Prompt tokens served from the server's prefix cache, as far as it tells."""


def read_completion(data: Any) -> Completion:
    """The first choice of a decoded reply.

    Raises:
        BadReplyError: it is not shaped like a chat completion.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        usage = data.get("usage") or {}
        finish = str(choice.get("finish_reason") or "")
        refusal = str(message.get("refusal") or "")
        if finish == "content_filter":
            refusal = refusal or "stopped by the server's content filter"
        return Completion(
            text=_text_of(message.get("content")),
            finish_reason=finish,
            steps=tuple(_step(s) for s in ((choice.get("logprobs") or {}).get("content") or ())),
            reasoning=str(message.get("reasoning_content") or message.get("reasoning") or ""),
            refusal=refusal,
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
            cached=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BadReplyError(f"the reply is not a chat completion ({type(error).__name__}: {error})") from None


def _text_of(content: Any) -> str:
    if content is None:
        return ""
    if not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}")
    return content


def _step(data: Any) -> Step:
    return Step(_token(data), tuple(_token(t) for t in data.get("top_logprobs") or ()))


def _token(data: Any) -> Token:
    name, logprob = str(data["token"]), float(data["logprob"])
    if not logprob <= 1e-3:
        raise ValueError(f"{logprob} is not a log-probability")
    logprob = -math.inf if logprob <= LOWEST else min(0.0, logprob)
    raw = data.get("bytes")
    text = bytes(raw).decode("utf-8", errors="replace") if raw else name
    if name.startswith(_ID_PREFIX):
        return Token(text if raw else "", logprob, int(name.removeprefix(_ID_PREFIX)))
    return Token(text, logprob)


def yes_no_by_ids(completion: Completion, tokens: YesNoTokens) -> YesNo:
    """The exact value from log-probabilities asked for by token id.

    Raises:
        BadReplyError: some of them are not there.
    """
    step = _first(completion)
    known = {t.token_id: t.logprob for t in (*step.top, step.token) if t.token_id is not None}
    asked = (*tokens.yes, *tokens.no)
    absent = [i for i in asked if i not in known]
    if absent:
        raise BadReplyError(f"the server sent {len(asked) - len(absent)} of {len(asked)} log-probabilities asked for")
    try:
        return p_yes_exact([known[i] for i in tokens.yes], [known[i] for i in tokens.no])
    except ValueError as error:
        raise BadReplyError(str(error)) from None


def top_of(completion: Completion) -> list[tuple[str, float]]:
    """(text, log-probability) of the distinct candidates of the first token, most probable first.

    Raises:
        BadReplyError: the reply has none.
    """
    step = _first(completion)
    # The sampled token comes extra where it is not among the k; equal texts are different tokens.
    extra = () if any(t == step.token for t in step.top) else (step.token,)
    return sorted(((t.text, t.logprob) for t in (*step.top, *extra)), key=lambda pair: -pair[1])


def yes_no_by_top(completion: Completion, k: int, *, official_code: bool = False) -> YesNo:
    """The value from the most probable tokens, with its bound.

    Raises:
        BadReplyError: fewer candidates than asked for: the bound would then hide what the server left out.
    """
    top = top_of(completion)
    if len(top) < k:
        raise BadReplyError(f"the server sent {len(top)} of {k} log-probabilities asked for")
    return p_yes_official_code(top, completion.text) if official_code else p_yes_top_k(top, completion.text)


def _first(completion: Completion) -> Step:
    if not completion.steps:
        raise BadReplyError("the reply has no log-probabilities")
    return completion.steps[0]


def chat_body(
    model: str,
    messages: Sequence[dict[str, Any]],
    *,
    max_tokens: int,
    temperature: float,
    top_p: float = 1.0,
    seed: int | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A request without log-probabilities."""
    body: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        **(extra or {}),
    }
    return body if seed is None else {**body, "seed": seed}


def by_ids(tokens: YesNoTokens) -> dict[str, Any]:
    """Fields that ask vLLM for the log-probabilities of just these tokens, however improbable."""
    return {
        "logprobs": True,
        "logprob_token_ids": [*tokens.yes, *tokens.no],
        "return_tokens_as_token_ids": True,
    }


def by_top(k: int) -> dict[str, Any]:
    """Fields that ask for the k most probable tokens."""
    return {"logprobs": True, "top_logprobs": k}


def answer_text(text: str) -> str:
    """A written reply without the thinking that some servers leave in it."""
    return text.rpartition("</think>")[2] if "</think>" in text else text
