"""The policy `images:FOLDER`: pictures that were made elsewhere, in any benchmark's official layout.

A picture that is not there, or is no image, is a sample without an image: it is recorded as `skipped` or `error` and
counted as missing, never replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import images
from harness.errors import DataError, PolicyError
from harness.models.base import GenerationParams, Output, Policy, Request
from harness.registry import MODELS

Finder = Callable[[str, int], Path | None]
"""(prompt id, sample index) -> file, from `Benchmark.find_image`."""


class ImageFolder(Policy):
    """Looks pictures up.

    Args:
        root: the folder. Besides the official layouts it may be a run directory of this project (its `images` are
            taken), or hold `PROMPT-ID/INDEX.png`.
    """

    name = "images"
    capabilities = frozenset({"think", "edit"})
    batch_size = 64

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise PolicyError(
                f"images:{root}: no such folder. Expected images:FOLDER with pictures in a benchmark's layout."
            )
        self.root = root
        self._find: Finder = lambda prompt_id, index: None
        self._fingerprint = self._hash_listing()

    @property
    def fingerprint(self) -> str:
        """Of the folder's files (names, sizes, times): a changed folder is another policy."""
        return self._fingerprint

    def _hash_listing(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if path.suffix.lower() in images.SUFFIXES and path.is_file():
                stat = path.stat()
                digest.update(f"{path.relative_to(self.root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return f"images-{digest.hexdigest()[:16]}"

    def use_finder(self, find: Finder) -> None:
        """Sets the layout of the benchmark that is about to run."""
        self._find = find

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """Nothing is sampled here; settings stay as they are."""
        return params

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """The files of the requested samples."""
        return [self._look_up(*r.sample) for r in requests]

    def _look_up(self, prompt_id: str, index: int) -> Output:
        try:
            file = self._find(prompt_id, index) or self._own_layout(prompt_id, index)
            if file is None:
                return Output(status="skipped", error=f"no picture of {prompt_id}, sample {index}, in {self.root}")
            if not images.is_inside(self.root, file):
                raise DataError(f"{file}: lies outside {self.root}.")
            images.load(file)
        except DataError as error:
            return Output(status="error", error=str(error))
        return Output(file=file)

    def _own_layout(self, prompt_id: str, index: int) -> Path | None:
        for folder in (self.root / "images" / prompt_id, self.root / prompt_id):
            for stem in (f"0-{index}", str(index), f"{index:05d}"):
                for suffix in images.SUFFIXES:
                    path = folder / f"{stem}{suffix}"
                    if path.is_file():
                        return path
        return None


@MODELS.register("images")
def load(argument: str, *, device: str = "cpu") -> ImageFolder:
    """Pictures made elsewhere, in a benchmark's official layout: `images:FOLDER`."""
    if not argument:
        raise PolicyError("images: name the folder, e.g. images:/data/bagel-geneval.")
    return ImageFolder(Path(argument).expanduser())
