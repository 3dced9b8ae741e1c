"""A scoring model behind the judge interface: checks, decoding and batching around one forward pass."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError, JudgeError
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, failed


class Scorer(ABC):
    """A loaded model. Scores do not depend on what else is in the batch, beyond rounding."""

    def refusal(self, prompt: str) -> str:
        """Why this prompt cannot be scored; empty where it can."""
        return ""

    def prepare(self, image: Any) -> Any:
        """What `score` takes for a decoded PIL image.

        Raises:
            DataError: the image cannot be scored.
        """
        return image

    @abstractmethod
    def score(self, images: Sequence[Any], prompts: Sequence[str]) -> list[dict[str, float]]:
        """One dictionary per (image, prompt): `raw` is the score, the rest goes to the payload."""


class ScoreJudge(Judge):
    """Answers `score` requests: one image, one question whose text is the prompt; `Answer.value` is the raw score.

    Args:
        name: of the judge.
        identify: gives the fingerprint from the model's files, without loading them.
        load: loads the model, when the first question comes.
        batch_size: images per forward pass.
    """

    kinds = frozenset({"score"})

    def __init__(self, name: str, *, identify: Callable[[], str], load: Callable[[], Scorer], batch_size: int) -> None:
        self.name = name
        self.batch_size = batch_size
        self._identify = identify
        self._load = load
        self._fingerprint = ""
        self._scorer: Scorer | None = None

    @property
    def fingerprint(self) -> str:
        """Model files, precision and preparation.

        Raises:
            JudgeError: the files are not there.
        """
        self._fingerprint = self._fingerprint or f"{self.name}-{self._identify()}"
        return self._fingerprint

    @property
    def scorer(self) -> Scorer:
        """The model, loaded when it is first asked for.

        Raises:
            JudgeError: it cannot be loaded.
        """
        if self._scorer is None:
            self._scorer = self._load()
        return self._scorer

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """One reply per request, in order, `batch_size` at a time; what cannot be scored fails alone."""
        replies: list[JudgeReply] = []
        for start in range(0, len(requests), self.batch_size):
            replies += self._ask_batch(requests[start : start + self.batch_size])
        return replies

    def close(self) -> None:
        """Frees the model's memory."""
        self._scorer = None

    def _ask_batch(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        started = time.perf_counter()
        ready = [self._ready(r) for r in requests]
        pairs = [(image, r.questions[0].text) for image, r in zip(ready, requests, strict=True) if _is_fine(image)]
        scores = iter(self._score([i for i, _ in pairs], [p for _, p in pairs]))
        seconds = (time.perf_counter() - started) / len(requests)
        return [
            JudgeReply(answers=(_answer(next(scores)),), seconds=seconds) if _is_fine(image) else image
            for image in ready
        ]

    def _ready(self, request: JudgeRequest) -> Any:
        """The prepared image, or the reply that says why there is none."""
        n = len(request.questions)
        if request.kind != "score" or n != 1 or len(request.images) != 1:
            return failed(
                n,
                "error",
                f"judge {self.name!r} scores one image for one prompt; asked were {n} questions of kind "
                f"{request.kind!r} about {len(request.images)} images",
            )
        refusal = self.scorer.refusal(request.questions[0].text)
        if refusal:
            return failed(n, "error", refusal)
        try:
            return self.scorer.prepare(request.images[0].load())
        except HarnessError as error:
            return failed(n, "error", str(error))

    def _score(self, images: Sequence[Any], prompts: Sequence[str]) -> list[dict[str, float]]:
        import torch

        if not images:
            return []
        try:
            with torch.inference_mode():
                return self.scorer.score(images, prompts)
        except torch.OutOfMemoryError:
            raise JudgeError(
                f"Judge {self.name!r}: {len(images)} images do not fit into the device's memory; lower batch_size."
            ) from None


def _is_fine(ready: Any) -> bool:
    return not isinstance(ready, JudgeReply)


def _answer(scores: Mapping[str, float]) -> Answer:
    broken = sorted(name for name, value in scores.items() if not math.isfinite(value))
    if broken:
        return Answer(status="error", error=f"the model's {broken[0]} is {scores[broken[0]]}")
    return Answer(value=scores["raw"], payload=dict(scores))
