"""Any OpenAI-compatible server as a judge: vLLM, SGLang, hosted models.

`openai:MODEL@http://HOST:PORT/v1,concurrency=64,key_env=NAME,...`; the settings are the fields of
`harness.judges.vlm.target.ServerSettings`. Yes/no questions are single requests, grouped by image: the first question
about an image goes ahead, the others follow and find image and instruction in the server's prefix cache. P(yes) is
exact where the server gives log-probabilities by token id (vLLM), else it comes with a bound. The judge tests itself
before its first question (`harness.judges.vlm.selftest`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from harness.config import to_plain
from harness.errors import DataError, JudgeError
from harness.images import ImageRef
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, Kind, Unparsed, failed
from harness.judges.vlm import completion as completions
from harness.judges.vlm import selftest
from harness.judges.vlm.completion import BadReplyError, Completion, read_completion
from harness.judges.vlm.estimate import Planner
from harness.judges.vlm.loop import LoopThread
from harness.judges.vlm.messages import Chat, openai_messages, question_chat, text_chat, yes_no_hash
from harness.judges.vlm.presets import Protocol
from harness.judges.vlm.servertokens import server_tokens
from harness.judges.vlm.target import Target, parse_target
from harness.judges.vlm.transport import CallFailed, Received, Transport
from harness.judges.vlm.yesno import LOW_MASS, YesNo, YesNoTokens
from harness.registry import JUDGES
from harness.types import Question

R = TypeVar("R")

_LOG = logging.getLogger(__name__)

OFFICIAL_TOP_P = 0.9
OFFICIAL_MAX_TOKENS = 10
OFFICIAL_TOP_K = 5
"""How the published DVReward code asks."""

_ASKED = ("order", "codec", "quality", "temperature", "top_p", "max_tokens", "forms", "extra")
"""Fields of a preset that can change an answer."""

_SEED_MASK = 0x7FFFFFFF
"""Seeds are sent as 31 bits, which every server takes."""


@dataclass(slots=True)
class Counters:
    """What a judge did, for logs and benchmarks."""

    n_requests: int = 0
    """Requests sent, further tries not counted."""
    n_tries: int = 0
    n_failed: int = 0
    """Answers without a value."""
    n_saturated: int = 0
    n_low_mass: int = 0
    n_answers: int = 0
    """Answers with P(yes)."""
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the server took from its prefix cache, as far as it tells."""
    cost_usd: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    """Faulty tries by cause."""
    lowest_concurrency: float = 0.0


