"""Rewards of images, scored in a thread of its own while the next images are drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL.Image import Image

from harness.errors import JudgeError
from harness.evaluate import make_judge
from harness.images import ImageRef, ref_of_image
from harness.judges.base import Judge
from harness.rewards import Reward, RewardItem, make_reward, score
from harness.types import Prompt
from trainers.grpo.advantages import Bools, Floats, Ints, mix_per_reward, mix_sum
from trainers.grpo.config import RewardConfig
from trainers.grpo.rectify import Floor, rectify


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """All rewards of one image."""

    values: dict[str, float | None]
    """By reward name; None where it is missing."""
    parts: dict[str, float] = field(default_factory=dict)
    """`REWARD/part`."""
    reasons: tuple[str, ...] = ()
    n_asked: int = 0
    n_failed: int = 0


class RewardPool:
    """The configured rewards with their judges.

    Raises:
        ConfigError: unknown reward or option, or a reward without a judge for the profile.
    """

    def __init__(self, config: RewardConfig) -> None:
        self._config = config
        self._rewards: dict[str, Reward] = {n: make_reward(n, config.options.get(n)) for n in config.weights}
        specs = {n: config.judge or r.default_judge.get(config.profile, "") for n, r in self._rewards.items()}
        missing = [n for n, spec in specs.items() if not spec]
        if missing:
            raise JudgeError(f"reward.judge: {missing[0]!r} has no judge for the profile {config.profile}; name one.")
        made: dict[str, Judge] = {spec: make_judge(spec) for spec in dict.fromkeys(specs.values())}
        self._judges = {n: made[spec] for n, spec in specs.items()}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reward")
        self.busy_s = 0.0
        """Seconds that judging took in all."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """Reward and judge by name, for the manifest."""
        return {n: f"{r.fingerprint} by {self._judges[n].fingerprint}" for n, r in self._rewards.items()}

    def submit(
        self, prompts: Sequence[Prompt], images: Sequence[Image], sources: Sequence[Image | None], *, repeat: int = 0
    ) -> Future[list[Scored]]:
        """Starts scoring; the result has one entry per image, in order.

        Args:
            repeat: another number asks about the same pixels under another identity, so that no cache and no noise
                that is tied to the image answers as before.
        """
        return self._thread.submit(self._score, list(prompts), list(images), list(sources), repeat)

    def _score(
        self, prompts: Sequence[Prompt], images: Sequence[Image], sources: Sequence[Image | None], repeat: int
    ) -> list[Scored]:
        started = time.perf_counter()
        items = [
            RewardItem(prompt=p, image=_ref(i, repeat), sources=() if s is None else (ref_of_image(s),))
            for p, i, s in zip(prompts, images, sources, strict=True)
        ]
        columns = {n: score(r, self._judges[n], items).values for n, r in self._rewards.items()}
        self.busy_s += time.perf_counter() - started
        found = []
        for i in range(len(items)):
            row = {n: c[i] for n, c in columns.items()}
            found.append(
                Scored(
                    values={n: _finite(v.value) for n, v in row.items()},
                    parts={f"{n}/{k}": x for n, v in row.items() for k, x in v.parts.items()},
                    reasons=tuple(
                        f"{n}: {v.reason or 'the value is not a finite number'}"
                        for n, v in row.items()
                        if _finite(v.value) is None
                    ),
                    n_asked=sum(v.n_asked for v in row.values()),
                    n_failed=sum(v.n_failed for v in row.values()),
                )
            )
        return found

    def close(self) -> None:
        """Ends the thread and the judges."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        for judge in dict.fromkeys(self._judges.values()):
            judge.close()


def _ref(image: Image, repeat: int) -> ImageRef:
    ref = ref_of_image(image)
    return ref.derive(f"repeat-{repeat}", lambda i: i) if repeat else ref


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What each of the N samples of a step earns, before normalisation."""

    rewards: Floats
    """(N,) weighted sum after rectification and with the format reward."""
    raw: Floats
    """(N,) weighted sum as judged."""
    valid: Bools
    bad: Bools
    """Refinements that did not improve."""
    advantages: Floats | None
    """(N,) where the rewards were normalised one by one, else None."""


def total(scored: Scored, weights: Mapping[str, float]) -> float | None:
    """The weighted sum of an image's rewards; None if one is missing."""
    values = [scored.values[n] for n in weights]
    if any(v is None for v in values):
        return None
    return float(sum(w * v for w, v in zip(weights.values(), values, strict=True) if v is not None))


def credit(
    scored: Sequence[Scored],
    groups: Ints,
    well_formed: Bools,
    config: RewardConfig,
    *,
    initial: Sequence[Scored | None],
    floor: Floor,
    margin: float,
    permutation: Ints | None = None,
) -> Credit:
    """Rewards of a step's samples: rectified, mixed, with the format term, and permuted for a placebo.

    Args:
        initial: rewards of the image that each sample refines; None for samples that refine nothing.
        permutation: (N,) indices that shuffle rewards within groups.
    """
    n = len(scored)
    columns: dict[str, tuple[Floats, Bools]] = {}
    bad = np.zeros(n, dtype=bool)
    refined = np.array([i is not None for i in initial])
    for name in config.weights:
        values, valid = _column([s.values[name] for s in scored])
        if permutation is not None:
            values, valid = values[permutation], valid[permutation]
        columns[name] = values, valid
    raw, valid = mix_sum(list(columns.values()), list(config.weights.values()))
    if refined.any():
        befores = {name: _column([None if i is None else i.values[name] for i in initial]) for name in columns}
        if config.mixing == "sum":
            before, known = mix_sum(list(befores.values()), list(config.weights.values()))
            fixed = rectify(raw, valid & known, groups, before, floor=floor, margin=margin)
            rewards, bad = fixed.rewards, fixed.bad
        else:
            for name, (values, ok) in columns.items():
                before, known = befores[name]
                fixed = rectify(values, ok & known, groups, before, floor=floor, margin=margin)
                columns[name] = fixed.rewards, ok
                bad |= fixed.bad
            rewards, _ = mix_sum(list(columns.values()), list(config.weights.values()))
    else:
        rewards = raw
    form = config.format_weight * well_formed.astype(np.float64)
    advantages = None
    if config.mixing == "per_reward":
        parts: dict[str, tuple[Floats, Bools]] = dict(columns)
        weights = dict(config.weights)
        if config.format_weight:
            parts["format"], weights["format"] = (
                (well_formed.astype(np.float64), np.ones(n, dtype=bool)),
                (config.format_weight),
            )
        advantages, valid = mix_per_reward(parts, weights, groups)
    return Credit(rewards=rewards + form, raw=raw, valid=valid, bad=bad, advantages=advantages)


def _column(values: Sequence[float | None]) -> tuple[Floats, Bools]:
    valid = np.array([v is not None for v in values])
    return np.array([0.0 if v is None else v for v in values], dtype=np.float64), valid


def check_failures(scored: Sequence[Scored], limit: float) -> dict[str, Any]:
    """Counts of asked and failed questions.

    Raises:
        JudgeError: more than `limit` of them failed.
    """
    asked, failed = sum(s.n_asked for s in scored), sum(s.n_failed for s in scored)
    if asked and failed / asked > limit:
        reasons = [r for s in scored for r in s.reasons]
        first = f" First reason: {reasons[0]}." if reasons else ""
        raise JudgeError(
            f"{failed} of {asked} judge questions of this step have no answer (limit {limit:.0%}, reward.max_failed)."
            f"{first} Nothing was learned from this step. Repair the judge and run the same command again: it resumes."
        )
    return {"asked": asked, "failed": failed}
