"""Mean rewards with intervals: over all prompts, by group, and of the parts that a reward is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import DataError
from harness.terms import make_terms, observed_step
from harness.types import Prompt, Score, Summary

REWARD = "reward"
"""Metric of the scores that hold the reward itself; all others are parts."""

Range = tuple[float, float]
UNBOUNDED: Range = (-math.inf, math.inf)
UNIT: Range = (0.0, 1.0)


class Means:
    """Scores of a benchmark, by metric and prompt.

    Args:
        prompts: all prompts that were to be scored.
        scores: of all images; a prompt without any counts as one missing image.

    Raises:
        DataError: a score of an unknown prompt.
    """

    def __init__(self, prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> None:
        self.prompts = prompts
        self._values: dict[str, dict[str, list[float]]] = {}
        self._missing: dict[str, dict[str, int]] = {}
        for score in scores:
            if score.key.prompt_id not in prompts:
                raise DataError(f"Score {score.metric!r} of {score.key.prompt_id}: no such prompt.")
            if score.value is None:
                of_metric = self._missing.setdefault(score.metric, {})
                of_metric[score.key.prompt_id] = of_metric.get(score.key.prompt_id, 0) + 1
            else:
                self._values.setdefault(score.metric, {}).setdefault(score.key.prompt_id, []).append(score.value)

    @property
    def parts(self) -> list[str]:
        """Names of the parts in the order in which they first appear; those with `/`, by name, come last."""
        found = [m for m in dict.fromkeys([*self._values, *self._missing]) if m != REWARD]
        return [m for m in found if "/" not in m] + sorted(m for m in found if "/" in m)

    def total(self, metric: str) -> float:
        """The sum over all images."""
        return math.fsum(v for values in self._values.get(metric, {}).values() for v in values)

    def range_of(self, part: str) -> Range:
        """0..1 where all of a part's values lie there, else open: rewards do not say. `raw` values are always open."""
        values = [v for own in self._values.get(part, {}).values() for v in own]
        return UNIT if part.rpartition("/")[2] != "raw" and all(0.0 <= v <= 1.0 for v in values) else UNBOUNDED

    def summary(
        self,
        key: str,
        metric: str,
        value_range: Range,
        *,
        only: Callable[[Prompt], bool] = lambda prompt: True,
        extra: Mapping[str, Any] | None = None,
    ) -> Summary:
        """The mean over prompts of a prompt's mean. `n` counts prompts with a value, `n_missing` images without one.

        Args:
            key: of the summary.
            metric: of the scores.
            value_range: smallest and largest possible value; with an open end the interval is a t interval.
            only: which prompts.
            extra: further fields. `bounds` is added where values are missing and the range is closed.
        """
        values, missing = self._values.get(metric, {}), self._missing.get(metric, {})
        ids = [p.id for p in self.prompts.values() if only(p)]
        of_prompt = {i: math.fsum(values[i]) / len(values[i]) for i in ids if i in values}
        n_missing = sum(missing.get(i, 0) for i in ids)
        if metric == REWARD:
            n_missing += sum(i not in values and i not in missing for i in ids)
        fields = dict(extra or {})
        if not of_prompt:
            return Summary(metric=key, value=None, n_missing=n_missing, method="no image has a value", extra=fields)
        if n_missing and all(map(math.isfinite, value_range)):
            fields["bounds"] = [self._filled(metric, ids, fill) for fill in value_range]
        low, high = value_range
        terms = make_terms(
            [
                (i, "all", of_prompt.get(i, 0.0), float(i in of_prompt), float(self._is_planned(metric, i)))
                for i in ids
                if self._is_listed(metric, i)
            ],
            {"all": 1.0},
            lo=low,
            hi=high,
            step=observed_step(list(of_prompt.values()), low, high),
        )
        return Summary(
            metric=key,
            value=math.fsum(of_prompt.values()) / len(of_prompt),
            n=len(of_prompt),
            n_missing=n_missing,
            extra=fields,
            terms=terms,
            **terms.interval(),
        )

    def _is_planned(self, metric: str, id_: str) -> bool:
        return metric == REWARD or id_ in self._values.get(metric, {}) or id_ in self._missing.get(metric, {})

    def _is_listed(self, metric: str, id_: str) -> bool:
        """Whether the terms of a metric name a prompt, which they also do where nothing of it is known.

        Not every prompt has every part (those of one kind of question). A part that all prompts with a reward have
        would have been there of a prompt without one: listed, runs that lost different prompts still pair.
        """
        of_metric, rewarded = self._values.get(metric, {}), self._values.get(REWARD, {})
        return self._is_planned(metric, id_) or (id_ not in rewarded and rewarded.keys() <= of_metric.keys())

    def _filled(self, metric: str, ids: Sequence[str], fill: float) -> float:
        """The mean if every missing value were `fill`."""
        means = []
        for i in ids:
            values = self._values.get(metric, {}).get(i, [])
            n_missing = self._missing.get(metric, {}).get(i, 0)
            if not values and not n_missing and metric == REWARD:
                n_missing = 1
            if values or n_missing:
                means.append((math.fsum(values) + fill * n_missing) / (len(values) + n_missing))
        return math.fsum(means) / len(means)


def is_count(part: str) -> bool:
    """Whether a part is a number of things, which is summed up, and not a value, which is averaged."""
    return part.rpartition("/")[2].startswith("n_")
