"""All probes of a judge that can be asked, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.audit import bias, calibration, noise, pilot, reassurance
from harness.audit.asking import Asker
from harness.audit.table import Audit, Section
from harness.errors import unknown_name
from harness.judges.base import Judge
from harness.judges.micro import MicroJudge
from harness.models.base import TrainablePolicy

PARTS: tuple[str, ...] = ("people", "calibration", "noise", "bias", "rewards", "reassurance")
"""What `--only` chooses from."""


def run_audit(
    spec: str,
    judge: Judge,
    *,
    n: int = 100,
    seed: int = 0,
    repeats: int = 3,
    rewards: Sequence[str] = (),
    only: Sequence[str] = (),
    policy: TrainablePolicy | None = None,
    on_part: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Calibration, noise floor, biases, rewards on pairs and false reassurance of one judge.

    Args:
        spec: how the judge was asked for.
        judge: the judge.
        n: prompts; each gives two pictures.
        seed: of prompts and pictures.
        repeats: how often the same is asked for the noise floor, at least 2.
        rewards: `NAME` or `NAME:KEY=VALUE`; none: the ones that the micro world has.
        only: parts of `PARTS`; none: all.
        policy: whose own reflection is tried too, in part `reassurance`.
        on_part: called with the name of each part before it starts.

    Raises:
        ConfigError: unknown part or reward.
        JudgeError: the judge cannot be used at all.
    """
    for name in only:
        if name not in PARTS:
            raise unknown_name("part of an audit", name, PARTS)
    for reward in rewards:
        pilot.make(reward)  # a misspelt name is told before the first question
    asker = Asker(judge)
    answers_yes = "yesno" in judge.kinds
    no_yes = Section(skipped=f"judge {judge.name!r} answers no yes/no questions ({', '.join(sorted(judge.kinds))})")
    probes: dict[str, tuple[str, Callable[[], Section]]] = {
        "people": ("people", _no_people),
        "calibration": (
            calibration.SECTION,
            lambda: calibration.measure(calibration.ask_about_pairs(asker, n, seed)) if answers_yes else no_yes,
        ),
        "noise": (noise.SECTION, lambda: noise.measure(asker, n, seed, repeats) if answers_yes else no_yes),
        "bias": (
            bias.SECTION,
            lambda: (
                bias.measure(asker, n, seed, reads_text=not isinstance(judge, MicroJudge)) if answers_yes else no_yes
            ),
        ),
        "rewards": (pilot.SECTION, lambda: pilot.measure(judge, n, seed, rewards)),
        "reassurance": (reassurance.SECTION, lambda: _reassurance(judge, policy, n, seed)),
    }
    sections: dict[str, Section] = {}
    for part, (title, measure) in probes.items():
        if part in (only or PARTS):
            on_part(part)
            sections[title] = measure()
    settings: dict[str, Any] = {"prompts": n, "seed": seed, "repeats": repeats}
    if asker.reasons:
        settings["unanswered"] = dict(asker.reasons.most_common(5))
    return Audit(judge=spec, fingerprint=judge.fingerprint, settings=settings, sections=sections)


def _no_people() -> Section:
    return Section(
        skipped="no rated pictures are at hand: audit recorded:viescore or recorded:geneval with --source DIR, the "
        "latter with --verdicts for this judge's verdicts on the annotated images"
    )


def _reassurance(judge: Judge, policy: TrainablePolicy | None, n: int, seed: int) -> Section:
    if isinstance(judge, MicroJudge):
        of_judge = Section(skipped=f"judge {judge.name!r} writes no free text, so wording cannot matter to it")
    else:
        of_judge = reassurance.measure(judge, n, seed)
    if policy is None:
        return of_judge
    of_policy = reassurance.measure_policy(policy, n, seed)
    skipped = "; ".join(part.skipped for part in (of_judge, of_policy) if part.skipped)
    return Section(rows=(*of_judge.rows, *of_policy.rows), details=of_judge.details, skipped=skipped)
