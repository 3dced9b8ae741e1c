"""The verdict on one image from its detections and their colours. Pure functions, float32 as upstream.

Source: `evaluate` and `relative_position` of `evaluation/evaluate_images.py` (revision in the package docstring).

Colours come in one of two forms, both in terms of the *unfiltered* detections of a class:

- a mapping: class -> one name per detection, aligned with the detections handed to `judge`. A name may be None where
  no colour was determined; asking for it is an error, so None is fine for detections that do not count.
- a function `(class, indices) -> names`, called at most once per clause and only with the detections whose colour
  decides, for classifiers that are costly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.geneval.filtering import Boxes, Kept, Thresholds, filter_detections
from benchmarks.geneval.metadata import COLOURS, Clause, Metadata, parse_metadata
from harness.errors import DataError
from harness.types import Protocol

ColourSource = Mapping[str, Sequence[str | None]] | Callable[[str, Sequence[int]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one image fulfils its prompt."""

    correct: bool
    reason: str
    """Upstream's text, one line per failed clause; empty when correct."""
    details: dict[str, list[list[float]]] = field(default_factory=dict)
    """class -> filtered detections [x1, y1, x2, y2, score], most confident first; only classes present."""


def judge(
    metadata: Mapping[str, Any],
    detections: Mapping[str, Any],
    colours: ColourSource | None = None,
    *,
    thresholds: Thresholds = Thresholds(),  # noqa: B008 (frozen)
    protocol: Protocol = "official",
) -> Verdict:
    """The verdict on one image.

    Args:
        metadata: one object of `evaluation_metadata.jsonl`.
        detections: class -> (N, 5) rows x1, y1, x2, y2, score in the detector's order, unfiltered. Values are rounded
            to float32. Detections below every threshold may be left out, the others keep their order.
        colours: see the module docstring; needed for classes with a colour clause.
        thresholds: the defaults are the benchmark.
        protocol: `official`, or `corrected`: colour clauses look at every detection that counts instead of the `count`
            most confident ones, and directions are read from the normalised reduced offset (see `relative_position`).

    Raises:
        DataError: metadata, detections or colours are malformed, or a colour that decides is not given.
    """
    parsed = parse_metadata(metadata, where="judge")
    kept = filter_detections(detections, tag=parsed.tag, thresholds=thresholds)
    lookup = _colour_lookup(colours if colours is not None else {}, detections, kept)
    correct, reason = judge_kept(parsed, kept, lookup, thresholds=thresholds, protocol=protocol)
    return Verdict(correct, reason, {name: k.boxes.astype(float).tolist() for name, k in kept.items()})


def judge_kept(
    metadata: Metadata,
    kept: Mapping[str, Kept],
    colours_of: Callable[[str, Sequence[int]], Sequence[str]],
    *,
    thresholds: Thresholds,
    protocol: Protocol,
) -> tuple[bool, str]:
    """Verdict and reason from detections that are already filtered.

    Args:
        metadata: the demands.
        kept: by class, see `filter_detections`.
        colours_of: (class, positions in the filtered list) -> names.
        thresholds: only `position_threshold` is used.
        protocol: see `judge`.
    """
    reasons: list[str] = []
    groups: list[Boxes | None] = []
    for clause in metadata.include:
        matched = _check_include(clause, kept, colours_of, groups, reasons, thresholds, protocol)
        groups.append(matched)
    for clause in metadata.exclude:
        n_found = len(kept[clause.class_].indices) if clause.class_ in kept else 0
        if n_found >= clause.count:
            reasons.append(f"expected {clause.class_}<{clause.count}, found {n_found}")
    return not reasons, "\n".join(reasons)


