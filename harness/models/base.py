"""The policy interface: what a model must offer to be evaluated, and what a trainable one adds.

One design carries plain generation, thinking, editing, reflection, understanding, text RL, image RL, guidance and
adapters. Evaluation needs `Policy.generate` only. A trainer composes trajectories from the smaller parts of
`TrainablePolicy`; the stochastic sampler stays the caller's (`harness.flow`), never hidden in a model.

Shapes: B samples, L text tokens, `...` one image's latent shape (`latent_shape(size)`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from PIL.Image import Image

from harness.errors import PolicyError
from harness.types import Status

if TYPE_CHECKING:
    import torch

Capability = Literal["think", "edit", "reflect", "understand", "train_text", "train_image"]
Mode = Literal["t2i", "edit", "reflect", "understand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationParams:
    """Sampling settings of one request. None means: the policy's own default, which it records."""

    think: bool | None = None
    """Write reasoning text before the image."""
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    image_guidance_scale: float | None = None
    temperature: float | None = None
    """Of the text; 0 takes the most probable token."""
    top_p: float | None = None
    max_text_tokens: int | None = None
    size_px: int | None = None
    """Side of a square image, or the policy's default."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Settings that only one family of models has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One sample to make: text and images in reading order, e.g. `(source_image, "make it red")`."""

    items: tuple[str | Image, ...]
    mode: Mode = "t2i"
    params: GenerationParams = field(default_factory=GenerationParams)
    seed: int = 0
    """`seeds.for_sample(...)`; all of the sample's randomness derives from it."""
    sample: tuple[str, int] = ("", 0)
    """(prompt id, sample index): for policies that look pictures up instead of making them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a policy made of a request: an image in memory, or a file that already holds it."""

    image: Image | None = None
    file: Path | None = None
    text: str = ""
    token_ids: tuple[int, ...] = ()
    status: Status = "ok"
    error: str = ""


class Policy(ABC):
    """Something that turns requests into images."""

    name: str
    """Registered name, e.g. `micro`."""
    capabilities: frozenset[Capability] = frozenset()
    batch_size: int = 8
    """A good number of requests per call; results never depend on it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the weights and code path; equal fingerprints make equal images from equal requests."""

    @abstractmethod
    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """`params` with every None replaced by this policy's default (recorded with each generation)."""

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """One output per request, in order. A request that fails alone gets `status="error"`; it never raises for it.

        Raises:
            PolicyError: the whole batch cannot be done (e.g. a mode that the policy lacks).
        """

    def reflection_verdict(self, text: str) -> bool | None:
        """Whether a reflection (`Output.text` of mode `reflect`) finds the image right; None where it does not say.

        A policy that can tell overrides this; one that does not has no gate `self` (see `harness.refinement`).
        """
        return None

    def close(self) -> None:
        """Frees what the policy holds."""


class Contexts(NamedTuple):
    """The three conditioning contexts of a guided velocity; the last two may be None."""

    gen: Any
    cfg_text: Any | None = None
    cfg_img: Any | None = None


class SampledText(NamedTuple):
    """Text drawn token by token."""

    ids: torch.Tensor
    """(B, L) int64, padded with the policy's pad id. Column 0 may be a start token that was given, not drawn (mask
    False); `extend(kind="ids")` and `text_log_probs` take the ids as they are here."""
    log_probs: torch.Tensor
    """(B, L) float32 of the drawn tokens at the sampling temperature; 0 where padded."""
    mask: torch.Tensor
    """(B, L) bool, True at drawn tokens (the end token included, a given start token not)."""
    stopped_by_eos: torch.Tensor
    """(B,) bool."""


class TextLogProbs(NamedTuple):
    """Teacher-forced log-probabilities."""

    log_probs: torch.Tensor
    """(B, L) float32, with gradient."""
    mask: torch.Tensor
    """(B, L) bool."""
    entropy: torch.Tensor
    """(B, L) float32, nats."""


