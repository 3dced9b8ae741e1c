"""The samples that refinement adds: refinements of an image, and fresh samples as their control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness import images, seeds
from harness.config import to_plain
from harness.errors import ConfigError
from harness.images import ImageRef
from harness.judges.base import JudgeRequest
from harness.models.base import GenerationParams, Policy
from harness.plan import Job, content_hash
from harness.store import RunDirectory
from harness.types import Generation, Judgement, Prompt, Score

REFINE, AGAIN = "refine", "again"
"""What stands in the image's place: a refinement, or a fresh sample of the prompt (the control)."""


def reflection_params(base: GenerationParams, own: GenerationParams) -> GenerationParams:
    """`base` with what `own` sets; a reflection is written, so `think` is on.

    Raises:
        ConfigError: `own` switches it off.
    """
    if own.think is False:
        raise ConfigError("reflect_generation.think: a reflection is written before the image; leave think out.")
    changes = {k: v for k, v in to_plain(own).items() if v is not None and v != {}}
    return replace(base, **{**changes, "think": True})


def refinement_of(base: Job, source: Generation, round_: int, run: RunDirectory, policy: Policy, params: Any) -> Job:
    """The sample that reflects on the image of `source` and draws a new one.

    Args:
        base: the sample's first image; prompt, seeds and index are its.
        source: the image to refine.
        params: resolved.
    """
    key = replace(base.key, round=round_)
    seed = seeds.for_sample(key.gen_seed, key.prompt_id, key.index, round_)
    plain = {k: v for k, v in to_plain(params).items() if v is not None}
    id_ = content_hash(
        policy.fingerprint, "reflect", base.prompt.id, base.prompt.text, source.image_sha256, plain, seed
    )
    return replace(
        base,
        generation_id=id_,
        key=key,
        seed=seed,
        params=params,
        mode="reflect",
        refines=images.ref_of_file(run.image_path(source), source.image_sha256),
        parent=source.id,
        gate=REFINE,
        variant=id_[:8],
    )


def control_of(base: Job, round_: int, samples_per_prompt: int, policy: Policy) -> Job:
    """A fresh sample of the prompt, as a larger number of samples per prompt would draw it."""
    key = replace(base.key, round=round_)
    seed = seeds.for_sample(key.gen_seed, key.prompt_id, key.index + round_ * samples_per_prompt)
    plain = {k: v for k, v in to_plain(base.params).items() if v is not None}
    # "control" keeps its record apart from a first image with the same content, which has another key and file.
    id_ = content_hash(policy.fingerprint, "control", base.prompt.id, base.prompt.text, plain, seed)
    return replace(base, generation_id=id_, key=key, seed=seed, parent=base.generation_id, gate=AGAIN, variant=AGAIN)


class Unjudged:
    """A benchmark that asks nothing: its pass only makes images."""

    def __init__(self, benchmark: Any) -> None:
        self.name = benchmark.name

    def requests(self, prompt: Prompt, generation: Generation, pictures: Sequence[ImageRef]) -> list[JudgeRequest]:
        """None."""
        return []

    def score(self, prompt: Prompt, generation: Generation, verdicts: Sequence[Judgement]) -> list[Score]:
        """None."""
        return []
