"""The model card of a pretrained checkpoint, written from its manifest and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIALS = ("caption_noise", "image_noise", "degraded_images", "unknown_words", "indirect")

_TEXT = """# Micro unified model

A transformer of {parameters:,} parameters (width {width}, {layers} layers) that reads prompts and pictures of the micro
world, writes a plan or a diagnosis in words, and draws 48x48 pictures by flow matching. Text and clean pictures pass
through an understanding expert, noisy pictures through a generation expert; attention is shared.

World version `{world}`; fingerprint `{fingerprint}`.

## Training

`python run.py train micro-pretrain` with seed {seed}: {steps} steps, {cpu_minutes:.1f} CPU minutes of {threads} thread.
{samples:,} examples from the training split of the grammar. Prompts, edits and colour-shape combinations of the
benchmark split do not occur.

The corpus is noisy on purpose; these dials bound what the model can learn to do:

| dial | value |
|---|---|
{dials}

`caption_noise` is the share of scenes with one fact that contradicts their prompt, `image_noise` the share of pictures
with one fact that contradicts their plan. The model learns these errors with everything else.

## Scores

{n} prompts of the benchmark split, temperature 1, 10 sampling steps, no guidance. Read by the scene parser; a picture
is right when every fact of its prompt holds and nothing surplus is in it.

{scores}

## Limits

It knows the words and shapes of the micro world and nothing else; unknown words are read as one unknown word.
Its absolute scores say nothing about other models; they are a test bed for benchmarks, judges and trainers.
"""


def card(manifest: Mapping[str, Any], scores: Mapping[str, Mapping[str, float]], n: int, notes: str = "") -> str:
    """The card's Markdown text.

    Args:
        scores: as `evaluate` returns them; empty when the run was not evaluated.
        n: prompts of the evaluation.
        notes: further sections.
    """
    training = manifest["training"]
    config = training["config"]
    text = _TEXT.format(
        parameters=manifest["parameters"],
        width=config["width"],
        layers=config["layers"],
        world=manifest["world"],
        fingerprint=manifest["fingerprint"],
        seed=config["seed"],
        steps=training["steps"],
        cpu_minutes=training["cpu_seconds"] / 60,
        threads=config["threads"],
        samples=training["steps"] * config["batch_size"],
        dials="\n".join(f"| {name} | {config[name]:g} |" for name in _DIALS),
        n=n,
        scores=_table(scores) if scores else "Not evaluated.",
    )
    return text + (f"\n{notes.strip()}\n" if notes else "")


def _table(scores: Mapping[str, Mapping[str, float]]) -> str:
    rows = [f"| {part} | {name} | {value:.3f} |" for part, values in scores.items() for name, value in values.items()]
    return "\n".join(["| part | measure | value |", "|---|---|---|", *rows])