@dataclass(slots=True)
class _Outcome:
    """One request's result, before it becomes part of a reply."""

    answers: list[Answer]
    text: str = ""
    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request to send: a yes/no question, or (without a question) a whole written request."""

    place: int
    """Index of the judge request."""
    request: JudgeRequest
    question: Question | None
    chat: Chat
    protocol: Protocol

    @property
    def group(self) -> tuple[Any, ...]:
        """Requests with equal groups begin with the same tokens."""
        return (tuple(i.id for i in self.request.images), self.chat.system, self.protocol.codec.label)


class OpenAIJudge(Judge):
    """A vision-language model behind an OpenAI-compatible server.

    Args:
        target: model, server and settings.

    Raises:
        ConfigError: the variable of the key is not set.
    """

    name = "openai"
    kinds = frozenset({"yesno", "text"})

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport = Transport(target, target.key())
        self._loop = LoopThread(f"judge-{self.name}")
        # A batch ends with its slowest request, so it must be much larger than the number under way.
        self.batch_size = max(32, 4 * target.concurrency)
        self._tokens: YesNoTokens | None = None
        self._verdicts: dict[Kind, JudgeError | None] = {}
        self._ready_lock = asyncio.Lock()
        self._counters = Counters()
        self._images_out: asyncio.Semaphore = asyncio.Semaphore(target.concurrency + 8)

    def __repr__(self) -> str:
        return f"OpenAIJudge({self._target.model!r}, {self._target.base_url!r})"

    @property
    def fingerprint(self) -> str:
        """Model, revision, codec, order, wording and sampling; not the server's address. Known without asking it."""
        target, settings = self._target, self._target.settings
        protocol = self._protocol("", 0.0)
        preset = to_plain(target.preset)
        asked = {k: preset[k] for k in _ASKED}
        detail = msgspec.json.encode([asked, to_plain(target.form_rule), settings.asks, settings.top_k], order="sorted")
        parts = [
            f"openai-{target.model}" + (f"@{settings.revision}" if settings.revision else ""),
            target.preset_name,
            protocol.codec.label,
            protocol.order,
            f"p_yes={settings.p_yes}",
            f"yesno-{yes_no_hash()}",
            hashlib.sha256(detail).hexdigest()[:8],
        ]
        return "+".join([*parts, *(["unverified"] if settings.unverified else [])])

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        self._counters.n_tries = self._transport.n_tries
        self._counters.faults = dict(self._transport.faults)
        self._counters.lowest_concurrency = self._transport.limiter.lowest
        return self._counters

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """All questions of all requests at once, within the concurrency.

        Raises:
            JudgeError: the server cannot be reached, refuses the key or the model, or the judge fails its self-test.
        """
        return self._loop.run(self._ask(list(requests))) if requests else []

    def self_test(self, kind: Kind = "yesno") -> list[selftest.ProbeResult]:
        """Runs the protocol probes and shows the pictures with known answers; what was said to each.

        Raises:
            JudgeError: the judge cannot be asked, or fails a protocol probe.
        """
        return self._loop.run(self._self_test(kind))

    def close(self) -> None:
        """Ends requests, connections and the thread; warns about answers with little mass on yes and no."""
        self._loop.stop(self._transport.aclose())
        n, low = self._counters.n_answers, self._counters.n_low_mass
        if low:
            _LOG.warning(
                "Judge %s: in %d of %d answers yes and no together have less than %g of the probability; it mostly "
                "wanted to say something else.",
                self._target.model,
                low,
                n,
                LOW_MASS,
            )

    # Asking

    async def _ask(self, requests: list[JudgeRequest]) -> list[JudgeReply]:
        for kind in ("yesno", "text"):
            if any(r.kind == kind for r in requests):
                await self._ready(kind)
        asks = [a for place, r in enumerate(requests) for a in self._asks_of(place, r)]
        groups: dict[tuple[Any, ...], list[_Ask]] = {}
        for a in asks:
            groups.setdefault(a.group, []).append(a)
        done: dict[int, list[_Outcome]] = {place: [] for place in range(len(requests))}
        order = {id(a): i for i, a in enumerate(asks)}
        outcomes: list[_Outcome | None] = [None] * len(asks)

        async def run(priority: int, group: list[_Ask]) -> None:
            for a, outcome in zip(group, await self._run_group(priority, group), strict=True):
                outcomes[order[id(a)]] = outcome

        await _all(run(priority, group) for priority, group in enumerate(groups.values()))
        for a, outcome in zip(asks, outcomes, strict=True):
            assert outcome is not None
            done[a.place].append(outcome)
        return [self._reply(r, done[place]) for place, r in enumerate(requests)]

    def _asks_of(self, place: int, request: JudgeRequest) -> list[_Ask]:
        protocol = self._protocol(request.form, request.temperature)
        if request.kind == "yesno":
            return [
                _Ask(place, request, q, question_chat(request, q, protocol.order), protocol) for q in request.questions
            ]
        if request.kind == "text" and request.parse is not None:
            return [_Ask(place, request, None, text_chat(request, protocol.order), protocol)]
        return []

    def _reply(self, request: JudgeRequest, outcomes: list[_Outcome]) -> JudgeReply:
        if not outcomes:
            why = "has no parser" if request.kind == "text" else f"is of the kind {request.kind!r}"
            n = len(request.questions)
            return failed(
                n, "error", f"judge 'openai' cannot answer the request {request.form!r}: it {why}", attempts=0
            )
        self._counters.n_failed += sum(a.status != "ok" for o in outcomes for a in o.answers)
        return JudgeReply(
            answers=tuple(a for o in outcomes for a in o.answers),
            raw="\n".join(o.text for o in outcomes),
            attempts=max(o.attempts for o in outcomes),
            tokens_in=sum(o.tokens_in for o in outcomes),
            tokens_out=sum(o.tokens_out for o in outcomes),
            seconds=sum(o.seconds for o in outcomes),
            cost_usd=sum(o.cost_usd for o in outcomes),
        )

    async def _run_group(self, priority: int, group: list[_Ask]) -> list[_Outcome]:
        """The first request alone, so that its prefix is cached, then the others together."""
        async with self._images_out:
            try:
                urls = await self._encoded(group[0].request.images, group[0].protocol)
            except DataError as error:
                return [_lost(a, "error", "image", str(error), 0) for a in group]
            first = await self._run(priority, group[0], urls)
            return [first, *await _all(self._run(priority, a, urls) for a in group[1:])]

    async def _encoded(self, images: Sequence[ImageRef], protocol: Protocol) -> list[str]:
        return [await asyncio.to_thread(protocol.codec.data_url, i) for i in images]

    async def _run(self, priority: int, a: _Ask, urls: list[str]) -> _Outcome:
        self._counters.n_requests += 1
        messages = openai_messages(a.chat, urls)
        if a.question is None:
            return await self._written(priority, a, messages)
        return await self._yes_no(priority, a, messages)

    async def _yes_no(self, priority: int, a: _Ask, messages: list[dict[str, Any]]) -> _Outcome:
        outcome = _Outcome([])
        try:
            received = await self._transport.chat(self._yes_no_body(messages), priority)
            completion = self._account(outcome, received)
            if completion.refusal:
                return _lose(outcome, a, "refused", "refusal", completion.refusal)
            found = self._value(completion)
        except CallFailed as error:
            outcome.attempts = error.attempts
            return _lose(outcome, a, "refused" if error.is_refusal else "error", error.cause, error.message)
        except BadReplyError as error:
            return _lose(outcome, a, "error", "bad_reply", str(error))
        outcome.answers = [self._answer(found, completion, outcome)]
        return outcome

    def _answer(self, found: YesNo, completion: Completion, outcome: _Outcome) -> Answer:
        payload: dict[str, Any] = {**found.payload, "text": completion.text, "attempts": outcome.attempts}
        if found.how != "token_ids":
            payload["top"] = [[text, round(lp, 6)] for text, lp in completions.top_of(completion) if lp > -1e4]
        if found.value is None:
            k = self._top_k
            error = (
                f"neither yes nor no is among the {k} most probable first tokens (it wrote {completion.text[:40]!r})"
            )
            return Answer(status="unparsed", payload={**payload, "cause": "no_yes_no"}, error=error)
        self._counters.n_answers += 1
        self._counters.n_saturated += found.saturated
        self._counters.n_low_mass += found.mass < LOW_MASS
        return Answer(value=found.value, payload=payload)

    async def _written(self, priority: int, a: _Ask, messages: list[dict[str, Any]]) -> _Outcome:
        outcome, problem = _Outcome([]), ""
        assert a.request.parse is not None
        n_asks = 0
        while n_asks < self._target.settings.asks:
            seed = (a.request.seed + n_asks) & _SEED_MASK
            n_asks += 1
            body = completions.chat_body(
                self._target.model,
                messages,
                max_tokens=a.protocol.max_tokens,
                temperature=a.protocol.temperature,
                top_p=a.protocol.top_p,
                seed=seed,
                extra=self._target.preset.extra,
            )
            try:
                completion = self._account(outcome, await self._transport.chat(body, priority))
            except CallFailed as error:
                outcome.attempts += error.attempts
                return _lose(outcome, a, "refused" if error.is_refusal else "error", error.cause, error.message)
            except BadReplyError as error:
                return _lose(outcome, a, "error", "bad_reply", str(error))
            outcome.text = completion.text
            if completion.refusal:
                return _lose(outcome, a, "refused", "refusal", completion.refusal)
            if completion.finish_reason == "length":
                # The end of a number may be missing, so a cut reply is never read.
                problem = f"the reply was cut after {a.protocol.max_tokens} tokens (max_tokens)"
                if a.protocol.temperature == 0:
                    break
                continue
            try:
                outcome.answers = a.request.parse(completions.answer_text(completion.text))
                return outcome
            except Unparsed as error:
                problem = str(error)
        return _lose(outcome, a, "unparsed", "unparsed", f"{problem} (asked {n_asks} times)")

    def _account(self, outcome: _Outcome, received: Received) -> Completion:
        """The reply, with its cost added to `outcome` and the counters; raises BadReplyError."""
        outcome.attempts += received.attempts
        outcome.seconds += received.seconds
        completion = read_completion(received.data)
        price = self._target.preset.price
        usd = price.usd(completion.tokens_in, completion.tokens_out, completion.cached) if price else 0.0
        outcome.tokens_in += completion.tokens_in
        outcome.tokens_out += completion.tokens_out
        outcome.cost_usd += usd
        counters = self._counters
        counters.tokens_in += completion.tokens_in
        counters.tokens_out += completion.tokens_out
        counters.cached_tokens += completion.cached
        counters.cost_usd += usd
        return completion

    def _protocol(self, form: str, temperature: float) -> Protocol:
        return self._target.preset.protocol(form, temperature, self._target.form_rule)

    # Yes and no

    @property
    def _top_k(self) -> int:
        return OFFICIAL_TOP_K if self._is_official else self._target.settings.top_k

    @property
    def _is_official(self) -> bool:
        return self._target.settings.p_yes == "official_code"

    def _yes_no_body(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = completions.by_ids(self._tokens) if self._tokens else completions.by_top(self._top_k)
        return completions.chat_body(
            self._target.model,
            messages,
            max_tokens=OFFICIAL_MAX_TOKENS if self._is_official else 1,
            temperature=0.0,
            top_p=OFFICIAL_TOP_P if self._is_official else 1.0,
            extra={**self._target.preset.extra, **wanted},
        )

    def _value(self, completion: Completion) -> YesNo:
        if self._tokens is not None:
            return completions.yes_no_by_ids(completion, self._tokens)
        return completions.yes_no_by_top(completion, self._top_k, official_code=self._is_official)

    async def _find_tokens(self) -> None:
        """Token ids of yes and no, where the server gives log-probabilities by id."""
        reading = self._target.settings.p_yes
        if reading not in ("auto", "token_ids"):
            return

        async def post(path: str, body: dict[str, Any]) -> Any:
            return (await self._transport.post(self._transport.server_path(path), body)).data

        try:
            version = await self._transport.get(self._transport.server_path("/version"))
            is_vllm = isinstance(version, dict) and "version" in version
        except CallFailed:
            is_vllm = False
        self._tokens = await server_tokens(post, self._target.model) if is_vllm else None
        if self._tokens is None and reading == "token_ids":
            raise JudgeError(
                f"Judge {self._target.model} at {self._target.base_url}: p_yes=token_ids needs a vLLM server with "
                "/version, /tokenize and /detokenize. Use p_yes=top_k for other servers."
            )

    # Self-test

    async def _ready(self, kind: Kind) -> None:
        """Tests the judge once per kind; a failed test stays failed."""
        async with self._ready_lock:
            if kind not in self._verdicts:
                try:
                    results = await self._self_test(kind, semantic=not self._target.settings.unverified)
                    advice = "Say unverified=true after the server's address to use it all the same."
                    selftest.check_answers(self._target.model, results, advice=advice)
                    self._verdicts[kind] = None
                except JudgeError as error:
                    self._verdicts[kind] = error
            verdict = self._verdicts[kind]
        if verdict is not None:
            raise verdict

    async def _self_test(self, kind: Kind, *, semantic: bool = True) -> list[selftest.ProbeResult]:
        try:
            if kind == "yesno":
                await self._find_tokens()
                await selftest.check_protocol(self._target.model, self._first_tokens)
            shown = selftest.probes() if semantic else []
            return await _all(self._shown(kind, p) for p in shown)
        except CallFailed as error:
            tries = f"{error.attempts} {'try' if error.attempts == 1 else 'tries'}"
            raise JudgeError(
                f"Judge {self._target.model} at {self._target.base_url} did not answer the self-test ({tries}): "
                f"{error.message}."
            ) from None
        except BadReplyError as error:
            raise JudgeError(f"Judge {self._target.model} at {self._target.base_url}: {error}.") from None

    async def _probe_messages(self, probe: selftest.Probe) -> tuple[list[dict[str, Any]], Protocol]:
        question = Question(id="probe", text=probe.question)
        request = JudgeRequest(kind="yesno", form="self-test", questions=(question,), images=(probe.image,))
        protocol = self._protocol(request.form, 0.0)
        urls = await self._encoded(request.images, protocol)
        return openai_messages(question_chat(request, question, protocol.order), urls), protocol

    async def _first_tokens(self, probe: selftest.Probe, temperature: float, n_tokens: int) -> Completion:
        messages, _ = await self._probe_messages(probe)
        extra = {**self._target.preset.extra, **completions.by_top(self._top_k)}
        body = completions.chat_body(
            self._target.model, messages, max_tokens=n_tokens, temperature=temperature, seed=0, extra=extra
        )
        return read_completion((await self._transport.chat(body)).data)

    async def _shown(self, kind: Kind, probe: selftest.Probe) -> selftest.ProbeResult:
        messages, protocol = await self._probe_messages(probe)
        if kind == "yesno":
            completion = read_completion((await self._transport.chat(self._yes_no_body(messages))).data)
            found = self._value(completion)
            return selftest.ProbeResult(probe, found.value, completion.text, found.mass)
        body = completions.chat_body(
            self._target.model,
            messages,
            max_tokens=protocol.max_tokens,
            temperature=0.0,
            extra=self._target.preset.extra,
        )
        completion = read_completion((await self._transport.chat(body)).data)
        return selftest.ProbeResult(probe, selftest.written_yes_no(completion.text), completion.text)


def _lost(a: _Ask, status: Any, cause: str, message: str, attempts: int) -> _Outcome:
    return _lose(_Outcome([], attempts=attempts), a, status, cause, message)


def _lose(outcome: _Outcome, a: _Ask, status: Any, cause: str, message: str) -> _Outcome:
    """`outcome` with a failure for each question of the request."""
    tries = f"{outcome.attempts} {'try' if outcome.attempts == 1 else 'tries'}"
    n = 1 if a.question is not None else len(a.request.questions)
    payload = {"cause": cause, "attempts": outcome.attempts}
    outcome.answers = [Answer(status=status, error=f"{cause}: {message} ({tries})", payload=payload) for _ in range(n)]
    return outcome


async def _all(coroutines: Iterable[Awaitable[R]]) -> list[R]:
    """Results in order; the first error cancels the rest."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


@JUDGES.register("openai")
def load(argument: str = "") -> OpenAIJudge:
    """A vision-language model on any OpenAI-compatible server: `openai:MODEL@http://HOST:PORT/v1,key_env=NAME,...`."""
    return OpenAIJudge(parse_target(argument))


def planner(argument: str = "") -> Planner:
    """What requests to this judge will take, for `eval --dry-run`; asks no server."""
    return Planner(parse_target(argument))
