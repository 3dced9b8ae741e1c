"""The run manifest: what was run, with what, and how far it came.

`identity` holds everything that changes the meaning of a record in the directory. A run directory belongs to one
identity: a command with another one is refused instead of mixing records.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import StoreError
from harness.store import RunDirectory
from harness.types import SCHEMA_VERSION

_PACKAGES = ("torch", "transformers", "diffusers", "vllm", "numpy", "scipy", "pillow", "safetensors", "statsmodels")


def environment() -> dict[str, Any]:
    """Versions and hardware that a number may depend on."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "ummbench": __version__,
        "code_revision": code_revision(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "packages": versions,
        "devices": _devices(),
    }


def _devices() -> list[str]:
    torch = sys.modules.get("torch")  # asked only when something else already needed it: importing it costs seconds
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def code_revision() -> str:
    """Git commit of the installed source tree, `+dirty` when it has changes; empty outside a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return ""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, timeout=10, check=True).stdout

    try:
        return git("rev-parse", "HEAD").strip() + ("+dirty" if git("status", "--porcelain", "-uno").strip() else "")
    except (OSError, subprocess.SubprocessError):
        return ""


class Manifest:
    """manifest.json of a run directory: read, checked against the current command, updated.

    Args:
        run: the directory.
        identity: settings and fingerprints that give the records their meaning (JSON values).
        config: the whole configuration of this command.

    Raises:
        StoreError: the directory belongs to another identity (the differing settings are named).
    """

    def __init__(self, run: RunDirectory, identity: dict[str, Any], config: dict[str, Any]) -> None:
        self._run = run
        old = run.read_json("manifest.json")
        if old is not None:
            _refuse_other_identity(run.path, old, identity)
        self.data: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "run_id": old["run_id"] if old else f"{time.strftime('%Y%m%dT%H%M%S')}-{os.urandom(3).hex()}",
            "created": old["created"] if old else time.time(),
            "identity": identity,
            "config": config,
            "data": {**(old["data"] if old else {})},
            "environment": environment(),
            "status": "running",
            "starts": (old["starts"] if old else 0) + 1,
        }

    def update(self, **fields: Any) -> None:
        """Sets fields and writes the file."""
        self.data.update(fields, updated=time.time())
        self._run.write_json("manifest.json", self.data)


def _refuse_other_identity(path: Path, old: dict[str, Any], identity: dict[str, Any]) -> None:
    if old.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written in layout {old.get('schema')}, this version writes {SCHEMA_VERSION}. Use another -o DIR."
        )
    before = old.get("identity", {})
    names = sorted(k for k in {*before, *identity} if before.get(k) != identity.get(k))
    if names:
        lines = [f"  {n}: there {before.get(n)!r}, now {identity.get(n)!r}" for n in names]
        raise StoreError(
            f"{path} holds a run with other settings:\n" + "\n".join(lines) + "\nChoose another directory with -o DIR."
        )
