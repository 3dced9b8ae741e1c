"""Refinement as a step of an evaluation: judges, rounds, and the block for the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError
from harness.evalconfig import EvalConfig
from harness.judges.base import Judge
from harness.judging import JudgementBook
from harness.models.base import Policy
from harness.plan import Job
from harness.progress import Progress
from harness.refinement.chains import Refinement
from harness.refinement.gates import choose
from harness.refinement.table import refinement_block
from harness.refinement.verifier import Verifier
from harness.runner import Evaluated
from harness.store import RunDirectory
from harness.types import Generation, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """What refinement added to one benchmark."""

    block: dict[str, Any]
    n_generated: int
    n_asked: int


def refine(
    config: EvalConfig,
    *,
    benchmark: Any,
    judge_spec: str,
    judge: Judge,
    make_judge: Callable[[str], Judge],
    prompts: Mapping[str, Prompt],
    jobs: Sequence[Job],
    base: Evaluated,
    run: RunDirectory,
    policy: Policy,
    known: dict[str, Generation],
    book: JudgementBook,
    progress: Progress,
) -> Refined:
    """All gates of the configured rounds.

    Raises:
        ConfigError: a gate that was asked for cannot be had.
        HarnessError: with everything finished so far stored.
    """
    gates, gate_spec, notes = choose(config, policy, benchmark, judge_spec)
    verifier = Verifier(benchmark, config.gate_reward) if gate_spec else None
    gate_judge = make_judge(gate_spec) if gate_spec else None
    try:
        if gate_judge is not None and gate_judge.fingerprint == judge.fingerprint:
            raise ConfigError(
                f"--gate-judge {gate_spec}: this is the benchmark's own judge, and a verifier is independent of it."
            )
        rounds = Refinement(
            config=config,
            benchmark=benchmark,
            jobs=jobs,
            base=base,
            run=run,
            policy=policy,
            judge=judge,
            gates=gates,
            verifier=verifier,
            gate_judge=gate_judge,
            known=known,
            book=book,
            progress=progress,
        )
        results = rounds.execute()
        block = refinement_block(
            benchmark,
            prompts,
            base.scores,
            results,
            gate_judge=gate_judge.fingerprint if gate_judge else None,
            gate_reward=verifier.reward.fingerprint if verifier else None,
            notes=notes,
        )
        return Refined(block=block, n_generated=rounds.n_generated, n_asked=rounds.n_asked)
    finally:
        if gate_judge is not None:
            gate_judge.close()
