"""The result table: the published overall formulas under their own names, categories, sub-categories, scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

from benchmarks.wise.calculation import Outcome
from benchmarks.wise.variants import CATEGORIES, SCALES, TIME_LABELS, Variant, overall, unweighted, weights, wiscore
from harness.errors import DataError
from harness.terms import Terms, make_terms
from harness.types import Prompt, Protocol, SampleKey, Score, Summary

UNUSABLE = "unusable: "
"""Start of a reason: there is a record of the image, but no score in it. Such an id counts as present officially."""

_STEP: Mapping[Variant, float] = {"verified": 1.0, "legacy": 0.05}
"""Smallest difference of two images' scores; legacy: one point of the scale that weighs 0.1, over 2."""


@dataclass(slots=True)
class Tally:
    """What there is of one prompt."""

    id: str
    category: str
    label: str
    samples: list[dict[str, float]] = field(default_factory=list)
    """Scores by scale of every scored image, in order."""
    n_unusable: int = 0
    n_missing: int = 0

    @property
    def is_present(self) -> bool:
        """Whether the official program would find a record."""
        return bool(self.samples) or self.n_unusable > 0

    @property
    def n_lost(self) -> int:
        """Images without a score; a prompt of which nothing is known counts one."""
        return self.n_missing + self.n_unusable + (not self.samples and not self.n_missing and not self.n_unusable)


def tally(prompts: Mapping[str, Prompt], scores: Sequence[Score], variant: Variant) -> dict[str, Tally]:
    """Scores by prompt.

    Raises:
        DataError: a score of an unknown prompt or scale, or a repeated one.
    """
    found = {p.id: Tally(p.id, p.category, str(p.meta.get("Subcategory", ""))) for p in prompts.values()}
    samples: dict[SampleKey, dict[str, Score]] = {}
    for score in scores:
        where = f"wise: score {score.metric!r} of {score.key.prompt_id}, image {score.key.index}"
        if score.key.prompt_id not in found:
            raise DataError(f"{where}: no such prompt among the {len(found)} given.")
        if score.metric not in SCALES[variant]:
            raise DataError(f"{where}: the {variant} variant has the scales {', '.join(SCALES[variant])}.")
        own = samples.setdefault(score.key, {})
        if score.metric in own:
            raise DataError(f"{where}: given twice.")
        own[score.metric] = score
    for key, own in samples.items():
        _add(found[key.prompt_id], own, variant)
    return found


