"""Runs requests in batches: requests that share mode and settings go through the network together.

A request that cannot be done alone (too long a prompt, no source image) becomes an output with `status="error"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image

from harness.errors import PolicyError
from harness.models.base import Contexts, GenerationParams, Output, Request

if TYPE_CHECKING:
    from harness.models.micro.policy import MicroPolicy

MODES = ("t2i", "edit", "reflect")


@dataclass(frozen=True, slots=True)
class _Job:
    """A request that has passed the checks."""

    index: int
    prompt: str
    source: Image | None
    seed: int


def run_requests(policy: MicroPolicy, requests: Sequence[Request]) -> list[Output]:
    """One output per request, in order.

    Raises:
        PolicyError: an unsupported mode or impossible parameters in any request.
    """
    outputs: dict[int, Output] = {}
    groups: dict[str, tuple[str, GenerationParams, list[_Job]]] = {}
    for index, request in enumerate(requests):
        params = policy.resolve_params(request.params)
        _check_mode(request.mode, params)
        try:
            job = _job(policy, index, request)
        except PolicyError as error:
            outputs[index] = Output(status="error", error=str(error))
            continue
        groups.setdefault(repr((request.mode, params)), (request.mode, params, []))[2].append(job)
    for mode, params, jobs in groups.values():
        for job, output in zip(jobs, _run(policy, mode, params, jobs), strict=True):
            outputs[job.index] = output
    return [outputs[i] for i in range(len(requests))]


def _check_mode(mode: str, params: GenerationParams) -> None:
    if mode not in MODES:
        raise PolicyError(f"micro cannot do mode {mode!r}; it does {', '.join(MODES)}.")
    if mode == "reflect" and not params.think:
        raise PolicyError("micro reflects in words before it draws; leave think out or set it to true.")


def _job(policy: MicroPolicy, index: int, request: Request) -> _Job:
    prompt = " ".join(item for item in request.items if isinstance(item, str)).strip()
    pictures = [item for item in request.items if not isinstance(item, str)]
    wanted = 0 if request.mode == "t2i" else 1
    if len(pictures) != wanted:
        raise PolicyError(f"micro: mode {request.mode} takes {wanted} image(s), the request has {len(pictures)}.")
    if not prompt:
        raise PolicyError("micro: the request has no text.")
    policy.encode_prompt(prompt)
    return _Job(index, prompt, pictures[0] if pictures else None, request.seed)


@torch.no_grad()
def _run(policy: MicroPolicy, mode: str, params: GenerationParams, jobs: Sequence[_Job]) -> list[Output]:
    seeds = [job.seed for job in jobs]
    empty = policy.context(len(jobs))
    sources = [job.source for job in jobs if job.source is not None]
    without_text = policy.extend(empty, sources, kind="image") if sources else empty
    context = policy.extend(without_text, [job.prompt for job in jobs], kind="text")
    thoughts: list[tuple[int, ...]] = [()] * len(jobs)
    if params.think:
        sampled = policy.sample_text(
            context,
            seeds,
            kind="reflect" if mode == "reflect" else "think",
            temperature=1.0 if params.temperature is None else params.temperature,
            max_tokens=params.max_text_tokens or policy.max_text_tokens,
            top_p=1.0 if params.top_p is None else params.top_p,
        )
        context = policy.extend(context, sampled.ids, kind="ids")
        rows = zip(sampled.ids.tolist(), sampled.mask.tolist(), strict=True)
        thoughts = [tuple(i for i, drawn in zip(ids, mask, strict=True) if drawn) for ids, mask in rows]
    latents = policy.draw(Contexts(context, without_text), policy.initial_noise(seeds), params)
    return _outputs(policy, latents, thoughts)


def _outputs(policy: MicroPolicy, latents: torch.Tensor, thoughts: Sequence[tuple[int, ...]]) -> list[Output]:
    finite = latents.isfinite().flatten(1).all(1).tolist()
    images = policy.decode(latents.nan_to_num())
    return [
        Output(image=image, text=policy.text_of(ids), token_ids=ids)
        if good
        else Output(
            text=policy.text_of(ids), token_ids=ids, status="error", error="micro: the picture has no finite values."
        )
        for image, ids, good in zip(images, thoughts, finite, strict=True)
    ]
