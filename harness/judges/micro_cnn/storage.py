"""Weight folders of the learned judges: `model.safetensors`, `manifest.json` and a card, checked on loading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, float16

from harness.errors import JudgeError
from harness.images import write_atomic

FORMAT = 1
MANIFEST, WEIGHTS, CARD = "manifest.json", "model.safetensors", "CARD.md"


def drawing() -> str:
    """Twelve hex digits over what a network has to know by heart: names, colours, sizes and questions of quality.

    A change of them makes trained weights useless; other changes of the world's version do not.
    """
    from harness.world import scene
    from harness.world.verifier import QUALITY_QUESTIONS

    names = [scene.SHAPES, scene.COLOURS, scene.SIZES, scene.TEXTURES, scene.BACKGROUNDS, list(QUALITY_QUESTIONS)]
    numbers = [scene.COLOUR_RGB.tolist(), scene.BACKGROUND_RGB.tolist(), scene.RADIUS_PX, scene.CELL_PX, scene.GRID]
    return hashlib.sha256(json.dumps([names, numbers]).encode()).hexdigest()[:12]


def save(folder: Path, name: str, state: Mapping[str, Tensor], training: Mapping[str, Any]) -> dict[str, Any]:
    """Writes weights (half precision) and manifest; returns the manifest.

    Args:
        name: of the judge.
        training: command, settings and cost; JSON values.
    """
    from safetensors.torch import save as encode

    from harness.world.version import world_version

    # Counters of batch normalisation are not needed to judge.
    tensors = {k: v.detach().cpu().to(float16).contiguous() for k, v in state.items() if v.is_floating_point()}
    data = encode(tensors)
    manifest = {
        "judge": name,
        "format": FORMAT,
        "world": world_version(),
        "drawing": drawing(),
        "parameters": sum(t.numel() for t in tensors.values()),
        "dtype": "float16",
        "sha256": hashlib.sha256(data).hexdigest(),
        "training": dict(training),
    }
    write_atomic(folder / WEIGHTS, data)
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest beside its weights."""
    write_atomic(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def load(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights in float32 and the manifest.

    Raises:
        JudgeError: a file is missing, damaged, of another judge, or made for other shapes and colours.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as decode

    again = f"Restore the folder, or train again: python -m harness.judges.{name.replace('-', '_')}.train"
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        data = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise JudgeError(
            f"Judge {name}: {folder} has no readable {MANIFEST} and {WEIGHTS} ({error}). {again}"
        ) from None
    expected = {
        "judge": name,
        "format": FORMAT,
        "drawing": drawing(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    for key, value in expected.items():
        found = manifest.get(key) if isinstance(manifest, dict) else None
        if found != value:
            raise JudgeError(f"Judge {name}: {folder / MANIFEST}: {key} is {found!r}, expected {value!r}. {again}")
    try:
        return {k: v.float() for k, v in decode(data).items()}, manifest
    except SafetensorError as error:
        raise JudgeError(f"Judge {name}: {folder / WEIGHTS} cannot be decoded ({error}). {again}") from None
