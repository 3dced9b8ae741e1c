"""Many devices: who draws which samples, sums over devices, and wrapped modules.

Every process draws and trains its share of a step's samples; rewards are gathered, so advantages are those of the whole
step. Losses are sums with weights of the whole step, so the gradient does not depend on the number of processes.
`ddp` is torch's DistributedDataParallel with one reduction per update; `fsdp` is torch's FSDP2 (`fully_shard`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from harness.errors import ConfigError

T = TypeVar("T")


class _Call(nn.Module):
    """Runs a function as a module's forward pass, so that wrappers see one forward per backward."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, function: Callable[[], Tensor]) -> Tensor:
        """The function's loss."""
        return function()


class Parallel:
    """One process among the others; alone when the process group is not initialised.

    Args:
        kind: `ddp` or `fsdp`; without effect for a single process under `ddp`.
    """

    def __init__(self, kind: Literal["ddp", "fsdp"] = "ddp", device: torch.device | str = "cpu") -> None:
        self.kind = kind
        self.device = torch.device(device)
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.size = dist.get_world_size() if dist.is_initialized() else 1
        self._module: nn.Module | None = None
        self._wrapped: Any = None
        self._replicated: list[nn.Parameter] = []
        """Scalars, which FSDP2 does not shard; their gradients are reduced here."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> None:
        """Takes the module that is trained; under `fsdp` its parameters become sharded here."""
        self._module = module
        if self.size == 1 and self.kind == "ddp":
            return
        call = _Call(module)
        if self.kind == "fsdp":
            from torch.distributed.fsdp import fully_shard

            if not dist.is_initialized():
                raise ConfigError("parallel: fsdp needs torchrun, e.g. torchrun --nproc_per_node 2 run.py train ...")
            for block in _blocks(module):
                fully_shard(block)
            self._replicated = [p for p in module.parameters() if p.dim() == 0]
            fully_shard(call, ignored_params=set(self._replicated))
            self._wrapped = call
            with torch.no_grad():  # FSDP2 wants its first pass through the root; drawing calls the blocks alone
                call(lambda: torch.zeros((), device=self.device))
            call.reshard()  # type: ignore[operator]  # the root keeps its weights; the optimiser must see the shards
        else:
            self._wrapped = nn.parallel.DistributedDataParallel(call, find_unused_parameters=True)

    def backward(self, loss: Callable[[], Tensor], *, last: bool) -> None:
        """Computes a part of the update's loss and adds its gradient; gradients are reduced with the `last` part.

        The sum of the parts over all processes is the update's loss.
        """
        if self._wrapped is None:
            torch.autograd.backward(loss())
            return
        assert self._module is not None
        parameters = [p for p in self._module.parameters() if p.requires_grad]

        def scaled() -> Tensor:
            value = loss() * self.size  # the wrappers average over processes
            # DDP reduces what the last pass used: every parameter takes part in it.
            return value + sum(p.sum() * 0.0 for p in parameters) if last and self.kind == "ddp" else value

        if self.kind == "fsdp":
            self._wrapped.set_requires_gradient_sync(last)
            self._wrapped(scaled).backward()
            for p in self._replicated if last else ():
                if p.requires_grad and p.grad is not None:
                    dist.all_reduce(p.grad)
                    p.grad /= self.size
            return
        with contextlib.nullcontext() if last else self._wrapped.no_sync():
            self._wrapped(scaled).backward()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Inside: the whole weights are in place, for passes of which processes may make different numbers."""
        if self.kind != "fsdp" or self._wrapped is None:
            yield
            return
        modules = [m for m in self._wrapped.modules() if hasattr(m, "unshard")]
        blocks = [m for m in modules if m is not self._wrapped]
        for m in modules:
            m.unshard()
        for m in blocks:  # a pass would give its weights back, and the next one would gather them again
            m.set_reshard_after_forward(False, recurse=False)
        try:
            yield
        finally:
            for m in blocks:
                m.set_reshard_after_forward(True, recurse=False)
            for m in modules:
                m.reshard()

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The run of `items` that falls to this process; the runs' lengths differ by at most one."""
        n = len(items)
        return items[n * self.rank // self.size : n * (self.rank + 1) // self.size]

    def gather(self, items: Sequence[T]) -> list[T]:
        """The items of all processes, in the order of `share`."""
        if self.size == 1:
            return list(items)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(items))
        return [item for part in parts for item in part]

    def largest(self, value: int) -> int:
        """The largest value over all processes."""
        return max(self.gather([value]))

    def any(self, value: bool) -> bool:
        """Whether it is true anywhere."""
        return any(self.gather([value]))

    def clip_norm(self, parameters: Sequence[nn.Parameter], limit: float) -> float:
        """Clips the whole gradient to the length `limit`; returns its length before.

        Parameters whose gradient is zero lose it: the optimiser must neither decay them nor keep a state for them,
        whether a wrapper gave them zeros or not.

        torch's own function does not take sharded and replicated gradients together.
        """
        moved = [p for p in parameters if p.grad is not None]
        lengths = [whole_tensor(torch.linalg.vector_norm(p.grad.float())) for p in moved if p.grad is not None]
        for p, own in zip(moved, lengths, strict=True):
            if float(own) == 0.0:
                p.grad = None
        length = float(torch.linalg.vector_norm(torch.stack(lengths)))
        if length > limit:
            for p in moved:
                if p.grad is not None:
                    p.grad.mul_(limit / (length + 1e-6))
        return length

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.size > 1:
            dist.barrier()


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The entries of the outermost lists of modules: what is gathered together.

    A list inside a block (the output layers of an attention) stays part of it: gathered alone, it would add a
    collective per layer and save next to no memory.
    """
    for child in module.children():
        if not isinstance(child, nn.ModuleList):
            yield from _blocks(child)
            continue
        for block in child:
            if not _is_called_by_forward(block):
                yield from _blocks(block)
            elif next(block.parameters(), None) is not None:
                yield block


def _is_called_by_forward(block: nn.Module) -> bool:
    return type(block).forward is not nn.Module.forward


def whole_tensor(value: Tensor) -> Tensor:
    """A sharded tensor as a whole one (all processes must ask); others as they are."""
    full = getattr(value, "full_tensor", None)
    return value if full is None else full()


@contextlib.contextmanager
def process_group(device: str) -> Iterator[None]:
    """Joins torchrun's processes, if it started this one."""
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        yield
    finally:
        dist.destroy_process_group()
