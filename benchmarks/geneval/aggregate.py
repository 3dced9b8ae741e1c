"""From verdicts to the table: task scores, their unweighted mean, and shares of images and prompts.

Source: `evaluation/summary_scores.py` (revision in the package docstring).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.geneval.metadata import TAGS
from harness.errors import DataError
from harness.terms import Terms
from harness.types import Prompt, Protocol, Score, Summary

METRIC = "correct"


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Images per prompt, (P,) int64 each, prompts in the given order."""

    ids: tuple[str, ...]
    tags: tuple[str, ...]
    correct: NDArray[np.int64]
    scored: NDArray[np.int64]
    missing: NDArray[np.int64]

    def of_tag(self, tag: str) -> Counts:
        """The prompts of one task."""
        return self.where([t == tag for t in self.tags])

    def where(self, mask: Sequence[bool]) -> Counts:
        """The prompts for which `mask` holds."""
        chosen = np.asarray(mask, dtype=bool)
        ids, tags = (tuple(t for t, m in zip(own, chosen, strict=True) if m) for own in (self.ids, self.tags))
        return Counts(ids, tags, self.correct[chosen], self.scored[chosen], self.missing[chosen])


def count_images(prompts: Mapping[str, Prompt], scores: Sequence[Score], *, samples_per_prompt: int) -> Counts:
    """Correct, scored and missing images of each prompt.

    Args:
        prompts: by id; a prompt without any score counts `samples_per_prompt` missing images.
        scores: metric `correct` with value 1, 0 or None (missing), one per image.
        samples_per_prompt: see above.

    Raises:
        DataError: a score of an unknown prompt or metric, a value other than 0 and 1, or two scores of one image.
    """
    rows = {p: i for i, p in enumerate(prompts)}
    correct, scored, missing = (np.zeros(len(prompts), dtype=np.int64) for _ in range(3))
    seen = set()
    for score in scores:
        where = f"geneval: score of {score.key.prompt_id} image {score.key.index} (seed {score.key.gen_seed})"
        if score.metric != METRIC:
            raise DataError(f"{where}: metric is {score.metric!r}, expected {METRIC!r}.")
        if score.key.prompt_id not in rows:
            raise DataError(f"{where}: no such prompt among the {len(prompts)} given.")
        if score.key in seen:
            raise DataError(f"{where}: two scores of one image.")
        seen.add(score.key)
        row = rows[score.key.prompt_id]
        if score.value is None:
            missing[row] += 1
        elif score.value in (0.0, 1.0):
            scored[row] += 1
            correct[row] += int(score.value)
        else:
            raise DataError(f"{where}: value is {score.value}, expected 0 or 1.")
    missing[(scored + missing) == 0] = samples_per_prompt
    return Counts(tuple(prompts), tuple(p.category for p in prompts.values()), correct, scored, missing)


def summarise(counts: Counts, *, protocol: Protocol) -> list[Summary]:
    """The table: `overall`, `task/TAG` for each task with prompts, `images/correct`, `prompts/correct`.

    `n` is the official denominator (images; prompts for `prompts/correct`), `n_missing` the images (prompts) without a
    verdict. `official`: a task score is the mean over the images found, the overall the mean of the tasks that have
    any. `corrected`: every prompt weighs the same within its task whatever the number of its images found, and there
    is no overall unless all six tasks have one. With equal numbers of images per prompt the two agree.
    """
    by_tag = {tag: counts.of_tag(tag) for tag in TAGS if tag in counts.tags}
    tasks = {tag: _task(tag, c, protocol) for tag, c in by_tag.items()}
    return [_overall(counts, tasks, protocol), *tasks.values(), _all_images(counts), _all_prompts(counts)]


def _terms(counts: Counts, protocol: Protocol, tags: Sequence[str]) -> Terms:
    """The mean of the tasks `tags`: over their images (`official`), or over the prompts' shares (`corrected`)."""
    c = counts.where([t in tags for t in counts.tags])
    if protocol == "official":
        return _as_terms(c, c.correct, c.scored, c.scored + c.missing, tags)
    present = c.scored > 0
    share = np.where(present, c.correct / np.maximum(c.scored, 1), 0.0)
    return _as_terms(c, share, present, np.ones(len(c.ids)), tags)


