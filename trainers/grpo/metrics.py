"""`metrics.jsonl`, and the loggers that a user may add."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError

METRICS = "metrics.jsonl"


class MetricsLog:
    """Appends metric lines; a context manager.

    Args:
        step: optimiser steps that are done: lines of later steps, which will be done again, are dropped.
        log_to: `tensorboard` and `wandb`.

    Raises:
        ConfigError: a logger that is not installed.
    """

    def __init__(self, out_dir: Path, step: int, log_to: Sequence[str] = ()) -> None:
        self._path = out_dir / METRICS
        out_dir.mkdir(parents=True, exist_ok=True)
        _drop_lines_after(self._path, step)
        self._loggers = [_logger(name, out_dir) for name in log_to]

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        for _, close in self._loggers:
            close()

    def write(self, metrics: dict[str, Any]) -> None:
        """One line; `step` is among the keys."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in metrics.items()}
        with self._path.open("a") as file:
            file.write(json.dumps(rounded, default=float) + "\n")
        for write, _ in self._loggers:
            write(rounded)


def _drop_lines_after(path: Path, step: int) -> None:
    """Also drops a torn last line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError, KeyError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    path.write_text("".join(kept))


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {k: v for k, v in metrics.items() if isinstance(v, int | float)}


def _logger(name: str, out_dir: Path) -> tuple[Any, Any]:
    try:
        if name == "tensorboard":
            from torch.utils import tensorboard

            writer = vars(tensorboard)["SummaryWriter"](str(out_dir / "tensorboard"))

            def write(metrics: dict[str, Any]) -> None:
                for key, value in _numbers(metrics).items():
                    writer.add_scalar(key, value, metrics["step"])

            return write, writer.close
        import importlib

        run = importlib.import_module("wandb").init(dir=str(out_dir), name=out_dir.name, resume="allow")
        return lambda m: run.log(_numbers(m), step=m["step"]), run.finish
    except ImportError as error:
        raise ConfigError(f"log_to: {name} is not installed ({error}). Install it or leave it out.") from None
