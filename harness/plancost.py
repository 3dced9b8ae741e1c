"""What an evaluation will take, counted without running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.evalconfig import EvalConfig
from harness.evaluate import plan_stages
from harness.images import ImageRef, load
from harness.models.base import Policy
from harness.store import RunDirectory
from harness.types import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCost:
    """One benchmark's amount of work."""

    benchmark: str
    judge: str
    n_prompts: int
    n_images: int
    n_images_stored: int
    """Of these, already in the run directory."""
    n_calls: int
    n_questions: int


def planned_cost(config: EvalConfig, policy: Policy, path: Path) -> list[PlannedCost]:
    """Counts images, judge calls and questions per benchmark; reads the run directory if it exists, writes nothing."""
    stored = set(RunDirectory(path).load_generations()) if path.is_dir() else set()
    costs = []
    for stage in plan_stages(config, policy):
        n_calls = n_questions = 0
        for job in stage.jobs:
            blank = ImageRef("", lambda: load(Path()))
            generation = Generation(id=job.generation_id, key=job.key, seed=job.seed, policy="", params={})
            sources = [stage.benchmark.source_image(job.prompt, s) for s in job.prompt.source_images]
            requests = stage.benchmark.requests(job.prompt, generation, [blank, *sources])
            n_calls += len(requests)
            n_questions += sum(len(r.questions) for r in requests)
        costs.append(
            PlannedCost(
                benchmark=stage.benchmark.name,
                judge=stage.judge_spec,
                n_prompts=len(stage.prompts),
                n_images=len(stage.jobs),
                n_images_stored=sum(j.generation_id in stored for j in stage.jobs),
                n_calls=n_calls,
                n_questions=n_questions,
            )
        )
    return costs
