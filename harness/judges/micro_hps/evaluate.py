"""How often the preference scorer ranks two pictures of a benchmark prompt rightly, and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import seeds
from harness.images import write_atomic
from harness.judges.micro_cnn import storage
from harness.judges.micro_hps.network import PreferenceNetwork, token_ids
from harness.judges.micro_hps.pairs import GROUP, draw, prompt_text

N_PROMPTS = 1000


def load_network(folder: Path) -> PreferenceNetwork:
    """The stored network in evaluation mode.

    Raises:
        JudgeError: see `storage.load`.
    """
    state, _ = storage.load(folder, "micro-hps")
    network = PreferenceNetwork()
    network.load_state_dict(state, strict=False)
    return network.eval()


def evaluate(folder: Path, n: int = N_PROMPTS) -> dict[str, dict[str, float]]:
    """Pairwise accuracy and number of pairs by kind of pair, on benchmark prompts.

    `all pairs`: any two pictures of a prompt with different merits, 40 % of them damaged. `one fact`: a right picture
    against one with one wrong fact, both clean. `other prompt`: against a clean picture of another prompt. `damage`:
    two right pictures, one of them damaged.
    """
    network = load_network(folder)
    rng = seeds.numpy_generator(0, "micro-hps-bench")
    scores: dict[str, dict[str, float]] = {}
    for damaged in (0.4, 0.0):
        choices = draw(rng, n, split="bench", damaged=damaged)
        given = score_groups(network, choices.pictures, [prompt_text(rng, spec) for spec in choices.specs])
        better = choices.merit[:, :, None] - choices.merit[:, None] > 1e-9
        right = given[:, :, None] > given[:, None]
        how = np.array(choices.how)
        if damaged:
            both_right = (how == "right")[:, :, None] & (how == "right")[:, None]
            scores["all pairs"] = _share(right, better)
            scores["damage"] = _share(right, better & both_right)
        else:
            for name in ("one fact", "other prompt"):
                pair = (how == "right")[:, :, None] & (how == name)[:, None]
                scores[name] = _share(right, better & pair)
    return scores


def score_groups(network: PreferenceNetwork, pictures: np.ndarray, prompts: list[str]) -> np.ndarray:
    """(N, GROUP) scores of (N, GROUP, 48, 48, 3) pictures for N prompts."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(prompts), 32):
            part = torch.from_numpy(pictures[start : start + 32]).flatten(0, 1)
            ids = token_ids(prompts[start : start + 32]).repeat_interleave(GROUP, 0)
            found.append(network(part, ids).view(-1, GROUP).numpy())
    return np.concatenate(found)


def _share(right: np.ndarray, counted: np.ndarray) -> dict[str, float]:
    return {"accuracy": round(float(right[counted].mean()), 4), "pairs": int(counted.sum())}


_CARD = """# Preference scorer of the micro world

A network of {parameters:,} parameters ({bytes:,} bytes) that gives a picture and a prompt one number: higher is
preferred. It plays the part that HPSv3 or PickScore play for real pictures: a holistic learned reward, right often but
not always, without a scale of its own (only differences for one prompt mean something).

World version `{world}`; sha256 of the weights `{sha256}`.

## Training

`{command}`: {minutes:.1f} CPU minutes on one thread, seed {train_seed}.
Its eye is a smaller copy of the network of judge `micro-cnn`, trained in the same way from other first weights and
other pictures ({eye_steps:,} steps); then words and transformer learn from synthetic preferences, {steps:,} steps of
{batch_size} prompts ({prompts:,} distinct, four pictures each, training split). An annotator prefers by facts shown and
cleanliness with logistic noise, and errs outright in 5 % of the pairs; the loss is Bradley-Terry.

## Scores

Share of pairs in which the better picture gets the higher score, {n} prompts of the benchmark split:

| pairs | n | accuracy |
|---|---|---|
{table}

`one fact`: a right picture against one with a single wrong fact, both clean. `other prompt`: a right picture against
one of another prompt. `damage`: two right pictures, one damaged. `all pairs`: any two with different merits.

## Limits

It knows the words, shapes and colours of the micro world; prompts are cut at 128 words. As a reward it can be gamed.
"""


def write_card(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the model card from a manifest that holds scores."""
    training, scores = manifest["training"], manifest["scores"]
    text = _CARD.format(
        **{k: manifest[k] for k in ("parameters", "world", "sha256")},
        **{k: training["settings"][k] for k in ("steps", "eye_steps", "batch_size", "prompts", "train_seed")},
        command=training["command"],
        bytes=(folder / storage.WEIGHTS).stat().st_size,
        minutes=training["cpu_seconds"] / 60,
        n=f"{N_PROMPTS:,}",
        table="\n".join(f"| {name} | {row['pairs']:,} | {row['accuracy']:.3f} |" for name, row in scores.items()),
    )
    write_atomic(folder / storage.CARD, text.encode())
