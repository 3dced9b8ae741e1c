"""The judge around detector and colour classifier: requests of kind `detect` in, GenEval's payload out."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ConfigError, HarnessError, JudgeError
from harness.images import load
from harness.judges.base import Answer, Judge, JudgeReply, JudgeRequest, failed
from harness.judges.detector.classes import CLASS_NAMES
from harness.judges.detector.colours import ColourClassifier
from harness.judges.detector.detection import Detections, detect
from harness.judges.detector.options import CommonOptions
from harness.judges.detector.preprocess import RESIZE_BACKEND, Pixels, Recipe, to_rgb

SELFTEST_SCORE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What differs between the two judges."""

    name: str
    recipe: Recipe
    identity: str
    """Which weights, for the fingerprint."""
    load_detector: Callable[[str], Any]
    """Device -> model."""
    load_colours: Callable[[str], ColourClassifier] | None
    """Device -> classifier; None where colours are not judged."""


class DetectorJudge(Judge):
    """Per-class boxes, scores and colours of a picture; models are loaded at the first question.

    Args:
        parts: models and names.
        options: device, precision and self-test.
    """

    kinds = frozenset({"detect"})
    batch_size = 4

    def __init__(self, parts: Parts, options: CommonOptions) -> None:
        self.name = parts.name
        self._parts = parts
        self._options = options
        self._device = pick_device(options.device)
        if options.clip_precision == "autocast" and not self._device.startswith("cuda"):
            raise ConfigError(f"judge {self.name}: clip_precision=autocast needs a CUDA device, not {self._device}.")
        self._fingerprint = self._describe()
        self._detector: Any = None
        self._colours: ColourClassifier | None = None

    @property
    def fingerprint(self) -> str:
        """Weights, converter, library versions, device, rounding and resize backend."""
        return self._fingerprint

    def ask(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """One reply per request; a picture that cannot be judged is an answer with status `error`.

        Raises:
            JudgeError: the models cannot be loaded or fail their self-test.
        """
        replies = []
        for request in requests:
            started = time.perf_counter()
            reply = self._reply(request)
            seconds = time.perf_counter() - started
            replies.append(JudgeReply(answers=reply.answers, seconds=seconds))
        return replies

    def close(self) -> None:
        """Lets the models go."""
        self._detector = self._colours = None

    def _reply(self, request: JudgeRequest) -> JudgeReply:
        n = len(request.questions)
        if request.kind != "detect" or n != 1 or len(request.images) != 1:
            return failed(
                n, "error", f"judge {self.name!r} answers one question of kind 'detect' on one picture at a time"
            )
        try:
            classes = self._colour_classes(request)
            pixels = to_rgb(request.images[0].load())
        except HarnessError as error:
            return failed(n, "error", str(error))
        self._load(colours=bool(classes))
        try:
            return JudgeReply(answers=(self._answer(request, pixels, classes),))
        except RuntimeError as error:
            if "out of memory" not in str(error).lower():
                raise
            return failed(n, "error", f"{self._device}: {str(error).splitlines()[0]}")

    def _answer(self, request: JudgeRequest, pixels: Pixels, colour_classes: Sequence[str]) -> Answer:
        found = detect(self._detector, pixels, recipe=self._parts.recipe, tf32=self._options.tf32)
        rows = by_class(found)
        detections = {name: [row_of(found, i) for i in indices] for name, indices in rows.items()}
        colours: dict[str, list[str | None]] = {}
        for name in colour_classes:
            colours[name] = self._classify(
                pixels, found, rows.get(name, []), name, request.fields.get("min_score", 0.0)
            )
        return Answer(value=float(len(found)), payload={"detections": detections, "colours": colours})

    def _classify(
        self, pixels: Pixels, found: Detections, indices: Sequence[int], name: str, min_score: float
    ) -> list[str | None]:
        """A colour for each detection of a class that can count; None for the others."""
        assert self._colours is not None
        wanted = [i for i in indices if np.float32(found.scores[i]) > np.float32(min_score)]
        masks, boxes = [found.mask(i) for i in wanted], [found.boxes[i].tolist() for i in wanted]
        names = dict(zip(wanted, self._colours.classify(pixels, masks, boxes, name), strict=True)) if wanted else {}
        return [names.get(i) for i in indices]

    def _colour_classes(self, request: JudgeRequest) -> list[str]:
        classes = list(request.fields.get("colour_classes", []))
        unknown = [c for c in classes if c not in CLASS_NAMES]
        if unknown:
            raise JudgeError(
                f"class {unknown[0]!r} is not among the detector's 80 classes; judge {self.name!r} is for photographs "
                "and GenEval's official prompts."
            )
        if classes and self._parts.load_colours is None:
            raise JudgeError(f"judge {self.name!r} was started with clip=none, but this prompt asks for colours")
        return classes

    def _load(self, *, colours: bool) -> None:
        if self._detector is None:
            detector = self._parts.load_detector(self._device)
            if self._options.selftest is not None:
                selftest(detector, Path(self._options.selftest), recipe=self._parts.recipe, judge=self.name)
            self._detector = detector
        if colours and self._colours is None and self._parts.load_colours is not None:
            self._colours = self._parts.load_colours(self._device)

    def _describe(self) -> str:
        versions = "+".join(f"{p}-{importlib.metadata.version(p)}" for p in ("transformers", "torch", "pillow"))
        rounding = f"tf32-conv-{'on' if self._options.tf32 == 'convolutions' else 'off'}+tf32-matmul-off"
        resize = RESIZE_BACKEND[self._parts.recipe].replace(" ", "-")
        return "+".join(
            (
                f"{self.name}@{self._parts.identity}",
                f"clip-{self._options.clip_precision}",
                versions,
                device_label(self._device),
                rounding,
                f"resize-{resize}",
            )
        )


def by_class(found: Detections) -> dict[str, list[int]]:
    """Class name -> places in `found`, in its order; classes in index order, only those present."""
    result: dict[str, list[int]] = {}
    for label in sorted(set(found.labels.tolist())):
        result[CLASS_NAMES[label]] = np.flatnonzero(found.labels == label).tolist()
    return result


def row_of(found: Detections, i: int) -> list[float]:
    """[x1, y1, x2, y2, score] as numbers that are exact in float32."""
    return [*found.boxes[i].tolist(), float(np.float32(found.scores[i]))]


def selftest(model: Any, path: Path, *, recipe: Recipe, judge: str) -> None:
    """Checks that something is found in a photograph.

    Raises:
        JudgeError: nothing with a score above 0.9.
    """
    found = detect(model, to_rgb(load(path.expanduser())), recipe=recipe)
    best = int(np.argmax(found.scores))
    if found.scores[best] <= SELFTEST_SCORE:
        raise JudgeError(
            f"judge {judge!r}: self-test on {path}: the best detection is {CLASS_NAMES[int(found.labels[best])]} with "
            f"score {found.scores[best]:.3f}, expected one above {SELFTEST_SCORE}. Scores near 0 on a photograph with "
            "a clear object mean wrong weights or a broken device."
        )


def pick_device(wanted: str) -> str:
    """The device to run on.

    Raises:
        ConfigError: the wanted one is not there.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={wanted}: not usable here ({str(error).splitlines()[0]}).") from None
    return wanted


def device_label(device: str) -> str:
    """`cpu`, or a GPU's kind and model."""
    import torch

    if not device.startswith("cuda"):
        return device
    return f"cuda-{torch.cuda.get_device_name(device)}".replace(" ", "-")


def load_clip(
    model: str, device: str, *, any_size: bool, any_activation: bool, options: CommonOptions
) -> ColourClassifier:
    """The colour classifier from a folder or the hub.

    Raises:
        JudgeError: it cannot be loaded, or is not the official one.
    """
    from transformers import CLIPModel, CLIPTokenizer

    from harness.judges.detector.colours import check_clip
    from harness.judges.detector.hub import load_pretrained, local_name

    clip = load_pretrained(CLIPModel, model, unfilled=("position_ids",))
    check_clip(clip.config, f"clip={model}", any_size=any_size, any_activation=any_activation)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(local_name(model))
    except (OSError, ValueError) as error:
        raise JudgeError(f"clip={model}: no tokenizer ({str(error).splitlines()[0]}).") from None
    clip = clip.to(device)
    return ColourClassifier(clip, tokenizer, clip_precision=options.clip_precision, tf32=options.tf32)


def clip_identity(model: str, *, any_size: bool, any_activation: bool) -> str:
    """`clip-` and twelve digits of configuration and weights, after checking the configuration.

    Raises:
        JudgeError: not found, or not the official one.
    """
    from transformers import CLIPConfig

    from harness.judges.detector.colours import check_clip
    from harness.judges.detector.hub import resolve, weights_sha256

    if model == "none":
        return "clip-none"
    config = CLIPConfig.from_pretrained(resolve(model, "config.json").parent)
    check_clip(config, f"clip={model}", any_size=any_size, any_activation=any_activation)
    return f"clip-{weights_sha256(model)[:12]}"


def require_transformers(judge: str) -> None:
    """Says how to get the library where it is missing.

    Raises:
        JudgeError: it is missing.
    """
    from importlib.util import find_spec

    if find_spec("transformers") is None:
        raise JudgeError(f"judge {judge} needs transformers: pip install -c constraints.txt -e '.[judges]'")
