"""Samples of a benchmark drawn, judged by the exact verifier and scored, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from harness.images import ref_of_image
from harness.judges.base import Judge
from harness.judges.micro import MicroJudge
from harness.judging import call_id, records_of
from harness.types import Generation, Judgement, Prompt, SampleKey, Score
from harness.world.render import render
from harness.world.scene import Scene

Change = Callable[[Judgement], Judgement | None]


def generation_of(prompt: Prompt, benchmark: str, index: int = 0, status: str = "ok") -> Generation:
    key = SampleKey(benchmark=benchmark, prompt_id=prompt.id, index=index)
    return Generation(id=f"{prompt.id}-{index}", key=key, seed=0, policy="", params={}, status=status, error="")


def judged(benchmark, prompt: Prompt, image: np.ndarray, judge: Judge | None = None) -> list[Judgement]:
    judge = judge or MicroJudge()
    generation = generation_of(prompt, benchmark.name)
    requests = benchmark.requests(prompt, generation, [ref_of_image(Image.fromarray(image))])
    records = []
    for request, reply in zip(requests, judge.ask(requests), strict=True):
        records += records_of(judge, call_id(judge.fingerprint, request), request, generation.key, reply)
    return records


def scored(benchmark, prompts: Sequence[Prompt], scenes: Sequence[Scene], change: Change = lambda j: j) -> list[Score]:
    scores = []
    for prompt, image in zip(prompts, render(list(scenes), range(len(scenes))), strict=True):
        verdicts = [changed for j in judged(benchmark, prompt, image) if (changed := change(j)) is not None]
        scores += benchmark.score(prompt, generation_of(prompt, benchmark.name), verdicts)
    return scores
