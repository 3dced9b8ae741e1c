"""What training the small judges of the micro world has in common: optimiser, schedule, averaged weights, command."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from harness import seeds
from harness.judges.micro_cnn import storage

N = TypeVar("N", bound=nn.Module)


def schedule(step: int, steps: int, peak: float) -> float:
    """Learning rate of a step: linear rise over the first tenth, cosine to a hundredth of the peak."""
    rise = max(1, steps // 10)
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


class AveragedAdamW(Generic[N]):
    """AdamW with a one-cycle rate and an exponential average of the weights.

    Args:
        network: trained in place.
        trained: its parameters that move.
        steps: length of the schedule.
        lr: peak of the rate.
        weight_decay: of AdamW.
        ema_decay: of the average.
        with_buffers: average the buffers too (running statistics).
    """

    def __init__(
        self,
        network: N,
        trained: Sequence[nn.Parameter],
        *,
        steps: int,
        lr: float,
        weight_decay: float,
        ema_decay: float,
        with_buffers: bool,
    ) -> None:
        self._network, self._trained, self._steps, self._lr = network, list(trained), steps, lr
        self._optimiser = torch.optim.AdamW(self._trained, weight_decay=weight_decay, betas=(0.9, 0.98))
        self._average = torch.optim.swa_utils.AveragedModel(
            network,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema_decay),  # type: ignore[no-untyped-call]
            use_buffers=with_buffers,
        )

    def step(self, number: int, loss: Tensor) -> None:
        """One update; `number` counts from 0."""
        for group in self._optimiser.param_groups:
            group["lr"] = schedule(number, self._steps, self._lr)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimiser.step()
        self._average.update_parameters(self._network)

    def finish(self) -> None:
        """Puts the averaged weights into the network, ready for use."""
        self._network.load_state_dict(self._average.module.state_dict())
        self._network.eval()


def seeded(make: Callable[[], N], train_seed: int, purpose: str) -> N:
    """A network with its first weights; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(train_seed, f"{purpose}-weights") % 2**63)
        return make()


def parse(defaults: Any, names: Sequence[str], about: str, folder: Path, arguments: list[str] | None) -> Any:
    """The settings that the command line changes, and the folder to write."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    for name in names:
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("-o", "--out", type=Path, default=folder, help="folder of the weights")
    options = vars(parser.parse_args(arguments))
    out: Path = options.pop("out")
    return type(defaults)(**options), out


def publish(
    out: Path,
    name: str,
    network: nn.Module,
    settings: Any,
    seconds: float,
    evaluate: Callable[[Path], Any],
    write_card: Callable[[Path, Any], None],
    **more: Any,
) -> None:
    """Saves the weights with how they were made, measures them, writes the card."""
    training: dict[str, Any] = {
        "command": f"python -m harness.judges.{name.replace('-', '_')}.train",
        "settings": asdict(settings),
        **more,
        "cpu_seconds": round(seconds, 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    manifest = storage.save(out, name, network.state_dict(), training)
    manifest["scores"] = evaluate(out)
    storage.write_manifest(out, manifest)
    write_card(out, manifest)
    print(f"{out}: {manifest['parameters']:,} parameters, {seconds / 60:.1f} CPU minutes")
