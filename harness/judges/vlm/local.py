"""What the judges that run a vision-language model in this process share: settings, self-test, replies.

A backend (`transformers`, `vllm`) turns chats into log-probabilities and texts; everything around it is here and is the
same for both, and as near as possible to the judge `openai`, so that the three give the same answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from PIL import Image

from harness.config import apply_settings, build, to_plain
from harness.errors import ConfigError, DataError, JudgeError
from harness.images import ImageRef
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, Kind, Unparsed
from harness.judges.vlm import selftest
from harness.judges.vlm.codec import Codec, CodecName
from harness.judges.vlm.completion import Completion, Step, Token, answer_text
from harness.judges.vlm.messages import Chat, Order, yes_no_hash
from harness.judges.vlm.outcome import Call, Outcome, calls_of, cannot_answer, reply_of
from harness.judges.vlm.presets import FormRule, Preset, Protocol, preset_for
from harness.judges.vlm.yesno import LOW_MASS, YesNo
from harness.types import Question

_LOG = logging.getLogger(__name__)

_ASKED = ("order", "codec", "quality", "temperature", "top_p", "max_tokens", "forms", "extra")
"""Fields of a preset that can change an answer."""

_N_PROBE_TOKENS = 6
"""Tokens that a probe lets the model write, so that an offset of the answer shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What may follow the model of every in-process judge. None: as the model's preset has it."""

    dtype: str = "auto"
    """`auto` (as stored), `float32`, `bfloat16` or `float16`."""
    preset: str = ""
    """A shipped preset, or a YAML file with one preset's fields; empty takes the one that matches the model."""
    order: Order | None = None
    codec: CodecName | None = None
    quality: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    """Of written replies."""
    asks: int = 3
    """Times that a written reply is asked for while it cannot be parsed; once where nothing is sampled."""
    unverified: bool = False
    """Accept a model that fails the semantic self-test; the fingerprint says so."""

    def __post_init__(self) -> None:
        if self.dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise ConfigError(f"dtype: expected auto, float32, bfloat16 or float16, got {self.dtype!r}.")
        if self.asks < 1:
            raise ConfigError(f"asks: expected a positive number, got {self.asks}.")

    @property
    def form_rule(self) -> FormRule:
        """The user's own wishes about the form of a request."""
        return FormRule(
            order=self.order,
            codec=self.codec,
            quality=self.quality,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )


S = TypeVar("S", bound=LocalSettings)


@dataclass(frozen=True, slots=True)
class First:
    """P(yes) of a chat's first answer token, and the prompt's length in tokens."""

    found: YesNo
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Written:
    """A text that the model wrote."""

    pieces: tuple[str, ...]
    """Text token by token."""
    text: str
    n_tokens_in: int
    is_cut: bool
    """It ended because `max_tokens` were reached."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a text is written; temperature 0 takes the most probable token each time."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class WriteJob:
    """One chat to be answered in writing."""

    images: tuple[Image.Image, ...]
    """In RGB, in the order of the chat's image parts."""
    chat: Chat
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class PictureGroup:
    """Chats about the same pictures, which are decoded once."""

    images: tuple[Image.Image, ...]
    """In RGB, in the order of the chats' image parts."""
    chats: tuple[Chat, ...]


