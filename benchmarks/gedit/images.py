"""How images travel to the judge, and where the official layout keeps them.

The pixels are fixed before (`harness.viescore.images`). Upstream sends a GPT judge the text first and then JPEGs
(`GPT_ENCODING`), a Qwen judge PNGs first and then the text (`QWEN_ENCODING`).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from harness.errors import DataError
from harness.images import MAX_PIXELS, SUFFIXES, png_bytes, sha256
from harness.types import Prompt

GPT_ENCODING: dict[str, Any] = {"format": "JPEG", "quality": 75, "exif_transpose": True, "text_first": True}
QWEN_ENCODING: dict[str, Any] = {"format": "PNG", "exif_transpose": False, "text_first": False}


def encoded(image: Image.Image, encoding: dict[str, Any]) -> bytes:
    """The bytes that an upstream judge is sent: `GPT_ENCODING` or `QWEN_ENCODING`."""
    if encoding["format"] == "PNG":
        return png_bytes(image)
    upright = ImageOps.exif_transpose(image) if encoding["exif_transpose"] else image
    buffer = io.BytesIO()
    upright.convert("RGB").save(buffer, format="JPEG", quality=encoding["quality"])
    return buffer.getvalue()


def decode(data: bytes, where: str) -> Image.Image:
    """The image in `data`, decoded, in its own mode.

    Raises:
        DataError: not an image, truncated, or more than `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{where}: {image.width}x{image.height} pixels, the limit is {MAX_PIXELS:,}.")
            image.load()
            return image.copy()
    except UnidentifiedImageError:
        raise DataError(f"{where}: not an image.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: cannot be decoded ({error}).") from None


def verified(path: Path, digest: str) -> Image.Image:
    """The image in a file whose sha256 is known.

    Raises:
        DataError: the file is missing, is another one, or cannot be decoded.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Run `run.py data prepare gedit` again.") from None
    if sha256(data) != digest:
        raise DataError(f"{path}: sha256 {sha256(data)}, expected {digest}. Run `run.py data prepare gedit` again.")
    return decode(data, str(path))


class ImageLayout:
    """The official folder layout below one root, read once.

    `ROOT/<model>/fullset/<group>/<lang>/<key>.png`, BAGEL's `ROOT/gen_image/fullset/...`, or a root further inside.

    Args:
        root: the folder.
        model: the model's folder where there are several; empty takes the only one.

    Raises:
        DataError: several models and none is named.
    """

    def __init__(self, root: Path, model: str = "") -> None:
        self._base = _base(root, model)

    def find(self, prompt: Prompt) -> Path | None:
        """The edited image of a prompt; `.png` officially, other endings are taken too. None when it is not there."""
        meta = prompt.meta
        folder = self._base / str(meta["group"]) / str(meta["instruction_language"])
        found = (folder / f"{meta['key']}{ending}" for ending in SUFFIXES)
        return next((path for path in found if path.is_file()), None)


def _base(root: Path, model: str) -> Path:
    if model:
        return root / model / "fullset"
    if (root / "fullset").is_dir():
        return root / "fullset"
    models = sorted(f.name for f in root.iterdir() if (f / "fullset").is_dir()) if root.is_dir() else []
    if len(models) > 1:
        raise DataError(
            f"{root}: images of several models ({', '.join(models)}). Name one with gedit.image_model=NAME."
        )
    return root / models[0] / "fullset" if models else root
