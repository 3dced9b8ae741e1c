"""The Stable Diffusion 3 policy: evaluation through `generate`, training through the parts of `TrainablePolicy`.

It reads one prompt per sample and writes no text, so a trainer's text steps do not occur.

Shapes: B samples, C latent channels (16), h w latent sides (size_px / 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import torch
from PIL import Image
from torch import Tensor

from harness import flow, seeds
from harness.errors import ConfigError, PolicyError, unknown_name
from harness.models.base import Capability, Contexts, GenerationParams, Output, Request, TrainablePolicy
from harness.models.sd3 import lora, sampling
from harness.models.sd3.context import Context, Embedded, PromptEncoder, check_texts
from harness.models.sd3.loading import Loaded

FORMAT = 1
"""Of the sampling code: raised when equal weights and settings would give other images."""
ADAPTER = "policy"
"""Name of the trained adapter."""
SETTINGS = {"lora_rank": 32, "lora_alpha": 64, "gradient_checkpointing": False, "lora_targets": None, "lora_seed": 0}
"""What `prepare_training` knows, with defaults."""


class SD3Policy(TrainablePolicy):
    """A Stable Diffusion 3 / 3.5 pipeline.

    Args:
        loaded: the pipeline and what it is.
        own_transformer: the transformer's weights are not those of the pipeline folder (they were all trained).
    """

    name = "sd3"
    capabilities: frozenset[Capability] = frozenset({"train_image"})
    batch_size = 4

    def __init__(self, loaded: Loaded, *, own_transformer: bool = False) -> None:
        self.loaded = loaded
        self.pipeline = loaded.pipeline
        self.transformer = loaded.pipeline.transformer
        self.dtype = loaded.dtype
        self.manifest: dict[str, Any] = {}
        self.defaults = sampling.default_params(self.transformer.config, self._default_size())
        self._encode_prompts = PromptEncoder(self.pipeline, loaded.max_sequence_length)
        self._forward = self.transformer
        self._trains_all = own_transformer
        self._hashed: tuple[Any, str] | None = None

    @property
    def device(self) -> torch.device:
        """Where the transformer is."""
        device: torch.device = next(self.transformer.parameters()).device
        return device

    # Identity and parameters

    @property
    def fingerprint(self) -> str:
        """Hash of the content of all files, of the active adapter's (or all trained) weights as they are now, of dtype
        and reading length. Where parameters are sharded every process must ask.
        """
        loaded = self.loaded
        parts = [
            FORMAT,
            loaded.weights,
            str(self.dtype),
            loaded.max_sequence_length,
            loaded.with_t5,
            self._trained_id(),
        ]
        return f"sd3-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"

    def _trained_id(self) -> str:
        name = lora.active(self.transformer)
        if name is None and not self._trains_all:
            return "base"
        tensors: Mapping[str, Tensor]
        tensors = dict(self.transformer.named_parameters()) if name is None else lora.parameters(self.transformer, name)
        # An optimiser step raises the version counter, a swap of weights changes the storage.
        key = (name, *((p._version, getattr(p, "_local_tensor", p).data_ptr()) for p in tensors.values()))
        if self._hashed is None or self._hashed[0] != key:
            digest = hashlib.sha256(b"" if name is None else repr(lora.settings(self.transformer, name)).encode())
            for tensor_name in sorted(tensors):
                digest.update(tensor_name.encode())
                # A copy: numpy pins the storage, which a data-parallel trainer must be able to free.
                whole = lora.full(tensors[tensor_name]).float().clone(memory_format=torch.contiguous_format)
                digest.update(whole.numpy().tobytes())
            self._hashed = key, digest.hexdigest()
        return self._hashed[1]

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """`params` with this policy's defaults filled in; see `sampling.default_params` for their source.

        `num_inference_steps` counts evaluations of the network (diffusers' meaning): n steps have n + 1 grid points.

        Raises:
            ConfigError: an unknown extra setting.
            PolicyError: an impossible size or step count, thinking, or image guidance.
        """
        resolved = sampling.resolve(params, self.defaults)
        self.latent_shape(resolved.size_px)
        return resolved

    def param_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """`generation`: the trained adapter's tensors, or the whole transformer without one; `understanding`: none."""
        if lora.is_attached(self.transformer, ADAPTER):
            trained = list(lora.parameters(self.transformer, ADAPTER).values())
        else:
            trained = list(self.transformer.parameters())
        return {"understanding": [], "generation": trained}

    # Training

    @property
    def trainable_module(self) -> torch.nn.Module:
        """The transformer: it holds every trained parameter. `fully_shard` changes it in place; a wrapper that is a
        module of its own (DistributedDataParallel) is assigned, and velocities then go through it.
        """
        module: torch.nn.Module = self._forward
        return module

    @trainable_module.setter
    def trainable_module(self, module: torch.nn.Module) -> None:
        if not any(m is self.transformer for m in module.modules()):
            raise PolicyError("sd3: the assigned module does not wrap this policy's transformer.")
        self._forward = module

    def prepare_training(self, settings: Mapping[str, Any]) -> None:
        """Makes the adapter, or all weights of the transformer, trainable.

        Args:
            settings: `lora_rank` (default 32; 0 or None trains all weights, in float32 with forward passes in the
                policy's dtype), `lora_alpha` (64), `lora_targets` (see `lora.TARGETS`), `lora_seed` (0) and
                `gradient_checkpointing` (False). An adapter that a checkpoint brought is trained on; its rank, alpha
                and targets may be repeated, not changed.

        Raises:
            ConfigError: an unknown setting, or one that contradicts the checkpoint.
        """
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise unknown_name("policy setting of sd3", unknown[0], SETTINGS)
        chosen = {**SETTINGS, **settings}
        if lora.is_attached(self.transformer, ADAPTER):
            self._check_continuation(settings)
        elif chosen["lora_rank"]:
            if self._trains_all:
                raise ConfigError("policy: this sd3 checkpoint trained all weights; set lora_rank to 0 to continue.")
            targets, seed = chosen["lora_targets"], int(chosen["lora_seed"])
            self.attach_lora(int(chosen["lora_rank"]), int(chosen["lora_alpha"]), targets, seed=seed)
        else:
            self._trains_all = True
            self.transformer.float()
        for parameter in self.param_groups()["generation"]:
            parameter.requires_grad_(True)
        if chosen["gradient_checkpointing"]:
            self.transformer.enable_gradient_checkpointing()
        else:
            self.transformer.disable_gradient_checkpointing()
        self.transformer.train()

    def _check_continuation(self, settings: Mapping[str, Any]) -> None:
        own = lora.settings(self.transformer, ADAPTER)
        for key, name in (("lora_rank", "rank"), ("lora_alpha", "alpha"), ("lora_targets", "targets")):
            wanted = sorted(settings[key]) if key == "lora_targets" and settings.get(key) else settings.get(key)
            if wanted is not None and wanted != own[name]:
                raise ConfigError(
                    f"policy: {key} is {settings[key]!r}, but the checkpoint's adapter has {own[name]!r}. Leave it out."
                )

    def attach_lora(self, rank: int, alpha: int, targets: Sequence[str] | None = None, *, seed: int = 0) -> None:
        """Adds the adapter to train, active; see `lora.attach`.

        Raises:
            ConfigError: impossible settings.
            PolicyError: there is one already, or all weights are trained.
        """
        if lora.is_attached(self.transformer, ADAPTER) or self._trains_all:
            raise PolicyError("sd3: the transformer has a trained adapter, or trains all its weights.")
        lora.attach(self.transformer, ADAPTER, rank=rank, alpha=alpha, targets=targets or lora.TARGETS, seed=seed)

    def save_checkpoint(self, folder: Path, training: dict[str, Any]) -> None:
        """Writes a checkpoint folder in one rename; see `checkpoint.save`. Every process must call it where
        parameters are sharded; the first one writes.

        Raises:
            PolicyError: nothing has been prepared for training.
        """
        from harness.models.sd3 import checkpoint

        checkpoint.save(folder, self, training)

    @property
    def trains_all(self) -> bool:
        """Whether all weights of the transformer are trained (or were, in the checkpoint)."""
        return self._trains_all

    # Adapters

    def adapter(self, name: str | None) -> AbstractContextManager[None]:
        """Inside: the adapter `name`, or the base (None, the reference policy); afterwards as before.

        Raises:
            PolicyError: no adapter of that name; or the base of a transformer that trained all its weights.
        """
        if name is None and self._trains_all:
            raise PolicyError(
                "sd3: the base's weights are gone when all weights are trained. Train with lora_rank > 0."
            )
        if name is None and not lora.is_attached(self.transformer, ADAPTER):
            return nullcontext()
        if name is not None and not lora.is_attached(self.transformer, name):
            known = ", ".join(sorted(getattr(self.transformer, "peft_config", {}))) or "none"
            raise PolicyError(f"sd3 has no adapter {name!r}. Known: {known}. Add it with add_adapter first.")
        return lora.switched(self.transformer, name)

    def add_adapter(self, name: str, state: Mapping[str, Tensor] | None = None) -> None:
        """Names another adapter with the trained one's rank, alpha and targets; it is not trained.

        Args:
            state: tensors as `adapter_state` gives them; None copies the trained adapter.

        Raises:
            PolicyError: the name is taken, there is no trained adapter, or the tensors do not fit.
        """
        if not lora.is_attached(self.transformer, ADAPTER):
            raise PolicyError(f"sd3: adapter {name!r} needs LoRA training (lora_rank > 0) to be prepared first.")
        if lora.is_attached(self.transformer, name) or "." in name:
            raise PolicyError(f"sd3: {name!r} is taken, or is no adapter name (no dots).")
        tensors = lora.state(self.transformer, ADAPTER) if state is None else state
        lora.check(self.transformer, ADAPTER, tensors, where=f"sd3: adapter {name!r}")
        own = lora.settings(self.transformer, ADAPTER)
        trainable = {p: p.requires_grad for p in self.param_groups()["generation"]}
        lora.attach(self.transformer, name, rank=own["rank"], alpha=own["alpha"], targets=own["targets"])
        lora.fill(self.transformer, name, tensors, where=f"sd3: adapter {name!r}")
        self.transformer.set_adapter(ADAPTER)  # peft activates a new adapter and freezes the others
        for parameter, was in trainable.items():
            parameter.requires_grad_(was)
        for parameter in lora.parameters(self.transformer, name).values():
            parameter.requires_grad_(False)

    def adapter_state(self, name: str) -> dict[str, Tensor]:
        """The tensors of an adapter, to be updated in place (e.g. a slow copy).

        Raises:
            PolicyError: no adapter of that name.
        """
        if not lora.is_attached(self.transformer, name):
            raise PolicyError(f"sd3 has no adapter {name!r}. Add it with add_adapter first.")
        return {key: p.data for key, p in lora.parameters(self.transformer, name).items()}

    # Reading

    def context(self, batch_size: int) -> Context:
        """An empty context: the prompt is empty."""
        return Context(batch_size)

    def extend(
        self, context: Context, segment: Sequence[str] | Sequence[Image.Image] | Tensor, *, kind: str
    ) -> Context:
        """`context` after its prompts (`kind="text"`), embedded without gradient.

        Raises:
            PolicyError: another kind, a second prompt, or a wrong number of prompts.
        """
        if kind != "text":
            raise PolicyError(f"sd3 reads one prompt per sample; it cannot read a segment of kind {kind!r}.")
        return Context(context.batch_size, self._encode_prompts(check_texts(list(segment), context)))

    def detach(self, context: Context) -> Context:
        """`context` itself: embeddings carry no gradient."""
        return context

    def select(self, context: Context, indices: Tensor) -> Context:
        """The samples `indices` of a context."""
        return context.select(indices)

    def sample_text(self, context: Any, seeds: Sequence[int], **settings: Any) -> NoReturn:
        """Raises PolicyError: the model writes no text."""
        raise PolicyError("sd3 writes no text. Train it with a task without reasoning text (task: t2i).")

    def text_log_probs(self, context: Any, ids: Tensor, **settings: Any) -> NoReturn:
        """Raises PolicyError: the model writes no text."""
        raise PolicyError("sd3 writes no text, so it has no log-probabilities of text.")

    # Drawing

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Contexts, guidance: GenerationParams) -> Tensor:
        """Velocity d x / d sigma (B, C, h, w) float32 of latents at sigma (B,), differentiable, in one forward pass.

        Guidance acts for a scale w above 1 (None: the model's default) in the form that is usual for SD3,
        u = v_t + w (v_c - v_t), without rescaling; `extra["cfg_renorm"]` of `global`, `channel` or `text_channel`
        rescales it as `harness.flow.guide` does. v_t is that of `contexts.cfg_text`, or where that is empty or None
        of `extra["negative_prompt"]` (default: the empty prompt).

        Raises:
            PolicyError: image guidance, or contexts of another batch size.
        """
        if (guidance.image_guidance_scale or 1.0) > 1.0:
            raise PolicyError("sd3 reads no images; image_guidance_scale must be 1 or left out.")
        sampling.check_extra(guidance.extra)
        w = self.defaults.guidance_scale if guidance.guidance_scale is None else guidance.guidance_scale
        given = self._prompts(contexts.gen, x, "")
        if w is None or w <= 1.0:
            return self._predict(x, sigma, given)
        without = self._prompts(contexts.cfg_text, x, guidance.extra.get("negative_prompt", ""))
        both = Embedded(torch.cat([without.tokens, given.tokens]), torch.cat([without.pooled, given.pooled]))
        v_t, v_c = self._predict(torch.cat([x, x]), torch.cat([sigma, sigma]), both).chunk(2)
        renorm = guidance.extra.get("cfg_renorm", "none")
        if renorm == "none":
            return v_t + w * (v_c - v_t)
        # Rescaling by token needs the tokens on their own axis.
        tokens = flow.guide(self._to_tokens(v_c), self._to_tokens(v_t), None, text_scale=w, renorm=renorm)
        return self._from_tokens(tokens, x.shape)

    def _prompts(self, context: Context | None, x: Tensor, otherwise: str) -> Embedded:
        if context is not None and context.batch_size != len(x):
            raise PolicyError(f"sd3: a context of {context.batch_size} samples for {len(x)} latents.")
        if context is not None and context.prompts is not None:
            return context.prompts
        one = self._encode_prompts([otherwise])
        return Embedded(*(t.expand(len(x), *t.shape[1:]) for t in one))

    def _predict(self, x: Tensor, sigma: Tensor, prompts: Embedded) -> Tensor:
        with self._precision():
            out: Tensor = self._forward(
                hidden_states=x.to(torch.float32 if self._trains_all else self.dtype),
                encoder_hidden_states=prompts.tokens,
                pooled_projections=prompts.pooled,
                timestep=sigma.float() * self.pipeline.scheduler.config.num_train_timesteps,
                return_dict=False,
            )[0]
        return out.float()

    def _precision(self) -> AbstractContextManager[Any]:
        """The policy's own precision, whatever autocast the caller is in: drawing and training must agree."""
        lowered = self._trains_all and self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if lowered else torch.bfloat16, enabled=lowered)

    def _to_tokens(self, v: Tensor) -> Tensor:
        p = self.transformer.config.patch_size
        b, c, h, w = v.shape
        return v.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)

    def _from_tokens(self, tokens: Tensor, shape: torch.Size) -> Tensor:
        p = self.transformer.config.patch_size
        b, c, h, w = shape
        return tokens.reshape(b, h // p, w // p, c, p, p).permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)

    def initial_noise(self, seeds_: Sequence[int], size_px: int | None = None) -> Tensor:
        """Standard normal latents (B, C, h, w) float32, each sample's from its own seed."""
        shape = self.latent_shape(size_px)
        rows = [torch.randn(shape, generator=seeds.generator(seed, "initial_noise")) for seed in seeds_]
        return torch.stack(rows).to(self.device)

    def time_grid(self, num_inference_steps: int, kind: str = "diffusers", size_px: int | None = None) -> list[float]:
        """The noise levels of a sampler, `num_inference_steps` + 1 of them; see `sampling.time_grid`."""
        _, h, w = self.latent_shape(size_px)
        tokens = (h // self.transformer.config.patch_size) * (w // self.transformer.config.patch_size)
        return sampling.time_grid(self.pipeline.scheduler, num_inference_steps, kind, image_tokens=tokens)

    @torch.no_grad()
    def draw(self, contexts: Contexts, noise: Tensor, params: GenerationParams) -> Tensor:
        """Latents (B, C, h, w) by deterministic Euler steps from `noise`; `params` must be resolved."""
        x = noise
        steps, kind = params.num_inference_steps or 1, params.extra.get("time_grid", "diffusers")
        for sigma, after in pairwise(self.time_grid(steps, kind, params.size_px)):
            v = self.velocity(x, torch.full((len(x),), sigma, device=x.device), contexts, params)
            x = flow.ode_step(x, v, sigma, after)
        return x

    @torch.no_grad()
    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures of one size to latents (B, C, h, w) float32: the mode of the VAE's distribution, shifted, scaled.

        Raises:
            PolicyError: sizes that differ, or sides that are no multiple of the patch in pixels.
        """
        sizes = {image.size for image in images}
        step = self._patch_px()
        if len(sizes) != 1 or any(side % step for size in sizes for side in size):
            raise PolicyError(f"sd3: pictures of sizes {sorted(sizes)}; expected one size, sides multiples of {step}.")
        vae = self.pipeline.vae
        pixels = self.pipeline.image_processor.preprocess([i.convert("RGB") for i in images])
        rows = [vae.encode(p[None].to(self.device, torch.float32)).latent_dist.mode() for p in pixels]
        latents: Tensor = (torch.cat(rows).float() - vae.config.shift_factor) * vae.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Latents (B, C, h, w) to RGB pictures, one at a time: pictures do not depend on the batch."""
        vae = self.pipeline.vae
        scaled = latents.detach().float() / vae.config.scaling_factor + vae.config.shift_factor
        images: list[Image.Image] = []
        for row in scaled:
            pixels = vae.decode(row[None].to(self.device), return_dict=False)[0]
            images += self.pipeline.image_processor.postprocess(pixels, output_type="pil")
        return images

    def latent_shape(self, size_px: int | None = None) -> tuple[int, ...]:
        """(C, h, w) of a square picture.

        Raises:
            PolicyError: a side that is no multiple of the patch in pixels, or beyond the position embeddings.
        """
        size = self.defaults.size_px if size_px is None else size_px
        step, most = self._patch_px(), self.transformer.config.pos_embed_max_size * self._patch_px()
        if size is None or size < step or size % step or size > most:
            raise PolicyError(f"sd3: size_px is {size}, expected a multiple of {step} from {step} to {most}.")
        side = size // self.pipeline.vae_scale_factor
        return self.transformer.config.in_channels, side, side

    def _patch_px(self) -> int:
        return int(self.pipeline.vae_scale_factor * self.transformer.config.patch_size)

    def _default_size(self) -> int:
        return int(self.transformer.config.sample_size * self.pipeline.vae_scale_factor)

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """One output per request, in order; see `Policy.generate`.

        Raises:
            PolicyError: a mode other than t2i, or impossible settings.
        """
        with self._evaluating():
            return sampling.run_requests(self, requests)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.transformer.training
        self.transformer.eval()
        try:
            yield
        finally:
            self.transformer.train(training)

    def close(self) -> None:
        """Drops pipeline and caches."""
        for name in ("pipeline", "transformer", "loaded", "_forward", "_encode_prompts"):
            self.__dict__.pop(name, None)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
