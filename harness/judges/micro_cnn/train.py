"""Trains the learned judge from nothing: `python -m harness.judges.micro_cnn.train` writes the shipped folder.

Fresh pictures in every step (`corpus.draw`), cross-entropy on every part, a one-cycle learning rate, averaged weights.
One thread; the same command gives the same weights on the same machine and library versions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from harness import seeds
from harness.judges.micro_cnn.corpus import Labelled, draw
from harness.judges.micro_cnn.fitting import AveragedAdamW, parse, publish, seeded
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


def fit(network: CellNetwork, settings: Settings, *, verbose: bool = True) -> float:
    """Trains `network` in place and leaves the averaged weights in it; returns CPU seconds."""
    rng = seeds.numpy_generator(settings.train_seed, f"{settings.purpose}-corpus")
    updates = AveragedAdamW(
        network,
        list(network.parameters()),
        steps=settings.steps,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        ema_decay=settings.ema_decay,
        with_buffers=True,
    )
    started = time.process_time()
    network.train()
    for step in range(settings.steps):
        batch = as_tensors(draw(rng, settings.batch_size))
        parts = losses(network(batch["pictures"]), batch)
        updates.step(step, torch.stack(list(parts.values())).sum())
        if verbose and (step % 200 == 0 or step == settings.steps - 1):
            line = " ".join(f"{k} {v.item():.3f}" for k, v in parts.items())
            print(f"step {step} {time.process_time() - started:.0f} s: {line}", flush=True)
    updates.finish()
    return time.process_time() - started


def new_network(settings: Settings) -> CellNetwork:
    """A network with its first weights."""
    return seeded(CellNetwork, settings.train_seed, settings.purpose)


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves, evaluates on the benchmark split and writes the card."""
    from harness.judges.micro_cnn.evaluate import evaluate, write_card

    settings, out = parse(Settings(), ("train_seed", "steps", "batch_size", "lr"), __doc__, FOLDER, arguments)
    torch.set_num_threads(1)
    network = new_network(settings)
    seconds = fit(network, settings)
    pictures = settings.steps * settings.batch_size
    publish(out, "micro-cnn", network, settings, seconds, evaluate, write_card, pictures=pictures)


if __name__ == "__main__":
    main()
