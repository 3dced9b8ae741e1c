"""Written replies of a model in this process, greedy or sampled with a seed of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.judges.vlm.local import Sampling, Written
from harness.judges.vlm.transformers_load import LoadedModel


def write(loaded: LoadedModel, inputs: Mapping[str, Any], sampling: Sampling) -> Written:
    """The reply to one prompt.

    Sampling settings that a model's own files suggest (top_k, repetition penalty) are not used: the judge's protocol
    decides. The random state outside is left as it was.

    Args:
        loaded: the model.
        inputs: of one row.
        sampling: how to write.
    """
    import torch
    from transformers import GenerationConfig

    own = loaded.model.generation_config
    chosen: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        chosen = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=sampling.max_tokens, eos_token_id=own.eos_token_id, pad_token_id=_pad(own), **chosen
    )
    on_gpu = [loaded.device] if loaded.device.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices=on_gpu):
        torch.manual_seed(sampling.seed)
        # The model's own file would fill in what the configuration leaves open.
        loaded.model.generation_config = config
        try:
            output = loaded.model.generate(**inputs, generation_config=config)
        finally:
            loaded.model.generation_config = own
    n_in = inputs["input_ids"].shape[1]
    ids = output[0, n_in:].tolist()
    ends = set(own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id])
    is_cut = not (ids and ids[-1] in ends)
    kept = [i for i in ids if i not in ends]
    text = loaded.tokenizer.decode(kept, skip_special_tokens=True)
    return Written(tuple(loaded.tokenizer.decode([i]) for i in kept), text, n_in, is_cut)


def _pad(own: Any) -> int | None:
    """The padding id, or an end id for models without one."""
    if own.pad_token_id is not None:
        return int(own.pad_token_id)
    end = own.eos_token_id
    return end[0] if isinstance(end, list) else end
