"""Where the official layout keeps an image: ROOT/<type><postfix>/<model>/<short|long>_description/<row>.<ending>."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tiif.taxonomy import TYPES
from harness.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""Accepted in any case; where several files have the row's number, the first ending of this list is taken."""


def find_image(root: Path, type_: str, length: str, row: int, *, model: str = "") -> Path | None:
    """The image of one row; None when it is not there.

    Args:
        root: the folder that holds one folder per type.
        model: name of the model's folder; empty takes the only one there is.

    Raises:
        DataError: several postfixes of the type's folder, or several models where none is named.
    """
    folder = _type_folder(root, type_)
    if folder is None:
        return None
    model_folder = _model_folder(folder, model)
    if model_folder is None or not (model_folder / f"{length}_description").is_dir():
        return None
    found = {
        file.suffix.lower(): file
        for file in sorted((model_folder / f"{length}_description").glob(f"{row}.*"))
        if file.stem == str(row) and file.is_file()
    }
    return next((found[e] for e in ENDINGS if e in found), None)


def _type_folder(root: Path, type_: str) -> Path | None:
    if (root / type_).is_dir():
        return root / type_
    found = [f for f in sorted(root.glob(f"{type_}*")) if f.is_dir() and _type_of(f.name) == type_]
    if len(found) > 1:
        raise DataError(
            f"{root}: several folders for type {type_!r}: {', '.join(f.name for f in found)}. Keep one of them."
        )
    return found[0] if found else None


def _type_of(folder: str) -> str:
    """The longest type name that starts the folder's name: `comparison+2d_x` is not `comparison` with a postfix."""
    return max((t for t in TYPES if folder.startswith(t)), key=len, default="")


def _model_folder(folder: Path, model: str) -> Path | None:
    if model:
        return folder / model if (folder / model).is_dir() else None
    models = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(models) > 1:
        raise DataError(
            f"{folder}: images of several models ({', '.join(models)}). Name one with tiif.image_model=NAME."
        )
    return folder / models[0] if models else None
