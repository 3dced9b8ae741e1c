"""The linters are part of the tests, so that one command tells whether a change is ready."""

import subprocess
import sys

from tests.conftest import ROOT


def check(*command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"


def test_ruff_finds_nothing():
    check("ruff", "check", ".")


def test_ruff_would_not_reformat():
    check("ruff", "format", "--check", ".")


def test_mypy_finds_nothing():
    check("mypy")
