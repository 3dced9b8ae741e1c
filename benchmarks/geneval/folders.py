"""Official image folders: which folder belongs to which prompt, and where its samples lie."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.geneval.metadata import demands_key, parse_metadata
from harness.errors import DataError

_SAMPLE = re.compile(r"(\d+)\.png")


class ImageFolder:
    """A scanned tree `ROOT/00000/{metadata.jsonl, samples/00000.png}`.

    A folder's own `metadata.jsonl` says which prompt it belongs to, not its number. Only folders whose whole name is
    digits count. Sample names may have any number of digits (official tools write four or five).

    Raises:
        DataError: the root is no folder, a prompt folder has no readable `metadata.jsonl`, or two belong to one prompt.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(
                f"{root}: no such folder; expected prompt folders 00000, 00001, ... with metadata.jsonl and samples/."
            )
        self._root = root
        self._folder_of: dict[str, tuple[Path, str]] = {}
        self._samples: dict[Path, dict[int, Path]] = {}
        for folder in sorted(p for p in root.iterdir() if re.fullmatch(r"\d+", p.name) and p.is_dir()):
            self._add(folder)

    def __len__(self) -> int:
        return len(self._folder_of)

    def find(self, metadata: Mapping[str, Any], index: int) -> Path | None:
        """The file of sample `index`; None when the prompt has no folder or the folder no such sample.

        Raises:
            DataError: the folder was made from another wording of the prompt, or two files claim the index.
        """
        folder, text = self._folder_of.get(demands_key(metadata), (None, ""))
        if folder is None:
            return None
        if text != metadata.get("prompt", ""):
            raise DataError(
                f"{folder}/metadata.jsonl: prompt is {text[:60]!r}, expected {str(metadata.get('prompt', ''))[:60]!r}. "
                "Another wording is another setting: choose geneval.prompt_set (short or long) as the images were made."
            )
        if folder not in self._samples:
            self._samples[folder] = _samples(folder)
        return self._samples[folder].get(index)

    def _add(self, folder: Path) -> None:
        path = folder / "metadata.jsonl"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{path}: missing. The folder's own metadata, not its number, says which prompt it belongs to."
            ) from None
        except ValueError as error:
            raise DataError(f"{path}: not one JSON object ({error}).") from None
        parsed = parse_metadata(raw, where=str(path))
        key = demands_key(raw)
        if key in self._folder_of:
            raise DataError(
                f"{path}: same demands as {self._folder_of[key][0]}/metadata.jsonl; one folder per prompt is expected."
            )
        self._folder_of[key] = (folder, parsed.prompt)


def _samples(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    samples = folder / "samples"
    for path in sorted(samples.iterdir()) if samples.is_dir() else []:
        match = _SAMPLE.fullmatch(path.name)
        if match is None:
            continue
        index = int(match[1])
        if index in found:
            raise DataError(
                f"{samples}: {found[index].name} and {path.name} are both sample {index}; remove the stale one."
            )
        found[index] = path
    return found
