"""How good the learned judge is on pictures of the benchmark split, and its card."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness import seeds
from harness.images import write_atomic
from harness.judges.micro_cnn import storage
from harness.judges.micro_cnn.corpus import Labelled, of_scenes, prompted_scene
from harness.judges.micro_cnn.network import CellNetwork
from harness.judges.micro_cnn.reader import Perceiver, answer
from harness.stats import calibration_error
from harness.world.grammar import Fact, holds, question_graph, question_text
from harness.world.scene import Scene
from harness.world.verifier import QUALITY_QUESTIONS

N_PROMPTS = 1000


def load_perceiver(folder: Path) -> Perceiver:
    """The network stored in a folder, ready to look.

    Raises:
        JudgeError: see `storage.load`.
    """
    state, _ = storage.load(folder, "micro-cnn")
    return Perceiver(network_of(state))


def network_of(state: Mapping[str, Any]) -> CellNetwork:
    """A network with the given float weights, in evaluation mode."""
    network = CellNetwork()
    network.load_state_dict(dict(state), strict=False)
    return network.eval()


def bench_cases(n: int, *, split_seed: int = 0) -> list[tuple[Scene, list[Fact]]]:
    """`n` scenes of benchmark prompts with the prompts' facts; one scene in three has one wrong fact."""
    rng = seeds.numpy_generator(split_seed, "micro-cnn-bench")
    cases = []
    for _ in range(n):
        spec, scene, _ = prompted_scene(rng, "bench")
        cases.append((scene, [node.fact for node in question_graph(spec)]))
    return cases


def evaluate(folder: Path, n: int = N_PROMPTS) -> dict[str, Any]:
    """Accuracy by kind of question and calibration, on clean and on damaged pictures of benchmark prompts.

    Truth is the drawn scene (and, for quality, the damage), never a parse.
    """
    perceiver = load_perceiver(folder)
    cases = bench_cases(n)
    rng = seeds.numpy_generator(0, "micro-cnn-bench-pictures")
    scores = {}
    for name, shares in {"clean": (1.0, 0.0, 0.0), "damaged": (0.0, 0.6, 0.4)}.items():
        labelled = of_scenes(rng, [scene for scene, _ in cases], shares=shares)
        scores[name] = _scores(perceiver, cases, labelled)
    return scores


def _scores(perceiver: Perceiver, cases: list[tuple[Scene, list[Fact]]], labelled: Labelled) -> dict[str, Any]:
    rows: dict[str, list[tuple[float, bool, int]]] = defaultdict(list)
    for i, ((scene, facts), seen) in enumerate(zip(cases, perceiver(labelled.pictures), strict=True)):
        # What is hidden or doubtful in a damaged picture has no right answer.
        if labelled.weight[i].all() and labelled.shape_known[i]:
            for fact in dict.fromkeys(facts):
                if fact.kind == "background" and labelled.background[i] != scene.background:
                    continue
                rows[fact.kind].append((answer(seen, question_text(fact)), holds(scene, fact), i))
        for k, text in enumerate(QUALITY_QUESTIONS.values()):
            if not np.isnan(labelled.quality[i, k]):
                rows["quality"].append((answer(seen, text), bool(labelled.quality[i, k]), i))
    everything = [row for found in rows.values() for row in found]
    groups = {kind: rows[kind] for kind in sorted(rows)}
    groups |= {"all facts": [row for kind in rows if kind != "quality" for row in rows[kind]], "all": everything}
    p, y, prompt = (np.array(v, float) for v in zip(*everything, strict=True))
    error = calibration_error(p, y, clusters=prompt)
    return {
        "accuracy": {kind: _accuracy(found) for kind, found in groups.items()},
        "n": {kind: len(found) for kind, found in groups.items()},
        "calibration_rms": round(error.rms or 0.0, 4),
        "calibration_interval": [round(error.low or 0.0, 4), round(error.high or 0.0, 4)],
    }


def _accuracy(rows: list[tuple[float, bool, int]]) -> float | None:
    return None if not rows else round(float(np.mean([(p > 0.5) == y for p, y, _ in rows])), 4)


_CARD = """# Learned judge of the micro world

A convolutional network of {parameters:,} parameters ({bytes:,} bytes). It reads every cell of a 48x48 picture (is there
an object, of which shape, colour, size and texture, where exactly), the background and seven qualities; questions are
answered from these readings by probability. It shares no code of perception with the exact verifier (judge `micro`),
so evaluations judged by it are held out from trainings rewarded by that verifier.

World version `{world}`; sha256 of the weights `{sha256}`.

## Training

`{command}`: {steps} steps of {batch_size} fresh pictures ({pictures:,} in all), {minutes:.1f} CPU minutes on one
thread, seed {train_seed}. Scenes of the training split (layouts of prompts, one third of them with one wrong fact) and
random scenes, none with a held-out combination of colour and shape. About 40 % of the pictures are clean, 35 % damaged
(`harness.world.degrade`), 21 % broken (cut, blended, shifted, badly lit, torn), 4 % show no scene; one in five is shown
in exchanged colours, without labels of colour, so that shapes are not tied to the colours they came in. Labels come
from the drawn scene and from comparing damaged with clean pixels.

## Scores

{n} prompts of the benchmark split, a third of the pictures with one wrong fact; share of questions answered right
(P(yes) above 0.5 against the truth of the drawn scene). Damaged: 60 % degraded, 40 % broken pictures of the same
scenes. One object in seven shows a held-out combination of colour and shape, which training never showed.

| questions | n | clean | damaged |
|---|---|---|---|
{table}

Calibration error (root mean square, 95 % interval): clean {clean}, damaged {damaged}.

## Limits

It knows the micro world only: one object per cell of the 3x3 grid, the palette and the shapes of this world version.
An object between two cells is read as one of them or both. On pictures unlike its training (photographs, text) its
answers mean nothing.
"""


def write_card(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the model card from a manifest that holds scores."""
    training, scores = manifest["training"], manifest["scores"]
    clean, damaged = scores["clean"], scores["damaged"]
    rows = [
        f"| {kind} | {clean['n'][kind]:,} | {clean['accuracy'][kind]:.3f} | {damaged['accuracy'][kind]:.3f} |"
        for kind in clean["accuracy"]
        if kind in damaged["accuracy"]
    ]
    errors = {
        name: "{:.3f} [{:.3f}, {:.3f}]".format(s["calibration_rms"], *s["calibration_interval"])
        for name, s in scores.items()
    }
    text = _CARD.format(
        **{k: manifest[k] for k in ("parameters", "world", "sha256")},
        **{k: training[k] for k in ("command", "pictures")},
        **{k: training["settings"][k] for k in ("steps", "batch_size", "train_seed")},
        bytes=(folder / storage.WEIGHTS).stat().st_size,
        minutes=training["cpu_seconds"] / 60,
        n=f"{N_PROMPTS:,}",
        table="\n".join(rows),
        **errors,
    )
    write_atomic(folder / storage.CARD, text.encode())
