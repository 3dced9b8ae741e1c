"""How an image travels to a judge. Compression changes answers, so the codec is part of a judge's fingerprint."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from harness.errors import ConfigError, DataError
from harness.images import ImageRef

CodecName = Literal["png", "jpeg"]

JPEG_QUALITY = 75
"""PIL's default, which the published DVReward code used."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """PNG (lossless), or JPEG at a quality with chroma subsampling as PIL does by default."""

    name: CodecName = "png"
    quality: int | None = None
    """1..95 for JPEG; None takes 75. Not for PNG."""

    def __post_init__(self) -> None:
        if self.name == "png" and self.quality is not None:
            raise ConfigError(f"codec png is lossless and has no quality (got {self.quality}); say codec=jpeg.")
        if self.quality is not None and not 1 <= self.quality <= 95:
            raise ConfigError(f"quality: expected 1 to 95, got {self.quality}.")

    @property
    def label(self) -> str:
        """`png` or `jpeg75`, for fingerprints."""
        return "png" if self.name == "png" else f"jpeg{self.quality or JPEG_QUALITY}"

    @property
    def mime(self) -> str:
        """Media type."""
        return f"image/{self.name}"

    def encode(self, ref: ImageRef) -> bytes:
        """The image's bytes; the bytes of its own file where that already is an unchanged PNG.

        Raises:
            DataError: the image cannot be read or decoded.
        """
        if self.name == "png":
            return _own_png(ref.file) or _quick_png(flattened(ref.load()))
        buffer = io.BytesIO()
        flattened(ref.load()).save(buffer, format="JPEG", quality=self.quality or JPEG_QUALITY)
        return buffer.getvalue()

    def data_url(self, ref: ImageRef) -> str:
        """The image as a `data:` address; raises as `encode`."""
        return f"data:{self.mime};base64,{base64.b64encode(self.encode(ref)).decode('ascii')}"


def flattened(image: Image.Image) -> Image.Image:
    """The image in RGB, transparent parts on white: servers disagree about what lies behind them."""
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        white.alpha_composite(over)
        return white.convert("RGB")
    return image.convert("RGB")


def _quick_png(image: Image.Image) -> bytes:
    """Lossless at the least effort: it is sent once, and strong compression takes longer than the sending."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _own_png(file: Path | None) -> bytes | None:
    """The file's bytes if it is a PNG in RGB, 8 bits a channel; None if it is something else."""
    if file is None:
        return None
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}).") from None
    # Bytes 24 and 25 of a PNG: bits per channel and colour type (2 is RGB). A tRNS chunk would make it transparent.
    is_plain = data.startswith(_PNG_SIGNATURE) and data[24:26] == b"\x08\x02" and b"tRNS" not in data[:4096]
    return data if is_plain and data.endswith(b"IEND\xaeB`\x82") else None
