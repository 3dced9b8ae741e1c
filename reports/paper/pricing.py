"""What filling a row costs, from the planner of `eval --dry-run`, without loading any model.

Where the official data are not there (or the judge is not part of this version), counts come from the locks instead,
and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.config import build
from harness.errors import ConfigError, DataError
from harness.evalconfig import EvalConfig
from harness.models.base import Capability, GenerationParams, Output, Policy, Request
from harness.refinement.gates import GATES
from reports.paper.rows import Row

_NOWHERE = Path("/nonexistent/run")


class PlannedPolicy(Policy):
    """A model of which only the plan is made: it can do everything and makes nothing."""

    name = "planned"
    capabilities: frozenset[Capability] = frozenset(("think", "edit", "reflect"))

    @property
    def fingerprint(self) -> str:
        """No weights."""
        return "planned"

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """As asked."""
        return params

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """Never."""
        raise NotImplementedError("a planned model makes no images")

    def reflection_verdict(self, text: str) -> bool | None:
        """Never asked; its presence lets gate `self` be planned."""
        return None


def config_of(row: Row, *, data_dir: str | None = None) -> EvalConfig:
    """The row's evaluation; a placeholder that nobody filled stands as its name.

    Raises:
        ConfigError: the specification is wrong.
    """
    config = build(EvalConfig, {"models": [row.model], **row.eval}, where=f"row {row.key}")
    return config if data_dir is None else replace(config, data_dir=data_dir)


def price(row: Row, *, data_dir: str | None = None) -> dict[str, Any]:
    """Work of one row: `key`, `state`, `basis` (`data` or `locked counts`, with `why`), and the planned counts.

    Counts are those of `harness.plancost.PlannedCost`; with refinement also `refinement` (upper limits). Tokens, hours
    and dollars are None where they cannot be known. Training is not priced here, `train --dry-run` does that.

    Args:
        row: of `reports.paper.rows.rows`.
        data_dir: folder with official data; None takes the default one.
    """
    from harness.evaluate import plan_stages
    from harness.plancost import planned_cost
    from harness.refinement.planning import planned_refinement

    config, policy = config_of(row, data_dir=data_dir), PlannedPolicy()
    head = {"key": row.key, "state": row.state, "train": row.train}
    try:
        (cost,) = planned_cost(config, policy, _NOWHERE)
        found = {**head, "basis": "data", "why": "", **asdict(cost)}
        if config.reflect is not None:
            (stage,) = plan_stages(config, policy)
            found["refinement"] = planned_refinement(config, policy, stage)
        return found
    except (DataError, ConfigError) as error:
        return {**head, "basis": "locked counts", "why": str(error), **_locked(row, config)}


def _locked(row: Row, config: EvalConfig) -> dict[str, Any]:
    n_prompts, per_prompt, calls_per_image, n_questions = locked_counts(row)
    n_images = n_prompts * per_prompt * len(config.seeds)
    found: dict[str, Any] = {
        "benchmark": row.benchmark,
        "judge": row.eval["judge"],
        "n_prompts": n_prompts,
        "n_images": n_images,
        "n_images_stored": 0,
        "n_calls": n_images * calls_per_image,
        "n_questions": n_questions * len(config.seeds),
        "n_requests": None,
        "tokens_in": None,
        "tokens_out": None,
        "hours": None,
        "usd": None,
        "rule": "",
    }
    if (
        config.reflect is not None
    ):  # one refinement and one fresh sample of each image in round 1; see planned_refinement
        per_image = 2 + (config.reflect - 1) * (len(GATES) + 1) + (config.reflect - 1)
        found["refinement"] = {
            "gates": list(GATES),
            "n_images": n_images * per_image,
            "n_calls": found["n_calls"] * (2 + (config.reflect - 1) * (len(GATES) + 1)),
            "gate_judge": config.gate_judge,
            "n_gate_calls": n_images * (1 + 2 * config.reflect),
            "notes": [],
        }
    return found


def locked_counts(row: Row) -> tuple[int, int, int, int]:
    """Prompts as the adapter lists them, images per prompt, judge calls per image, questions in all (one seed)."""
    options = row.eval["options"][row.benchmark]
    if row.benchmark == "geneval":
        n = sum(_lock("geneval")["prompts_per_tag"].values())
        return n, 4, 1, n * 4
    if row.benchmark == "tiif":
        counts = _lock("tiif")["counts"][options["set"]]
        return counts["images"], 1, 1, 2 * counts["questions"]
    if row.benchmark == "dpg":
        n, table = _lock("dpg")["prompts"]["files"], _lock("dpg")["sources"][0]["files"][0]
        return n, options["pic_num"], 1, table["rows"] * options["pic_num"]
    if row.benchmark == "wise":
        lock = _lock("wise")
        rows = {f["name"]: f["rows"] for f in lock["sources"][0]["files"]}
        n = sum(rows[name] for name in lock["sets"][options["variant"]])
        return n, 1, 1, 3 * n if options["variant"] == "legacy" else n
    n = _lock("gedit")["counts"]["rows_per_language"][options["lang"]]
    return n, 1, 2, 2 * n


def _lock(name: str) -> dict[str, Any]:
    import yaml

    path = Path(__file__).parent.parent.parent / "benchmarks" / "locks" / f"{name}.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
