"""Shared settings of the tests: one thread per process, no colours, where official data lies."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")
os.environ.setdefault("COLUMNS", "160")

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def official() -> Path:
    """Official data and recorded results; they are not part of a clone."""
    folder = ROOT.parent / "shared" / "official"
    if not folder.is_dir():
        pytest.skip("official benchmark data is not here (../shared/official); these comparisons need it")
    return folder