def _add(prompt: Tally, own: Mapping[str, Score], variant: Variant) -> None:
    values = {scale: own[scale].value for scale in SCALES[variant] if scale in own}
    known = {scale: value for scale, value in values.items() if value is not None}
    if len(known) == len(SCALES[variant]):
        prompt.samples.append(known)
    elif any(s.reason.startswith(UNUSABLE) for s in own.values()):
        prompt.n_unusable += 1
    else:
        prompt.n_missing += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One partition of the prompts into weighted parts, and how their means are joined."""

    part_of: Callable[[Tally], str | None]
    weights: Mapping[str, float]
    join: Callable[[Mapping[str, float]], float]


def summarise(
    tallies: Mapping[str, Tally], variant: Variant, protocol: Protocol, *, n_expected: int, has_time_labels: bool
) -> list[Summary]:
    """`overall/official`, `overall/unweighted` (legacy: `overall/bagel`), categories, scales (legacy), sub-categories.

    `n` counts scored images, the official denominator; `n_missing` images without a score. An overall exists only for a
    complete set, see the package docstring; otherwise `partial_overall/...` has the same formula over what there is,
    where every category has something. `extra` tells the outcome of the official program, and counts.

    Args:
        tallies: by prompt id.
        variant: whose weights and scales.
        protocol: `official` pools images, `corrected` takes each prompt's mean first.
        n_expected: prompts of a complete set.
        has_time_labels: whether the labels can tell TIME from SPACE as BAGEL's evaluation does.
    """
    own = list(tallies.values())
    counts = completeness(own, variant, n_expected)
    views = {
        "official": View(part_of=_category, weights=weights(variant), join=lambda m: overall(variant, m)),
        "unweighted": View(part_of=_category, weights=dict.fromkeys(CATEGORIES, 1 / 6), join=unweighted),
    }
    if variant == "legacy":
        part_of = _bagel_part if has_time_labels else _category
        views["bagel"] = View(part_of=part_of, weights=dict.fromkeys(CATEGORIES, 1 / 6), join=unweighted)
    rows, incomplete = [], []
    for name, view in views.items():
        total = _joined(view, own, variant, protocol)
        why = _why_not(name, counts, protocol)
        rows.append(_total(f"overall/{name}", total, counts, why))
        if why and total.value is not None:
            incomplete.append(_total(f"partial_overall/{name}", total, counts, ""))
    groups = [(f"category/{c}", [t for t in own if t.category == c]) for c in CATEGORIES]
    table = [_mean(key, group, variant, protocol) for key, group in groups if group]
    if variant == "legacy":
        table += [_scale(scale, own, protocol) for scale in SCALES[variant]]
    labels = list(dict.fromkeys(t.label for t in own if t.label))
    table += [_mean(f"subcategory/{n}", [t for t in own if t.label == n], variant, protocol) for n in labels]
    return [*rows, *incomplete, *table]


def completeness(own: Sequence[Tally], variant: Variant, n_expected: int) -> dict[str, Any]:
    """Counts, and the official program's `outcome`."""
    n_present = sum(t.is_present for t in own)
    n_samples = sum(len(t.samples) for t in own)
    top = 1.0 if variant == "verified" else 2.0
    filled = {t.category for t in own if t.samples}
    outcome: Outcome = "overall"
    if n_present < max(n_expected, len(own)):
        outcome = "missing_ids"
    elif not n_samples:
        outcome = "no_valid_data"
    elif len(filled & set(CATEGORIES)) < len(CATEGORIES):
        outcome = "no_overall"
    n_unusable, n_lost = sum(t.n_unusable for t in own), sum(t.n_lost for t in own)
    is_complete = outcome == "overall" and not n_lost
    found: dict[str, Any] = {
        "variant": variant,
        "outcome": outcome,
        "ids_expected": max(n_expected, len(own)),
        "ids_present": n_present,
        "images_scored": n_samples,
        "images_unusable": n_unusable,
        "images_missing": n_lost - n_unusable,
        "out_of_range": sum(not 0 <= v <= top for t in own for s in t.samples for v in s.values()),
        "complete": is_complete,
    }
    if not is_complete:
        found["note"] = f"incomplete: {n_samples} images are scored, of {found['ids_expected']} prompts"
    return found


def _why_not(name: str, counts: Mapping[str, Any], protocol: Protocol) -> str:
    """Why there is no overall; empty if there is one."""
    absent = counts["ids_expected"] - counts["ids_present"]
    if counts["outcome"] == "missing_ids":
        return f"missing_ids: {absent} of {counts['ids_expected']} ids have no record"
    if counts["outcome"] != "overall":
        return f"{counts['outcome']}: a category has no scored image"
    lost = counts["images_missing"] + counts["images_unusable"]
    if lost and (protocol == "corrected" or name == "bagel"):
        return f"not computed: {lost} images have no score"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    value: float | None
    bounds: list[float] | None
    terms: Terms | None
    n: int
    n_missing: int


def _joined(view: View, own: Sequence[Tally], variant: Variant, protocol: Protocol) -> _Joined:
    parts: dict[str, list[Tally]] = {part: [] for part in view.weights}
    for prompt in own:
        part = view.part_of(prompt)
        if part in parts:
            parts[part].append(prompt)
    n, n_missing = sum(len(t.samples) for t in own), sum(t.n_lost for t in own)
    if not all(any(t.samples for t in group) for group in parts.values()):
        return _Joined(value=None, bounds=None, terms=None, n=n, n_missing=n_missing)
    terms = _terms(parts, view.weights, partial(wiscore, variant), protocol, step=_STEP[variant])
    bounds = None
    if n_missing:
        bounds = [view.join({p: _filled(group, variant, fill) for p, group in parts.items()}) for fill in (0.0, 1.0)]
    means = {part: _ratio(terms, place) for place, part in enumerate(terms.categories)}
    return _Joined(value=view.join(means), bounds=bounds, terms=terms, n=n, n_missing=n_missing)


