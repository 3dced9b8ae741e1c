"""Headlines as people would rate them: few labels, corrected by the judge's scores of all other images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, DataError
from harness.stats import PredictionPowered, influence_values, prediction_powered
from harness.terms import Terms, aligned
from reports.groups import Condition, Design, called
from reports.human.sheet import Image, Label, Labels, images_of
from reports.runs import Run
from reports.significance import primary_metric
from reports.tables import Table

WEAK = 0.4
"""Correlation of people and judge below which the judge hardly helps."""
_SLACK = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanScore:
    """A headline, or the difference of two, as people would rate all images."""

    benchmark: str
    metric: str
    condition: str
    reference: str | None
    """What it is a difference from; None for a value."""
    judge: float | None
    """By the judge alone."""
    labels: float | None
    """By the labels alone."""
    labels_low: float | None
    labels_high: float | None
    est: float | None
    """By both."""
    low: float | None
    high: float | None
    weight: float | None
    """Of the judge, in [0, 1]."""
    correlation: float | None
    """Of people and judge within categories."""
    label_factor: float | None
    """Labels without a judge that one label with it is worth."""
    n_labelled: int
    """Prompts."""
    n_others: int
    n_blank: int
    """Prompts of the sheet that nobody labelled."""
    test: str
    remark: str


def human_scores(design: Design, labels: Mapping[str, Labels]) -> list[HumanScore]:
    """Values of the labelled conditions and their differences from the reference where both are labelled.

    Args:
        design: conditions of one run each, where labelled.
        labels: by condition; the key "" stands for the only condition.

    Raises:
        ConfigError: labels of an unknown condition, or of one with several runs.
        DataError: the sheet and the run do not belong together.
    """
    by_condition = _resolved(design, labels)
    rated = {name: _rated(condition, own) for name, (condition, own) in by_condition.items()}
    found = [_score(name, None, r.benchmark, r, None) for name, rows in rated.items() for r in rows.values()]
    reference = design.reference
    if reference is not None and reference in rated:
        for name, rows in rated.items():
            if name == reference:
                continue
            for benchmark, x in rows.items():
                if (y := rated[reference].get(benchmark)) is not None:
                    found.append(_score(name, reference, benchmark, x, y))
    return found


def human_table(rows: list[HumanScore]) -> Table:
    """As a table of the report."""
    return Table(
        name="human",
        title="As people would rate it: labels and judge together",
        columns=(
            "benchmark", "value", "condition", "from", "judge alone", "labels alone", "labels: low", "labels: high",
            "both", "95 % low", "95 % high", "judge's weight", "correlation", "worth", "labelled", "others", "interval",
            "remark",
        ),
        rows=tuple(
            (
                r.benchmark, r.metric, r.condition, r.reference or "", r.judge, r.labels, r.labels_low, r.labels_high,
                r.est, r.low, r.high, r.weight, r.correlation, r.label_factor, r.n_labelled, r.n_others, r.test,
                r.remark,
            )
            for r in rows
        ),
        notes=(
            "Both: mean of the judge over all images, corrected by its errors on the labelled prompts "
            "(prediction-powered inference with the best weight, by category; t intervals). Valid only for prompts "
            "drawn at random within categories, as `run.py labels` draws them. The judge alone carries its bias, "
            "whatever its interval.",
            "Worth: labels without a judge that one label is worth with it. These checkpoints, other such prompts.",
        ),
        align="llll" + "rrrr" + "rrr" + "rrr" + "rr" + "ll",
    )  # fmt: skip


def _resolved(design: Design, labels: Mapping[str, Labels]) -> dict[str, tuple[Condition, Labels]]:
    names = [c.name for c in design.conditions]
    found = {}
    for name, own in labels.items():
        if not name and len(names) > 1:
            raise ConfigError(
                f"--human {own.file}: whose images are these? Write --human NAME={own.file} with one of "
                f"{', '.join(names)}."
            )
        condition = design.condition(called(name, design, "--human") if name else names[0])
        if len(condition.runs) > 1:
            raise ConfigError(
                f"--human {own.file}: {condition.name} holds {len(condition.runs)} runs, and labels belong to the "
                "images of one. Report that run by itself."
            )
        found[condition.name] = (condition, own)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rated:
    """One benchmark of one run: P prompts in the order of the terms."""

    benchmark: str
    metric: str
    terms: Terms
    human: Floats
    """(P,) mean label over the prompt's images, NaN where not labelled."""
    value: float
    """By the judge, from the terms."""
    n_blank: int
    remarks: tuple[str, ...]

    @property
    def judge(self) -> Floats:
        """(P,) the judge's score, NaN where missing."""
        t = self.terms
        return np.asarray(np.divide(t.num, t.den, out=np.full(len(t.num), np.nan), where=t.den > 0))

    @property
    def share(self) -> Floats:
        """(P,) what a prompt counts in its category's mean; 1 where all prompts have as many images or questions.

        With it a pooled ratio sum a / sum b is the mean of (b / mean b) (a / b), and b is known for every prompt.
        """
        t = self.terms
        used = t.den > 0
        n = np.bincount(t.cat[used], minlength=len(t.weights))
        total = np.bincount(t.cat, weights=t.den, minlength=len(t.weights))
        mean = np.divide(total, n, out=np.ones_like(total), where=n > 0)
        return np.asarray(t.den / mean[t.cat])

    @property
    def width(self) -> float:
        """Range of what a prompt adds; that of the judge's own scores where the scale has no ends."""
        t = self.terms
        ends = (t.lo, t.hi) if math.isfinite(t.hi - t.lo) else (np.nanmin(self.judge), np.nanmax(self.judge))
        return float(ends[1] - ends[0]) * float(self.share.max())


