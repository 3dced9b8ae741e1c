"""The judge of the micro world: answers from the picture alone, by the exact verifier (`harness.world`).

`micro` is exact. `micro:flip=0.05,temperature=2,...` adds noise of `harness.world.noise` to the answers or to the view,
for the study of weaker judges. It answers every form that the micro editions ask: `detect` as GenEval's detector and
colour classifier, `yesno` with P(yes), and the written forms in the shape that a language-model judge is asked for, so
that the adapters' own parsers read them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harness.errors import ConfigError, HarnessError
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, Unparsed, failed
from harness.registry import JUDGES


class MicroJudge(Judge):
    """The exact verifier behind the judge interface.

    Args:
        noise: a `harness.world.noise.NoiseModel`, or None for exact answers.
        label: how the noise was asked for; part of the fingerprint.
    """

    name = "micro"
    kinds = frozenset({"yesno", "text", "detect"})
    batch_size = 32

    def __init__(self, noise: Any = None, label: str = "") -> None:
        from harness.world.version import world_version

        self._noise = noise
        self._fingerprint = f"micro-{world_version()}" + (f"+{label}" if label else "")

    @property
    def fingerprint(self) -> str:
        """World version and noise."""
        return self._fingerprint

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answers in one pass of the scene parser over all images."""
        started = time.perf_counter()
        views = self._perceive(requests)
        replies = [self._answer(r, v) for r, v in zip(requests, views, strict=True)]
        seconds = (time.perf_counter() - started) / max(1, len(requests))
        return [_timed(r, seconds) for r in replies]

    # The three methods by which a judge that sees in another way differs from this one.

    def look(self, pictures: np.ndarray) -> list[Any]:
        """What is seen in each of (B, 48, 48, 3) uint8 pictures: views that `believe` and `detect` take."""
        from harness.world.parse import perceive

        return list(perceive(pictures))

    def believe(self, view: Any, question: str) -> float:
        """P(yes) to a question about one view, without noise.

        Raises:
            JudgeError: the question is outside the world's grammar.
        """
        from harness.world.verifier import answer

        return float(answer(view, question))

    def detect(self, view: Any) -> tuple[dict[str, list[list[float]]], dict[str, list[str]]]:
        """Boxes with scores and colours by class, see `harness.world.verifier.detections`."""
        from harness.world.verifier import detections

        return detections(view)

    def _perceive(self, requests: Sequence[JudgeRequest]) -> list[list[Any] | HarnessError]:
        """Per request, the parse of each of its images, or why one of them cannot be decoded."""
        from harness.world.view import to_view

        arrays: list[np.ndarray] = []
        spans: list[tuple[int, int] | HarnessError] = []
        for request in requests:
            try:
                own = [to_view(image.load()) for image in request.images]
            except HarnessError as error:
                spans.append(error)
                continue
            if self._noise is not None:
                own = [self._noise.view(a, ref.id) for a, ref in zip(own, request.images, strict=True)]
            spans.append((len(arrays), len(arrays) + len(own)))
            arrays += own
        parsed = self.look(np.stack(arrays)) if arrays else []
        return [s if isinstance(s, HarnessError) else list(parsed[s[0] : s[1]]) for s in spans]

    def _answer(self, request: JudgeRequest, views: list[Any] | HarnessError) -> JudgeReply:
        n = len(request.questions)
        if isinstance(views, HarnessError):
            return failed(n, "error", str(views))
        if request.kind == "detect":
            return JudgeReply(answers=(self._detect(views[0]),))
        if request.kind == "yesno":
            return JudgeReply(answers=tuple(self._yes(request, views[0], q.text) for q in request.questions))
        write = _WRITERS.get(request.form)
        if write is None or request.parse is None:
            return failed(n, "error", f"judge {self.name!r} has no written answer of the form {request.form!r}")
        try:
            text = write(self, request, views)
        except (HarnessError, KeyError) as error:
            return failed(n, "error", f"judge {self.name!r} cannot answer the form {request.form!r}: {error}")
        try:
            return JudgeReply(answers=tuple(request.parse(text)), raw=text)
        except Unparsed as error:
            return failed(n, "unparsed", str(error), raw=text)

    def p_yes(self, request: JudgeRequest, view: Any, question: str) -> float:
        """P(yes) to one question about one parsed image, noise included.

        Raises:
            JudgeError: the question is outside the world's grammar.
        """
        return self.weaken(request, self.believe(view, question), question)

    def weaken(self, request: JudgeRequest, p: float, what: str) -> float:
        """A probability or share after the noise that this judge makes about `what` of the judged image."""
        # The last image is the one that is judged; a source comes before it.
        return p if self._noise is None else float(self._noise.answer(p, request.images[-1].id, what))

    def p_all(self, request: JudgeRequest, view: Any, questions: Sequence[str]) -> list[float]:
        """P(yes) of each question about one parsed image."""
        return [self.p_yes(request, view, q) for q in questions]

    def _yes(self, request: JudgeRequest, view: Any, question: str) -> Answer:
        try:
            p = self.p_yes(request, view, question)
        except HarnessError as error:
            return Answer(status="error", error=str(error))
        return Answer(value=p, payload={"p_yes": p})

    def _detect(self, view: Any) -> Answer:
        boxes, colours = self.detect(view)
        n = sum(len(b) for b in boxes.values())
        return Answer(value=float(n), payload={"detections": boxes, "colours": colours})


