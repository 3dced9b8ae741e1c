"""Which detections of a class count: threshold, order, number, overlap. Pure functions, float32 as upstream.

Source: `evaluate_image` and `compute_iou` of `evaluation/evaluate_images.py` (revision in the package docstring).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

Boxes = NDArray[np.float32]
"""(N, 5) float32: x1, y1, x2, y2 in pixels, score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Parameters of filtering and judging; the defaults are the benchmark."""

    threshold: float = 0.3
    """A detection counts if its score is strictly greater (compared in float32)."""
    counting_threshold: float = 0.9
    """Used instead for every class of a prompt with the tag `counting`."""
    max_objects: int = 16
    """At most this many detections per class, the most confident ones."""
    max_overlap: float = 1.0
    """Detections whose overlap (IoU) with a better one reaches this are dropped; exactly 1 keeps all."""
    position_threshold: float = 0.1
    """Share of both objects' sizes by which an offset is reduced before its direction is read."""

    @property
    def changes(self) -> str:
        """What differs from the benchmark, e.g. `+threshold=0.4`; empty for the defaults."""
        standard = Thresholds()
        fields = [f for f in self.__dataclass_fields__ if getattr(self, f) != getattr(standard, f)]
        return "".join(f"+{f}={getattr(self, f)}" for f in fields)

    def for_tag(self, tag: str) -> float:
        """The score threshold of a task."""
        return self.counting_threshold if tag == "counting" else self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The detections of one class that count, most confident first."""

    boxes: Boxes
    indices: tuple[int, ...]
    """Where each stands in the unfiltered list."""


def as_boxes(value: Any, *, where: str) -> Boxes:
    """`value` as an (N, 5) float32 array.

    Raises:
        DataError: rows do not have five numbers, or one of them is not finite in float32.
    """
    try:
        with np.errstate(over="ignore"):
            boxes = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected rows of five numbers (x1, y1, x2, y2, score).") from None
    if boxes.size == 0:
        return np.zeros((0, 5), dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise DataError(f"{where}: expected rows (x1, y1, x2, y2, score), got an array of shape {boxes.shape}.")
    if not np.isfinite(boxes).all():
        raise DataError(
            f"{where}: row {int(np.argmin(np.isfinite(boxes).all(axis=1)))} holds a number that is not finite."
        )
    return boxes


def filter_boxes(boxes: Boxes, *, threshold: float, max_objects: int = 16, max_overlap: float = 1.0) -> Kept:
    """The detections of one class that count, most confident first.

    Order of steps: sort by score, drop scores not above the threshold, keep the first `max_objects`, drop overlaps.
    Among equal scores the later detection comes first: upstream reverses an ascending order that is stable for up to
    16 items (NumPy's insertion sort); the same rule is used here for any number. A float32 score equal to the
    threshold rounded to float32 is dropped, although it may be greater in double precision.

    Args:
        boxes: (N, 5) float32, in the detector's order.
        threshold: score to exceed.
        max_objects: how many to keep.
        max_overlap: see `Thresholds`.
    """
    order = np.argsort(boxes[:, 4], kind="stable")[::-1]
    order = order[boxes[order, 4] > np.float32(threshold)][:max_objects]
    indices = [int(i) for i in order]
    if max_overlap != 1:
        indices = _without_overlaps(boxes, indices, max_overlap)
    return Kept(boxes[indices], tuple(indices))


def filter_detections(
    detections: Mapping[str, Any], *, tag: str, thresholds: Thresholds, where: str = "detections"
) -> dict[str, Kept]:
    """`filter_boxes` for every class, in the mapping's order; classes left with nothing are absent.

    Raises:
        DataError: see `as_boxes`.
    """
    kept = {
        name: filter_boxes(
            as_boxes(rows, where=f"{where}: class {name!r}"),
            threshold=thresholds.for_tag(tag),
            max_objects=thresholds.max_objects,
            max_overlap=thresholds.max_overlap,
        )
        for name, rows in detections.items()
    }
    return {name: k for name, k in kept.items() if k.indices}


def overlap(a: Sequence[np.float32] | Boxes, b: Sequence[np.float32] | Boxes) -> float:
    """Intersection over union of two boxes, both corners counted as inside; 0 if the union is empty.

    Side lengths are float32 differences; the rest is double precision, which is what adding the integer 1 to a
    float32 scalar gives in the NumPy version that upstream pins.
    """
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4])
    shared = _area(low, high)
    union = _area(a[:2], a[2:4]) + _area(b[:2], b[2:4]) - shared
    return shared / union if union else 0.0


def _area(low: Any, high: Any) -> float:
    width, height = (float(end - start) + 1 for start, end in zip(low, high, strict=True))
    return max(width, 0.0) * max(height, 0.0)


def _without_overlaps(boxes: Boxes, indices: Sequence[int], max_overlap: float) -> list[int]:
    kept: list[int] = []
    rest = list(indices)
    while rest:
        best = rest.pop(0)
        kept.append(best)
        rest = [i for i in rest if overlap(boxes[best], boxes[i]) < max_overlap]
    return kept
