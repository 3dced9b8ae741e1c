"""From an mmdet checkpoint to a filled transformers model. Pure functions of tensors, in the dtype they come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import JudgeError
from harness.judges.detector.config import DetectorConfig, config_from_state_dict
from harness.judges.detector.identity import describe
from harness.judges.detector.keymap import UNFILLED, Entry, canonical_names, key_map

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CONVERTER_VERSION = 1
"""Goes up whenever the same checkpoint would give other tensors."""


def merge_order(channels: int) -> Tensor:
    """(4 channels,) int64: for each target position of the patch-merging axis, the source position.

    mmdet gathers a 2x2 block channel by channel, transformers position by position with columns outermost: row r,
    column s, channel c moves from 4c + 2r + s to (2s + r) channels + c.
    """
    import torch

    return torch.arange(4 * channels).view(channels, 2, 2).permute(2, 1, 0).reshape(-1)


def position_index(window: int) -> Tensor:
    """(window^2, window^2) int64: row of the position bias table for each pair of places in a window."""
    import torch

    row, column = (g.reshape(-1) for g in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
    rows, columns = row[:, None] - row[None, :] + window - 1, column[:, None] - column[None, :] + window - 1
    return rows * (2 * window - 1) + columns


def convert_state_dict(source: Mapping[str, Tensor], config: DetectorConfig | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint under transformers' module names; 757 for the official one.

    Args:
        source: tensors under mmdet's names, of the 2.x or the 3.x edition; nothing else.
        config: sizes; read off the tensors where None.

    Returns:
        New contiguous tensors in the sources' dtype. Together with `keymap.UNFILLED` they are the model's state.

    Raises:
        JudgeError: a tensor is missing or left over, or the position index is not that of the window size.
    """
    config = config_from_state_dict(source) if config is None else config
    names = {new: old for old, new in canonical_names(source).items()}
    entries = key_map(config)
    _check_names(names, {e.source for e in entries}, source)
    converted: dict[str, Tensor] = {}
    for entry in entries:
        converted.update(_apply(entry, source[names[entry.source]], config))
    return converted


def build_model(
    config: DetectorConfig,
    dtype: torch.dtype | None = None,
    tensors: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
) -> Any:
    """A `Mask2FormerForUniversalSegmentation` in evaluation mode.

    Args:
        config: sizes.
        dtype: float32 (None) for judging; float64 for comparisons, then with the sine positions computed in float32
            first, as mmdet does. Others are refused.
        tensors: what `convert_state_dict` returns; None leaves the library's initial values.
        device: where to.

    Raises:
        JudgeError: names or shapes of `tensors` do not fit, or another dtype.
    """
    import torch
    from transformers import Mask2FormerForUniversalSegmentation

    dtype = torch.float32 if dtype is None else dtype
    if dtype not in (torch.float32, torch.float64):
        raise JudgeError(f"The detector runs in float32 (or float64 for comparisons), not in {dtype}.")
    with torch.random.fork_rng(devices=[]):  # initial values are drawn and overwritten: leave no trace
        model: Any = Mask2FormerForUniversalSegmentation(config.to_transformers())
    model = model.to(dtype)
    if tensors is not None:
        _fill(model, tensors)
    if dtype == torch.float64:
        _positions_in_float32(model)
    return model.to(device).eval().requires_grad_(False)


def _apply(entry: Entry, tensor: Tensor, config: DetectorConfig) -> dict[str, Tensor]:
    if entry.change == "drop":
        _check_position_index(entry.source, tensor, config.window_size)
        return {}
    if entry.change == "cut":
        if tensor.shape[0] % 3:
            raise JudgeError(f"{entry.source}: {tensor.shape[0]} rows cannot be cut into queries, keys and values.")
        parts = tensor.detach().chunk(3, dim=0)
    elif entry.change == "merge":
        parts = (tensor.detach()[..., merge_order(tensor.shape[-1] // 4)],)
    else:
        parts = (tensor.detach(),)
    return {t: p.contiguous().clone() for t, p in zip(entry.targets, parts, strict=True)}


def _check_position_index(name: str, found: Tensor, window: int) -> None:
    import torch

    expected = position_index(window)
    if found.shape != expected.shape or not torch.equal(found.cpu().long(), expected):
        raise JudgeError(f"{name}: not the positions of a {window}x{window} window; the file is damaged or another's.")


def _check_names(names: Mapping[str, str], expected: set[str], source: Mapping[str, Tensor]) -> None:
    missing, left = sorted(expected - set(names)), sorted(set(names) - expected)
    if not missing and not left:
        return
    parts = [f"{len(n)} {what} ({', '.join(n[:3])})" for n, what in ((missing, "missing"), (left, "left over")) if n]
    shapes = {n: tuple(t.shape) for n, t in source.items()}
    raise JudgeError(
        f"Of {len(expected)} tensors of this detector: {'; '.join(parts)}. The file looks like {describe(shapes)}."
    )


def _fill(model: Any, tensors: Mapping[str, Tensor]) -> None:
    state = model.state_dict()
    missing = sorted(set(state) - set(tensors) - set(UNFILLED))
    unexpected = sorted(set(tensors) - set(state))
    if missing or unexpected:
        import transformers

        raise JudgeError(
            f"The tensors do not fit the model of transformers {transformers.__version__}: {len(missing)} missing "
            f"{missing[:3]}, {len(unexpected)} unexpected {unexpected[:3]}. Versions 5.16 to 5.23 are known to fit."
        )
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise JudgeError(f"{name}: shape {tuple(tensor.shape)}, expected {tuple(state[name].shape)}.")
    model.load_state_dict(dict(tensors), strict=False)


def _positions_in_float32(model: Any) -> None:
    """Makes sine positions float32 whatever the features' dtype is; adding them to features widens them again."""
    import torch

    for module in model.modules():
        if type(module).__name__ == "Mask2FormerSinePositionEmbedding":
            module.register_forward_pre_hook(lambda _, args: (*args[:2], torch.float32, *args[3:]))
