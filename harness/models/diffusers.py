"""The policy `diffusers`: any text-to-image pipeline of the diffusers library, for evaluation (FLUX.1, SDXL, ...).

The pipeline samples by itself, each sample from its own generator. `diffusers:FOLDER` or `diffusers:OWNER/NAME`, with
options after a question mark: `?dtype=bfloat16&revision=main`. Importing this module loads neither torch nor diffusers.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness import seeds
from harness.errors import PolicyError, unknown_name
from harness.models.base import GenerationParams, Output, Policy, Request
from harness.models.sd3.source import Source, find_source, parse_argument, weights_id
from harness.registry import MODELS

FORMAT = 1
_OWN = frozenset({"self", "prompt", "generator", "latents", "height", "width", "num_inference_steps", "guidance_scale"})
_PLAIN = (str, int, float, bool, type(None))


class DiffusersPolicy(Policy):
    """A text-to-image pipeline.

    Args:
        pipeline: a `diffusers.DiffusionPipeline`, on its device.
        source: where it came from.
        weights: `weights_id` of its files.
        dtype: name of the dtype it computes in.
    """

    name = "diffusers"
    batch_size = 4

    def __init__(self, pipeline: Any, source: Source, weights: str, dtype: str) -> None:
        self.pipeline = pipeline
        self.source = source
        identity = repr([FORMAT, source.pipeline_class, weights, dtype])
        self._fingerprint = f"diffusers-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        self._accepted = inspect.signature(pipeline.__call__).parameters
        self.defaults = default_params(pipeline)

    @property
    def fingerprint(self) -> str:
        """Of the pipeline's class, the content of its files and the dtype."""
        return self._fingerprint

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """`params` with the pipeline's defaults filled in; `extra` goes to the pipeline by name.

        Raises:
            ConfigError: an extra setting that the pipeline does not have.
            PolicyError: thinking, image guidance, or a step count below 1.
        """
        if params.think or (params.image_guidance_scale or 1.0) > 1.0:
            raise PolicyError(
                "diffusers: the model writes no text and reads no images; leave think and image guidance out."
            )
        steps = self.defaults.num_inference_steps if params.num_inference_steps is None else params.num_inference_steps
        if steps is not None and steps < 1:
            raise PolicyError(f"diffusers: num_inference_steps is {steps}, expected 1 or more.")
        known = {
            n
            for n, p in self._accepted.items()
            if n not in _OWN and isinstance(p.default, _PLAIN) and p.kind != p.VAR_KEYWORD
        } - {"output_type", "return_dict", "num_images_per_prompt"}
        for name in sorted(params.extra):
            if name not in known:
                raise unknown_name(f"extra setting of {self.source.pipeline_class}", name, known)
        guidance = self.defaults.guidance_scale if params.guidance_scale is None else params.guidance_scale
        size = self.defaults.size_px if params.size_px is None else params.size_px
        return replace(
            self.defaults, num_inference_steps=steps, guidance_scale=guidance, size_px=size, extra=dict(params.extra)
        )

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """One output per request, in order; pictures that the pipeline's own filter blanked are `refused`.

        Raises:
            PolicyError: a mode other than t2i, or settings that the pipeline refuses.
        """
        outputs: dict[int, Output] = {}
        groups: dict[str, tuple[GenerationParams, list[tuple[int, str, int]]]] = {}
        for index, request in enumerate(requests):
            params = self.resolve_params(request.params)
            if request.mode != "t2i":
                raise PolicyError(f"diffusers cannot do mode {request.mode!r}; it does t2i.")
            if not (prompt := _prompt_of(request)):
                outputs[index] = Output(status="error", error="diffusers: a request is one text, without images.")
                continue
            groups.setdefault(repr(params), (params, []))[1].append((index, prompt, request.seed))
        for params, jobs in groups.values():
            made = self._run(params, [job[1] for job in jobs], [job[2] for job in jobs])
            outputs.update({job[0]: output for job, output in zip(jobs, made, strict=True)})
        return [outputs[i] for i in range(len(requests))]

    def _run(self, params: GenerationParams, prompts: list[str], seeds_: list[int]) -> list[Output]:
        import torch

        settings = {
            "num_inference_steps": params.num_inference_steps,
            "guidance_scale": params.guidance_scale,
            "height": params.size_px,
            "width": params.size_px,
        }
        given = {k: v for k, v in settings.items() if v is not None and k in self._accepted}
        try:
            with torch.no_grad():
                made = self.pipeline(
                    prompt=prompts,
                    generator=[seeds.generator(seed, "initial_noise") for seed in seeds_],
                    output_type="pt",
                    **given,
                    **params.extra,
                )
        except (ValueError, TypeError) as error:
            raise PolicyError(f"diffusers: {self.source.pipeline_class} refused the settings: {error}") from error
        blanked = getattr(made, "nsfw_content_detected", None) or [False] * len(prompts)
        return [_output(image, bool(flag)) for image, flag in zip(made.images, blanked, strict=True)]

    def close(self) -> None:
        """Drops the pipeline."""
        self.__dict__.pop("pipeline", None)


