"""From what the user typed (`micro`, `NAME:PATH`, a folder) to a policy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, PolicyError
from harness.models.base import Policy
from harness.registry import MODELS

_STEP = re.compile(r"(?:step|checkpoint)[-_]?(\d+)")


def load_policy(spec: str, *, device: str = "cpu") -> Policy:
    """The policy that `spec` names.

    Args:
        spec: a registered name, `NAME:ARGUMENT`, a checkpoint folder (its manifest names the policy), or a training
            directory (its newest checkpoint is taken).

    Raises:
        ConfigError: unknown name.
        PolicyError: a folder that is no checkpoint, or weights that do not fit.
    """
    name, separator, argument = spec.partition(":")
    if not separator and _looks_like_path(spec):
        folder = resolve_checkpoint(Path(spec).expanduser())
        name, argument = read_checkpoint_manifest(folder)["policy"], str(folder)
    factory = MODELS.get(name)
    policy: Policy = factory(argument, device=device)
    return policy


def short_name(spec: str) -> str:
    """A folder-safe name of a model spec, for default run directories."""
    name, separator, argument = spec.partition(":")
    base = Path(argument or name).expanduser()
    last = base.name or base.resolve().name
    text = f"{name}-{last}" if separator else last
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.") or "model"


def _looks_like_path(spec: str) -> bool:
    if spec in MODELS.names():
        return False
    return "/" in spec or spec in (".", "..") or Path(spec).expanduser().exists()


def resolve_checkpoint(folder: Path) -> Path:
    """`folder` itself if it is a checkpoint, else its final `checkpoint`, else the newest `step-N` below it.

    Raises:
        PolicyError: neither.
    """
    if not folder.exists():
        raise PolicyError(
            f"{folder}: no such checkpoint folder. Expected a folder with manifest.json, or a model name."
        )
    if (folder / "manifest.json").is_file() and "policy" in _manifest(folder):
        return folder
    if (folder / "checkpoint" / "manifest.json").is_file():
        return folder / "checkpoint"
    steps = []
    for parent in (folder, folder / "checkpoints"):
        if parent.is_dir():
            for child in parent.iterdir():
                match = _STEP.fullmatch(child.name)
                if match and (child / "manifest.json").is_file():
                    steps.append((int(match[1]), child))
    if not steps:
        raise PolicyError(
            f"{folder}: not a checkpoint (no manifest.json that names a policy) and holds none (step-N/manifest.json)."
        )
    return max(steps)[1]


def read_checkpoint_manifest(folder: Path) -> dict[str, Any]:
    """The checkpoint's manifest.

    Raises:
        PolicyError: not JSON, or without the key `policy`.
        ConfigError: it names a policy that is not registered here.
    """
    data = _manifest(folder)
    name = data.get("policy")
    if not isinstance(name, str):
        raise PolicyError(
            f"{folder / 'manifest.json'}: key 'policy' is missing; expected the name of a registered model."
        )
    if name not in MODELS.names():
        known = ", ".join(MODELS.names())
        raise ConfigError(f"{folder / 'manifest.json'}: policy {name!r} is not known here. Known: {known}.")
    return data


def _manifest(folder: Path) -> dict[str, Any]:
    import json

    path = folder / "manifest.json"
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: not a readable JSON file ({error}).") from None
    return data if isinstance(data, dict) else {}
