"""Trains the learned judge from nothing: `python -m harness.judges.micro_cnn.train` writes the shipped folder.

Fresh pictures in every step (`corpus.draw`), cross-entropy on every part, a one-cycle learning rate, averaged weights.
One thread; the same command gives the same weights on the same machine and library versions.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import seeds
from harness.judges.micro_cnn import storage
from harness.judges.micro_cnn.corpus import Labelled, draw
from harness.judges.micro_cnn.network import CellNetwork
from harness.world.scene import CELL_PX

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the training depends on."""

    train_seed: int = 0
    steps: int = 3000
    batch_size: int = 64
    lr: float = 4e-3
    weight_decay: float = 1e-3
    ema_decay: float = 0.99
    purpose: str = "micro-cnn"
    """Names the random numbers: another purpose draws other pictures and other first weights."""


def as_tensors(batch: Labelled) -> dict[str, Tensor]:
    """The arrays of a batch as tensors of the types that `losses` takes."""
    return {
        "pictures": torch.from_numpy(batch.pictures),
        "presence": torch.from_numpy(batch.presence).float(),
        "weight": torch.from_numpy(batch.weight).float(),
        "attributes": torch.from_numpy(batch.attributes),
        "offset": torch.from_numpy(batch.offset).float(),
        "background": torch.from_numpy(batch.background),
        "quality": torch.from_numpy(batch.quality).float(),
        "shape_known": torch.from_numpy(batch.shape_known).float(),
        "colour_known": torch.from_numpy(batch.colour_known).float(),
    }


def losses(logits: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean loss of every part over what is labelled: cross-entropies in nats, the offset's squared error."""
    weight = batch["weight"]
    there = weight * batch["presence"]
    shaped, coloured = (there * batch[k][:, None] for k in ("shape_known", "colour_known"))
    found: dict[str, Tensor] = {}
    raw = F.binary_cross_entropy_with_logits(logits["presence"][..., 0], batch["presence"], reduction="none")
    found["presence"] = _mean(raw, weight)
    for k, (name, counted) in enumerate((("shape", shaped), ("colour", coloured), ("size", shaped))):
        raw = F.cross_entropy(logits[name].flatten(0, 1), batch["attributes"][..., k].flatten(), reduction="none")
        found[name] = _mean(raw, counted.flatten())
    striped = batch["attributes"][..., 3].float()
    raw = F.binary_cross_entropy_with_logits(logits["striped"][..., 0], striped, reduction="none")
    found["striped"] = _mean(raw, shaped)
    error = ((logits["offset"] - batch["offset"] / (CELL_PX / 2)) ** 2).sum(-1)
    found["offset"] = _mean(error, shaped)
    raw = F.cross_entropy(logits["background"], batch["background"], reduction="none")
    found["background"] = _mean(raw, batch["colour_known"])
    is_known = ~batch["quality"].isnan()
    quality = batch["quality"].nan_to_num(0.0)
    raw = F.binary_cross_entropy_with_logits(logits["quality"], quality, reduction="none")
    found["quality"] = _mean(raw, is_known.float())
    return found


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def schedule(step: int, steps: int, peak: float) -> float:
    """Learning rate of a step: linear rise over the first tenth, cosine to a hundredth of the peak."""
    rise = max(1, steps // 10)
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


def fit(network: CellNetwork, settings: Settings, *, verbose: bool = True) -> float:
    """Trains `network` in place and leaves the averaged weights in it; returns CPU seconds."""
    rng = seeds.numpy_generator(settings.train_seed, f"{settings.purpose}-corpus")
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay, betas=(0.9, 0.98))
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema_decay),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    started = time.process_time()
    network.train()
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, settings.steps, settings.lr)
        batch = as_tensors(draw(rng, settings.batch_size))
        parts = losses(network(batch["pictures"]), batch)
        loss = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(network)
        if verbose and (step % 200 == 0 or step == settings.steps - 1):
            line = " ".join(f"{k} {v.item():.3f}" for k, v in parts.items())
            print(f"step {step} {time.process_time() - started:.0f} s: {line}", flush=True)
    network.load_state_dict(average.module.state_dict())
    network.eval()
    return time.process_time() - started


def new_network(settings: Settings) -> CellNetwork:
    """A network with its first weights; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(settings.train_seed, f"{settings.purpose}-weights") % 2**63)
        return CellNetwork()


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves, evaluates on the benchmark split and writes the card."""
    from harness.judges.micro_cnn.evaluate import evaluate, write_card

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    defaults = Settings()
    for name in ("train_seed", "steps", "batch_size", "lr"):
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help="folder of the weights")
    options = vars(parser.parse_args(arguments))
    out: Path = options.pop("out")
    settings = Settings(**options)
    torch.set_num_threads(1)
    network = new_network(settings)
    seconds = fit(network, settings)
    training: dict[str, Any] = {
        "command": "python -m harness.judges.micro_cnn.train",
        "settings": asdict(settings),
        "pictures": settings.steps * settings.batch_size,
        "cpu_seconds": round(seconds, 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    manifest = storage.save(out, "micro-cnn", network.state_dict(), training)
    manifest["scores"] = evaluate(out)
    storage.write_manifest(out, manifest)
    write_card(out, manifest)
    print(f"{out}: {manifest['parameters']:,} parameters, {seconds / 60:.1f} CPU minutes")


if __name__ == "__main__":
    main()
