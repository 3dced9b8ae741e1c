"""What must agree before a difference means anything: benchmarks, identity, prompts and their categories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.errors import DataError, near_misses
from harness.terms import aligned as aligned_terms
from reports.check.sides import RefusedError, Side, Value
from reports.runs import IDENTITY


def chosen_benchmarks(candidates: Sequence[Side], baselines: Sequence[Side], asked: Sequence[str]) -> list[str]:
    """The benchmarks to decide on: those asked for, else all of the baseline.

    Raises:
        RefusedError: one is absent on a side. A gate that skips what it was meant to guard would pass silently.
    """
    stored = baselines[0].values
    names = list(dict.fromkeys(asked)) or list(stored)
    for side in (*baselines, *candidates):
        for name in names:
            if name not in side.values:
                held = [*side.values, *side.unread]
                close = near_misses(name, held)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise RefusedError(
                    f"{side.where}: holds no {name!r}; it holds {', '.join(held) or 'nothing'}.{hint} Evaluate "
                    "it there too, or choose the benchmarks to check with -b."
                )
    if not names:
        raise RefusedError(f"{baselines[0].where}: holds no benchmark to check against.")
    return names


def refuse_other_identity(sides: Sequence[Side], benchmarks: Sequence[str]) -> None:
    """All sides against the first one.

    Raises:
        RefusedError: profile, protocol, judge, its wording or data differ; every difference is named.
    """
    first, lines = sides[0], []
    for side in sides[1:]:
        for name in benchmarks:
            a, b = first.values[name], side.values[name]
            if a.metric != b.metric:
                lines.append(f"{name}: value {a.metric!r} in {first.where}, {b.metric!r} in {side.where}")
            lines += [
                f"{name}: {_WORDS[k]} {a.identity.get(k)!r} in {first.where}, {b.identity.get(k)!r} in {side.where}"
                for k in IDENTITY
                if a.identity.get(k) != b.identity.get(k)
            ]
    if lines:
        raise RefusedError(
            "not comparable, so that nothing is said about the candidate:\n  "
            + "\n  ".join(lines)
            + "\nEvaluate both sides in the same way, or save a new baseline with --save-baseline."
        )


_WORDS = {
    "profile": "profile",
    "protocol": "protocol",
    "judge": "judge",
    "judge_prompt": "wording of the judge's prompt",
    "data": "data (benchmark revision or world)",
}


def check_seeds(sides: Sequence[Side], asked: Sequence[str]) -> None:
    """Whether several checkpoints can stand for training seeds of one method.

    Raises:
        RefusedError: they were not evaluated in the same way on the same prompts, or one lacks a benchmark.
    """
    names = chosen_benchmarks(sides, sides[:1], asked)
    refuse_other_identity(sides, names)
    for name in names:
        aligned([s.values[name] for s in sides], [s.where for s in sides], name)


def aligned(values: Sequence[Value], wheres: Sequence[str], benchmark: str) -> list[Value]:
    """The values with prompts and categories in the order of the first one.

    Raises:
        RefusedError: other prompts, categories or category weights.
    """
    first = values[0]
    return [first, *(_like(first, v, benchmark, (wheres[0], w)) for v, w in zip(values[1:], wheres[1:], strict=True))]


def _like(first: Value, other: Value, benchmark: str, wheres: tuple[str, str]) -> Value:
    a, b = first.terms, other.terms
    if set(a.prompts) != set(b.prompts):
        only = [_examples(set(x) - set(y)) for x, y in ((a.prompts, b.prompts), (b.prompts, a.prompts))]
        raise RefusedError(
            f"{benchmark}: the prompts differ, and only the same prompts can be compared: {len(a.prompts):,} in "
            f"{wheres[0]} (only there: {only[0]}), {len(b.prompts):,} in {wheres[1]} (only there: {only[1]}). Was one "
            "evaluated with --limit?"
        )
    try:
        terms = aligned_terms(a, b, wheres)
    except DataError as error:
        raise RefusedError(f"{benchmark}: {error}") from None
    place = {p: i for i, p in enumerate(b.prompts)}
    order = np.array([place[p] for p in a.prompts], np.intp)
    images = None if other.images is None else replace(other.images, scores=other.images.scores[order])
    return replace(other, terms=terms, images=images)


def _examples(ids: Iterable[str]) -> str:
    known = sorted(ids)
    shown = ", ".join(known[:2])
    return "none" if not known else shown + (f" and {len(known) - 2:,} more" if len(known) > 2 else "")


def remarks(candidates: Sequence[Side], baselines: Sequence[Side], benchmarks: Sequence[str]) -> list[str]:
    """What a reader should know although it does not forbid the comparison."""
    found = []
    candidate, baseline = candidates[0], baselines[0]
    if any(c.fingerprint and c.fingerprint == b.fingerprint for c in candidates for b in baselines):
        found.append("Candidate and baseline have the same weights.")
    for name, arm in (("candidate", candidates), ("baseline", baselines)):
        known = [s.fingerprint for s in arm if s.fingerprint]
        if len(set(known)) < len(known):
            found.append(f"Runs of the {name} have the same weights: they are no training seeds, and what is said "
                         "about new seeds does not hold.")  # fmt: skip
    if candidate.settings != baseline.settings:
        found.append(f"Settings of generation differ: candidate {_plain(candidate.settings)}, baseline "
                     f"{_plain(baseline.settings)}.")  # fmt: skip
    changed = [
        f"{k} {baseline.environment.get(k, 'unknown')} then, {candidate.environment.get(k, 'unknown')} now"
        for k in sorted({*candidate.environment, *baseline.environment})
        if k != "ummbench" and candidate.environment.get(k) != baseline.environment.get(k)
    ]
    if changed:
        found.append(f"Made with other versions: {'; '.join(changed)}.")
    unchecked = [b for b in (*candidate.values, *candidate.unread) if b not in benchmarks]
    if unchecked:
        found.append(f"Not checked: {', '.join(unchecked)} (not asked for, or not in the baseline).")
    return found


def _plain(settings: dict[str, object]) -> str:
    return ", ".join(f"{k} {v}" for k, v in settings.items()) or "default"
