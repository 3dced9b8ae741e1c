"""The argument of a scoring judge: `PATH-OR-HUB-ID,key=value,...`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from harness.config import apply_settings, build
from harness.errors import ConfigError

DType = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerOptions:
    """How a scoring model is run; every field can stand in the judge's argument."""

    dtype: DType = "float32"
    """Precision of the model's weights and activations."""
    device: str = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`."""
    batch_size: int = 16
    """Images per forward pass; changes no score beyond rounding."""
    revision: str | None = None
    """Of the model on the hub; None takes the newest."""
    allow_pickle: bool = False
    """Whether weights may come from a pickle (`.pt`, `.pth`, `.bin`); only tensors are unpickled from it."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size: expected a positive number, got {self.batch_size}.")


Options = TypeVar("Options", bound=ScorerOptions)


def read_argument(judge: str, argument: str, options: type[Options]) -> tuple[str, Options]:
    """(path or hub id, options) of `judge:argument`; the path is empty where the argument has none.

    Raises:
        ConfigError: an unknown option, a value of a wrong type, or a path that is not in front.
    """
    parts = [part.strip() for part in argument.split(",") if part.strip()]
    path = parts.pop(0) if parts and "=" not in parts[0] else ""
    where = f"judge {judge}:{argument}"
    stray = [part for part in parts if "=" not in part]
    if stray:
        raise ConfigError(f"{where}: {stray[0]!r} is no option; expected {judge}:PATH,option=value,...")
    return path, build(options, apply_settings({}, parts), where=where)


def resolve_device(device: str) -> str:
    """The device's name, with `auto` decided.

    Raises:
        ConfigError: the device is not there.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}).") from None
    return device
