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
from collections.abc import Sequence
from typing import Any

import msgspec

from harness.config import to_plain
from harness.errors import DataError, JudgeError
from harness.images import ImageRef
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, Kind, Unparsed
from harness.judges.vlm import completion as completions
from harness.judges.vlm import selftest
from harness.judges.vlm.completion import BadReplyError, Completion, read_completion
from harness.judges.vlm.estimate import Planner
from harness.judges.vlm.loop import LoopThread
from harness.judges.vlm.messages import openai_messages, yes_no_hash
from harness.judges.vlm.outcome import Call, Counters, Outcome, calls_of, cannot_answer, gather, reply_of
from harness.judges.vlm.presets import Protocol
from harness.judges.vlm.reading import YesNoReading
from harness.judges.vlm.target import Target, parse_target
from harness.judges.vlm.transport import CallFailed, Received, Transport
from harness.judges.vlm.yesno import LOW_MASS, YesNo
from harness.registry import JUDGES
from harness.types import Question

_LOG = logging.getLogger(__name__)

_ASKED = ("order", "codec", "quality", "temperature", "top_p", "max_tokens", "forms", "extra")
"""Fields of a preset that can change an answer."""

_SEED_MASK = 0x7FFFFFFF
"""Seeds are sent as 31 bits, which every server takes."""

_SPARE_IMAGES = 8
"""Images held ready beyond those whose questions are under way."""

