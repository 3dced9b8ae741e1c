"""Pictures of a training run: the same prompts every N steps, side by side with their texts and rewards."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from harness import seeds
from harness.images import png_bytes, write_atomic
from harness.models.base import GenerationParams, Request, TrainablePolicy
from harness.types import Prompt
from trainers.grpo.config import GrpoConfig
from trainers.grpo.prompts import PromptSource

N_PROMPTS, N_MEMBERS = 6, 4
_TILE, _GAP, _LABEL = 128, 6, 34


@torch.no_grad()
def sample_grid(policy: TrainablePolicy, source: PromptSource, config: GrpoConfig, path: Path) -> None:
    """Writes a PNG: one row per prompt, `N_MEMBERS` samples of it with seeds that are the same at every step.

    The prompts are far behind those that the run trains on.
    """
    prompts = [source.at(10_000_000 + i) for i in range(N_PROMPTS)]
    params = GenerationParams(
        guidance_scale=config.sampling.guidance_scale,
        size_px=config.sampling.size_px,
        think=None if "think" in policy.capabilities else False,
    )
    requests = [
        Request(items=(p.text,), params=params, seed=seeds.for_sample(config.seed, f"grid/{p.id}", m))
        for p in prompts
        for m in range(N_MEMBERS)
    ]
    images = [o.image for o in policy.generate(requests)]
    write_atomic(path, png_bytes(_sheet(prompts, images)))


def _sheet(prompts: list[Prompt], images: list[Image.Image | None]) -> Image.Image:
    width = N_MEMBERS * (_TILE + _GAP) + _GAP
    row = _TILE + _LABEL + _GAP
    sheet = Image.new("RGB", (width, row * len(prompts) + _GAP), (250, 250, 250))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for i, prompt in enumerate(prompts):
        top = _GAP + i * row
        pen.text((_GAP, top), _wrapped(prompt.text, font, width - 2 * _GAP), font=font, fill=(20, 20, 20))
        for m in range(N_MEMBERS):
            image = images[i * N_MEMBERS + m]
            if image is not None:
                tile = image.convert("RGB").resize((_TILE, _TILE), Image.Resampling.NEAREST)
                sheet.paste(tile, (_GAP + m * (_TILE + _GAP), top + _LABEL))
    return sheet


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """At most two lines that fit; the rest is cut."""
    lines, current = [], ""
    for word in text.split():
        longer = f"{current} {word}".strip()
        if font.getlength(longer) > width and current:
            lines.append(current)
            current = word
        else:
            current = longer
    lines.append(current)
    return "\n".join(lines[:2]) + (" ..." if len(lines) > 2 else "")