def _write_yes_no_lines(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """One line per question, `yes` or `no` first, as TIIF's judge is asked to write."""
    lines = []
    for question in request.questions:
        p = judge.p_yes(request, views[0], question.text)
        lines.append(f"{'yes' if p > 0.5 else 'no'}, P(yes) = {p:.3f}")
    return "\n".join(lines)


def _write_edit_success(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """GEdit's two scales of an edit, 0..10: what should change did, and what should stay did. Views: source, edited."""
    asked, kept = (judge.p_all(request, views[1], request.fields[name]) for name in ("facts", "kept"))
    scores = [_scale(asked, 10), _scale(kept, 10)]
    reason = (
        f"{sum(p > 0.5 for p in asked)} of {len(asked)} changes made, {sum(p > 0.5 for p in kept)} of {len(kept)} kept"
    )
    return json.dumps({"score": scores, "reasoning": reason})


def _write_edit_quality(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """GEdit's two scales of picture quality, 0..10: the mean and the worst of the measured qualities."""
    measured = judge.p_all(request, views[0], request.fields["quality"])
    scores = [_scale(measured, 10), _scale([min(measured)], 10)]
    return json.dumps({"score": scores, "reasoning": "measured on the parsed picture"})


def _write_wise_verified(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """1 if the picture shows everything that the prompt hints at, else 0."""
    facts = judge.p_all(request, views[0], request.fields["facts"])
    return f"{sum(p > 0.5 for p in facts)} of {len(facts)} facts are shown.\nScore: {int(min(facts) > 0.5)}"


def _write_wise_legacy(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """Three scales 0..2: facts shown (2 only if all are), mean quality, worst quality."""
    facts = judge.p_all(request, views[0], request.fields["facts"])
    quality = judge.p_all(request, views[0], request.fields["quality"])
    consistency = 2 if min(facts) > 0.5 else int(sum(p > 0.5 for p in facts) * 2 >= len(facts))
    return f"Consistency: {consistency}\nRealism: {_scale(quality, 2)}\nAesthetic Quality: {_scale([min(quality)], 2)}"


def _write_impression(judge: MicroJudge, request: JudgeRequest, views: list[Any]) -> str:
    """One grade 0..10 of the whole picture: the share of facts (or of qualities) that are seen, and noise on it."""
    from harness.world.verifier import QUALITY_QUESTIONS

    asked = request.fields["facts"] if request.form.endswith("-sc") else list(QUALITY_QUESTIONS.values())
    n_seen = sum(judge.believe(views[0], question) > 0.5 for question in asked)
    grade = judge.weaken(request, n_seen / len(asked), f"{request.form}: {request.prompt}")
    return json.dumps({"score": [_scale([grade], 10)], "reasoning": "an impression of the whole picture"})


def _scale(probabilities: Sequence[float], top: int) -> int:
    """The mean of probabilities on an integer scale 0..top; nothing asked is nothing wrong."""
    return round(top * sum(probabilities) / len(probabilities)) if probabilities else top


_WRITERS: dict[str, Callable[[MicroJudge, JudgeRequest, list[Any]], str]] = {
    "tiif": _write_yes_no_lines,
    "wise-verified": _write_wise_verified,
    "wise-legacy": _write_wise_legacy,
    "gedit-sc": _write_edit_success,
    "gedit-pq": _write_edit_quality,
    "micro-viescore-sc": _write_impression,
    "micro-viescore-pq": _write_impression,
}
"""Form -> the reply in the shape that a language-model judge is asked for."""


def _timed(reply: JudgeReply, seconds: float) -> JudgeReply:
    return JudgeReply(
        answers=reply.answers, raw=reply.raw, attempts=reply.attempts, seconds=seconds, cost_usd=reply.cost_usd
    )


@JUDGES.register("micro")
def load(argument: str = "") -> MicroJudge:
    """The exact scene verifier of the micro world; `micro:flip=0.05,temperature=2` or `micro:like=NAME` adds noise."""
    return MicroJudge(*noise_of("micro", argument))


def noise_of(name: str, argument: str) -> tuple[Any, str]:
    """The noise model that a judge's argument asks for (None: none) and its label in the fingerprint.

    Args:
        name: of the judge, for messages.
        argument: `flip=0.05,temperature=2`: fields of `harness.world.noise.NoiseModel`; `like=NAME` takes a named
            model of `noise_models.yaml`, which later fields change.

    Raises:
        ConfigError: an unknown field or name, or a value outside its range.
    """
    if not argument:
        return None, ""
    from harness.config import apply_settings, build
    from harness.world.noise import NoiseModel, named_noise

    settings = [part.strip() for part in argument.split(",") if part.strip()]
    try:
        fields = apply_settings({}, settings)
        if "like" in fields:
            fields = named_noise(str(fields.pop("like"))) | fields
            settings = [f"{k}={v}" for k, v in fields.items()]  # the label says what the name stands for now
        noise = build(NoiseModel, fields, where=f"judge {name}:{argument}")
    except ValueError as error:
        raise ConfigError(f"judge {name}:{argument}: {error}") from None
    return noise, ",".join(sorted(settings))
