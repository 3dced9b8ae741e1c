"""What the judge of an edit sees: the source as it is, and the edited image in RGB at the source's width and height.

Bicubic and whatever its own aspect ratio, so that a wrong aspect is squashed and judged as distorted.
"""

from __future__ import annotations

from PIL import Image

from harness.errors import DataError
from harness.images import ImageRef


def as_judged(edited: ImageRef, source: ImageRef) -> ImageRef:
    """The edited image as the judge gets it; its id names the source, as that decides the size."""
    return edited.derive(f"gedit-as-{source.id}", lambda image: resized_like(image, source.load()))


def resized_like(edited: Image.Image, source: Image.Image) -> Image.Image:
    """`edited` in RGB at the size of `source`, bicubic; the first frame of an animation.

    Raises:
        DataError: the image's mode has no conversion to RGB.
    """
    try:
        return edited.convert("RGB").resize(source.size, Image.Resampling.BICUBIC)
    except (ValueError, OSError) as error:
        raise DataError(f"edited image of mode {edited.mode}: no conversion to RGB ({error}).") from None
