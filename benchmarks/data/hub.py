"""A data set of the hub at its pinned revision, downloaded below the data folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.data.lock import HubSet
from harness.errors import DataError

INSTALL = "Install it with `pip install -c constraints.txt -e .[hub]`, or use --source with a local copy"


def snapshot(dataset: HubSet, folder: Path) -> Path:
    """The folder with the data set's files; an interrupted download continues.

    Raises:
        DataError: huggingface_hub is absent, or the hub cannot be reached.
    """
    try:
        import huggingface_hub
        from huggingface_hub import constants
    except ImportError:
        raise DataError(f"{dataset.hub}: downloads from the hub need huggingface_hub. {INSTALL}.") from None
    try:
        with _plain_downloads(constants):
            huggingface_hub.snapshot_download(
                dataset.hub,
                repo_type="dataset",
                revision=dataset.revision,
                local_dir=folder,
                cache_dir=folder / ".cache",
                allow_patterns=["*.arrow", "*.json", "*.md"],
            )
    except Exception as error:  # the hub client's own errors and those of its HTTP library, which differ by version
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{dataset.hub} at {dataset.revision[:8]}: {reason}. What arrived is kept in {folder}; repeat the command "
            "to continue, or use --source with a local copy."
        ) from None
    return folder


@contextmanager
def _plain_downloads(constants: Any) -> Iterator[None]:
    """Without the chunk transfer, which keeps a cache and logs outside the given folder."""
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before