def _rated(condition: Condition, labels: Labels) -> dict[str, _Rated]:
    run = condition.runs[0]
    unknown = [b for b in labels.values if b not in run.benchmarks]
    if unknown:
        raise DataError(f"{labels.file}: labels of {unknown[0]!r}; {run.path} holds {', '.join(run.benchmarks)}.")
    return {b: _benchmark(run, b, labels) for b in labels.values}


def _benchmark(run: Run, benchmark: str, labels: Labels) -> _Rated:
    metric = primary_metric(run, benchmark)
    if metric is None or metric not in run.terms(benchmark):
        raise DataError(f"{run.path}: {benchmark} has no headline that is made of prompts' parts.")
    terms = run.terms(benchmark)[metric]
    own = labels.values[benchmark]
    place = {p: i for i, p in enumerate(terms.prompts)}
    for prompt, found in own.items():
        if prompt not in place:
            line = next(iter(found.values())).line
            raise DataError(f"{labels.file}, line {line}, prompt_id: {prompt!r} is no prompt of {benchmark} {metric}.")
    images = images_of(run, benchmark, list(own))
    human = np.full(len(terms.prompts), np.nan)
    for prompt, found in own.items():
        where = f"{labels.file}, line {min(v.line for v in found.values())}"
        for image, label in found.items():
            _check(label, image, prompt, images[prompt], terms, f"{labels.file}, line {label.line}")
        if lacking := sorted(set(images[prompt]) - set(found)):
            raise DataError(
                f"{where}: {prompt} is labelled in part: image {lacking[0][1]} of seed {lacking[0][0]} has no value. "
                "Label whole prompts, or none of their images."
            )
        human[place[prompt]] = sum(v.value for v in found.values()) / len(found)
    remarks = [] if labels.is_tied else ["the sheet has no image_sha256: not checked that it is of these images"]
    if blank := len(labels.blank.get(benchmark, ())):
        remarks.append(f"{blank} drawn prompts have no label; not valid if they were left out for being hard")
    return _Rated(
        benchmark=benchmark,
        metric=metric,
        terms=terms,
        human=human,
        value=float(influence_values(terms.num, terms.cat, terms.weights, terms.den).theta),
        n_blank=blank,
        remarks=tuple(remarks),
    )


