"""Images as the scoring models see them: resized with PIL, so that no other library's resize changes a score.

Shapes: `S` side in pixels, `H W` height and width.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness.errors import DataError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_ASPECT = 200
"""Ratio of the longer to the shorter side above which Qwen2-VL's resizing refuses an image."""

Floats = npt.NDArray[np.float32]


def as_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB (an alpha channel is dropped, as upstreams do).

    Raises:
        DataError: an image without pixels, or of a mode that has no conversion.
    """
    if 0 in image.size:
        raise DataError(f"An image of {image.width}x{image.height} pixels has nothing to score.")
    try:
        return image.convert("RGB")
    except (ValueError, OSError) as error:
        raise DataError(f"Image of mode {image.mode}: no conversion to RGB ({error}).") from None


def normalised(image: Image.Image) -> Floats:
    """(3, H, W) float32: values in 0..1, less CLIP's mean, over its deviation."""
    values = np.asarray(image, dtype=np.float32) / np.float32(255.0)
    scaled = (values - np.array(CLIP_MEAN, dtype=np.float32)) / np.array(CLIP_STD, dtype=np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def centre_crop(image: Image.Image, side_px: int) -> Floats:
    """(3, S, S) float32 as CLIP's processor makes it: short side to S (bicubic), middle of the long side, normalised.

    Source: `CLIPImageProcessor` of transformers: the long side is cut to an integer, and so is the crop's offset.
    """
    rgb = as_rgb(image)
    short, long = sorted(rgb.size)
    other = int(side_px * long / short)
    width, height = (side_px, other) if rgb.width <= rgb.height else (other, side_px)
    resized = rgb.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side_px) // 2, (height - side_px) // 2
    return normalised(resized.crop((left, top, left + side_px, top + side_px)))


def letterbox(image: Image.Image, side_px: int) -> Floats:
    """(3, S, S) float32 as HPSv2 makes it: long side to S (bicubic), black borders to a square, normalised.

    Source: `ResizeMaxSize` of tgxs002/HPSv2 (open_clip): sides rounded to integers, the image in the middle.
    """
    rgb = as_rgb(image)
    scale = side_px / max(rgb.size)
    width, height = (max(1, round(side * scale)) for side in rgb.size)
    canvas = Image.new("RGB", (side_px, side_px), "black")
    resized = rgb if scale == 1.0 else rgb.resize((width, height), Image.Resampling.BICUBIC)
    canvas.paste(resized, ((side_px - width) // 2, (side_px - height) // 2))
    return normalised(canvas)


def fixed_area_size(width: int, height: int, *, area_px: int, factor: int) -> tuple[int, int]:
    """(width, height), multiples of `factor`, of about the area `area_px` and the aspect ratio given.

    Both sides are rounded; where the product is then above the area, the original is scaled down to it and the sides
    are rounded down, where it is below, up.

    Raises:
        DataError: one side is more than 200 times the other.

    Source: `smart_resize` of qwen-vl-utils with equal smallest and largest area.
    """
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise DataError(f"An image of {width}x{height} pixels: one side is more than {MAX_ASPECT} times the other.")
    wide, high = (max(factor, round(side / factor) * factor) for side in (width, height))
    if wide * high > area_px:
        shrink = math.sqrt(height * width / area_px)
        wide, high = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    elif wide * high < area_px:
        grow = math.sqrt(area_px / (height * width))
        wide, high = (math.ceil(side * grow / factor) * factor for side in (width, height))
    return wide, high


def patches(image: Image.Image, *, patch_px: int, merge: int, frames: int) -> tuple[Floats, tuple[int, int]]:
    """An RGB image as Qwen2-VL's patch rows, and the numbers of patches (down, across).

    Args:
        image: RGB; both sides multiples of `patch_px * merge`.
        patch_px: side of a patch.
        merge: patches that become one token, per side; such blocks lie together in the rows.
        frames: copies of the image in time.

    Returns:
        (down * across, 3 * frames * patch_px**2) float32, normalised.

    Source: `Qwen2VLImageProcessor` of transformers.
    """
    pixels = normalised(image)
    down, across = pixels.shape[1] // patch_px, pixels.shape[2] // patch_px
    grid = pixels.reshape(3, down // merge, merge, patch_px, across // merge, merge, patch_px)
    ordered = grid.transpose(1, 4, 2, 5, 0, 3, 6)
    in_time = np.repeat(ordered[:, :, :, :, :, None], frames, axis=5)
    return np.ascontiguousarray(in_time.reshape(down * across, -1)), (down, across)
