"""Rewards on pairs of pictures that differ in one fact: how often a reward ties, and how often it ranks them rightly.

The probe is the pilot study of AlphaGRPO (arXiv 2605.12495): a holistic score gave a failed and a successful picture
the same number, questions told them apart. A reward that ties has nothing to teach in that group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import rewards
from harness.audit.cases import Pair, pairs
from harness.audit.table import Row, Section, share_row
from harness.errors import HarnessError
from harness.judges.base import Judge
from harness.registry import JUDGES, REWARDS
from harness.rewards import Reward, RewardItem

SECTION = "rewards on pairs"
TIE = 1e-6
"""Rewards closer than this are tied."""
DEFAULT_REWARDS: tuple[str, ...] = (
    "dvreward",
    "dvreward:scoring=binary",
    "micro-viescore",
    "micro-hps",
)
"""What is tried where the user names nothing; those that are not registered are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """One reward on one pair."""

    right: float | None
    wrong: float | None
    cluster: str
    how: str
    reason: str = ""

    @property
    def tied(self) -> float | None:
        """1.0 for a tie."""
        if self.right is None or self.wrong is None:
            return None
        return float(abs(self.right - self.wrong) < TIE)

    @property
    def ranked(self) -> float | None:
        """1.0 if the right picture has the higher reward; a tie counts one half, as a coin would decide it."""
        if self.right is None or self.wrong is None:
            return None
        return 0.5 if self.tied else float(self.right > self.wrong)


def known_rewards(names: Sequence[str]) -> list[str]:
    """`names`, or the default ones that are registered."""
    registered = REWARDS.names()
    return list(names) or [spec for spec in DEFAULT_REWARDS if spec.partition(":")[0] in registered]


def measure(judge: Judge, n: int, seed: int, names: Sequence[str]) -> Section:
    """Tie rate, pairwise accuracy and mean margin of each reward, on `n` pairs.

    A reward that asks what `judge` can answer is asked of it; one that needs another kind of judge (a scoring model)
    gets its own default judge for the micro world, named in the note.
    """
    found = pairs(n, seed)
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for spec in known_rewards(names):
        try:
            reward = make(spec)
            asked_of = _judge_for(reward, judge, found[0])
            results = rank(reward, asked_of, found)
        except HarnessError as error:
            if names:
                raise
            rows.append(Row(section=SECTION, measure=spec, value=None, note=f"left out: {error}"))
            continue
        own = "" if asked_of is judge else f"judged by {asked_of.name}"
        rows += _rows(spec, results, own)
        details[spec] = {
            "judge": asked_of.fingerprint,
            "reward": reward.fingerprint,
            "by_change": _by_change(results),
            "missing": dict(Counter(r.reason for r in results if r.reason)),
        }
    return Section(rows=tuple(rows), details=details) if rows else Section(skipped="no reward is registered")


def make(spec: str) -> Reward:
    """The reward `NAME` or `NAME:KEY=VALUE,...`.

    Raises:
        ConfigError: unknown name or option.
    """
    from harness.config import apply_settings

    name, _, options = spec.partition(":")
    settings = [part.strip() for part in options.split(",") if part.strip()]
    return rewards.make_reward(name, apply_settings({}, settings))


def rank(reward: Reward, judge: Judge, found: Sequence[Pair]) -> list[PairResult]:
    """Both rewards of every pair."""
    items = [RewardItem(prompt=pair.prompt, image=picture.image) for pair in found for picture in pair.pictures]
    values = rewards.score(reward, judge, items).values
    return [
        PairResult(
            right=right.value,
            wrong=wrong.value,
            cluster=pair.prompt.id,
            how=pair.how,
            reason=right.reason or wrong.reason,
        )
        for pair, right, wrong in zip(found, values[::2], values[1::2], strict=True)
    ]


def _judge_for(reward: Reward, judge: Judge, pair: Pair) -> Judge:
    kinds = {r.kind for r in reward.requests(RewardItem(prompt=pair.prompt, image=pair.right.image))}
    if kinds <= judge.kinds:
        return judge
    spec = reward.default_judge.get("micro", "")
    if not spec:
        raise HarnessError(
            f"reward {reward.name!r} asks for {', '.join(sorted(kinds))}; judge {judge.name!r} answers "
            f"{', '.join(sorted(judge.kinds))}, and the reward has no judge of its own for the micro world"
        )
    name, _, argument = spec.partition(":")
    other: Judge = JUDGES.get(name)(argument)
    return other


def _rows(spec: str, results: Sequence[PairResult], note: str) -> list[Row]:
    clusters = [r.cluster for r in results]
    margins = [r.right - r.wrong for r in results if r.right is not None and r.wrong is not None]
    missing = Counter(r.reason for r in results if r.reason).most_common(1)
    note = f"{note}; {missing[0][0]}".strip("; ") if missing else note
    ranked, tied = [r.ranked for r in results], [r.tied for r in results]
    rows = [
        share_row(SECTION, f"{spec}: right ranking", ranked, clusters, note=note or "ties count 1/2"),
        share_row(SECTION, f"{spec}: ties", tied, clusters, note=note),
    ]
    if margins:
        mean = sum(margins) / len(margins)
        rows.append(Row(section=SECTION, measure=f"{spec}: mean margin", value=mean, n=len(margins), note=note))
    return rows


def _by_change(results: Sequence[PairResult]) -> Mapping[str, dict[str, float | int]]:
    groups: dict[str, list[PairResult]] = defaultdict(list)
    for r in results:
        if r.ranked is not None:
            groups[r.how].append(r)
    return {
        how: {
            "right_ranking": sum(r.ranked or 0.0 for r in rs) / len(rs),
            "ties": sum(r.tied or 0.0 for r in rs) / len(rs),
            "n": len(rs),
        }
        for how, rs in sorted(groups.items())
    }
