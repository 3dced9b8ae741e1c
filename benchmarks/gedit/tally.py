"""From sample scores to items by group: what enters the means, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.gedit.groups import check_group, in_order
from benchmarks.gedit.scoring import GUESSED, METRICS
from harness.errors import DataError
from harness.types import Prompt, SampleKey, Score

Missing = Literal["leave_out", "zero"]

Item = tuple[float, float, float]
"""(SC, PQ, O) of one sample."""


@dataclass(slots=True, kw_only=True)
class Group:
    """One group's items, in the order of the scores."""

    prompts: list[str] = field(default_factory=list)
    items: list[tuple[str, Item]] = field(default_factory=list)
    """(prompt id, values) of every sample that has all three scores."""
    missing: list[str] = field(default_factory=list)
    """Prompt ids of the samples that lack one, and of prompts without samples."""
    n_guessed: int = 0

    @property
    def n_samples(self) -> int:
        """Samples that there should be."""
        return len(self.items) + len(self.missing)

    def filled(self, value: float) -> list[tuple[str, Item]]:
        """All samples, the missing ones with `value` for SC, PQ and O."""
        return [*self.items, *((id_, (value, value, value)) for id_ in self.missing)]


def tally(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> dict[str, Group]:
    """The items of every group that has prompts, in official order of the groups.

    An item without SC or without PQ enters none of the three means, as upstream writes a row only for whole items.

    Raises:
        DataError: a score without its prompt, an unknown group or metric.
    """
    groups: dict[str, Group] = {}
    for prompt in prompts.values():
        name = check_group(prompt.meta.get("group"), f"prompt {prompt.id}")
        groups.setdefault(name, Group()).prompts.append(prompt.id)
    for key, values in _by_sample(prompts, scores).items():
        _add(groups[prompts[key.prompt_id].meta["group"]], key.prompt_id, values)
    for group in groups.values():
        seen = {*(id_ for id_, _ in group.items), *group.missing}
        group.missing += [id_ for id_ in group.prompts if id_ not in seen]
    return {name: groups[name] for name in in_order(groups)}


def _by_sample(prompts: Mapping[str, Prompt], scores: Sequence[Score]) -> dict[SampleKey, dict[str, Score]]:
    found: dict[SampleKey, dict[str, Score]] = {}
    for score in scores:
        if score.key.prompt_id not in prompts:
            raise DataError(
                f"GEdit-Bench: a score belongs to prompt {score.key.prompt_id!r}, which is not among the prompts."
            )
        if score.metric not in METRICS:
            raise DataError(f"GEdit-Bench: unknown metric {score.metric!r} of {score.key.prompt_id}.")
        found.setdefault(score.key, {})[score.metric] = score
    return found


def _add(group: Group, id_: str, scores: Mapping[str, Score]) -> None:
    sc, pq, o = (scores[m].value if m in scores else None for m in METRICS)
    if sc is None or pq is None or o is None:
        group.missing.append(id_)
        return
    group.items.append((id_, (sc, pq, o)))
    group.n_guessed += any(s.reason.startswith(GUESSED) for s in scores.values())