Messages = list[dict[str, Any]]


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
        self._reading = YesNoReading(target)
        self._verdicts: dict[Kind, JudgeError | None] = {}
        self._ready_lock = asyncio.Lock()
        self._images_held = asyncio.Semaphore(target.concurrency + _SPARE_IMAGES)
        self._counters = Counters()

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
        kinds: tuple[Kind, ...] = ("yesno", "text")
        for kind in kinds:
            if any(r.kind == kind for r in requests):
                await self._ready(kind)
        calls = [c for place, r in enumerate(requests) for c in self._calls(place, r)]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, call in enumerate(calls):
            groups.setdefault(call.group, []).append(i)
        outcomes: dict[int, Outcome] = {}

        async def run(priority: int, members: list[int]) -> None:
            group = [calls[i] for i in members]
            outcomes.update(zip(members, await self._run_group(priority, group), strict=True))

        await gather(run(priority, members) for priority, members in enumerate(groups.values()))
        found: list[list[Outcome]] = [[] for _ in requests]
        for i, call in enumerate(calls):
            found[call.place].append(outcomes[i])
        return [self._reply(r, o) for r, o in zip(requests, found, strict=True)]

    def _calls(self, place: int, request: JudgeRequest) -> list[Call]:
        return calls_of(place, request, self._protocol(request.form, request.temperature))

    def _reply(self, request: JudgeRequest, outcomes: list[Outcome]) -> JudgeReply:
        if not outcomes:
            return cannot_answer("openai", request)
        self._counters.n_failed += sum(a.status != "ok" for o in outcomes for a in o.answers)
        return reply_of(outcomes)

    async def _run_group(self, priority: int, group: list[Call]) -> list[Outcome]:
        """The first call alone, so that its prefix is cached, then the others together."""
        async with self._images_held:
            try:
                urls = await self._encoded(group[0].request.images, group[0].protocol)
            except DataError as error:
                return [Outcome().lost(c, "error", "image", str(error)) for c in group]
            first = await self._run(priority, group[0], urls)
            return [first, *await gather(self._run(priority, c, urls) for c in group[1:])]

    async def _encoded(self, images: Sequence[ImageRef], protocol: Protocol) -> list[str]:
        return [await asyncio.to_thread(protocol.codec.data_url, i) for i in images]

    async def _run(self, priority: int, call: Call, urls: list[str]) -> Outcome:
        self._counters.n_requests += 1
        outcome = Outcome()
        messages = openai_messages(call.chat, urls)
        try:
            if call.question is None:
                return await self._written(priority, call, messages, outcome)
            return await self._yes_no(priority, call, messages, outcome)
        except CallFailed as error:
            outcome.attempts += error.attempts
            return outcome.lost(call, "refused" if error.is_refusal else "error", error.cause, error.message)
        except BadReplyError as error:
            return outcome.lost(call, "error", "bad_reply", str(error))

    async def _yes_no(self, priority: int, call: Call, messages: Messages, outcome: Outcome) -> Outcome:
        received = await self._transport.chat(self._reading.body(messages), priority)
        completion = self._account(outcome, received)
        if completion.refusal:
            return outcome.lost(call, "refused", "refusal", completion.refusal)
        outcome.answers = [self._answer(self._reading.value(completion), completion, outcome)]
        return outcome

    def _answer(self, found: YesNo, completion: Completion, outcome: Outcome) -> Answer:
        payload: dict[str, Any] = {**found.payload, "text": completion.text, "attempts": outcome.attempts}
        if found.how != "token_ids":
            payload["top"] = [[text, round(lp, 6)] for text, lp in completions.top_of(completion) if lp > -1e4]
        if found.value is None:
            wrote = completion.text[:40]
            k = self._reading.top_k
            error = f"neither yes nor no is among the {k} most probable first tokens (it wrote {wrote!r})"
            return Answer(status="unparsed", payload={**payload, "cause": "no_yes_no"}, error=error)
        self._counters.n_answers += 1
        self._counters.n_saturated += found.saturated
        self._counters.n_low_mass += found.mass < LOW_MASS
        return Answer(value=found.value, payload=payload)

    async def _written(self, priority: int, call: Call, messages: Messages, outcome: Outcome) -> Outcome:
        """Asks until the reply can be parsed, a bounded number of times, each with its own seed."""
        assert call.request.parse is not None
        problem, n_asks = "", 0
        while n_asks < self._target.settings.asks:
            body = self._written_body(call, messages, call.request.seed + n_asks)
            n_asks += 1
            completion = self._account(outcome, await self._transport.chat(body, priority))
            outcome.text = completion.text
            if completion.refusal:
                return outcome.lost(call, "refused", "refusal", completion.refusal)
            if completion.finish_reason == "length":
                # The end of a number may be missing, so a cut reply is never read.
                problem = f"the reply was cut after {call.protocol.max_tokens} tokens (max_tokens)"
                if call.protocol.temperature == 0:
                    break
                continue
            try:
                outcome.answers = call.request.parse(completions.answer_text(completion.text))
                return outcome
            except Unparsed as error:
                problem = str(error)
        return outcome.lost(call, "unparsed", "unparsed", f"{problem} (asked {n_asks} times)")

    def _written_body(self, call: Call, messages: Messages, seed: int) -> dict[str, Any]:
        return completions.chat_body(
            self._target.model,
            messages,
            max_tokens=call.protocol.max_tokens,
            temperature=call.protocol.temperature,
            top_p=call.protocol.top_p,
            seed=seed & _SEED_MASK,
            extra=self._target.preset.extra,
        )

    def _account(self, outcome: Outcome, received: Received) -> Completion:
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
        judge = f"Judge {self._target.model} at {self._target.base_url}"
        try:
            if kind == "yesno":
                await self._reading.find_tokens(self._transport)
                await selftest.check_protocol(self._target.model, self._first_tokens)
            shown = selftest.probes() if semantic else []
            return await gather(self._shown(kind, p) for p in shown)
        except CallFailed as error:
            tries = f"{error.attempts} {'try' if error.attempts == 1 else 'tries'}"
            raise JudgeError(f"{judge} did not answer the self-test ({tries}): {error.message}.") from None
        except BadReplyError as error:
            raise JudgeError(f"{judge} gave an unusable reply to the self-test: {error}.") from None

    async def _probe(self, probe: selftest.Probe) -> tuple[Call, Messages]:
        question = Question(id="probe", text=probe.question)
        request = JudgeRequest(kind="yesno", form="self-test", questions=(question,), images=(probe.image,))
        (call,) = self._calls(0, request)
        return call, openai_messages(call.chat, await self._encoded(request.images, call.protocol))

    async def _first_tokens(self, probe: selftest.Probe, temperature: float, n_tokens: int) -> Completion:
        _, messages = await self._probe(probe)
        extra = {**self._target.preset.extra, **completions.by_top(self._reading.top_k)}
        body = completions.chat_body(
            self._target.model, messages, max_tokens=n_tokens, temperature=temperature, seed=0, extra=extra
        )
        return read_completion((await self._transport.chat(body)).data)

    async def _shown(self, kind: Kind, probe: selftest.Probe) -> selftest.ProbeResult:
        call, messages = await self._probe(probe)
        body = self._reading.body(messages) if kind == "yesno" else self._written_body(call, messages, 0)
        completion = read_completion((await self._transport.chat(body)).data)
        if kind == "text":
            return selftest.ProbeResult(probe, selftest.written_yes_no(completion.text), completion.text)
        found = self._reading.value(completion)
        return selftest.ProbeResult(probe, found.value, completion.text, found.mass)


@JUDGES.register("openai")
def load(argument: str = "") -> OpenAIJudge:
    """A vision-language model on any OpenAI-compatible server: `openai:MODEL@http://HOST:PORT/v1,key_env=NAME,...`."""
    return OpenAIJudge(parse_target(argument))


def planner(argument: str = "") -> Planner:
    """What requests to this judge will take, for `eval --dry-run`; asks no server."""
    return Planner(parse_target(argument))
