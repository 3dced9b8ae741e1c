"""The list of samples that an evaluation needs, each with its content key.

A sample's generation id hashes the policy, the prompt (text and source images), the parameters and the seed, so that a
stored image is reused exactly when the same command would make the same image again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from harness import seeds
from harness.config import to_plain
from harness.errors import DataError
from harness.images import ImageRef
from harness.models.base import GenerationParams, Mode, Policy, Request
from harness.types import Prompt, SampleKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One sample of one prompt."""

    generation_id: str
    key: SampleKey
    prompt: Prompt
    seed: int
    params: GenerationParams
    mode: Mode
    refines: ImageRef | None = None
    """Of a refinement: the image that it starts from."""
    parent: str = ""
    """Of a refinement or its control: generation id of the image that it may replace."""
    gate: str = ""
    """Of a refinement or its control: what it is for, see `harness.refinement`."""
    variant: str = ""
    """Ends the name of the image where several belong to one sample and round."""

    @property
    def image(self) -> str:
        """Where the sample's image lies in the run directory, without suffix."""
        round_ = f"-r{self.key.round}" if self.key.round else ""
        variant = f"-{self.variant}" if self.variant else ""
        return f"images/{self.prompt.id}/{self.key.gen_seed}-{self.key.index}{round_}{variant}"

    def request(self, sources: Sequence[Image]) -> Request:
        """What the policy gets: source images first, then the text."""
        return Request(
            items=(*sources, self.prompt.text),
            mode=self.mode,
            params=self.params,
            seed=self.seed,
            sample=(self.prompt.id, self.key.index),
        )


def content_hash(*parts: Any) -> str:
    """16 hex digits from JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def checked_prompts(benchmark: Any, limit: int | None) -> list[Prompt]:
    """The benchmark's prompts, at most `limit` of them spread evenly over the list.

    Raises:
        DataError: no prompts, two with one id, or an id that would leave the run directory.
    """
    prompts: list[Prompt] = benchmark.prompts()
    if not prompts:
        raise DataError(f"{benchmark.name}: there are no prompts ({benchmark.data_id}).")
    seen: set[str] = set()
    for prompt in prompts:
        if prompt.id in seen:
            raise DataError(
                f"{benchmark.name}: two prompts have the id {prompt.id!r}. Ids name records and must differ."
            )
        parts = prompt.id.split("/")
        if (
            parts[0] != benchmark.name
            or len(parts) < 2
            or any(p in ("", ".", "..") or "\\" in p or "\0" in p for p in parts)
        ):
            raise DataError(f"{benchmark.name}: prompt id {prompt.id!r} is not of the form '{benchmark.name}/NAME'.")
        seen.add(prompt.id)
    if limit is None or limit >= len(prompts):
        return prompts
    return [prompts[i * len(prompts) // limit] for i in range(limit)]


def jobs_of(
    benchmark: Any,
    prompts: Sequence[Prompt],
    policy: Policy,
    *,
    gen_seeds: Sequence[int],
    samples_per_prompt: int,
    params: GenerationParams,
) -> list[Job]:
    """All samples, prompt by prompt."""
    resolved, fingerprint = policy.resolve_params(params), policy.fingerprint
    plain = {k: v for k, v in to_plain(resolved).items() if v is not None}
    jobs = []
    for prompt in prompts:
        sources = [benchmark.source_image(prompt, s).id for s in prompt.source_images]
        for gen_seed in gen_seeds:
            for index in range(samples_per_prompt):
                seed = seeds.for_sample(gen_seed, prompt.id, index)
                jobs.append(
                    Job(
                        generation_id=content_hash(fingerprint, prompt.id, prompt.text, sources, plain, seed),
                        key=SampleKey(benchmark=benchmark.name, prompt_id=prompt.id, gen_seed=gen_seed, index=index),
                        prompt=prompt,
                        seed=seed,
                        params=resolved,
                        mode=benchmark.mode,
                    )
                )
    return jobs