def relative_position(
    a: Boxes, b: Boxes, *, position_threshold: float = 0.1, protocol: Protocol = "official"
) -> tuple[str, ...]:
    """The relations of box `a` to box `b` that hold: none, one, or two near 45 degrees.

    With o the offset of the centres and s the sizes, r = max(|o| - position_threshold (s_a + s_b), 0) sign(o) per axis.
    Both |r| below 0.001: none. Else d = r / |o| and a relation holds if its component of d exceeds one half. Upstream
    divides the reduced vector by the length of the *unreduced* one, so that large objects near each other often have no
    relation; protocol `corrected` divides by the length of r.

    Args:
        a, b: (4,) or (5,) float32, x1, y1, x2, y2, y growing downwards; all arithmetic is float32.
        position_threshold: rounded to float32.
        protocol: which length divides.

    Returns:
        Relations in the order left of, right of, above, below (upstream's order is that of a set).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        (ca, sa), (cb, sb) = _centre_and_size(a), _centre_and_size(b)
        offset = ca - cb
        reduced = np.maximum(np.abs(offset) - np.float32(position_threshold) * (sa + sb), np.float32(0)) * np.sign(
            offset
        )
        if (np.abs(reduced) < np.float32(1e-3)).all():
            return ()
        base = offset if protocol == "official" else reduced
        # Written out instead of a library norm, whose summation differs between builds.
        dx, dy = reduced / np.sqrt(base[0] * base[0] + base[1] * base[1])
    holds = (dx < -0.5, dx > 0.5, dy < -0.5, dy > 0.5)
    return tuple(r for r, h in zip(("left of", "right of", "above", "below"), holds, strict=True) if h)


def _centre_and_size(box: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, high = box[:2], box[2:4]
    return (low + high) / np.float32(2), np.abs(high - low)


def _check_include(
    clause: Clause,
    kept: Mapping[str, Kept],
    colours_of: Callable[[str, Sequence[int]], Sequence[str]],
    groups: Sequence[Boxes | None],
    reasons: list[str],
    thresholds: Thresholds,
    protocol: Protocol,
) -> Boxes | None:
    """The matched detections of one clause; None, with the reason appended, if it fails."""
    boxes = kept[clause.class_].boxes if clause.class_ in kept else np.zeros((0, 5), dtype=np.float32)
    if len(boxes) < clause.count:
        reasons.append(f"expected {clause.class_}>={clause.count}, found {len(boxes)}")
        return None
    found = list(range(clause.count))
    if clause.color is not None:
        looked_at = found if protocol == "official" else list(range(len(boxes)))
        names = colours_of(clause.class_, looked_at) if looked_at else ()
        if sum(n == clause.color for n in names) < clause.count:
            reasons.append(_colour_reason(clause, names))
            return None
        found = [i for i, n in zip(looked_at, names, strict=True) if n == clause.color][: clause.count]
    if clause.position is not None:
        relation, index = clause.position
        reason = _position_reason(clause, boxes[found], relation, groups[index], thresholds, protocol)
        if reason:
            reasons.append(reason)
            return None
    return boxes[found]


def _colour_reason(clause: Clause, names: Sequence[str]) -> str:
    order = (*COLOURS, *sorted(set(names) - set(COLOURS)))
    seen = ", ".join(f"{names.count(c)} {c}" for c in order if c in names)
    n_right = sum(n == clause.color for n in names)
    return f"expected {clause.color} {clause.class_}>={clause.count}, found {n_right} {clause.color}; and {seen}"


def _position_reason(
    clause: Clause, found: Boxes, relation: str, target: Boxes | None, thresholds: Thresholds, protocol: Protocol
) -> str:
    if target is None:
        return f"no target for {clause.class_} to be {relation}"
    for box in found:
        for other in target:
            held = relative_position(box, other, position_threshold=thresholds.position_threshold, protocol=protocol)
            if relation not in held:
                return f"expected {clause.class_} {relation} target, found {' and '.join(held)} target"
    return ""


def _colour_lookup(
    colours: ColourSource, detections: Mapping[str, Any], kept: Mapping[str, Kept]
) -> Callable[[str, Sequence[int]], Sequence[str]]:
    """Colours by position in the filtered list, from colours of the unfiltered one."""

    def lookup(name: str, positions: Sequence[int]) -> Sequence[str]:
        indices = [kept[name].indices[p] for p in positions]
        names = (
            list(colours(name, indices))
            if callable(colours)
            else _from_mapping(colours, name, indices, len(detections[name]))
        )
        if len(names) != len(indices):
            raise DataError(
                f"colours: class {name!r}: the classifier gave {len(names)} names for {len(indices)} detections."
            )
        missing = [i for i, n in zip(indices, names, strict=True) if not isinstance(n, str)]
        if missing:
            raise DataError(
                f"colours: class {name!r}: detection {missing[0]} decides a colour clause but has no colour name."
            )
        return names

    return lookup


def _from_mapping(
    colours: Mapping[str, Sequence[str | None]], name: str, indices: Sequence[int], n_detections: int
) -> list[Any]:
    if name not in colours:
        raise DataError(
            f"colours: class {name!r} has a colour clause but no colours are given; given: {sorted(colours)}."
        )
    given = colours[name]
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != n_detections:
        raise DataError(
            f"colours: class {name!r}: expected {n_detections} names, one per unfiltered detection, got {given!r:.80}."
        )
    return [given[i] for i in indices]
