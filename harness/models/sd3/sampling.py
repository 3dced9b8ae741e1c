"""Time grids, default settings, and running requests in batches.

`num_inference_steps` counts evaluations of the network, as in diffusers: n steps have n + 1 grid points, so a grid of
`harness.flow.time_grid(K)` has K - 1 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from harness import flow
from harness.errors import ConfigError, PolicyError, unknown_name
from harness.models.base import Contexts, GenerationParams, Output, Request

if TYPE_CHECKING:
    from harness.models.sd3.policy import SD3Policy

GRIDS = ("diffusers", "flow")
EXTRAS: dict[str, Any] = {"cfg_renorm": "none", "negative_prompt": "", "time_grid": "diffusers"}
"""Settings of `GenerationParams.extra` and their defaults: how guidance is rescaled (`none` is the usual form, else
see `harness.flow.guide`), what guidance leads away from, and the grid of noise levels."""


def time_grid(scheduler: Any, steps: int, kind: str, *, image_tokens: int) -> list[float]:
    """The noise levels from 1 down to 0, `steps` + 1 of them.

    Args:
        scheduler: a `FlowMatchEulerDiscreteScheduler`; its configuration is used, its state stays as it is.
        kind: `flow` is `harness.flow.time_grid` with the scheduler's shift s. `diffusers` is what the scheduler makes
            of `steps`: u_i from 1 down to s 0.001 / (1 + (s - 1) 0.001) in `steps` equal parts, shifted by s, then 0.
            Its last step starts at about 0.009 (s = 3) and hardly moves, so the others are longer than in `flow`.
        image_tokens: tokens of one image, for schedulers whose shift depends on the resolution.

    Raises:
        ConfigError: an unknown kind.
        PolicyError: `flow` for a scheduler without a fixed shift.
    """
    if kind not in GRIDS:
        raise unknown_name("time_grid", str(kind), GRIDS)
    own = type(scheduler).from_config(scheduler.config)
    dynamic = bool(own.config.use_dynamic_shifting)
    if kind == "flow":
        if dynamic:
            raise PolicyError("sd3: time_grid flow needs a scheduler with a fixed shift; use time_grid diffusers.")
        return flow.time_grid(steps + 1, float(own.config.shift))
    if dynamic:
        own.set_timesteps(steps, mu=_shift_of(own.config, image_tokens))
    else:
        own.set_timesteps(steps)
    return [float(s) for s in own.sigmas]


def _shift_of(config: Any, image_tokens: int) -> float:
    from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import calculate_shift

    names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
    return float(calculate_shift(image_tokens, *(config[n] for n in names)))


def default_params(transformer_config: Any, size_px: int) -> GenerationParams:
    """Settings of the model's card, told apart by architecture.

    SD3 medium (no query-key norm): 28 steps, guidance 7. SD3.5 medium (dual attention): 40 steps, guidance 4.5. SD3.5
    large: 28 steps, guidance 3.5; its turbo version looks the same and needs its own settings (4 steps, guidance 1).

    Source: example code of the model cards stabilityai/stable-diffusion-3-medium-diffusers, -3.5-medium, -3.5-large.
    """
    if transformer_config.get("qk_norm") is None:
        steps, scale = 28, 7.0
    elif transformer_config.get("dual_attention_layers"):
        steps, scale = 40, 4.5
    else:
        steps, scale = 28, 3.5
    return GenerationParams(
        think=False,
        num_inference_steps=steps,
        guidance_scale=scale,
        image_guidance_scale=1.0,
        size_px=size_px,
        extra=dict(EXTRAS),
    )


def resolve(params: GenerationParams, defaults: GenerationParams) -> GenerationParams:
    """`params` completed. Settings of text that the model does not write become None.

    Raises:
        ConfigError: an unknown extra setting or value.
        PolicyError: thinking, image guidance, or a step count below 1.
    """
    if params.think:
        raise PolicyError("sd3 writes no text; think must be false or left out.")
    if (params.image_guidance_scale or 1.0) > 1.0:
        raise PolicyError("sd3 reads no images; image_guidance_scale must be 1 or left out.")
    unknown = sorted(set(params.extra) - set(EXTRAS))
    if unknown:
        raise unknown_name("extra setting of sd3", unknown[0], EXTRAS)
    steps = defaults.num_inference_steps if params.num_inference_steps is None else params.num_inference_steps
    if steps is None or steps < 1:
        raise PolicyError(f"sd3: num_inference_steps is {steps}, expected 1 or more.")
    extra = {**defaults.extra, **params.extra}
    check_extra(extra)
    return replace(
        defaults,
        num_inference_steps=steps,
        guidance_scale=defaults.guidance_scale if params.guidance_scale is None else params.guidance_scale,
        size_px=defaults.size_px if params.size_px is None else params.size_px,
        extra=extra,
    )


def check_extra(extra: dict[str, Any]) -> None:
    """Checks the values of extra settings.

    Raises:
        ConfigError: a value that is not offered.
    """
    if extra.get("time_grid", "diffusers") not in GRIDS:
        raise unknown_name("time_grid", str(extra["time_grid"]), GRIDS)
    renorm = extra.get("cfg_renorm", "none")
    if renorm not in ("none", *RENORMS):
        raise unknown_name("cfg_renorm", str(renorm), ("none", *RENORMS))
    if not isinstance(extra.get("negative_prompt", ""), str):
        raise ConfigError(f"sd3: negative_prompt is {extra['negative_prompt']!r}, expected text.")


RENORMS = ("global", "channel", "text_channel")


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    prompt: str
    seed: int


def run_requests(policy: SD3Policy, requests: Sequence[Request]) -> list[Output]:
    """One output per request, in order; requests with equal settings go through the network together.

    Raises:
        PolicyError: a mode other than t2i, or impossible settings.
    """
    outputs: dict[int, Output] = {}
    groups: dict[str, tuple[GenerationParams, list[_Job]]] = {}
    for index, request in enumerate(requests):
        params = policy.resolve_params(request.params)
        if request.mode != "t2i":
            raise PolicyError(f"{policy.name} cannot do mode {request.mode!r}; it does t2i.")
        prompt = " ".join(item for item in request.items if isinstance(item, str)).strip()
        if not prompt or any(not isinstance(item, str) for item in request.items):
            what = "has no text" if not prompt else "holds an image, which mode t2i does not take"
            outputs[index] = Output(status="error", error=f"{policy.name}: the request {what}.")
            continue
        groups.setdefault(repr(params), (params, []))[1].append(_Job(index, prompt, request.seed))
    for params, jobs in groups.values():
        for job, output in zip(jobs, _run(policy, params, jobs), strict=True):
            outputs[job.index] = output
    return [outputs[i] for i in range(len(requests))]


@torch.no_grad()
def _run(policy: SD3Policy, params: GenerationParams, jobs: Sequence[_Job]) -> list[Output]:
    context = policy.extend(policy.context(len(jobs)), [job.prompt for job in jobs], kind="text")
    noise = policy.initial_noise([job.seed for job in jobs], params.size_px)
    latents = policy.draw(Contexts(context), noise, params)
    finite = latents.isfinite().flatten(1).all(1).tolist()
    images = policy.decode(latents.nan_to_num())
    return [
        Output(image=image)
        if good
        else Output(status="error", error="sd3: the picture has no finite values. Try dtype=bfloat16 or float32.")
        for image, good in zip(images, finite, strict=True)
    ]
