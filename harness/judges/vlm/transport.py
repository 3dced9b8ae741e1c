"""Requests to an OpenAI-compatible server: bounded tries, back-off with full jitter, honest failures.

Only transport faults are tried again: 408, 409, 429, 5xx, dropped connections, time-outs, and bodies that are not whole
JSON. A request that the server understood and refused is not. Wrong credentials or a wrong model stop everything.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import JudgeError
from harness.judges.vlm.limiter import Limiter
from harness.judges.vlm.target import Target

if TYPE_CHECKING:
    import openai

CHAT = "/chat/completions"

LONGEST_BACKOFF_S = 30.0
LONGEST_RETRY_AFTER_S = 120.0
"""A server that asks for a longer pause is given up on for this request."""

MOST_UNREACHABLE = 20
"""Requests in a row that end without any connection before the judge counts as unreachable."""

_TRANSIENT = frozenset({408, 409, 425, 429})
_OVERLOADED = frozenset({429, 503})
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded reply."""

    data: Any
    attempts: int
    seconds: float
    """Of the last try."""


class CallFailed(Exception):  # noqa: N818 (an answer's state, not a failure of the program)
    """One request has no reply.

    Args:
        cause: `timeout`, `connection`, `http_429`, `truncated`, ...: one word to count by.
        message: what happened, without secrets.
        attempts: tries made.
        is_refusal: the server's content filter said no.
    """

    def __init__(self, cause: str, message: str, attempts: int, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.cause, self.message, self.attempts, self.is_refusal = cause, message, attempts, is_refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    cause: str
    message: str
    again: bool = True
    overloaded: bool = False
    unreachable: bool = False
    refusal: bool = False
    retry_after_s: float | None = None


class Transport:
    """Sends requests to one server. All coroutines belong to one event loop.

    Args:
        target: server, model and limits.
        key: sent as bearer token; None for a server without keys.
    """

    def __init__(self, target: Target, key: str | None) -> None:
        self._target = target
        self._key = key
        self._client: openai.AsyncOpenAI | None = None
        self._jitter = random.Random()
        self._n_unreachable = 0
        self.limiter = Limiter(target.concurrency)
        self.n_tries = 0
        self.faults: dict[str, int] = {}
        """Faulty tries by cause, those that a later try made good included."""

    async def chat(self, body: dict[str, Any], priority: int = 0) -> Received:
        """One chat completion.

        Raises:
            CallFailed: no usable reply within the allowed tries.
            JudgeError: the server cannot be used at all.
        """
        return await self.post(CHAT, body, priority)

    async def get(self, path: str) -> Any:
        """The decoded reply to a GET; raises as `chat`."""
        return (await self.post(path, None)).data

    async def post(self, path: str, body: dict[str, Any] | None, priority: int = 0) -> Received:
        """The decoded reply to a POST (GET without a body) below the base address, or to an absolute address.

        Raises: as `chat`.
        """
        most = self._target.settings.attempts
        for attempt in range(1, most + 1):
            ticket = await self.limiter.acquire(priority)
            started = time.perf_counter()
            try:
                outcome = await self._try(path, body)
            finally:
                self.limiter.release()
            if not isinstance(outcome, _Fault):
                self.limiter.succeeded()
                self._n_unreachable = 0
                return Received(outcome[0], attempt, time.perf_counter() - started)
            self.faults[outcome.cause] = self.faults.get(outcome.cause, 0) + 1
            if outcome.overloaded:
                self.limiter.overloaded(ticket)
            wait_s = self._wait_s(outcome, attempt)
            if not outcome.again or attempt == most or wait_s is None:
                raise self._given_up(outcome, attempt)
            await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    def _given_up(self, fault: _Fault, attempts: int) -> CallFailed:
        self._n_unreachable = self._n_unreachable + 1 if fault.unreachable else 0
        if self._n_unreachable >= MOST_UNREACHABLE:
            raise JudgeError(
                f"Judge at {self._target.base_url} cannot be reached: {self._n_unreachable} requests in a row, the "
                f"last with {attempts} tries: {fault.message}. Is the server running? Everything finished is stored; "
                "repeat the command."
            )
        return CallFailed(fault.cause, fault.message, attempts, is_refusal=fault.refusal)

    def _wait_s(self, fault: _Fault, attempt: int) -> float | None:
        """Seconds before the next try; None where the server asks for more patience than there is."""
        ceiling = min(LONGEST_BACKOFF_S, self._target.settings.backoff_s * 2 ** (attempt - 1))
        wait_s = self._jitter.uniform(0.0, ceiling)
        if fault.retry_after_s is None:
            return wait_s
        if fault.retry_after_s > LONGEST_RETRY_AFTER_S:
            return None
        self.limiter.pause(fault.retry_after_s)
        return fault.retry_after_s + wait_s

    async def _try(self, path: str, body: dict[str, Any] | None) -> tuple[Any] | _Fault:
        import openai

        self.n_tries += 1
        limit_s = self._target.timeout_s
        try:
            # The library's own limit is per read; a server that trickles bytes would never reach it.
            async with asyncio.timeout(limit_s):
                client = self._connected()
                sent = client.get(path, cast_to=str) if body is None else client.post(path, body=body, cast_to=str)
                text = await sent
            return (json.loads(text),)
        except (TimeoutError, openai.APITimeoutError):
            return _Fault(cause="timeout", message=f"no answer within {limit_s:g} s")
        except openai.APIStatusError as error:
            return await self._status_fault(error, path)
        except openai.APIConnectionError as error:
            return self._connection_fault(error)
        except ValueError as error:  # JSON, or bytes that are no text
            return _Fault(cause="truncated", message=f"the reply is not whole JSON ({self._clean(error)})")
        except openai.OpenAIError as error:
            return _Fault(cause="connection", message=self._clean(error))

    def _connection_fault(self, error: Exception) -> _Fault:
        why = error.__cause__ or error
        name = type(why).__name__
        return _Fault(
            cause="connection",
            message=f"the connection failed ({name}: {self._clean(why)})",
            unreachable=name in ("ConnectError", "ConnectTimeout"),
        )

    async def _status_fault(self, error: openai.APIStatusError, path: str) -> _Fault:
        status, said = error.status_code, self._said(error)
        where = f"Judge at {self._target.base_url}"
        if status in (401, 403) and path == CHAT:
            raise JudgeError(
                f"{where} answered {status}: {said}. Name the environment variable that holds a valid key with "
                "key_env=NAME."
            )
        if status == 404 and path == CHAT:
            raise JudgeError(
                f"{where} answered 404 for model {self._target.model!r}: {said}. {await self._known_models()}"
            )
        if status == 429 and _code(error) == "insufficient_quota":
            raise JudgeError(f"{where} answered 429: {said}. The account has no credit left; waiting does not help.")
        message = f"the server answered {status}: {said}"
        if status in _TRANSIENT or status >= 500:
            return _Fault(
                cause=f"http_{status}",
                message=message,
                overloaded=status in _OVERLOADED,
                retry_after_s=_retry_after(error),
            )
        is_filter = _code(error) in ("content_filter", "content_policy_violation")
        return _Fault(cause=f"http_{status}", message=message, again=False, refusal=is_filter)

    async def _known_models(self) -> str:
        """A sentence about the models that the server offers, as far as it says."""
        try:
            listed = await self.get("/models")
            names = sorted(str(m["id"]) for m in listed["data"])
        except (CallFailed, KeyError, TypeError):
            return "Is the address right (it usually ends in /v1)?"
        return f"It serves: {', '.join(names[:10])}." if names else "It serves no model."

    def server_path(self, path: str) -> str:
        """The address of a path beside the API's own, e.g. `/tokenize` of vLLM."""
        base = self._target.base_url
        return (base[: -len("/v1")] if base.endswith("/v1") else base) + path

    def _connected(self) -> openai.AsyncOpenAI:
        if self._client is None:
            import openai

            host = urlsplit(self._target.base_url).hostname
            own_account = urlsplit(self._target.base_url).hostname == "api.openai.com"
            # Without these the library would send the account of OPENAI_ORG_ID to whatever server this is.
            absent: Any = {} if own_account else {h: openai.Omit() for h in ("OpenAI-Organization", "OpenAI-Project")}
            self._client = openai.AsyncOpenAI(
                # Never None: the library would fall back to OPENAI_API_KEY and send it to whatever server this is.
                api_key=self._key or "none",
                base_url=self._target.base_url,
                max_retries=0,
                timeout=self._target.timeout_s,
                default_headers=absent,
                http_client=openai.DefaultAsyncHttpxClient(trust_env=host not in _LOOPBACK),
            )
        return self._client

    def _said(self, error: openai.APIStatusError) -> str:
        body = error.body
        if isinstance(body, dict):
            inner = body.get("error", body)
            message = inner.get("message") if isinstance(inner, dict) else inner
            if message:
                return self._clean(message)
        return self._clean(error.message)

    def _clean(self, message: object) -> str:
        """A message in one line, short, and without the key."""
        text = " ".join(str(message).split())
        if self._key:
            text = text.replace(self._key, "***")
        return text if len(text) <= 300 else f"{text[:297]}..."

    async def aclose(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _code(error: openai.APIStatusError) -> str:
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    return str(inner.get("code") or "") if isinstance(inner, dict) else ""


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait; a date or nonsense counts as nothing."""
    headers = error.response.headers
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None
