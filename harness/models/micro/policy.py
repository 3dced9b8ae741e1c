"""The micro policy: evaluation through `generate`, training through the parts of `TrainablePolicy`.

Order of segments that the weights were trained on, and that a trainer must keep:
text-to-image: prompt, [thought], image; edit: source image, instruction, [thought], image;
reflect: picture, prompt, thought of kind `reflect` (a diagnosis, then a corrected plan), image.

Shapes: B samples, L tokens of a thought; latents of one image are (9, 768): one 16x16 RGB patch per cell, row-major.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harness import flow, seeds
from harness.errors import ConfigError, PolicyError
from harness.models.base import (
    Capability,
    Contexts,
    GenerationParams,
    Output,
    Request,
    SampledText,
    TextLogProbs,
    TrainablePolicy,
)
from harness.models.micro import checkpoint, text, tokenizer
from harness.models.micro.batching import run_requests
from harness.models.micro.context import PROMPT, THOUGHT, Context, pad_ids, read_image, read_text
from harness.models.micro.network import MicroNetwork, from_patches, to_patches
from harness.world.plan import diagnosis_from_words, scene_from_plan
from harness.world.scene import SIZE_PX
from harness.world.vocabulary import words_of

_LOG = logging.getLogger(__name__)

_GENERATION_PARTS = ("noisy_", "time_")


class MicroPolicy(TrainablePolicy):
    """A micro network with its text and image samplers."""

    name = "micro"
    capabilities: frozenset[Capability] = frozenset({"think", "edit", "reflect", "train_text", "train_image"})
    batch_size = 64
    defaults: ClassVar[GenerationParams] = GenerationParams(
        think=True,
        num_inference_steps=10,
        guidance_scale=1.0,
        image_guidance_scale=1.0,
        temperature=1.0,
        top_p=1.0,
        max_text_tokens=None,
        size_px=SIZE_PX,
    )

    def __init__(
        self, network: MicroNetwork, *, manifest: Mapping[str, Any] | None = None, device: str = "cpu"
    ) -> None:
        self.network = network.to(device).eval()
        self.manifest: dict[str, Any] = dict(manifest or {})
        self.device = torch.device(device)
        self._base = self._snapshot()
        self._adapters: dict[str, dict[str, Tensor]] = {}
        self._fingerprint: tuple[Any, str] | None = None
        self._warned_unknown = False

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu") -> MicroPolicy:
        """The policy of a checkpoint folder.

        Raises:
            PolicyError: see `checkpoint.load_checkpoint`.
        """
        network, manifest = checkpoint.load_checkpoint(folder)
        return cls(network, manifest=manifest, device=device)

    # Identity and parameters

    @property
    def fingerprint(self) -> str:
        """Hash of the current weights and the configuration; follows in-place updates by an optimiser."""
        # An optimiser step raises the version counter, a swap of weight sets changes the storage.
        key = tuple((p._version, p.data_ptr()) for p in self.network.parameters())
        if self._fingerprint is None or self._fingerprint[0] != key:
            self._fingerprint = key, checkpoint.fingerprint(dict(self.network.named_parameters()), self.network.config)
        return self._fingerprint[1]

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """`params` with this policy's defaults filled in.

        Raises:
            PolicyError: a size other than 48, a step count below 1, or more text tokens than a thought can have.
        """
        chosen = {
            name: value if (value := getattr(params, name)) is not None else getattr(self.defaults, name)
            for name in (
                "think",
                "num_inference_steps",
                "guidance_scale",
                "image_guidance_scale",
                "temperature",
                "top_p",
                "max_text_tokens",
                "size_px",
            )
        }
        if chosen["max_text_tokens"] is None:
            chosen["max_text_tokens"] = self.max_text_tokens
        resolved = replace(params, **chosen)
        self.latent_shape(resolved.size_px)
        if chosen["num_inference_steps"] < 1:
            raise PolicyError(f"micro: num_inference_steps is {resolved.num_inference_steps}, expected 1 or more.")
        self._check_max_tokens(chosen["max_text_tokens"])
        return resolved

    @property
    def max_text_tokens(self) -> int:
        """Most tokens that a thought can have after its start token."""
        return self.network.config.max_thought - 1

    def _check_max_tokens(self, n: int) -> None:
        if not 1 <= n <= self.max_text_tokens:
            raise PolicyError(f"micro: max_text_tokens is {n}, expected 1..{self.max_text_tokens}.")

    def param_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """`understanding` (text, clean images, embeddings) and `generation` (noisy images)."""
        groups: dict[str, list[torch.nn.Parameter]] = {"understanding": [], "generation": []}
        for name, parameter in self.network.named_parameters():
            generation = ".gen." in name or name.endswith(".modulation") or name.startswith(_GENERATION_PARTS)
            groups["generation" if generation else "understanding"].append(parameter)
        return groups

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of `prompt` that the policy has no token for; it reads each as one unknown word."""
        return tokenizer.unknown_words(prompt)

    # Reading

    def context(self, batch_size: int) -> Context:
        """An empty context."""
        return Context.empty(batch_size, self.device)

    def extend(
        self, context: Context, segment: Sequence[str] | Sequence[Image.Image] | Tensor, *, kind: str
    ) -> Context:
        """`context` after one more segment per sample.

        Args:
            segment: prompts or instructions (`kind="text"`), pictures (`"image"`), or a thought as `sample_text`
                returns it, start token included (`"ids"`, (B, L) int64).

        Raises:
            PolicyError: an unknown kind, a wrong number of samples, a text that is too long, a thought without its
                start token.
        """
        if len(segment) != context.batch_size:
            raise PolicyError(f"micro: {len(segment)} segments for a context of {context.batch_size} samples.")
        if kind == "ids":
            return read_text(self.network, context, self._thought_ids(segment), THOUGHT)[0]
        if kind == "text":
            rows = [self.encode_prompt(str(item)) for item in segment]
            return read_text(self.network, context, pad_ids(rows, self.device), PROMPT)[0]
        if kind == "image":
            return read_image(self.network, context, self.encode([_as_image(item) for item in segment]))
        raise PolicyError(f"micro: unknown segment kind {kind!r}; expected 'text', 'image' or 'ids'.")

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids of a prompt; logs once per policy that unknown words occur.

        Raises:
            PolicyError: the prompt is longer than the network's positions.
        """
        ids, limit = tokenizer.encode_prompt(prompt), self.network.config.max_prompt
        if len(ids) > limit:
            raise PolicyError(f"micro: a text has {len(ids) - 1} words, at most {limit - 1} fit. Shorten the prompt.")
        if not self._warned_unknown and (unknown := self.unknown_words(prompt)):
            self._warned_unknown = True
            _LOG.warning("micro reads words outside its vocabulary as unknown, e.g. %s.", ", ".join(unknown[:5]))
        return ids

    def _thought_ids(self, ids: Any, kind: str | None = None) -> Tensor:
        starts = tuple(tokenizer.STARTS.values()) if kind is None else (_start(kind),)
        if not isinstance(ids, Tensor) or ids.dim() != 2 or not all(int(i) in starts for i in ids[:, 0]):
            names = " or ".join(tokenizer.TOKENS[s] for s in starts)
            raise PolicyError(f"micro: a thought is a (B, L) tensor of ids that starts with {names}.")
        return ids.to(self.device)

    def detach(self, context: Context) -> Context:
        """`context` cut from the autograd graph."""
        return context.detach()

    def select(self, context: Context, indices: Tensor) -> Context:
        """The samples `indices` of a context."""
        return context.select(indices.to(self.device))

    # Writing

    def sample_text(
        self,
        context: Context,
        seeds: Sequence[int],
        *,
        kind: str,
        temperature: float,
        max_tokens: int,
        top_p: float = 1.0,
    ) -> SampledText:
        """A thought after `context`. Column 0 is its start token: given, so masked out, with log-probability 0.

        Args:
            kind: `"think"` or `"reflect"`.
            temperature: 0 takes the most probable token and reports log-probabilities at temperature 1.
            top_p: nucleus of the draw; log-probabilities are those of the full distribution.

        Raises:
            PolicyError: an unknown kind, or `max_tokens` beyond a thought's length.
        """
        _start(kind)
        self._check_max_tokens(max_tokens)
        if len(seeds) != context.batch_size:
            raise PolicyError(f"micro: {len(seeds)} seeds for a context of {context.batch_size} samples.")
        return text.sample(
            self.network, context, seeds, kind=kind, temperature=temperature, max_tokens=max_tokens, top_p=top_p
        )

    def text_log_probs(self, context: Context, ids: Tensor, *, kind: str, temperature: float) -> TextLogProbs:
        """Log-probabilities of a thought (B, L) as `sample_text` returns it, with gradient."""
        return text.log_probs(self.network, context, self._thought_ids(ids, kind), temperature=temperature)[0]

    def text_of(self, ids: Sequence[int]) -> str:
        """Readable words of one thought's ids."""
        return tokenizer.decode_text(ids)

    # Drawing

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Contexts, guidance: GenerationParams) -> Tensor:
        """Velocity d x / d sigma of latents (B, 9, 768) at sigma (B,), guided where `guidance.guidance_scale` > 1."""
        conditional = self._velocity(x, sigma, contexts.gen)
        text_scale = guidance.guidance_scale or 1.0
        image_scale = guidance.image_guidance_scale or 1.0
        if text_scale <= 1:
            return conditional
        without_text = contexts.cfg_text if contexts.cfg_text is not None else self.context(x.shape[0])
        without_image = contexts.cfg_img if image_scale > 1 else None
        return flow.guide(
            conditional,
            self._velocity(x, sigma, without_text),
            None if without_image is None else self._velocity(x, sigma, without_image),
            text_scale=text_scale,
            image_scale=1.0 if without_image is None else image_scale,
            renorm=guidance.extra.get("cfg_renorm", "global"),
        )

    def _velocity(self, x: Tensor, sigma: Tensor, context: Context) -> Tensor:
        visible = context.visible[:, None]
        data = self.network.predict_data(x[:, None], sigma[:, None], context.layers, visible)[:, 0]
        return (x - data) / sigma.clamp(min=0.05)[:, None, None]

    def initial_noise(self, seeds_: Sequence[int]) -> Tensor:
        """Standard normal latents (B, 9, 768), each sample's from its own seed."""
        shape = self.latent_shape()
        rows = [torch.randn(shape, generator=seeds.generator(seed, "initial_noise")) for seed in seeds_]
        return torch.stack(rows).to(self.device)

    @torch.no_grad()
    def draw(self, contexts: Contexts, noise: Tensor, params: GenerationParams) -> Tensor:
        """Latents (B, 9, 768) by deterministic Euler steps from `noise`; `params` must be resolved."""
        grid = flow.time_grid((params.num_inference_steps or 10) + 1)
        x = noise
        for sigma, after in pairwise(grid):
            v = self.velocity(x, torch.full((len(x),), sigma, device=self.device), contexts, params)
            x = flow.ode_step(x, v, sigma, after)
        return x

    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures to latents (B, 9, 768) in [-1, 1]; other sizes are scaled to 48x48 first."""
        arrays = [np.asarray(_fit(image), dtype=np.float32) for image in images]
        return to_patches(torch.from_numpy(np.stack(arrays)).to(self.device) / 127.5 - 1.0)

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Latents (B, 9, 768) to 48x48 RGB pictures."""
        pixels = ((from_patches(latents.detach().float()) + 1.0) * 127.5).clamp(0, 255).round()
        return [Image.fromarray(a, mode="RGB") for a in pixels.to("cpu", torch.uint8).numpy()]

    def latent_shape(self, size_px: int | None = None) -> tuple[int, ...]:
        """(9, 768).

        Raises:
            PolicyError: a size other than 48.
        """
        if size_px not in (None, SIZE_PX):
            raise PolicyError(f"micro draws {SIZE_PX}x{SIZE_PX} pictures only; size_px is {size_px}. Leave it out.")
        return self.network.n_cells, self.network.patch_values

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """One output per request, in order; see `Policy.generate`.

        Raises:
            PolicyError: a mode other than t2i, edit and reflect, or impossible parameters.
        """
        return run_requests(self, requests)

    # Training

    def reflection_text(self, prompt: str) -> str:
        """The prompt itself: the weights reflect on a picture followed by its prompt."""
        return prompt

    def reflection_verdict(self, text: str) -> bool | None:
        """True for the diagnosis `all correct`, False for another one, None for a text without a diagnosis."""
        name = diagnosis_from_words(words_of(text)[:2])
        return None if name is None else name == "ok"

    def is_well_formed(self, ids: Sequence[int], *, kind: str) -> bool:
        """Whether a thought is a plan, or a reflection is a diagnosis followed by a plan."""
        words = tokenizer.decode_words(ids)
        if kind == "reflect":
            end = words.index(".") + 1 if "." in words else 0
            if diagnosis_from_words(words[:end]) is None:
                return False
            words = words[end:]
        return scene_from_plan(words) is not None

    @property
    def trainable_module(self) -> torch.nn.Module:
        """The network."""
        return self.network

    def prepare_training(self, settings: Mapping[str, Any]) -> None:
        """All weights train; there are no settings.

        Raises:
            ConfigError: any setting.
        """
        if settings:
            raise ConfigError(
                f"policy: micro trains all its weights and has no settings; got {', '.join(sorted(settings))}."
            )
        self.network.requires_grad_(True)

    def save_checkpoint(self, folder: Path, training: dict[str, Any]) -> None:
        """Writes a checkpoint folder in one rename; its manifest names the policy that training started from."""
        base = str(self.manifest.get("fingerprint", ""))
        checkpoint.save_checkpoint(folder, self.network, training, base=base or None)

    # Weight sets

    def adapter(self, name: str | None) -> AbstractContextManager[None]:
        """Inside: the weight set `name`, or the weights as loaded (None, the reference); afterwards as before.

        Raises:
            PolicyError: no weight set of that name.
        """
        if name is None:
            return self._swapped(self._base)
        if name not in self._adapters:
            known = ", ".join(sorted(self._adapters)) or "none"
            raise PolicyError(f"micro has no adapter {name!r}. Known: {known}. Add it with add_adapter first.")
        return self._swapped(self._adapters[name])

    def add_adapter(self, name: str, state: Mapping[str, Tensor] | None = None, *, delta: bool = False) -> None:
        """Names a weight set.

        Args:
            state: tensors by parameter name; None takes the current weights. With `delta`, tensors (possibly of some
                parameters only) to add to the weights as loaded.

        Raises:
            PolicyError: a name or shape that does not fit the network.
        """
        weights = (
            self._snapshot() if state is None else {k: v.detach().to(self.device).float() for k, v in state.items()}
        )
        unknown = sorted(set(weights) - set(self._base))
        missing = [] if delta else sorted(set(self._base) - set(weights))
        shapes = [k for k in weights if k in self._base and weights[k].shape != self._base[k].shape]
        if unknown or missing or shapes:
            raise PolicyError(
                f"micro: adapter {name!r} has unknown tensors {unknown or 'none'}, lacks {missing or 'none'}, and has "
                f"other shapes in {shapes or 'none'}. Give the state_dict of this architecture."
            )
        if delta:
            weights = {k: v + weights[k] if k in weights else v.clone() for k, v in self._base.items()}
        self._adapters[name] = weights

    def adapter_state(self, name: str) -> dict[str, Tensor]:
        """The tensors of a named weight set, to be updated in place (e.g. a slow copy)."""
        if name not in self._adapters:
            raise PolicyError(f"micro has no adapter {name!r}. Add it with add_adapter first.")
        return self._adapters[name]

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.network.named_parameters()}

    @contextmanager
    def _swapped(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        own = {name: p.data for name, p in self.network.named_parameters()}
        try:
            for name, p in self.network.named_parameters():
                p.data = weights[name]
            yield
        finally:
            for name, p in self.network.named_parameters():
                p.data = own[name]


def _start(kind: str) -> int:
    if kind not in tokenizer.STARTS:
        raise PolicyError(f"micro: unknown kind of text {kind!r}; expected 'think' or 'reflect'.")
    return tokenizer.STARTS[kind]


def _as_image(item: object) -> Image.Image:
    if not isinstance(item, Image.Image):
        raise PolicyError(f"micro: an image segment holds a {type(item).__name__}, expected a PIL image.")
    return item


def _fit(image: Image.Image) -> Image.Image:
    rgb = image.convert("RGB")
    return rgb if rgb.size == (SIZE_PX, SIZE_PX) else rgb.resize((SIZE_PX, SIZE_PX), Image.Resampling.BOX)