def _as_terms(counts: Counts, num: Any, den: Any, planned: Any, tags: Sequence[str]) -> Terms:
    """`tags` weigh the same; with none, all prompts are one stratum."""
    place = {tag: i for i, tag in enumerate(tags)}
    size = counts.scored + counts.missing
    return Terms(
        prompts=counts.ids,
        num=np.asarray(num, float),
        den=np.asarray(den, float),
        planned=np.asarray(planned, float),
        cat=np.array([place.get(t, 0) for t in counts.tags], np.intp),
        categories=tuple(tags) or ("all",),
        weights=np.full(max(1, len(tags)), 1 / max(1, len(tags))),
        step=1 / max(1, int(size.max(initial=1))),
    )


def percent(share: float) -> str:
    """As the official script prints shares."""
    return f"{share:.2%}"


def _task(tag: str, counts: Counts, protocol: Protocol) -> Summary:
    k, n, missing = int(counts.correct.sum()), int(counts.scored.sum()), int(counts.missing.sum())
    extra: dict[str, Any] = {"correct": k, "total": n}
    if missing:
        extra["bounds"] = _bounds(counts, protocol)
    if n == 0:
        return Summary(
            metric=f"task/{tag}", value=None, n_missing=missing, method="no image has a verdict", extra=extra
        )
    terms = _terms(counts, protocol, [tag])
    value = k / n if protocol == "official" else float(terms.num.sum() / terms.den.sum())
    return Summary(
        metric=f"task/{tag}",
        value=value,
        n=n,
        n_missing=missing,
        printed=f"{percent(value)} ({k} / {n})",
        extra=extra,
        terms=terms,
        **terms.interval(),
    )


def _bounds(counts: Counts, protocol: Protocol) -> list[float]:
    """The task score if every missing image were wrong, and if every one were correct."""
    size = counts.scored + counts.missing
    pair = (counts.correct, counts.correct + counts.missing)
    if protocol == "official":
        return [float(x.sum() / size.sum()) for x in pair]
    return [float(np.mean(x / size)) for x in pair]


def _overall(counts: Counts, tasks: Mapping[str, Summary], protocol: Protocol) -> Summary:
    n, missing = sum(t.n for t in tasks.values()), sum(t.n_missing for t in tasks.values())
    present = [tag for tag, t in tasks.items() if t.value is not None]
    absent = [tag for tag in TAGS if tag not in present]
    extra: dict[str, Any] = {"tasks": len(present)}
    if absent:
        extra["tasks_missing"] = absent
    if not present or (absent and protocol == "corrected"):
        why = f"not computed: no image with a verdict for {', '.join(absent)}"
        return Summary(metric="overall", value=None, n=n, n_missing=missing, method=why, extra=extra)
    value = sum(tasks[tag].value or 0.0 for tag in present) / len(present)
    if missing:
        bounds = [tasks[t].extra.get("bounds", [tasks[t].value] * 2) for t in tasks]
        extra["bounds"] = [sum(b[i] for b in bounds) / len(bounds) for i in (0, 1)]
    terms = _terms(counts, protocol, present)
    return Summary(
        metric="overall",
        value=value,
        n=n,
        n_missing=missing,
        printed=f"{value:.5f}",
        extra=extra,
        terms=terms,
        **terms.interval(),
    )


def _all_images(counts: Counts) -> Summary:
    """Share of correct images over all tasks; not the GenEval score."""
    k, n, missing = int(counts.correct.sum()), int(counts.scored.sum()), int(counts.missing.sum())
    terms = _as_terms(counts, counts.correct, counts.scored, counts.scored + counts.missing, ())
    return _share("images/correct", k, n, missing, terms)


def _all_prompts(counts: Counts) -> Summary:
    """Share of prompts with at least one correct image; not the GenEval score."""
    has, any_correct = counts.scored > 0, counts.correct > 0
    k, n = int(any_correct.sum()), int(has.sum())
    terms = _as_terms(counts, any_correct, has, np.ones(len(has)), ())
    return _share("prompts/correct", k, n, len(counts.tags) - n, terms)


def _share(metric: str, k: int, n: int, missing: int, terms: Terms) -> Summary:
    extra = {"correct": k, "total": n}
    if n == 0:
        return Summary(metric=metric, value=None, n_missing=missing, method="no image has a verdict", extra=extra)
    return Summary(
        metric=metric,
        value=k / n,
        n=n,
        n_missing=missing,
        printed=percent(k / n),
        extra=extra,
        terms=terms,
        **terms.interval(),
    )
