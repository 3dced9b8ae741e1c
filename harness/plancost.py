"""What an evaluation will take, counted without running it: images, judge calls, and, where the judge's module can plan
them (a function `planner`), tokens, hours and money.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from harness.errors import DataError
from harness.evalconfig import EvalConfig
from harness.evaluate import Stage, plan_stages
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.models.base import Policy
from harness.models.images import ImageFolder
from harness.plan import Job
from harness.registry import JUDGES
from harness.store import RunDirectory
from harness.types import Generation

ASSUMED_SIZE_PX = 1024
"""Side of a picture whose size nobody has said."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCost:
    """One benchmark's amount of work, everything counted, also what is stored already."""

    benchmark: str
    judge: str
    n_prompts: int
    n_images: int
    n_images_stored: int
    """Of these, already in the run directory."""
    n_calls: int
    """Judge calls: records are written call by call."""
    n_questions: int
    n_requests: int | None = None
    """Requests to the judge's server; None for a judge without one."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    hours: float | None = None
    """Of judging; None where no rate is known."""
    usd: float | None = None
    """At list price; None where the model has none."""
    rule: str = ""
    """How tokens were counted."""


def planned_cost(config: EvalConfig, policy: Policy, path: Path) -> list[PlannedCost]:
    """Work per benchmark; reads the run directory if it exists, writes nothing."""
    stored = RunDirectory(path).load_generations() if path.is_dir() else {}
    return [_cost(stage, policy, path, stored) for stage in plan_stages(config, policy)]


def _cost(stage: Stage, policy: Policy, path: Path, stored: dict[str, Generation]) -> PlannedCost:
    planner = judge_planner(stage.judge_spec)
    sizes = _Sizes(stage, policy, path, stored)
    n_calls = n_questions = 0
    asked: list[tuple[JudgeRequest, list[Size]]] = []
    for job in stage.jobs:
        requests = _requests(stage, job, sizes)
        n_calls += len(requests)
        n_questions += sum(len(r.questions) for r in requests)
        if planner is not None:
            asked += [(r, [sizes.of(i) for i in r.images]) for r in requests]
    planned: dict[str, Any] = {}
    if planner is not None:
        use = planner.total(asked)
        planned = {
            "n_requests": use.n_calls,
            "tokens_in": use.tokens_in,
            "tokens_out": use.tokens_out,
            "hours": planner.hours(use),
            "usd": planner.usd(use),
            "rule": f"text {planner.text_rule}; pictures {sizes.origin}",
        }
    return PlannedCost(
        benchmark=stage.benchmark.name,
        judge=stage.judge_spec,
        n_prompts=len(stage.prompts),
        n_images=len(stage.jobs),
        n_images_stored=sum(j.generation_id in stored for j in stage.jobs),
        n_calls=n_calls,
        n_questions=n_questions,
        **planned,
    )


def judge_planner(spec: str) -> Any | None:
    """The planner of a judge (`total`, `hours`, `usd`, `text_rule`), or None where its module has none."""
    name, _, argument = spec.partition(":")
    make = getattr(sys.modules[JUDGES.get(name).__module__], "planner", None)
    return None if make is None else make(argument)


def _requests(stage: Stage, job: Job, sizes: _Sizes) -> Sequence[JudgeRequest]:
    generation = Generation(id=job.generation_id, key=job.key, seed=job.seed, policy="", params={})
    sources = [stage.benchmark.source_image(job.prompt, s) for s in job.prompt.source_images]
    requests: list[JudgeRequest] = stage.benchmark.requests(job.prompt, generation, [sizes.blank(job), *sources])
    return requests


class _Sizes:
    """Sizes of the pictures that the judge will see."""

    def __init__(self, stage: Stage, policy: Policy, path: Path, stored: dict[str, Generation]) -> None:
        self._stage, self._policy, self._path, self._stored = stage, policy, path, stored
        self._known: dict[str, Size] = {}
        self._origins: dict[str, None] = {}

    @property
    def origin(self) -> str:
        """Where the sizes come from, in words."""
        return ", ".join(self._origins) or "none"

    def blank(self, job: Job) -> ImageRef:
        """A white picture of the size that the job's picture has or will have."""
        size, origin = self._of_job(job)
        self._origins[origin] = None
        return ImageRef(f"blank-{size[0]}x{size[1]}", lambda: Image.new("RGB", size, "white"))

    def of(self, image: ImageRef) -> Size:
        """Size of a picture, changes included; each is made once."""
        if image.id not in self._known:
            self._known[image.id] = image.load().size
        return self._known[image.id]

    def _of_job(self, job: Job) -> tuple[Size, str]:
        file = self._file(job)
        if file is not None:
            try:
                with Image.open(file) as image:  # reads the header only
                    return image.size, "as stored"
            except (OSError, DataError):
                pass  # a damaged picture is the evaluation's business; its size is as good a guess as any
        if job.params.size_px:
            return (job.params.size_px, job.params.size_px), f"of {job.params.size_px} px"
        if job.prompt.source_images:
            return self.of(self._stage.benchmark.source_image(job.prompt, job.prompt.source_images[0])), "as the source"
        return (ASSUMED_SIZE_PX, ASSUMED_SIZE_PX), f"assumed to be of {ASSUMED_SIZE_PX} px"

    def _file(self, job: Job) -> Path | None:
        generation = self._stored.get(job.generation_id)
        if generation is not None and generation.image:
            return self._path / generation.image
        if isinstance(self._policy, ImageFolder):
            found: Path | None = self._stage.benchmark.find_image(self._policy.root, job.prompt, job.key.index)
            return found
        return None
