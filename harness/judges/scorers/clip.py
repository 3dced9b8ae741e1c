"""CLIP scorers: the similarity of an image's and a prompt's embedding.

Shapes: `B` pairs, `D` embedding, `T` tokens, `S` side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.judges.scorers import files, pixels, weights
from harness.judges.scorers.judge import ScoreJudge, Scorer
from harness.judges.scorers.options import ScorerOptions, read_argument, resolve_device

if TYPE_CHECKING:
    from torch import Tensor

LAION_H14 = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
"""Where the tokenizer (and for converted weights the configuration) of ViT-H/14 comes from."""
WEIGHT_NAMES = ("model.safetensors",)
OLD_BUFFERS = frozenset({"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"})
"""Constant buffers that older releases of transformers stored; nothing else may be left over."""

_PATTERNS = ("config.json", *WEIGHT_NAMES, "model-*.safetensors", *files.TOKENIZER_FILES)
_TOKENIZER = ("tokenizer.json", "vocab.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOptions(ScorerOptions):
    """How a CLIP model is run."""

    batch_size: int = 64
    """Images per forward pass; changes no score beyond rounding."""
    processor: str | None = None
    """Folder or hub id of the tokenizer; None takes the model's own folder if it has one, else the published one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipKind:
    """What tells one CLIP judge from another."""

    name: str
    default: str
    """Hub id of the published weights."""
    processor: str
    """Hub id of the tokenizer that the published weights are used with."""
    pixels: Callable[[Any, int], pixels.Floats] = pixels.centre_crop
    scaled: bool = True
    """Whether the raw score is the cosine times exp(logit_scale), or the cosine."""


def embedding(output: Any) -> Tensor:
    """(B, D) from `get_image_features` or `get_text_features`: itself, or within an object."""
    import torch

    return output if isinstance(output, torch.Tensor) else output.pooler_output


class ClipScorer(Scorer):
    """A loaded CLIP model.

    Args:
        model: `transformers.CLIPModel`.
        tokenizer: its tokenizer.
        kind: preparation and scale.
    """

    def __init__(self, model: Any, tokenizer: Any, kind: ClipKind) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._kind = kind
        self._side_px = int(model.config.vision_config.image_size)
        self._n_tokens = int(model.config.text_config.max_position_embeddings)

    def prepare(self, image: Any) -> pixels.Floats:
        """(3, S, S) float32."""
        return self._kind.pixels(image, self._side_px)

    def score(self, images: Sequence[Any], prompts: Sequence[str]) -> list[dict[str, float]]:
        """`raw`, `cosine`, `scale` (exp(logit_scale)) and `n_tokens`; prompts are cut at the model's length.

        Row-wise products of unit vectors in float32: a pair's score does not see the other pairs.
        """
        import numpy as np
        import torch

        model = self.model
        values = torch.from_numpy(np.stack(images)).to(model.device, model.dtype)
        tokens = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self._n_tokens, return_tensors="pt"
        ).to(model.device)
        seen = embedding(model.get_image_features(pixel_values=values)).float()
        read = embedding(
            model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        ).float()
        cosine = (_unit(seen) * _unit(read)).sum(-1)
        scale = model.logit_scale.float().exp()
        raw = cosine * scale if self._kind.scaled else cosine
        lengths = [len(ids) for ids in self.tokenizer(list(prompts)).input_ids]
        return [
            {"raw": r, "cosine": c, "scale": float(scale), "n_tokens": float(n)}
            for r, c, n in zip(raw.tolist(), cosine.tolist(), lengths, strict=True)
        ]


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def make_judge(kind: ClipKind, argument: str) -> ScoreJudge:
    """The judge `kind.name:argument` over a CLIP model in transformers' format.

    Raises:
        ConfigError: a wrong option.
    """
    where, options = read_argument(kind.name, argument, ClipOptions)
    model = partial(files.locate, where or kind.default, _PATTERNS, what=kind.name, revision=options.revision)

    def read(folder: Path) -> tuple[list[Path], Path]:
        found = files.weight_files(folder, WEIGHT_NAMES, allow_pickle=options.allow_pickle, what=kind.name)
        home = found[0].parent
        files.need(home, ["config.json"], what=kind.name)
        return found, home

    def identify() -> str:
        found, home = read(model())
        tokenizer = tokenizer_folder(home, options.processor, kind)
        return identity(kind, [*found, home / "config.json"], tokenizer, options)

    def load() -> ClipScorer:
        from transformers import CLIPConfig

        found, home = read(model())
        state = {k: v for k, v in weights.read_state(found).items() if k not in OLD_BUFFERS}
        tokenizer = tokenizer_folder(home, options.processor, kind)
        return load_scorer(kind, CLIPConfig.from_pretrained(home), state, tokenizer, options, where=str(found[0]))

    return ScoreJudge(kind.name, identify=identify, load=load, batch_size=options.batch_size)


def tokenizer_folder(home: Path, processor: str | None, kind: ClipKind) -> Path:
    """The folder of the tokenizer: as the options say, the model's own, or the published one."""
    if processor is None and any((home / n).is_file() for n in _TOKENIZER):
        return home
    folder = files.locate(processor or kind.processor, files.TOKENIZER_FILES, what=f"{kind.name}: processor")
    files.need(folder, _TOKENIZER, what=f"{kind.name}: processor")
    return folder


def identity(kind: ClipKind, model_files: Sequence[Path], tokenizer: Path, options: ScorerOptions) -> str:
    """Digests of weights and tokenizer, precision and preparation."""
    of_tokenizer = [tokenizer / n for n in ("tokenizer.json", "vocab.json", "merges.txt") if (tokenizer / n).is_file()]
    return f"{files.digest(model_files)}+{files.digest(of_tokenizer)}+{options.dtype}+{kind.pixels.__name__}"


def load_scorer(
    kind: ClipKind, config: Any, state: Mapping[str, Tensor], tokenizer: Path, options: ScorerOptions, *, where: str
) -> ClipScorer:
    """The model on its device.

    Raises:
        JudgeError: keys or shapes are not the configuration's.
    """
    from transformers import AutoTokenizer, CLIPModel

    hint = f"The file is no {kind.name} model, or another one than the configuration beside it describes."
    model = weights.build(CLIPModel, config, state, dtype=options.dtype, where=where, hint=hint)
    try:
        words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    except (OSError, ValueError) as error:
        raise JudgeError(f"{kind.name}: the tokenizer in {tokenizer} cannot be read ({error}).") from None
    return ClipScorer(model.to(resolve_device(options.device)), words, kind)
