"""First-token log-probabilities of many questions on the same images, the images being read once.

Prompts that agree up to their last image form a group. What they have in common (system text, images, often the first
words of the question) runs once and leaves its keys and values; every question continues from there, in batches padded
on the right. Attention is causal, so the result is that of one forward pass per question, up to rounding.

Shapes: N questions, P common tokens, S longest rest, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.judges.vlm.transformers_load import LoadedModel
from harness.judges.vlm.transformers_prompt import Pictures, row_inputs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What a group has in common, after its forward pass."""

    n_tokens: int
    cache: Any
    """Keys and values of one row."""
    shift: int
    """Position of a later token minus its index: an image takes fewer positions than tokens."""


def first_log_probs(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    pictures: Pictures | None,
    wanted: Sequence[int],
    *,
    batch: int = 16,
    share: bool = True,
) -> torch.Tensor:
    """Natural log-probabilities of the `wanted` tokens as each prompt's first answer token, over the full vocabulary.

    Args:
        loaded: a model of one of Qwen's families.
        prompts: N lists of token ids, all with the images `pictures` in the same order.
        pictures: pixels and grids, or None for prompts without images.
        wanted: token ids.
        batch: most rows in one forward pass; changes no value beyond rounding.
        share: read the images once per group; False runs every prompt by itself.

    Returns:
        (N, len(wanted)) float32 on the CPU.
    """
    import torch

    columns = torch.tensor(list(wanted), device=loaded.device)
    rows: list[torch.Tensor | None] = [None] * len(prompts)
    with torch.inference_mode():
        singles = [[i] for i in range(len(prompts))]
        for members in _groups(prompts, loaded.model.config.image_token_id) if share else singles:
            group = [prompts[i] for i in members]
            is_alone = len(group) == 1
            hidden = _whole(loaded, group[0], pictures)[None] if is_alone else _shared(loaded, group, pictures, batch)
            for i, row in zip(members, _log_probs(loaded, hidden, columns), strict=True):
                rows[i] = row
    return torch.stack([r for r in rows if r is not None]) if rows else torch.empty(0, len(wanted))


def n_tokens_run(prompts: Sequence[Sequence[int]], image_token_id: int) -> int:
    """Tokens that `first_log_probs` runs through the model for these prompts, padding aside."""
    total = 0
    for members in _groups(prompts, image_token_id):
        group = [prompts[i] for i in members]
        common = _n_common(group) if len(group) > 1 else 0
        total += common + sum(len(p) - common for p in group)
    return total


def _groups(prompts: Sequence[Sequence[int]], image_token_id: int) -> list[list[int]]:
    """Indices of prompts that agree up to and including their last image token."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, prompt in enumerate(prompts):
        end = len(prompt) - 1
        while end >= 0 and prompt[end] != image_token_id:
            end -= 1
        groups.setdefault(tuple(prompt[: end + 1]), []).append(i)
    return list(groups.values())


def _n_common(prompts: Sequence[Sequence[int]]) -> int:
    """Length of the longest common beginning that leaves every prompt at least one token."""
    longest = min(len(p) for p in prompts) - 1
    first = prompts[0]
    for n in range(longest):
        if any(p[n] != first[n] for p in prompts):
            return n
    return longest


def _positions(loaded: LoadedModel, inputs: dict[str, Any]) -> torch.Tensor:
    """(3, 1, L) positions in time, height and width."""
    import torch

    if "image_grid_thw" not in inputs:
        length = inputs["input_ids"].shape[1]
        return torch.arange(length, device=loaded.device).expand(3, 1, length)
    positions: torch.Tensor = loaded.model.model.get_rope_index(
        inputs["input_ids"],
        mm_token_type_ids=inputs["mm_token_type_ids"],
        image_grid_thw=inputs["image_grid_thw"],
        attention_mask=inputs["attention_mask"],
    )[0]
    return positions


def _whole(loaded: LoadedModel, ids: Sequence[int], pictures: Pictures | None) -> torch.Tensor:
    """(H,) last hidden state of one prompt, run from its beginning."""
    inputs = row_inputs(loaded, ids, pictures)
    output = loaded.model.model(**inputs, position_ids=_positions(loaded, inputs), use_cache=False)
    last: torch.Tensor = output.last_hidden_state[0, -1]
    return last


def _shared(
    loaded: LoadedModel, prompts: Sequence[Sequence[int]], pictures: Pictures | None, batch: int
) -> torch.Tensor:
    """(N, H) last hidden states of prompts with the same images."""
    import torch

    common = _n_common(prompts)
    prefix = _run_prefix(loaded, prompts[0][:common], pictures)
    rests = [list(p[common:]) for p in prompts]
    # Rests of similar length share a batch, so that little of it is padding.
    order = sorted(range(len(rests)), key=lambda i: len(rests[i]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        for i, row in zip(chosen, _continue(loaded, prefix, [rests[i] for i in chosen]), strict=True):
            found[i] = row
    return torch.stack([found[i] for i in range(len(rests))])


def _run_prefix(loaded: LoadedModel, ids: Sequence[int], pictures: Pictures | None) -> _Prefix:
    inputs = row_inputs(loaded, ids, pictures)
    positions = _positions(loaded, inputs)
    output = loaded.model.model(**inputs, position_ids=positions, use_cache=True)
    return _Prefix(len(ids), output.past_key_values, int(positions.max()) + 1 - len(ids))


def _continue(loaded: LoadedModel, prefix: _Prefix, rests: Sequence[Sequence[int]]) -> torch.Tensor:
    """(N, H) hidden state of each rest's last token, after the prefix."""
    import torch

    n, longest = len(rests), max(len(r) for r in rests)
    ids = torch.zeros(n, longest, dtype=torch.long)
    mask = torch.zeros(n, prefix.n_tokens + longest, dtype=torch.long)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(rest)
        mask[row, : prefix.n_tokens + len(rest)] = 1
    places = torch.arange(prefix.n_tokens, prefix.n_tokens + longest, device=loaded.device)
    # First row: index in the text (for the mask); then time, height and width, which are equal for text.
    positions = torch.stack([places, *[places + prefix.shift] * 3])[:, None].expand(4, n, longest)
    output = loaded.model.model(
        input_ids=ids.to(loaded.device),
        attention_mask=mask.to(loaded.device),
        position_ids=positions,
        past_key_values=_repeated(prefix.cache, n),
        use_cache=True,
    )
    last = torch.tensor([len(r) - 1 for r in rests], device=loaded.device)
    hidden: torch.Tensor = output.last_hidden_state[torch.arange(n, device=loaded.device), last]
    return hidden


def _repeated(cache: Any, n: int) -> Any:
    """A cache of its own with one row's keys and values for n rows; the original stays as it is."""
    from transformers import DynamicCache

    copy = DynamicCache()
    for i, layer in enumerate(cache.layers):
        copy.update(layer.keys.expand(n, -1, -1, -1), layer.values.expand(n, -1, -1, -1), i)
    return copy


def _log_probs(loaded: LoadedModel, hidden: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """(N, len(columns)) float32 on the CPU: log-softmax in float32 over all V logits, then the wanted columns."""
    logits = loaded.model.get_output_embeddings()(hidden)
    return logits.float().log_softmax(-1)[:, columns].cpu()