def _total(metric: str, total: _Joined, counts: Mapping[str, Any], why: str) -> Summary:
    extra = dict(counts)
    if total.bounds is not None:
        extra["bounds"] = total.bounds
    if why or total.value is None or total.terms is None:
        why = why or "a category has no scored image"
        return Summary(metric=metric, value=None, n=total.n, n_missing=total.n_missing, method=why, extra=extra)
    return Summary(
        metric=metric,
        value=total.value,
        n=total.n,
        n_missing=total.n_missing,
        printed=_printed(total.value, counts["variant"]),
        extra=extra,
        terms=total.terms,
        **total.terms.interval(),
    )


def _mean(metric: str, group: Sequence[Tally], variant: Variant, protocol: Protocol) -> Summary:
    n, n_missing = sum(len(t.samples) for t in group), sum(t.n_lost for t in group)
    extra = {"bounds": [_filled(group, variant, fill) for fill in (0.0, 1.0)]} if n_missing else {}
    if not n:
        return Summary(metric=metric, value=None, n_missing=n_missing, method="no scored image", extra=extra)
    terms = _terms({metric: group}, {metric: 1.0}, partial(wiscore, variant), protocol, step=_STEP[variant])
    value = _ratio(terms)
    return Summary(
        metric=metric,
        value=value,
        n=n,
        n_missing=n_missing,
        printed=_printed(value, variant),
        extra=extra,
        terms=terms,
        **terms.interval(),
    )


def _printed(value: float, variant: Variant) -> str:
    """With the decimals of the published tables (the verified program prints 2, its leaderboard has 4)."""
    return f"{value:.4f}" if variant == "verified" else f"{value:.2f}"


def _scale(scale: str, own: Sequence[Tally], protocol: Protocol) -> Summary:
    """Mean of one legacy scale over all images, 0 to 2; an addition of this project."""
    n, n_missing = sum(len(t.samples) for t in own), sum(t.n_lost for t in own)
    if not n:
        return Summary(metric=f"scale/{scale}", value=None, n_missing=n_missing, method="no scored image")
    terms = _terms({scale: own}, {scale: 1.0}, itemgetter(scale), protocol, top=2.0)
    return Summary(
        metric=f"scale/{scale}",
        value=_ratio(terms),
        n=n,
        n_missing=n_missing,
        terms=terms,
        **terms.interval(),
    )


def _category(prompt: Tally) -> str | None:
    return prompt.category


def _bagel_part(prompt: Tally) -> str | None:
    """TIME and SPACE by label, the rest by id."""
    if prompt.category in ("TIME", "SPACE"):
        return "TIME" if prompt.label in TIME_LABELS else "SPACE"
    return prompt.category


def _terms(
    parts: Mapping[str, Sequence[Tally]],
    shares: Mapping[str, float],
    value_of: Callable[[Mapping[str, float]], float],
    protocol: Protocol,
    *,
    top: float = 1.0,
    step: float = 1.0,
) -> Terms:
    """Mean of the parts' means: over their images (`official`), or over the prompts' means (`corrected`).

    Args:
        parts: prompts by part.
        shares: weight of each part.
        value_of: score of an image from its scales.
        protocol: see above.
        top: largest score.
        step: smallest difference of two images' scores.
    """
    rows = []
    for part, group in parts.items():
        for t in group:
            values = [value_of(s) for s in t.samples]
            if protocol == "official":
                rows.append((t.id, part, sum(values), float(len(values)), float(len(values) + t.n_lost)))
            else:
                rows.append((t.id, part, sum(values) / max(1, len(values)), float(bool(values)), 1.0))
    n_images = max(len(t.samples) + t.n_lost for group in parts.values() for t in group)
    return make_terms(rows, shares, hi=top, step=step / n_images)


def _ratio(terms: Terms, place: int = 0) -> float:
    """The mean of a part, added in the order of the prompts as upstream does."""
    own = terms.cat == place
    return float(sum(terms.num[own].tolist()) / sum(terms.den[own].tolist()))


def _filled(group: Sequence[Tally], variant: Variant, fill: float) -> float:
    """The mean over images if every one without a score had the score `fill`."""
    values = [v for t in group for v in [*(wiscore(variant, s) for s in t.samples), *[fill] * t.n_lost]]
    return sum(values) / len(values) if values else fill
