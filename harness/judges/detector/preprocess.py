"""The detector's input: resize, pad and normalise as mmdet 2.x does for this checkpoint. NumPy only, bit-exact.

Steps of the official test pipeline: fit into 1333 x 800 keeping the ratio (small pictures grow), OpenCV's bilinear
resize of the 8-bit picture (two points per axis, no anti-aliasing), pad right and below to multiples of 32 with 128
*before* normalising, then subtract the mean and divide by the deviation. `hub` is what Meta's own weights were trained
with: Pillow's bilinear resize (anti-aliased) and padding with zeros after normalising.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from harness.errors import DataError

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
Recipe = Literal["mmdet", "hub"]

LONG_SIDE, SHORT_SIDE = 1333, 800
MULTIPLE = 32
PAD_VALUE = 128
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], dtype=np.float32)

RESIZE_BACKEND = {"mmdet": "integer bilinear", "hub": "Pillow bilinear"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as the model takes it."""

    pixels: NDArray[np.float32]
    """(3, H, W) float32, padded."""
    resized: tuple[int, int]
    """Height and width before padding."""
    original: tuple[int, int]
    """Height and width of the picture."""


def to_rgb(image: Image.Image) -> Pixels:
    """8-bit RGB pixels: orientation tag applied, alpha dropped (not composited), grey repeated.

    16-bit grey loses its low byte, as in OpenCV's reader.

    Raises:
        DataError: pixels of another kind (32-bit integers, floats, Lab), which have no agreed 8-bit RGB form.
    """
    try:
        image = ImageOps.exif_transpose(image)
    except (ValueError, TypeError, SyntaxError, struct.error) as error:
        raise DataError(f"picture: its orientation tag cannot be read ({error}). Save it without metadata.") from None
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise DataError(f"picture of mode {image.mode!r}; expected grey or RGB of 8 bits. Save it as 8-bit RGB.")
    if image.mode == "LA":
        image = image.getchannel("L")
    elif image.mode == "RGBA":
        return np.ascontiguousarray(np.asarray(image)[:, :, :3])
    return np.array(image.convert("RGB"))


def target_size(height: int, width: int) -> tuple[int, int]:
    """Height and width after resizing: the largest that fit into 1333 x 800, ratio kept, halves rounded up.

    Source: `mmcv.imrescale`.
    """
    factor = min(LONG_SIDE / max(height, width), SHORT_SIDE / min(height, width))
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))


def resize_bilinear(pixels: Pixels, height: int, width: int) -> Pixels:
    """`cv2.resize(..., interpolation=cv2.INTER_LINEAR)` of 8-bit pixels in the same integer arithmetic.

    Weights are multiples of 1/2048. Columns beyond the border repeat it with weight 0 for the second point; rows keep
    their weights and only their indices are clamped. The vertical sum drops 4, 16 and 2 bits in turn, as OpenCV's
    vector code does.

    Args:
        pixels: (H, W, C) uint8.
        height, width: of the result.
    """
    n_rows, n_columns = pixels.shape[:2]
    column, weight = _positions(n_columns, width)
    outside = (column < 0) | (column >= n_columns - 1)
    column, weight = np.clip(column, 0, n_columns - 1), np.where(outside, np.float32(0), weight)
    left, right = (w[None, :, None] for w in _integer_weights(weight))
    second = np.minimum(column + 1, n_columns - 1)
    row, weight = _positions(n_rows, height)
    above, below = (w[:, None, None] for w in _integer_weights(weight))
    first_row, second_row = np.clip(row, 0, n_rows - 1), np.clip(row + 1, 0, n_rows - 1)
    horizontal = (left * pixels[:, column].astype(np.int32) + right * pixels[:, second].astype(np.int32)) >> 4
    mixed = ((above * horizontal[first_row]) >> 16) + ((below * horizontal[second_row]) >> 16)
    return np.clip((mixed + 2) >> 2, 0, 255).astype(np.uint8)


def prepare(pixels: Pixels, recipe: Recipe = "mmdet") -> Prepared:
    """A picture resized, padded and normalised.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        recipe: `mmdet` for the official checkpoint, `hub` for Meta's own weights.

    Raises:
        ValueError: another shape or dtype.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    original = (pixels.shape[0], pixels.shape[1])
    height, width = target_size(*original)
    padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
    if recipe == "mmdet":
        resized = np.pad(resize_bilinear(pixels, height, width), padding, constant_values=PAD_VALUE)
        normalised = normalise(resized)
    else:
        picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        normalised = np.pad(normalise(np.asarray(picture)), padding)
    return Prepared(np.ascontiguousarray(normalised.transpose(2, 0, 1)), (height, width), original)


def normalise(pixels: Pixels) -> NDArray[np.float32]:
    """(value - mean) / deviation per channel, in float32; RGB."""
    return (pixels.astype(np.float32) - MEAN) / DEVIATION


def _positions(n_in: int, n_out: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """For each output place the left of its two input places (may be outside), and how far it lies beyond it."""
    scale = 1.0 / (n_out / n_in)
    position = ((np.arange(n_out) + 0.5) * scale - 0.5).astype(np.float32)
    floor = np.floor(position)
    return floor.astype(np.int32), position - floor


def _integer_weights(beyond: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Weights of the two points as multiples of 1/2048, halves to even."""
    one, scale = np.float32(1), np.float32(2048)
    first, second = np.rint((one - beyond) * scale), np.rint(beyond * scale)
    return first.astype(np.int32), second.astype(np.int32)
