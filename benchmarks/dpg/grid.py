"""Pictures in the upstream layout: one file per prompt, `ID.EXT`, up to four samples in a 2x2 grid.

Upstream cuts without looking at the size: what lies outside the picture becomes black, what is too large is cut away.
Here a picture of another size, and a quarter without a single non-zero value, are refused unless asked for.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from harness.errors import DataError
from harness.images import ImageRef

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def boxes(resolution: int) -> tuple[tuple[int, int, int, int], ...]:
    """(left, upper, right, lower) of samples 0 to 3: top left, top right, bottom left, bottom right."""
    r = resolution
    return ((0, 0, r, r), (r, 0, 2 * r, r), (0, r, r, 2 * r), (r, r, 2 * r, 2 * r))


def grid_size(pic_num: int, resolution: int) -> tuple[int, int]:
    """(width, height) of a picture with `pic_num` samples: one, two side by side, or two rows of two."""
    return resolution * min(pic_num, 2), resolution * (1 if pic_num <= 2 else 2)


def crop_of(
    image: ImageRef, index: int, *, pic_num: int, resolution: int, allow_size_mismatch: bool, where: str
) -> ImageRef:
    """Sample `index` of a grid.

    Decoding it raises DataError if the grid has another size or the quarter is empty, unless `allow_size_mismatch`.
    """

    def cut(grid: Image.Image) -> Image.Image:
        if not allow_size_mismatch:
            _check_size(grid, grid_size(pic_num, resolution), f"{where}: grid", pic_num, resolution)
        part = grid.crop(boxes(resolution)[index])
        if not allow_size_mismatch and part.convert("RGB").getbbox() is None:
            raise DataError(
                f"{where}: sample {index} of the grid is empty (all black). Regenerate this prompt, or set "
                "dpg.allow_size_mismatch=true if the picture is meant to be black."
            )
        return part

    name = f"grid{pic_num}x{resolution}/{index}" + ("/any-size" if allow_size_mismatch else "")
    return image.derive(name, cut)


def checked(image: ImageRef, *, resolution: int, where: str) -> ImageRef:
    """A single sample; decoding it raises DataError if it is not `resolution` square."""

    def check(sample: Image.Image) -> Image.Image:
        _check_size(sample, (resolution, resolution), f"{where}: image", 1, resolution)
        return sample

    return image.derive(f"is{resolution}", check)


def _check_size(image: Image.Image, expected: tuple[int, int], what: str, pic_num: int, resolution: int) -> None:
    if image.size != expected:
        columns, rows = expected[0] // resolution, expected[1] // resolution
        half = f"dpg.resolution={image.width // columns}"
        raise DataError(
            f"{what} is {image.width}x{image.height}, expected {expected[0]}x{expected[1]} "
            f"({columns}x{rows} images of resolution={resolution}, pic_num={pic_num}). Set {half}, regenerate this "
            "prompt, or set dpg.allow_size_mismatch=true for what upstream does (black or cut areas)."
        )


class GridFolder:
    """The pictures of an upstream image folder by item: the file name up to the first dot."""

    def __init__(self, root: Path) -> None:
        self._files: dict[str, list[Path]] = {}
        for path in sorted(root.iterdir()):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                self._files.setdefault(path.name.split(".")[0], []).append(path)

    def find(self, item: str) -> Path | None:
        """The picture of an item; None if there is none.

        Raises:
            DataError: two files of one item (upstream scores both, and both enter the mean).
        """
        found = self._files.get(item, [])
        if len(found) > 1:
            raise DataError(f"{found[0].parent}: {found[0].name} and {found[1].name} are both {item!r}; keep one.")
        return found[0] if found else None
