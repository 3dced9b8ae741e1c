"""The numbers of a benchmark's refinement: the object under `refinement` in `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.refinement.chains import RoundResult
from harness.refinement.differences import difference, headlines
from harness.refinement.jobs import AGAIN, REFINE
from harness.summary import value_object
from harness.types import Prompt, Score, Summary

ORACLE_NOTE = (
    "Gate oracle is an upper bound: the benchmark's own verdicts choose the images that get a second attempt, so the "
    "value can only rise by chance or by refinement. It does not compare with single-pass numbers."
)
CONTROL_NOTE = (
    "Beside each gate stands its control: under the same rule, a fresh sample of the prompt takes the place of the "
    "refinement. What refinement itself adds is the difference to the control."
)


def refinement_block(
    benchmark: Any,
    prompts: Mapping[str, Prompt],
    base: Sequence[Score],
    results: Sequence[RoundResult],
    *,
    gate_judge: str | None,
    gate_reward: str | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Values, differences and costs per gate, arm and round.

    Args:
        base: scores of the first images.
        results: of all gates; the differences to the control need both arms.
        gate_judge, gate_reward: fingerprints; None without gate `verifier`.
    """
    first = headlines(benchmark, prompts, base)
    values = {(r.gate, r.round, r.arm): headlines(benchmark, prompts, r.scores) for r in results}
    n_samples = len({s.key for s in base})
    rows = []
    for r in results:
        row: dict[str, Any] = {"gate": r.gate, "arm": r.arm, "round": r.round, "values": {}}
        control = values.get((r.gate, r.round, AGAIN)) if r.arm == REFINE else None
        for metric, summary in values[r.gate, r.round, r.arm].items():
            row["values"][metric] = _cell(summary, first.get(metric), control)
        rows.append({**row, **_costs(r, n_samples)})
    named = [ORACLE_NOTE] if any(r.gate == "oracle" for r in results) else []
    return {
        "rounds": max((r.round for r in results), default=0),
        "n_samples": n_samples,
        "gate_judge": gate_judge,
        "gate_reward": gate_reward,
        "base": {m: value_object(s) for m, s in first.items()},
        "rows": rows,
        "notes": [CONTROL_NOTE, *named, *notes],
    }


def _cell(summary: Summary, base: Summary | None, control: Mapping[str, Summary] | None) -> dict[str, Any]:
    cell = {**value_object(summary), "minus_base": difference(summary, base)}
    if control is not None:
        cell["minus_control"] = difference(summary, control.get(summary.metric))
    return cell


def _costs(result: RoundResult, n_samples: int) -> dict[str, Any]:
    """Counts since round 1, with the rates that follow from them; None where nothing was offered or accepted."""
    c = result.cost
    return {
        **c,
        "n_replaced": result.n_replaced,
        "acceptance": c["n_accepted"] / c["n_offered"] if c["n_offered"] else None,
        "images_per_accepted": c["n_images"] / c["n_accepted"] if c["n_accepted"] else None,
        "images_per_sample": 1 + c["n_images"] / n_samples if n_samples else None,
    }