def _check(label: Label, image: Image, prompt: str, known: Mapping[Image, object], terms: Terms, where: str) -> None:
    if image not in known:
        raise DataError(f"{where}: {prompt} has no image {image[1]} of seed {image[0]} in this run.")
    own = str(getattr(known[image], "image_sha256", ""))
    if label.sha256 and not own.startswith(label.sha256):
        raise DataError(
            f"{where}, image_sha256: the label is of another image ({label.sha256}, this run has {own[:12]}). The "
            "sheet was drawn from another run."
        )
    if not terms.lo - _SLACK <= label.value <= terms.hi + _SLACK:
        raise DataError(f"{where}, value: expected {terms.lo:g} to {terms.hi:g}, got {label.value:g}.")


def _score(name: str, reference: str | None, benchmark: str, x: _Rated, y: _Rated | None) -> HumanScore:
    """A value, or with `y` the difference x - y of what each prompt adds."""
    human, judge, width = x.human * x.share, x.judge * x.share, x.width
    value, remarks = x.value, x.remarks
    if y is not None:
        try:
            terms = aligned(x.terms, y.terms, (name, str(reference)))
        except DataError as error:
            return _without(name, reference, x, str(error))
        given = dict(zip(y.terms.prompts, y.human, strict=True))
        y = replace(y, terms=terms, human=np.array([given[p] for p in terms.prompts]))
        human, judge = human - y.human * y.share, judge - y.judge * y.share
        width, value = width + y.width, x.value - y.value
        remarks = tuple(dict.fromkeys((*x.remarks, *y.remarks)))
    labelled = np.isfinite(human) & np.isfinite(judge)
    others = ~labelled & np.isfinite(judge)
    if reason := _too_few(labelled, others, x.terms):
        return _without(name, reference, x, reason)
    both, alone = (_powered(human, judge, labelled, others, x.terms, width, lam) for lam in (None, 0.0))
    if both.correlation is not None and both.correlation < WEAK:
        remarks = (*remarks, f"the judge hardly helps (correlation {both.correlation:.2f})")
    if not both.se:
        # Labels without any spread: a point would claim that no other prompt can be rated otherwise.
        return _without(name, reference, x, f"all {int(labelled.sum())} labels are alike: no spread to reckon with")
    return HumanScore(
        benchmark=benchmark, metric=x.metric, condition=name, reference=reference, judge=value, labels=alone.est,
        labels_low=alone.low, labels_high=alone.high, est=both.est, low=both.low, high=both.high, weight=both.lam,
        correlation=both.correlation, label_factor=both.label_factor, n_labelled=int(labelled.sum()),
        n_others=int(others.sum()), n_blank=x.n_blank, test="prediction-powered t",
        remark="; ".join((*remarks, *([both.reason] if both.reason else []))),
    )  # fmt: skip


def _powered(
    human: Floats, judge: Floats, labelled: Floats, others: Floats, terms: Terms, width: float, lam: float | None
) -> PredictionPowered:
    return prediction_powered(
        human[labelled],
        judge[labelled],
        judge[others],
        cat_labelled=terms.cat[labelled],
        cat_unlabelled=terms.cat[others],
        weights=terms.weights,
        lam=lam,
        value_range=width,
    )


def _too_few(labelled: Floats, others: Floats, terms: Terms) -> str:
    for rows, what in ((labelled, "with a label"), (others, "without a label")):
        n = np.bincount(terms.cat[rows], minlength=len(terms.weights))
        short = np.flatnonzero((terms.weights > 0) & (n < 2))
        if short.size:
            return f"category {terms.categories[short[0]]!r} has fewer than two scored prompts {what}"
    return ""


def _without(name: str, reference: str | None, x: _Rated, reason: str) -> HumanScore:
    return HumanScore(
        benchmark=x.benchmark, metric=x.metric, condition=name, reference=reference, judge=None, labels=None,
        labels_low=None, labels_high=None, est=None, low=None, high=None, weight=None, correlation=None,
        label_factor=None, n_labelled=int(np.isfinite(x.human).sum()), n_others=0, n_blank=x.n_blank, test="none",
        remark=reason,
    )  # fmt: skip
