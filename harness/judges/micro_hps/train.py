"""Trains the preference scorer from nothing: `python -m harness.judges.micro_hps.train` writes the shipped folder.

First its eye, as the learned judge is trained (`micro_cnn.train`, other random numbers, a smaller network), then, with
the eye fixed, words and transformer on synthetic preferences (`pairs`) with the Bradley-Terry loss: the mean of
-log sigmoid(score of the preferred picture - score of the other). One thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import seeds
from harness.judges.micro_cnn import storage
from harness.judges.micro_cnn.train import Settings as EyeSettings
from harness.judges.micro_cnn.train import fit as fit_eye
from harness.judges.micro_cnn.train import schedule
from harness.judges.micro_hps.network import PreferenceNetwork, token_ids
from harness.judges.micro_hps.pairs import GROUP, draw, preferences, prompt_text
from harness.world.grammar import Spec
from harness.world.vocabulary import words_of

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the training depends on."""

    train_seed: int = 0
    eye_steps: int = 1200
    prompts: int = 12_000
    """Distinct prompts, four pictures each; every round spells them anew."""
    steps: int = 2200
    batch_size: int = 32
    """Prompts per step."""
    lr: float = 3e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.995


def bradley_terry(scores: Tensor, preferred: Tensor) -> Tensor:
    """Mean of -log sigmoid(s_i - s_j) over all pairs of one group, i preferred to j.

    Args:
        scores: (N, G) float.
        preferred: (N, G, G) 0 or 1, `preferred[n, i, j] + preferred[n, j, i] == 1` off the diagonal.

    Source: Bradley and Terry 1952; as a loss for reward models Ouyang et al. 2022, equation 1.
    """
    margin = scores[:, :, None] - scores[:, None, :]
    n_pairs = scores.shape[0] * scores.shape[1] * (scores.shape[1] - 1) / 2
    return -(F.logsigmoid(margin) * preferred).sum() / n_pairs


@dataclass(frozen=True)
class Pool:
    """Prompts with four pictures each, as the eye reads them."""

    specs: list[Spec]
    seen: dict[str, Tensor]
    """Of `PreferenceNetwork.see`, each (N, 4, ...)."""
    merit: np.ndarray
    """(N, 4)."""


def look(network: PreferenceNetwork, rng: np.random.Generator, n: int) -> Pool:
    """Draws `n` prompts with pictures and lets the eye read them."""
    specs: list[Spec] = []
    seen: list[dict[str, Tensor]] = []
    merit = []
    while len(specs) < n:
        choices = draw(rng, min(64, n - len(specs)))
        specs += choices.specs
        merit.append(choices.merit)
        seen.append(network.see(torch.from_numpy(choices.pictures).flatten(0, 1)))
    joined = {k: torch.cat([s[k] for s in seen]).reshape(n, GROUP, *seen[0][k].shape[1:]) for k in seen[0]}
    return Pool(specs, joined, np.concatenate(merit))


def batches(rng: np.random.Generator, pool: Pool, settings: Settings) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Endless (indices, word ids); every prompt once per round in fresh words, prompts of similar length together."""
    size = settings.batch_size
    while True:
        order = rng.permutation(len(pool.specs))
        for start in range(0, len(order), 8 * size):
            chosen = order[start : start + 8 * size]
            texts = [prompt_text(rng, pool.specs[i]) for i in chosen]
            by_length = np.argsort([len(words_of(t)) for t in texts], kind="stable")
            parts = [by_length[i : i + size] for i in range(0, len(by_length), size)]
            for k in rng.permutation(len(parts)):
                yield chosen[parts[k]], token_ids([texts[i] for i in parts[k]])


def fit(network: PreferenceNetwork, settings: Settings, *, verbose: bool = True) -> float:
    """Trains all but the eye in place and leaves averaged weights; returns CPU seconds."""
    started = time.process_time()
    rng = seeds.numpy_generator(settings.train_seed, "micro-hps-pairs")
    pool = look(network, rng, settings.prompts)
    trained = [p for name, p in network.named_parameters() if not name.startswith("eye.")]
    optimiser = torch.optim.AdamW(trained, weight_decay=settings.weight_decay, betas=(0.9, 0.98))
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.ema_decay),  # type: ignore[no-untyped-call]
    )
    recent: list[float] = []
    for step, (rows, ids) in zip(range(settings.steps), batches(rng, pool, settings), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, settings.steps, settings.lr)
        seen = {k: v[rows].flatten(0, 1) for k, v in pool.seen.items()}
        scores = network.score(seen, ids.repeat_interleave(GROUP, 0)).view(-1, GROUP)
        loss = bradley_terry(scores, torch.from_numpy(preferences(rng, pool.merit[rows])).float())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        average.update_parameters(network)
        recent.append(pairwise_accuracy(scores.detach().numpy(), pool.merit[rows]))
        if verbose and (step % 100 == 0 or step == settings.steps - 1):
            seconds = time.process_time() - started
            print(f"step {step} {seconds:.0f} s: loss {loss.item():.3f} pairs {np.mean(recent[-100:]):.3f}", flush=True)
    network.load_state_dict(average.module.state_dict())
    network.eval()
    return time.process_time() - started


def pairwise_accuracy(scores: np.ndarray, merit: np.ndarray) -> float:
    """Share of pairs of one group with different merits in which the better picture has the higher score."""
    apart = (merit[:, :, None] - merit[:, None]) > 1e-9
    return float(((scores[:, :, None] > scores[:, None]) & apart).sum() / max(1, apart.sum()))


def new_network(settings: Settings) -> PreferenceNetwork:
    """A network with its first weights; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(settings.train_seed, "micro-hps-weights") % 2**63)
        return PreferenceNetwork()


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves, evaluates on the benchmark split and writes the card."""
    from harness.judges.micro_hps.evaluate import evaluate, write_card

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    defaults = Settings()
    for name in ("train_seed", "eye_steps", "steps", "batch_size", "lr"):
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help="folder of the weights")
    options = vars(parser.parse_args(arguments))
    out: Path = options.pop("out")
    settings = Settings(**options)
    torch.set_num_threads(1)
    network = new_network(settings)
    eye = EyeSettings(train_seed=settings.train_seed, steps=settings.eye_steps, purpose="micro-hps-eye")
    seconds = fit_eye(network.eye, eye)
    seconds += fit(network, settings)
    training: dict[str, Any] = {
        "command": "python -m harness.judges.micro_hps.train",
        "settings": asdict(settings),
        "cpu_seconds": round(seconds, 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    manifest = storage.save(out, "micro-hps", network.state_dict(), training)
    manifest["scores"] = evaluate(out)
    storage.write_manifest(out, manifest)
    write_card(out, manifest)
    print(f"{out}: {manifest['parameters']:,} parameters, {seconds / 60:.1f} CPU minutes")


if __name__ == "__main__":
    main()