class TrainablePolicy(Policy):
    """A policy whose text and image steps a trainer can replay with gradients.

    A context is opaque, batched and cheap to copy; `extend` returns a new one and leaves the old one usable.
    """

    @abstractmethod
    def context(self, batch_size: int) -> Any:
        """An empty context for `batch_size` samples."""

    @abstractmethod
    def extend(self, context: Any, segment: Sequence[str] | Sequence[Image] | torch.Tensor, *, kind: str) -> Any:
        """`context` after one more segment per sample.

        Args:
            segment: B strings (`kind="text"`), B images (`kind="image"`), or (B, L) token ids (`kind="ids"`).
        """

    @abstractmethod
    def detach(self, context: Any) -> Any:
        """`context` cut from the autograd graph."""

    @abstractmethod
    def select(self, context: Any, indices: torch.Tensor) -> Any:
        """The samples `indices` (int64, repeats allowed) of a context: groups share one prompt pass."""

    @abstractmethod
    def sample_text(
        self, context: Any, seeds: Sequence[int], *, kind: str, temperature: float, max_tokens: int, top_p: float = 1.0
    ) -> SampledText:
        """Draws text after `context`, each sample from its own generator; `kind` is `"think"` or `"reflect"`."""

    @abstractmethod
    def text_log_probs(self, context: Any, ids: torch.Tensor, *, kind: str, temperature: float) -> TextLogProbs:
        """Log-probabilities of `ids` (B, L) after `context`, as `sample_text` would have drawn them."""

    @abstractmethod
    def velocity(
        self, x: torch.Tensor, sigma: torch.Tensor, contexts: Contexts, guidance: GenerationParams
    ) -> torch.Tensor:
        """The derivative of x by sigma, (B, ...) float32, for x (B, ...) at sigma (B,) in (0, 1].

        x_sigma = (1 - sigma) data + sigma noise.
        """

    @abstractmethod
    def encode(self, images: Sequence[Image]) -> torch.Tensor:
        """Images to latents (B, ...) float32."""

    @abstractmethod
    def decode(self, latents: torch.Tensor) -> list[Image]:
        """Latents (B, ...) to RGB images."""

    @abstractmethod
    def latent_shape(self, size_px: int | None = None) -> tuple[int, ...]:
        """Shape of one image's latents."""

    @abstractmethod
    def param_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """Parameters by expert: `understanding` and `generation`; each parameter in exactly one group."""

    @abstractmethod
    def adapter(self, name: str | None) -> AbstractContextManager[None]:
        """Context manager: inside it the named adapter is active; None is the base (the reference policy)."""

    # What a trainer needs beyond the steps; the defaults suit a model without a system message.

    def system_text(self, *, think: bool) -> str:
        """The instruction before everything else, empty for none."""
        return ""

    def reflection_text(self, prompt: str) -> str:
        """What asks for a refinement of the image before it: quotes the prompt and presupposes a failure."""
        return (
            f'An image was made for this request: "{prompt}". It does not fulfil the request. Say what is wrong with '
            "it, then write the instruction for an edit that repairs it."
        )

    def text_of(self, ids: Sequence[int]) -> str:
        """The drawn text (without padding and start token) as a reader sees it."""
        raise PolicyError(f"{self.name} writes no text.")

    def is_well_formed(self, ids: Sequence[int], *, kind: str) -> bool:
        """Whether a drawn text (without padding, start token excluded) has the form that `kind` asks for."""
        return bool(ids)

    @property
    @abstractmethod
    def trainable_module(self) -> torch.nn.Module:
        """The module that holds every trained parameter, for data-parallel wrappers."""

    @abstractmethod
    def prepare_training(self, settings: Mapping[str, Any]) -> None:
        """Makes the parameters of `param_groups` trainable, with adapters if the settings ask for them.

        Raises:
            ConfigError: a setting that this policy does not know.
        """

    @abstractmethod
    def save_checkpoint(self, folder: Path, training: dict[str, Any]) -> None:
        """Writes a checkpoint folder that `load_policy` takes, in one rename; `training` goes into its manifest."""
