"""Run by torchrun: one update of an adapter over a sharded transformer, then a checkpoint."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from harness.models.base import Contexts, GenerationParams
from harness.models.load import load_policy

torch.set_num_threads(1)


def update(policy):
    """One step of plain gradient descent on a fixed loss; the same whatever the number of processes."""
    x, sigma = policy.initial_noise([1, 2]), torch.tensor([0.8, 0.8])
    context = policy.extend(policy.context(2), ["a red cube", "a blue ball"], kind="text")
    policy.velocity(x, sigma, Contexts(context), GenerationParams(guidance_scale=4.5)).square().mean().backward()
    with torch.no_grad():
        for p in policy.param_groups()["generation"]:
            if p.grad is not None:
                p -= p.grad


def main(pipeline, start, out):
    dist.init_process_group("gloo")
    policy = load_policy(start)
    policy.prepare_training({"gradient_checkpointing": True})
    for block in policy.trainable_module.transformer_blocks:
        fully_shard(block)
    fully_shard(policy.trainable_module)
    x, sigma = policy.initial_noise([1, 2]), torch.tensor([0.8, 0.8])
    context = policy.extend(policy.context(2), ["a red cube", "a blue ball"], kind="text")
    with torch.no_grad(), policy.adapter(None):  # before the first training pass, as a reference policy is asked
        base = policy.velocity(x, sigma, Contexts(context), GenerationParams())
        expected = load_policy(f"sd3:{pipeline}").velocity(x, sigma, Contexts(context), GenerationParams())
        assert torch.allclose(base, expected, atol=1e-5)
    update(policy)
    assert all(isinstance(p, DTensor) for p in policy.param_groups()["generation"])
    policy.save_checkpoint(Path(out), {"step": 1})
    assert load_policy(out).fingerprint == policy.fingerprint
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
