"""Ways to damage a picture: for the flaws of a training corpus, and to check that quality answers notice them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from harness import seeds
from harness.errors import DataError
from harness.world.scene import SIZE_PX

Floats = npt.NDArray[np.float64]


def _grain(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    return image + rng.normal(0.0, 0.12 * strength, image.shape)


def _blur(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(image, sigma=(1.6 * strength, 1.6 * strength, 0), mode="nearest"))


def _desaturate(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    grey = image.mean(-1, keepdims=True)
    return image + 0.7 * strength * (grey - image)


def _specks(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    out = image.copy()
    for y, x in rng.integers(0, SIZE_PX - 1, (max(1, round(14 * strength)), 2)):
        out[y : y + 2, x : x + 1] = rng.random(3)
    return out


def _fade(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    """Everything moves towards the background, as if drawn only in part."""
    background = np.median(image[0], axis=0)
    return image + strength * (background - image)


def _stain(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    """A smooth uneven tint over the whole picture."""
    field = ndimage.zoom(rng.normal(0.0, 0.22 * strength, (4, 4, 3)), (SIZE_PX / 4, SIZE_PX / 4, 1), order=1)
    return image + field


_WAYS: dict[str, Callable[[Floats, np.random.Generator, float], Floats]] = {
    "grain": _grain,
    "blur": _blur,
    "desaturate": _desaturate,
    "specks": _specks,
    "fade": _fade,
    "stain": _stain,
}
DEGRADATIONS: tuple[str, ...] = tuple(_WAYS)


def degrade(
    images: npt.NDArray[np.uint8], how: str, seeds_: Sequence[int], *, strength: float = 1.0
) -> npt.NDArray[np.uint8]:
    """Damaged copies of pictures.

    Args:
        images: (B, 48, 48, 3) uint8.
        how: one of `DEGRADATIONS`.
        seeds_: one integer per picture.
        strength: 0 leaves a picture (nearly) as it is, 1 is plainly visible; `fade` at 1 leaves only background.

    Raises:
        DataError: unknown way, negative strength, or other numbers of pictures and seeds.

    """
    if how not in _WAYS:
        raise DataError(f"Unknown degradation {how!r}; expected one of {', '.join(_WAYS)}.")
    if strength < 0 or len(images) != len(seeds_):
        raise DataError(
            f"degrade got strength {strength}, {len(images)} pictures and {len(seeds_)} seeds; expected a strength of "
            "at least 0 and one seed per picture."
        )
    out = np.empty_like(images)
    for i, (image, seed) in enumerate(zip(images, seeds_, strict=True)):
        rng = seeds.numpy_generator(seed, f"world-degrade-{how}")
        damaged = _WAYS[how](image / 255.0, rng, strength)
        out[i] = np.round(np.clip(damaged, 0.0, 1.0) * 255.0).astype(np.uint8)
    return out