def _prompt_of(request: Request) -> str:
    if any(not isinstance(item, str) for item in request.items):
        return ""
    return " ".join(str(item) for item in request.items).strip()


def _output(pixels: Any, blanked: bool) -> Output:
    from PIL import Image

    if blanked:
        return Output(status="refused", error="diffusers: the pipeline's safety checker blanked the picture.")
    if not bool(pixels.isfinite().all()):
        return Output(status="error", error="diffusers: the picture has no finite values. Try another dtype.")
    array = (pixels.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Output(image=Image.fromarray(array, mode="RGB"))


def default_params(pipeline: Any) -> GenerationParams:
    """The defaults of the pipeline's call; of FLUX.1 and SD3 those of the model's card.

    Source: example code of the cards black-forest-labs/FLUX.1-dev (50 steps, guidance 3.5), FLUX.1-schnell (4 steps,
    guidance 0); SD3 see `harness.models.sd3.sampling.default_params`.
    """
    accepted = inspect.signature(pipeline.__call__).parameters
    steps, scale = (accepted[n].default if n in accepted else None for n in ("num_inference_steps", "guidance_scale"))
    kind = type(pipeline).__name__
    if kind == "FluxPipeline":
        steps, scale = (50, 3.5) if pipeline.transformer.config.guidance_embeds else (4, 0.0)
    if kind == "StableDiffusion3Pipeline":
        from harness.models.sd3.sampling import default_params as of_sd3

        card = of_sd3(pipeline.transformer.config, 0)
        steps, scale = card.num_inference_steps, card.guidance_scale
    return GenerationParams(
        think=False, num_inference_steps=steps, guidance_scale=scale, image_guidance_scale=1.0, size_px=_size(pipeline)
    )


def _size(pipeline: Any) -> int | None:
    """Side of the pictures that the pipeline makes when it is not told; None where it does not say."""
    network = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    own = getattr(pipeline, "default_sample_size", None) or getattr(
        getattr(network, "config", None), "sample_size", None
    )
    factor = getattr(pipeline, "vae_scale_factor", None)
    return int(own * factor) if isinstance(own, int) and isinstance(factor, int) else None


@MODELS.register("diffusers")
def load(argument: str = "", *, device: str = "cpu") -> DiffusersPolicy:
    """Any text-to-image pipeline of diffusers, for evaluation: `diffusers:FOLDER` or `diffusers:OWNER/NAME`.

    Args:
        argument: folder in diffusers' layout or hub id, and options (`?dtype=bfloat16&revision=main`).
        device: torch device of all parts.

    Raises:
        ConfigError: an unknown option or value.
        PolicyError: no text-to-image pipeline there, or weights missing, damaged or not in safetensors.
    """
    where, options = parse_argument(argument, model="diffusers", allowed=("dtype", "revision"))
    source = find_source(where, model="diffusers", revision=options.revision)
    from harness.models.sd3.loading import load_any

    pipeline, dtype = load_any(source, options.dtype, device=device)
    return DiffusersPolicy(pipeline, source, weights_id(source), dtype)
