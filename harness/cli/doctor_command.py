"""`run.py doctor`: what this machine can run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import json_option

_EXTRAS = {
    "transformers": "judges and models from the hub",
    "diffusers": "diffusion policies",
    "vllm": "local judge server",
    "ray": "distributed sweeps",
    "lm_eval": "language benchmarks",
}


@click.command(name="doctor", epilog="Example:  run.py doctor --json")
@json_option
def command(as_json: bool) -> int:
    """Show devices, memory, versions, and whether the shipped model and its judge work here.

    Exit code 1 when something that the default evaluation needs is missing.
    """
    report = inspect_machine()
    if as_json:
        click.echo(json.dumps(report))
    else:
        for section in ("machine", "devices", "packages", "extras", "data"):
            click.echo(f"{section}:")
            for key, value in report[section].items():
                click.echo(f"  {key:<18} {value}")
        click.echo("checks:")
        for check in report["checks"]:
            click.echo(f"  {'ok  ' if check['ok'] else 'FAIL'} {check['name']}: {check['detail']}")
    return 0 if all(c["ok"] for c in report["checks"]) else 1


def inspect_machine() -> dict[str, Any]:
    """Everything `doctor` shows, as JSON values."""
    from harness.evaluate import DEFAULT_DATA_DIR

    data = DEFAULT_DATA_DIR.expanduser()
    return {
        "machine": {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "cpu_count": os.cpu_count(),
            "memory_gib": _memory_gib(),
            "free_disk_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        },
        "devices": _devices(),
        "packages": {
            n: _version(n) for n in ("torch", "numpy", "scipy", "statsmodels", "pillow", "msgspec", "safetensors")
        },
        "extras": {n: _extra(n, use) for n, use in _EXTRAS.items()},
        "data": {
            "folder": str(data),
            "prepared": ", ".join(sorted(p.name for p in data.iterdir())) if data.is_dir() else "nothing",
        },
        "checks": [
            _check("shipped model", _try_model),
            _check("micro judge", _try_judge),
            _check("working directory", _try_write),
        ],
    }


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(i)
        devices[f"cuda:{i}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return devices


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _extra(name: str, use: str) -> str:
    if importlib.util.find_spec(name) is None:
        return f"not installed ({use})"
    return f"{_version(name.replace('_', '-'))} ({use})"


def _check(name: str, run: Any) -> dict[str, Any]:
    from harness.errors import HarnessError

    try:
        return {"name": name, "ok": True, "detail": run()}
    except (HarnessError, OSError) as error:
        return {"name": name, "ok": False, "detail": str(error)}


def _try_model() -> str:
    from harness.models.base import Request
    from harness.models.load import load_policy

    policy = load_policy("micro")
    output = policy.generate([Request(items=("a red circle",), seed=1)])[0]
    if output.status != "ok" or output.image is None:
        raise OSError(f"the model made no image: {output.error}")
    return f"{policy.fingerprint} drew a {output.image.width}x{output.image.height} image"


def _try_judge() -> str:
    from PIL import Image

    from harness.evaluate import make_judge
    from harness.images import ref_of_image
    from harness.judges.base import JudgeRequest
    from harness.types import Question

    judge = make_judge("micro")
    question = Question(id="1", text="Is there a red circle?")
    blank = ref_of_image(Image.new("RGB", (48, 48), "white"))
    answer = judge.ask([JudgeRequest(kind="yesno", form="yesno", questions=(question,), images=(blank,))])[0].answers[0]
    if answer.value is None or answer.value > 0.5:
        raise OSError(f"it sees a red circle in a blank image: {answer}")
    return f"{judge.fingerprint} answers no about a blank image"


def _try_write() -> str:
    if not os.access(Path.cwd(), os.W_OK):
        raise OSError(f"{Path.cwd()} is not writable; use -o DIR")
    return "writable"
