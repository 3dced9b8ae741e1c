"""What refinement adds to a planned evaluation, at most."""

from __future__ import annotations

from typing import Any

from harness.evalconfig import EvalConfig
from harness.models.base import Policy
from harness.refinement.chains import n_requests
from harness.refinement.gates import choose
from harness.refinement.verifier import Verifier


def planned_refinement(config: EvalConfig, policy: Policy, stage: Any) -> dict[str, Any]:
    """Upper limits for one benchmark: `n_images`, `n_calls` of its judge, `n_gate_calls`, with the gates.

    In round 1 all gates share one refinement and one fresh sample per image. Later each gate may start from another
    image, and gate `self` also reflects on the fresh samples that its control has accepted.

    Args:
        stage: a `harness.evaluate.Stage`.

    Raises:
        ConfigError: a gate that was asked for cannot be had.
    """
    gates, gate_judge, notes = choose(config, policy, stage.benchmark, stage.judge_spec)
    later = (config.reflect or 0) - 1
    per_sample = 2 + later * (len(gates) + 1)
    reflections = later if "self" in gates else 0
    n_calls = sum(n_requests(stage.benchmark, j) for j in stage.jobs)
    n_gate_calls = 0
    if gate_judge is not None:
        verifier = Verifier(stage.benchmark, config.gate_reward)
        n_gate_calls = sum(n_requests(verifier, j) for j in stage.jobs) * (1 + 2 * (later + 1))
    return {
        "gates": gates,
        "n_images": len(stage.jobs) * (per_sample + reflections),
        "n_calls": n_calls * per_sample,
        "gate_judge": gate_judge,
        "n_gate_calls": n_gate_calls,
        "notes": notes,
    }
