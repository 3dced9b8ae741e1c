"""One picture through the detector: logits, then the 100 best (query, class) pairs with boxes, scores and masks.

Source: `inference_detector` of mmdet 2.28, `MaskFormerFusionHead.instance_postprocess`. The library's own instance
post-processing is not used: it resizes masks to 384 x 384 and moves boxes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.judges.detector.preprocess import Pixels, Recipe, prepare

if TYPE_CHECKING:
    from torch import Tensor

MAX_PER_IMAGE = 100
CHUNK = 16
"""Masks at full size at a time: 64 MB per copy for a picture of 1024 x 1024."""

Tf32 = Literal["off", "convolutions"]


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """What the model says about one picture."""

    classes: Tensor
    """(Q, C + 1), the last column is no object."""
    masks: Tensor
    """(Q, H / 4, W / 4) of the padded input."""
    padded: tuple[int, int]
    resized: tuple[int, int]
    original: tuple[int, int]
    """Heights and widths: of the model's input, of it without padding, of the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The best (query, class) pairs of one picture, most probable class first; equal ones by query, then class.

    Several pairs may share a query and thus a mask; there is no suppression of overlaps.
    """

    labels: NDArray[np.int64]
    """(N,) class indices."""
    boxes: NDArray[np.float32]
    """(N, 4) x1, y1, x2, y2 in pixels of the picture, x2 and y2 exclusive; zeros for an empty mask."""
    scores: NDArray[np.floating]
    """(N,) in 0..1: class probability times the mean mask probability inside the mask; 0 for an empty mask."""
    queries: NDArray[np.int64]
    """(N,) which query each pair belongs to."""
    masks: dict[int, NDArray[np.bool_]]
    """Query -> (H, W) mask at the picture's size."""

    def __len__(self) -> int:
        return len(self.labels)

    def mask(self, i: int) -> NDArray[np.bool_]:
        """(H, W) bool, the mask of pair `i`."""
        return self.masks[int(self.queries[i])]


def predict(model: Any, image: Pixels, *, recipe: Recipe = "mmdet", tf32: Tf32 = "off") -> Logits:
    """The logits of one picture; always one picture per pass, since the model has no padding mask.

    Args:
        model: from `build_model`, on any device.
        image: (H, W, 3) uint8, RGB.
        recipe: see `preprocess.prepare`.
        tf32: whether the GPU may round in convolutions; never in matrix products.
    """
    import torch

    prepared = prepare(image, recipe)
    parameter = next(model.parameters())
    values = torch.from_numpy(prepared.pixels)[None].to(parameter.device, parameter.dtype)
    # The library's decoder draws a number per layer even in evaluation mode.
    with torch.inference_mode(), torch.random.fork_rng(devices=[]), precision(tf32):
        out = model(pixel_values=values)
    return Logits(
        classes=out.class_queries_logits[0],
        masks=out.masks_queries_logits[0],
        padded=(int(values.shape[-2]), int(values.shape[-1])),
        resized=prepared.resized,
        original=prepared.original,
    )


def detect(
    model: Any,
    image: Pixels,
    *,
    recipe: Recipe = "mmdet",
    tf32: Tf32 = "off",
    max_per_image: int = MAX_PER_IMAGE,
    chunk: int = CHUNK,
) -> Detections:
    """The detections of one picture, unfiltered.

    Args:
        model: from `build_model`.
        image: (H, W, 3) uint8, RGB.
        recipe, tf32: see `predict`.
        max_per_image: number of pairs.
        chunk: masks at full size at a time; changes memory, not results.
    """
    return postprocess(predict(model, image, recipe=recipe, tf32=tf32), max_per_image=max_per_image, chunk=chunk)


def postprocess(logits: Logits, *, max_per_image: int = MAX_PER_IMAGE, chunk: int = CHUNK) -> Detections:
    """The detections that logits give; arithmetic in the logits' dtype.

    The best pairs are the largest of the class probabilities (softmax over classes and no object, last column
    dropped) over all queries and classes. Mask: logits to the padded size, cut, to the picture's size, both bilinear
    without corner alignment; above 0. Score: probability * sum(sigmoid * mask) / (sum(mask) + 1e-6).
    """
    import torch

    with torch.inference_mode():
        probabilities, queries, labels = best_pairs(logits.classes, max_per_image)
        used, place = torch.unique(queries, return_inverse=True)
        certainty = torch.zeros(len(used), dtype=logits.masks.dtype)
        boxes = np.zeros((len(used), 4), dtype=np.float32)
        masks: dict[int, NDArray[np.bool_]] = {}
        for start in range(0, len(used), chunk):
            part = used[start : start + chunk]
            full = full_size(logits.masks[part.to(logits.masks.device)], logits.padded, logits.resized, logits.original)
            certainty[start : start + chunk] = mask_certainty(full).cpu()
            for i, mask in enumerate((full > 0).cpu().numpy(), start=start):
                masks[int(used[i])] = mask
                boxes[i] = mask_box(mask)
        scores = probabilities.cpu() * certainty[place]
    return Detections(labels.numpy(), boxes[place.numpy()], scores.numpy(), queries.numpy(), masks)


def best_pairs(class_logits: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities, queries and classes of the `n` most probable pairs, (n,) each, on the CPU.

    Equal probabilities keep the order of query, then class; upstream leaves it open.
    """
    probabilities = class_logits.softmax(-1)[:, :-1]
    n_classes = probabilities.shape[1]
    best, index = probabilities.flatten().cpu().sort(descending=True, stable=True)
    best, index = best[:n], index[:n]
    return best, index // n_classes, index % n_classes


def full_size(
    mask_logits: Tensor, padded: tuple[int, int], resized: tuple[int, int], original: tuple[int, int]
) -> Tensor:
    """(Q, H, W) mask logits at the picture's size."""
    from torch.nn.functional import interpolate

    at_input = interpolate(mask_logits[:, None], size=padded, mode="bilinear", align_corners=False)
    cut = at_input[:, :, : resized[0], : resized[1]]
    return interpolate(cut, size=original, mode="bilinear", align_corners=False)[:, 0]


def mask_certainty(full: Tensor) -> Tensor:
    """(Q,) mean sigmoid of the logits above 0; 0 where there are none."""
    binary = (full > 0).to(full.dtype)
    inside = (full.sigmoid() * binary).flatten(1).sum(1)
    return inside / (binary.flatten(1).sum(1) + 1e-6)


def mask_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """(min x, min y, max x + 1, max y + 1) of a mask; zeros if it is empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@contextlib.contextmanager
def precision(tf32: Tf32) -> Iterator[None]:
    """Sets how a GPU multiplies float32 numbers, and puts the process's own setting back."""
    import torch

    cudnn: Any = torch.backends.cudnn
    settings: list[Any] = [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn]  # torch wants the last two alike
    before = [s.fp32_precision for s in settings]
    convolutions = "tf32" if tf32 == "convolutions" else "ieee"
    try:
        for setting, value in zip(settings, ("ieee", convolutions, convolutions), strict=True):
            setting.fp32_precision = value
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value