class LocalJudge(Judge):
    """A vision-language model in this process; loaded when the first question comes.

    Args:
        model: folder or hub repository.
        settings: what followed it.
    """

    kinds = frozenset({"yesno", "text"})
    batch_size = 16

    def __init__(self, model: str, settings: LocalSettings) -> None:
        self.model = model
        self.settings = settings
        self._preset_name, self._preset = preset_for(model, settings.preset)
        self._verdicts: dict[Kind, JudgeError | None] = {}
        self._n_answers = 0
        self._n_low_mass = 0
        # A codec that cannot be is told now, not at the first image.
        Codec(name=settings.codec or self._preset.codec, quality=settings.quality)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    # What a backend provides

    @property
    @abstractmethod
    def _identity(self) -> str:
        """Backend, model, revision and precision; known without loading the weights."""

    @abstractmethod
    def _first_tokens(self, groups: Sequence[PictureGroup]) -> list[list[First | DataError]]:
        """One result per chat of each group; an error is one chat's own."""

    @abstractmethod
    def _write(self, jobs: Sequence[WriteJob]) -> list[Written | DataError]:
        """The model's reply to each chat; an error is one chat's own."""

    # What the harness calls

    @property
    def template_options(self) -> dict[str, Any]:
        """What the preset gives to the chat template (e.g. thinking switched off)."""
        options: dict[str, Any] = self._preset.extra.get("chat_template_kwargs", {})
        return options

    @property
    def preset(self) -> Preset:
        """How the model is asked."""
        return self._preset

    @property
    def fingerprint(self) -> str:
        """Backend, model, revision, precision, codec, order, wording and sampling."""
        protocol = self._protocol("", 0.0)
        asked = {k: to_plain(self._preset)[k] for k in _ASKED}
        detail = msgspec.json.encode([asked, to_plain(self.settings.form_rule), self.settings.asks], order="sorted")
        parts = [
            self._identity,
            self._preset_name,
            protocol.codec.label,
            protocol.order,
            f"yesno-{yes_no_hash()}",
            hashlib.sha256(detail).hexdigest()[:8],
        ]
        return "+".join([*parts, *(["unverified"] if self.settings.unverified else [])])

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """One reply per request.

        Raises:
            JudgeError: the model cannot be loaded, or fails its self-test.
        """
        for kind in sorted({r.kind for r in requests} & self.kinds):
            self._ready(kind)
        replies = self._answered(requests)
        masses = [a.payload["mass"] for r in replies for a in r.answers if "mass" in a.payload]
        self._n_answers += len(masses)
        self._n_low_mass += sum(m < LOW_MASS for m in masses)
        return replies

    def self_test(self, kind: Kind = "yesno") -> list[selftest.ProbeResult]:
        """Shows the pictures with known answers; what was said to each.

        Raises:
            JudgeError: the model's first token is not its answer.
        """
        if kind == "yesno":
            self._check_offset()
        return [self._shown(kind, p) for p in selftest.probes()]

    def close(self) -> None:
        """Warns about answers with little mass on yes and no."""
        if self._n_low_mass:
            _LOG.warning(
                "Judge %s: in %d of %d answers yes and no together have less than %g of the probability; it mostly "
                "wanted to say something else.",
                self.model,
                self._n_low_mass,
                self._n_answers,
                LOW_MASS,
            )

    # Asking

    def _answered(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        calls = [c for place, r in enumerate(requests) for c in self._calls(place, r)]
        outcomes = self._yes_no([c for c in calls if c.question is not None])
        outcomes |= self._written([c for c in calls if c.question is None])
        found: list[list[Outcome]] = [[] for _ in requests]
        for call in calls:
            found[call.place].append(outcomes[id(call)])
        return [self._reply(r, o) for r, o in zip(requests, found, strict=True)]

    def _calls(self, place: int, request: JudgeRequest) -> list[Call]:
        return calls_of(place, request, self._protocol(request.form, request.temperature))

    def _reply(self, request: JudgeRequest, outcomes: Sequence[Outcome]) -> JudgeReply:
        return reply_of(outcomes) if outcomes else cannot_answer(self.name, request)

    def _yes_no(self, calls: Sequence[Call]) -> dict[int, Outcome]:
        """By the id of each call."""
        outcomes: dict[int, Outcome] = {}
        ready: list[tuple[list[Call], PictureGroup]] = []
        for members in _by_pictures(calls):
            try:
                images = tuple(decoded(i, members[0].protocol.codec) for i in members[0].request.images)
            except DataError as error:
                outcomes |= {id(c): Outcome().lost(c, "error", "image", str(error)) for c in members}
                continue
            ready.append((members, PictureGroup(images, tuple(c.chat for c in members))))
        started = time.perf_counter()
        results = self._first_tokens([g for _, g in ready]) if ready else []
        seconds = (time.perf_counter() - started) / max(1, sum(len(m) for m, _ in ready))
        for (members, _), row in zip(ready, results, strict=True):
            outcomes |= {id(c): self._judged(c, r, seconds) for c, r in zip(members, row, strict=True)}
        return outcomes

    def _judged(self, call: Call, result: First | DataError, seconds: float) -> Outcome:
        outcome = Outcome(attempts=1, seconds=seconds)
        if isinstance(result, DataError):
            return outcome.lost(call, "error", "prompt", str(result))
        outcome.tokens_in, outcome.tokens_out = result.n_tokens, 1
        outcome.answers = [Answer(value=result.found.value, payload={**result.found.payload, "attempts": 1})]
        return outcome

    def _written(self, calls: Sequence[Call]) -> dict[int, Outcome]:
        """By the id of each call: asked until the reply can be parsed, a bounded number of times, each with a seed."""
        outcomes = {id(c): Outcome() for c in calls}
        images: dict[int, tuple[Image.Image, ...]] = {}
        for call in calls:
            try:
                images[id(call)] = tuple(decoded(i, call.protocol.codec) for i in call.request.images)
            except DataError as error:
                outcomes[id(call)].lost(call, "error", "image", str(error))
        pending = [c for c in calls if id(c) in images]
        for n in range(self.settings.asks):
            asked = [c for c in pending if n == 0 or c.protocol.temperature > 0]
            if not asked:
                break
            started = time.perf_counter()
            found = self._write([WriteJob(images[id(c)], c.chat, _sampling(c, n)) for c in asked])
            seconds = (time.perf_counter() - started) / len(asked)
            for call, written in zip(asked, found, strict=True):
                outcomes[id(call)].seconds += seconds
                if self._read(call, written, outcomes[id(call)]):
                    pending.remove(call)
        return outcomes

    def _read(self, call: Call, written: Written | DataError, outcome: Outcome) -> bool:
        """Puts a reply into `outcome`; whether that is final."""
        assert call.request.parse is not None
        outcome.attempts += 1
        if isinstance(written, DataError):
            outcome.lost(call, "error", "prompt", str(written))
            return True
        outcome.text = written.text
        outcome.tokens_in += written.n_tokens_in
        outcome.tokens_out += len(written.pieces) + (not written.is_cut)  # the end mark is a token too
        if written.is_cut:
            # The end of a number may be missing, so a cut reply is never read.
            problem = f"the reply was cut after {call.protocol.max_tokens} tokens (max_tokens)"
        else:
            try:
                outcome.answers = call.request.parse(answer_text(written.text))
                return True
            except Unparsed as error:
                problem = str(error)
        outcome.lost(call, "unparsed", "unparsed", problem)
        return False

    def _protocol(self, form: str, temperature: float) -> Protocol:
        return self._preset.protocol(form, temperature, self.settings.form_rule)

    # Self-test

    def _ready(self, kind: Kind) -> None:
        """Tests the model once per kind; a failed test stays failed."""
        if kind not in self._verdicts:
            try:
                if self.settings.unverified and kind == "yesno":
                    self._check_offset()
                elif not self.settings.unverified:
                    advice = "Say unverified=true after the model to use it all the same."
                    selftest.check_answers(self.model, self.self_test(kind), advice=advice)
                self._verdicts[kind] = None
            except JudgeError as error:
                self._verdicts[kind] = error
        verdict = self._verdicts[kind]
        if verdict is not None:
            raise verdict

    def _check_offset(self) -> None:
        """Raises JudgeError where the answer is not the first token (thinking, a newline before it)."""
        request = _probe_request(selftest.probes()[0])
        (call,) = self._calls(0, request)
        problem = selftest.offset_problem(_as_completion(self._one(call, Sampling(0.0, 1.0, _N_PROBE_TOKENS, 0))))
        if problem:
            raise JudgeError(f"Judge {self.model} is unsuitable for yes/no questions: {problem}")

    def _one(self, call: Call, sampling: Sampling) -> Written:
        """The reply to a probe."""
        images = tuple(decoded(i, call.protocol.codec) for i in call.request.images)
        (written,) = self._write([WriteJob(images, call.chat, sampling)])
        if isinstance(written, DataError):
            raise JudgeError(f"Judge {self.model} cannot be shown the self-test: {written}")
        return written

    def _shown(self, kind: Kind, probe: selftest.Probe) -> selftest.ProbeResult:
        request = _probe_request(probe)
        if kind == "yesno":
            answer = self._answered([request])[0].answers[0]
            return selftest.ProbeResult(probe, answer.value, answer.error, answer.payload.get("mass", 0.0))
        (call,) = self._calls(0, request)
        text = self._one(call, _sampling(call, 0)).text
        return selftest.ProbeResult(probe, selftest.written_yes_no(text), text)


def decoded(ref: ImageRef, codec: Codec) -> Image.Image:
    """The image in RGB as a server would see it: after encoding with `codec` and decoding again, where that loses.

    Raises:
        DataError: it cannot be decoded.
    """
    import io

    from harness.judges.vlm.codec import flattened

    if codec.name == "png":
        return flattened(ref.load())
    return Image.open(io.BytesIO(codec.encode(ref))).convert("RGB")


def parse_local(argument: str, settings: type[S], *, judge: str) -> tuple[str, S]:
    """`MODEL[,key=value,...]` as the model and its settings.

    Raises:
        ConfigError: no model, an unknown setting, or a wrong value.
    """
    model, *rest = [part.strip() for part in argument.split(",")]
    example = f"{judge}:Qwen/Qwen3-VL-8B-Instruct,dtype=bfloat16"
    if not model or "=" in model:
        raise ConfigError(f"judge {judge}: expected a folder or hub repository, then settings, e.g. {example}.")
    bare = next((part for part in rest if part and "=" not in part), None)
    if bare is not None:
        known = ", ".join(f.name for f in dataclasses.fields(settings))
        raise ConfigError(f"judge {judge}: {bare!r} has no '='. Expected e.g. {example}. Settings: {known}.")
    given = apply_settings({}, [part for part in rest if part])
    return model, build(settings, given, where=f"judge {judge}:{model}")


def _by_pictures(calls: Iterable[Call]) -> list[list[Call]]:
    """Calls with the same images, sent the same way, in order of their first appearance."""
    groups: dict[tuple[Any, ...], list[Call]] = {}
    for call in calls:
        groups.setdefault((tuple(i.id for i in call.request.images), call.protocol.codec), []).append(call)
    return list(groups.values())


def _sampling(call: Call, n: int) -> Sampling:
    """Of the n-th try."""
    protocol = call.protocol
    seed = (call.request.seed + n) & 0x7FFFFFFF
    return Sampling(protocol.temperature, protocol.top_p, protocol.max_tokens, seed)


def _probe_request(probe: selftest.Probe) -> JudgeRequest:
    question = Question(id="probe", text=probe.question)
    return JudgeRequest(kind="yesno", form="self-test", questions=(question,), images=(probe.image,))


def _as_completion(written: Written) -> Completion:
    return Completion(
        text=written.text,
        finish_reason="",
        steps=tuple(Step(Token(piece, 0.0), ()) for piece in written.pieces),
        reasoning="",
        refusal="",
        tokens_in=written.n_tokens_in,
        tokens_out=len(written.pieces),
        cached=0,
    )
