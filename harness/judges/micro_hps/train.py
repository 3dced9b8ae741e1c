"""Trains the preference scorer from nothing: `python -m harness.judges.micro_hps.train` writes the shipped folder.

First its eye, as the learned judge is trained (`micro_cnn.train`, other random numbers, a smaller network), then, with
the eye fixed, words and transformer on synthetic preferences (`pairs`) with the Bradley-Terry loss: the mean of
-log sigmoid(score of the preferred picture - score of the other). One thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from harness import seeds
from harness.judges.micro_cnn.fitting import AveragedAdamW, parse, publish, seeded
from harness.judges.micro_cnn.train import Settings as EyeSettings
from harness.judges.micro_cnn.train import fit as fit_eye
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
    updates = AveragedAdamW(
        network,
        trained,
        steps=settings.steps,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        ema_decay=settings.ema_decay,
        with_buffers=False,
    )
    recent: list[float] = []
    for step, (rows, ids) in zip(range(settings.steps), batches(rng, pool, settings), strict=False):
        seen = {k: v[rows].flatten(0, 1) for k, v in pool.seen.items()}
        scores = network.score(seen, ids.repeat_interleave(GROUP, 0)).view(-1, GROUP)
        loss = bradley_terry(scores, torch.from_numpy(preferences(rng, pool.merit[rows])).float())
        updates.step(step, loss)
        recent.append(pairwise_accuracy(scores.detach().numpy(), pool.merit[rows]))
        if verbose and (step % 100 == 0 or step == settings.steps - 1):
            seconds = time.process_time() - started
            print(f"step {step} {seconds:.0f} s: loss {loss.item():.3f} pairs {np.mean(recent[-100:]):.3f}", flush=True)
    updates.finish()
    return time.process_time() - started


def pairwise_accuracy(scores: np.ndarray, merit: np.ndarray) -> float:
    """Share of pairs of one group with different merits in which the better picture has the higher score."""
    apart = (merit[:, :, None] - merit[:, None]) > 1e-9
    return float(((scores[:, :, None] > scores[:, None]) & apart).sum() / max(1, apart.sum()))


def new_network(settings: Settings) -> PreferenceNetwork:
    """A network with its first weights."""
    return seeded(PreferenceNetwork, settings.train_seed, "micro-hps")


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves, evaluates on the benchmark split and writes the card."""
    from harness.judges.micro_hps.evaluate import evaluate, write_card

    names = ("train_seed", "eye_steps", "steps", "batch_size", "lr")
    settings, out = parse(Settings(), names, __doc__, FOLDER, arguments)
    torch.set_num_threads(1)
    network = new_network(settings)
    eye = EyeSettings(train_seed=settings.train_seed, steps=settings.eye_steps, purpose="micro-hps-eye")
    seconds = fit_eye(network.eye, eye)
    seconds += fit(network, settings)
    publish(out, "micro-hps", network, settings, seconds, evaluate, write_card)


if __name__ == "__main__":
    main()
