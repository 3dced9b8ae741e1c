"""The colour of a detected object, as CLIP sees it with everything else painted grey.

Source: `color_classification` and `ImageCrops` of `evaluation/evaluate_images.py` (djghosh13/geneval at af4902f2),
`zero_shot_classifier` and `run_classification` of clip-benchmark 1.4.0, and OpenCLIP's evaluation transform. Upstream
uses OpenCLIP's ViT-L-14 with OpenAI's weights and QuickGELU, which are those of `openai/clip-vit-large-patch14`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.errors import JudgeError
from harness.judges.detector.classes import COLOURS
from harness.judges.detector.detection import Tf32, precision
from harness.judges.detector.preprocess import Pixels

if TYPE_CHECKING:
    from torch import Tensor

GREY = 153
"""What replaces pixels outside an object's mask (#999)."""
BATCH = 16
TEMPLATES = ("a photo of a {colour} {name}", "a photo of a {colour}-colored {name}", "a photo of a {colour} object")
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)

ClipPrecision = Literal["float32", "autocast"]
"""`autocast`: half precision on a GPU, as upstream runs it."""

VIT_L_14 = {
    "vision": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14},
    "text": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
}
"""Sizes of the official classifier."""


def masked_crop(image: Pixels, mask: NDArray[np.bool_], box: Sequence[float]) -> Image.Image:
    """The box of an object, pixels outside its mask grey; parts of the box outside the picture are black.

    Args:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) bool.
        box: x1, y1, x2, y2; rounded to integers, halves to even.

    Raises:
        ValueError: mask and picture differ in size.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f"mask of {mask.shape} for a picture of {image.shape[:2]}")
    composite = np.where(mask[:, :, None], image, np.uint8(GREY))
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    return Image.fromarray(composite).crop((x1, y1, x2, y2))


def clip_pixels(crop: Image.Image, size: int) -> NDArray[np.float32]:
    """(3, size, size) float32: shorter side to `size` by Pillow's bicubic resize, middle cut out, normalised.

    The longer side is truncated and the cut's offset rounded half to even, as torchvision does.
    """
    width, height = crop.size
    short = min(width, height)
    new = (size, int(size * height / short)) if width <= height else (int(size * width / short), size)
    if new != crop.size:
        crop = crop.resize(new, Image.Resampling.BICUBIC)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    pixels = np.asarray(crop.crop((left, top, left + size, top + size)).convert("RGB"), dtype=np.float32)
    return np.ascontiguousarray(((pixels / np.float32(255) - MEAN) / DEVIATION).transpose(2, 0, 1))


class ColourClassifier:
    """Which of the ten colours an object has; every object gets one.

    Args:
        model: a transformers `CLIPModel` in evaluation mode.
        tokenizer: its tokenizer.
        precision: see `ClipPrecision`.
        tf32: see `detection.precision`.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, clip_precision: ClipPrecision = "float32", tf32: Tf32 = "off"
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._precision = clip_precision
        self._tf32 = tf32
        self._size = int(model.config.vision_config.image_size)
        self._vectors: dict[str, Tensor] = {}

    def classify(
        self, image: Pixels, masks: Sequence[NDArray[np.bool_]], boxes: Sequence[Sequence[float]], name: str
    ) -> list[str]:
        """One colour per object.

        Args:
            image: (H, W, 3) uint8, RGB.
            masks: (H, W) bool each.
            boxes: x1, y1, x2, y2 each.
            name: the objects' class, part of the texts.
        """
        crops = [masked_crop(image, m, b) for m, b in zip(masks, boxes, strict=True)]
        answers: list[str] = []
        for start in range(0, len(crops), BATCH):
            answers += [COLOURS[i] for i in self.logits(crops[start : start + BATCH], name).argmax(1).tolist()]
        return answers

    def logits(self, crops: Sequence[Image.Image], name: str) -> Tensor:
        """(N, 10) float on the CPU: 100 * cosine between each crop and each colour's vector."""
        import torch

        pixels = torch.from_numpy(np.stack([clip_pixels(c, self._size) for c in crops]))
        with self._inference():
            features = self._model.get_image_features(pixel_values=pixels.to(self._model.device)).pooler_output
            features = torch.nn.functional.normalize(features, dim=-1)
            return (100.0 * features @ self.vectors(name).T).float().cpu()

    def vectors(self, name: str) -> Tensor:
        """(10, D) unit vectors of a class, one per colour: mean of the unit vectors of three texts. Cached."""
        import torch

        if name not in self._vectors:
            texts = [t.format(colour=colour, name=name) for colour in COLOURS for t in TEMPLATES]
            tokens = self._tokenizer(texts, padding=True, return_tensors="pt").to(self._model.device)
            with self._inference():
                features = self._model.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                ).pooler_output
                unit = torch.nn.functional.normalize(features, dim=-1).view(len(COLOURS), len(TEMPLATES), -1)
                mean = unit.mean(1)
                self._vectors[name] = mean / mean.norm(dim=-1, keepdim=True)
        return self._vectors[name]

    @contextlib.contextmanager
    def _inference(self) -> Any:
        import torch

        half = self._precision == "autocast"
        with (
            torch.inference_mode(),
            precision(self._tf32),
            torch.autocast("cuda", dtype=torch.float16, enabled=half),
        ):
            yield


def check_clip(config: Any, where: str, *, any_size: bool, any_activation: bool) -> None:
    """Refuses a CLIP model that is not the official one.

    Args:
        config: a transformers `CLIPConfig`.
        where: for messages.
        any_size: accept other sizes than ViT-L/14.
        any_activation: accept other activations than QuickGELU.

    Raises:
        JudgeError: another size or activation.
    """
    for part in ("vision", "text"):
        found = getattr(config, f"{part}_config")
        if found.hidden_act != "quick_gelu" and not any_activation:
            raise JudgeError(
                f"{where}: {part}_config.hidden_act is {found.hidden_act!r}, expected 'quick_gelu'. OpenAI's weights "
                "were trained with QuickGELU; with another activation every colour is judged by a different model."
            )
        wrong = {k: getattr(found, k) for k, v in VIT_L_14[part].items() if getattr(found, k) != v}
        if wrong and not any_size:
            name, value = next(iter(wrong.items()))
            raise JudgeError(
                f"{where}: {part}_config.{name} is {value}, expected {VIT_L_14[part][name]} of CLIP ViT-L/14 "
                "(openai/clip-vit-large-patch14)."
            )
