"""The rules of the gates, and what an evaluation may use of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

from harness.errors import ConfigError
from harness.evalconfig import EvalConfig, Gate
from harness.images import ImageRef
from harness.models.base import Policy
from harness.types import Generation, SampleKey, Score

GATES: tuple[Gate, ...] = get_args(Gate)
REWARD = "reward"
"""Metric of the benchmarks `reward:NAME` and `dvtest`; their other scores are parts of it."""
DEFAULT_GATE_JUDGE = "micro-cnn"
"""Of the micro profile."""


def is_offered(gate: Gate, *, verdict: bool | None, is_right: bool | None) -> bool:
    """Whether a gate asks for a replacement of the current image.

    Args:
        verdict: what the policy's reflection on the current image says; None: nothing readable, which is no approval.
        is_right: what the benchmark says of it; None: unknown, which is not wrong.
    """
    if gate == "self":
        return verdict is not True
    return is_right is False if gate == "oracle" else True


def is_accepted(gate: Gate, old: float | None, new: float | None) -> bool:
    """Whether the replacement is kept, given both rewards; ties and unknown rewards keep the old image."""
    return gate != "verifier" or (old is not None and new is not None and new > old)


def is_right(scores: Sequence[Score], top_reward: float) -> bool | None:
    """Whether a sample is right by the benchmark's own scores; None where one is missing and none is wrong.

    Right means each score at its top, as the official scripts have it: GenEval's `correct`, all answers of TIIF as
    expected, DPG at 1.0.

    Args:
        scores: of one sample. Where one is the metric `reward`, the others are its parts and do not count.
        top_reward: the best value of the metric `reward`; that of all others is 1.
    """
    rewards = [s for s in scores if s.metric == REWARD]
    counted, top = (rewards, top_reward) if rewards else (list(scores), 1.0)
    if any(s.value is not None and s.value < top for s in counted):
        return False
    return None if not counted or any(s.value is None for s in counted) else True


def check_refinable(config: EvalConfig, policy: Policy, benchmark: Any) -> None:
    """Raises ConfigError where images of `benchmark` cannot be refined by `policy`."""
    if "reflect" not in policy.capabilities or policy.name == "stored":
        why = "holds finished images" if policy.name in ("stored", "images") else "does not reflect on its images"
        raise ConfigError(
            f"--reflect: model {policy.name!r} {why}, so nothing can be refined. Leave --reflect out, or choose a "
            "model with the capability 'reflect' (run.py list)."
        )
    if benchmark.mode != "t2i":
        raise ConfigError(
            f"--reflect: {benchmark.name} is an editing benchmark, and refinement is defined for images made from text "
            "only. Leave it out of -b, or evaluate it without --reflect."
        )


def choose(
    config: EvalConfig, policy: Policy, benchmark: Any, judge_spec: str
) -> tuple[list[Gate], str | None, list[str]]:
    """Gates to compute, the verifier's judge, and notes on gates that are left out.

    Raises:
        ConfigError: a gate that was asked for by name cannot be had.
    """
    reasons: dict[Gate, str] = {}
    if type(policy).reflection_verdict is Policy.reflection_verdict:
        reasons["self"] = f"model {policy.name!r} gives no verdict in its reflections"
    gate_judge = config.gate_judge or (DEFAULT_GATE_JUDGE if config.profile == "micro" else None)
    if gate_judge is None:
        reasons["verifier"] = f"the {config.profile} profile has no judge for it by default; name one with --gate-judge"
    elif gate_judge == judge_spec:
        reasons["verifier"] = (
            f"its judge, {gate_judge!r}, is the benchmark's own, so it would not be independent; name another one with "
            "--gate-judge"
        )
    elif why := _why_no_reward(benchmark, config.gate_reward):
        reasons["verifier"] = why
    if not math.isfinite(benchmark.value_range[1]):
        reasons["oracle"] = f"{benchmark.name} has no verdict of right and wrong"
    for gate in config.gates or ():
        if gate in reasons:
            raise ConfigError(f"--gate {gate}: {reasons[gate]}.")
    gates = [g for g in GATES if g in (config.gates or GATES) and g not in reasons]
    return gates, gate_judge if "verifier" in gates else None, [f"no gate {g}: {why}" for g, why in reasons.items()]


def _why_no_reward(benchmark: Any, reward: str) -> str:
    """Why the verifier's reward cannot be computed for the benchmark's prompts; empty where it can.

    Raises:
        ConfigError: an unknown reward.
    """
    from harness.refinement.chains import no_image
    from harness.refinement.verifier import Verifier

    verifier, prompt = Verifier(benchmark, reward), benchmark.prompts()[0]
    key = SampleKey(benchmark=benchmark.name, prompt_id=prompt.id)
    generation = Generation(id="", key=key, seed=0, policy="", params={})
    try:
        verifier.requests(prompt, generation, [ImageRef("", no_image)])
    except ConfigError as error:
        return str(error).removesuffix(".")
    return ""
