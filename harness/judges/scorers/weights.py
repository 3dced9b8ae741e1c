"""From weight files to a model: every key is accounted for, or nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.judges.scorers.files import PICKLES

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 6
_WRAPPERS = ("model", "state_dict", "module")


def read_state(paths: Sequence[Path]) -> dict[str, Tensor]:
    """All tensors of the files, by key; a pickle's top-level `model` or `state_dict` is unwrapped.

    Raises:
        JudgeError: a file cannot be read, a key occurs in two files, or a pickle holds something else than tensors.
    """
    state: dict[str, Tensor] = {}
    for path in paths:
        found = _read_pickle(path) if path.suffix in PICKLES else _read_safetensors(path)
        twice = sorted(state.keys() & found.keys())
        if twice:
            raise JudgeError(f"{path}: the key {twice[0]!r} is also in another file of the model.")
        state.update(found)
    return state


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise JudgeError(f"{path}: not a readable safetensors file ({error}).") from None


def _read_pickle(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise JudgeError(f"{path}: not a pickle of tensors ({reason}).") from None
    for name in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise JudgeError(f"{path}: expected a dictionary of tensors.")
    return dict(found)


def check_keys(found: Mapping[str, Tensor], expected: Mapping[str, Any], *, where: str, hint: str) -> None:
    """Raises JudgeError unless both have the same keys, and each tensor the shape of the expected one.

    Args:
        found: mapped keys -> tensors.
        expected: keys -> tensors (on any device), for their shapes.
        where: the file, for the message.
        hint: what to do, for the message.
    """
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    wrong = [
        f"{k} is {tuple(found[k].shape)}, expected {tuple(expected[k].shape)}"
        for k in sorted(found.keys() & expected.keys())
        if found[k].shape != expected[k].shape
    ]
    problems = [
        f"{what} ({len(keys)}): {_some(keys)}"
        for what, keys in (("missing keys", missing), ("unexpected keys", unexpected), ("other shapes", wrong))
        if keys
    ]
    if problems:
        raise JudgeError(f"{where}: {'; '.join(problems)}. {hint}")


def _some(keys: Iterable[str]) -> str:
    listed = list(keys)
    return ", ".join(listed[:_SHOWN]) + (f", and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def build(model: Any, config: Any, state: Mapping[str, Tensor], *, dtype: str, where: str, hint: str) -> Any:
    """A transformers model with these weights, in evaluation mode, on the CPU.

    Args:
        model: a `PreTrainedModel` class.
        config: its configuration.
        state: the model's own keys -> tensors; all of them and no others.
        dtype: of the weights.
        where: the file, for messages.
        hint: what to do about wrong keys.

    Raises:
        JudgeError: a key is missing, unexpected, or of another shape.
    """
    import torch

    with torch.device("meta"):
        expected = model(config).state_dict()
    check_keys(state, expected, where=where, hint=hint)
    loaded, report = quietly(
        lambda: model.from_pretrained(
            None, config=config, state_dict=dict(state), dtype=getattr(torch, dtype), output_loading_info=True
        )
    )
    lost = [k for name in ("missing_keys", "unexpected_keys", "mismatched_keys") for k in report[name]]
    if lost:
        raise JudgeError(f"{where}: transformers did not take {_some(map(str, lost))}.")
    return loaded.eval().requires_grad_(False)


def quietly(load: Callable[[], Any]) -> Any:
    """`load()` without transformers' progress bars."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return load()
    finally:
        if was_on:
            logging.enable_progress_bar()
