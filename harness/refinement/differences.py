"""Differences of two selections of samples, paired by prompt, in the unit of the benchmark's headline.

A headline is linear in its prompts' scores: theta = sum_p w_p s_p. The shares w_p are read off the benchmark's own
aggregate (what it gives when one prompt scores 1 and all others 0), so no official formula is written twice. Prompts of
one category with equally many samples and scores have equal shares, which keeps the number of aggregates small. The
decomposition is checked against the aggregate itself; where it does not hold, the value has no interval and the reason
is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.stats import paired_difference
from harness.types import Prompt, Score

_TOLERANCE = 1e-3
"""Relative to a perfect headline: official scripts round on the way (TIIF averages accuracies of four decimals)."""
NOT_LINEAR = "the headline is not a weighted mean of prompt scores"


@dataclass(frozen=True, slots=True)
class Parts:
    """A headline taken apart: theta = unit * sum_p w_p s_p."""

    theta: float
    unit: float
    shares: dict[str, float]
    """w_p of each prompt that counts, summing to 1."""
    scores: dict[str, float]
    """s_p."""


class Headlines:
    """Headline values of selections of samples, and their paired differences.

    Args:
        benchmark: whose `aggregate` and `headline` count.
        prompts: all prompts by id.
    """

    def __init__(self, benchmark: Any, prompts: Mapping[str, Prompt]) -> None:
        self._benchmark, self._prompts = benchmark, prompts
        self._shares: dict[Any, dict[str, dict[str, float]]] = {}
        self._own: dict[Any, dict[str, float | None]] = {}

    def values(self, scores: Sequence[Score]) -> dict[str, Any]:
        """The benchmark's summaries of its headline metrics, by metric."""
        return {s.metric: s for s in self._benchmark.aggregate(self._prompts, scores) if self._is_headline(s.metric)}

    def parts(self, scores: Sequence[Score]) -> dict[str, Parts | None]:
        """By headline metric; None where the headline is missing or not linear in its prompts."""
        by_prompt: dict[str, list[Score]] = {}
        for score in scores:
            by_prompt.setdefault(score.key.prompt_id, []).append(score)
        shares = self._shares_of(scores, by_prompt)
        own = {p: self._own_values(p, s, by_prompt) for p, s in by_prompt.items()}
        found: dict[str, Parts | None] = {}
        for metric, summary in self.values(scores).items():
            counted = {p: w for p, w in shares[metric].items() if w > 0}
            s = {p: own[p].get(metric) for p in counted}
            found[metric] = _assembled(summary.value, counted, s)
        return found

    def difference(self, x: Parts | None, y: Parts | None) -> dict[str, Any]:
        """theta_x - theta_y with its 95 % interval, as JSON; `reason` says why a value is None."""
        if x is None or y is None:
            return {"est": None, "ci_low": None, "ci_high": None, "p": None, "n_prompts": 0, "reason": NOT_LINEAR}
        ids = sorted(x.shares.keys() | y.shares.keys())
        names = sorted({self._prompts[i].category for i in ids})
        cat = np.array([names.index(self._prompts[i].category) for i in ids])
        share = np.array([x.shares.get(i, y.shares.get(i, 0.0)) for i in ids])
        weights = np.bincount(cat, share, minlength=len(names))
        d = paired_difference(
            _numerators(x, ids),
            _numerators(y, ids),
            cat,
            weights / weights.sum(),
            den_x=_denominators(x, ids),
            den_y=_denominators(y, ids),
        )
        # The interval's width is that of the linear form; its centre is the difference of the official values.
        est = x.theta - y.theta
        low, high = (None if v is None or d.est is None else est + (v - d.est) * x.unit for v in (d.low, d.high))
        reason = {"reason": d.reason} if d.reason else {}
        counts = {"n_prompts": d.n_prompts, "n_better": d.n_better, "n_worse": d.n_worse}
        return {"est": est, "ci_low": low, "ci_high": high, "p": d.p, **counts, **reason}

    def _is_headline(self, metric: str) -> bool:
        return metric in self._benchmark.headline

    def _theta(self, scores: Sequence[Score], prompts: Mapping[str, Prompt] | None = None) -> dict[str, float]:
        summaries = self._benchmark.aggregate(prompts or self._prompts, scores)
        return {s.metric: s.value for s in summaries if self._is_headline(s.metric) and s.value is not None}

    def _shares_of(
        self, scores: Sequence[Score], by_prompt: Mapping[str, Sequence[Score]]
    ) -> dict[str, dict[str, float]]:
        """theta, by metric and prompt, with that prompt at 1 and all others at 0."""
        missing = frozenset((s.key, s.metric) for s in scores if s.value is None)
        if missing not in self._shares:
            flat = [_at(s, 0.0) for s in scores]
            places: dict[str, list[int]] = {}
            for place, score in enumerate(flat):
                places.setdefault(score.key.prompt_id, []).append(place)
            alike: dict[Any, dict[str, float]] = {}
            shares: dict[str, dict[str, float]] = {m: {} for m in self._benchmark.headline}
            for id_, own in by_prompt.items():
                kind = (
                    self._prompts[id_].category,
                    id_.rpartition("/")[2] if len(self._benchmark.headline) > 1 else "",
                    len({s.key for s in own}),
                    len(own),
                    sum(s.value is None for s in own),
                )
                if kind not in alike:
                    one = list(flat)
                    for place in places[id_]:
                        one[place] = _at(flat[place], 1.0)
                    alike[kind] = self._theta(one)
                for metric, value in alike[kind].items():
                    shares[metric][id_] = value
            self._shares[missing] = shares
        return self._shares[missing]

    def _own_values(
        self, id_: str, own: Sequence[Score], others: Mapping[str, Sequence[Score]]
    ) -> dict[str, float | None]:
        """The prompt's own score s_p in 0..1, by metric: its headline alone over that of a perfect one.

        Some headlines need every category (WISE, corrected GenEval): there one prompt of each other category, at 0,
        keeps it company.
        """
        slot = (id_, tuple((s.key, s.metric, s.value) for s in own))
        if slot not in self._own:
            company: list[Score] = []
            top = self._theta_of([_at(s, 1.0) for s in own])
            if not any(top.values()):
                mine = self._prompts[id_].category
                one_each = {self._prompts[p].category: p for p in others}
                company = [_at(s, 0.0) for c, p in one_each.items() if c != mine for s in others[p]]
                top = self._theta_of([*(_at(s, 1.0) for s in own), *company])
            values = self._theta_of([*own, *company])
            self._own[slot] = {m: values[m] / top[m] if m in values and top[m] else None for m in top}
        return self._own[slot]

    def _theta_of(self, scores: Sequence[Score]) -> dict[str, float]:
        """The headlines as if the benchmark had no other prompts than those of `scores`."""
        return self._theta(scores, {s.key.prompt_id: self._prompts[s.key.prompt_id] for s in scores})


def _at(score: Score, value: float) -> Score:
    """The score at another value; a missing one stays missing, and parts of a reward stay as they are."""
    return score if score.value is None else replace(score, value=value)


def _assembled(theta: float | None, shares: dict[str, float], scores: dict[str, float | None]) -> Parts | None:
    unit = sum(shares.values())
    known = {p: s for p, s in scores.items() if s is not None}
    if theta is None or not unit or len(known) < len(shares):
        return None
    if abs(sum(shares[p] * s for p, s in known.items()) - theta) > _TOLERANCE * unit:
        return None
    return Parts(theta, unit, {p: w / unit for p, w in shares.items()}, known)


def _numerators(side: Parts, ids: Sequence[str]) -> Any:
    return np.array([side.scores[i] * side.shares[i] if i in side.shares else np.nan for i in ids])


def _denominators(side: Parts, ids: Sequence[str]) -> Any:
    return np.array([side.shares.get(i, 0.0) for i in ids])
