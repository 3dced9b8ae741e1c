"""Any image as the parser's view of it: 48x48 RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness.errors import DataError
from harness.world.scene import SIZE_PX


def _as_uint8(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if np.issubdtype(array.dtype, np.floating):
        return np.round(np.clip(np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0) * 255.0).astype(
            np.uint8
        )
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    return np.clip(array, 0, 255).astype(np.uint8)


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    is_grey, is_colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (3, 4)
    if not (is_grey or is_colour) or 0 in array.shape:
        raise DataError(
            f"An image array has shape {array.shape}; expected (height, width) or (height, width, 1, 3 or 4)."
        )
    return Image.fromarray(_as_uint8(array))


def _flat_rgb(image: Image.Image) -> Image.Image:
    """RGB; what is transparent shows white."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray(np.clip(values / (256.0 if values.max() > 255 else 1.0), 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def to_view(image: Image.Image | npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(48, 48, 3) uint8 RGB from a PIL image of any mode and size, or an array.

    An array is (height, width) or (height, width, channels) with 1, 3 or 4 channels; floats are 0..1, integers 0..255
    (uint16: 0..65535). Transparent pixels show white. Other sizes are squashed to the square: by box averaging when
    both sides shrink or stay (an enlarged copy of a picture comes back exactly), else bicubic.

    Raises:
        DataError: an array of another shape, or an image without pixels.

    """
    pil = image if isinstance(image, Image.Image) else _from_array(np.asarray(image))
    if 0 in pil.size:
        raise DataError(f"An image of {pil.size[0]}x{pil.size[1]} pixels has nothing to look at.")
    rgb = _flat_rgb(pil)
    if rgb.size != (SIZE_PX, SIZE_PX):
        how = Image.Resampling.BOX if min(rgb.size) >= SIZE_PX else Image.Resampling.BICUBIC
        rgb = rgb.resize((SIZE_PX, SIZE_PX), how)
    return np.asarray(rgb, dtype=np.uint8)
