"""Calibrates the verifier's noise to a published judge: prints what `harness/world/noise_models.yaml` holds.

    python -m bench.noise [--target 0.560] [--temperature 3.0] [-n 1024]

Pictures of the shipped micro model for prompts of the benchmark split; truth is the share of a prompt's semantic
questions that the exact verifier answers with yes, and the noisy score the mean of the noisy answers. The deviation of
the noise is chosen so that the Spearman correlation of the two over pictures is the one of the published judge with
people. Nothing is trained here, and no sweep's result enters.
"""

import argparse

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from harness.decompose.micro import draw
from harness.images import ref_of_image
from harness.models.base import Request
from harness.models.load import load_policy
from harness.world.noise import NoiseModel
from harness.world.parse import perceive
from harness.world.verifier import answer


def clean_answers(n: int) -> list[tuple[str, list[tuple[str, float]]]]:
    """Per picture its id and the exact P(yes) of each semantic question."""
    policy = load_policy("micro")
    drawn = [draw(2026, i, split="bench").prompt for i in range(n)]
    found = []
    for start in range(0, n, 64):
        batch = drawn[start : start + 64]
        requests = [Request(items=(p.text,), seed=start + i) for i, p in enumerate(batch)]
        pictures = [np.asarray(s.image) for s in policy.generate(requests)]
        for prompt, array, seen in zip(batch, pictures, perceive(np.stack(pictures)), strict=True):
            questions = [q["question"] for q in prompt.meta["semantic_questions"]]
            found.append((ref_of_image(Image.fromarray(array)).id, [(q, float(answer(seen, q))) for q in questions]))
    policy.close()
    return found


def correlation(pictures: list[tuple[str, list[tuple[str, float]]]], noise: NoiseModel) -> tuple[float, float]:
    """Spearman over pictures between truth and noisy score, and the share of answers that change sides."""
    truth = [np.mean([p > 0.5 for _, p in own]) for _, own in pictures]
    noisy = [[noise.answer(p, image, q) for q, p in own] for image, own in pictures]
    turned = [(a > 0.5) != (p > 0.5) for own, (_, clean) in zip(noisy, pictures, strict=True)
              for a, (_, p) in zip(own, clean, strict=True)]  # fmt: skip
    return float(spearmanr(truth, [np.mean(x) for x in noisy]).statistic), float(np.mean(turned))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=float, default=0.560)
    parser.add_argument("--temperature", type=float, default=3.0)
    parser.add_argument("-n", type=int, default=1024)
    options = parser.parse_args()
    pictures = clean_answers(options.n)
    low, high = 0.0, 40.0
    while high - low > 0.01:
        middle = (low + high) / 2
        rho, _ = correlation(pictures, NoiseModel(temperature=options.temperature, jitter=middle))
        low, high = (middle, high) if rho > options.target else (low, middle)
    for jitter in (0.0, round(high, 1)):
        rho, turned = correlation(pictures, NoiseModel(temperature=options.temperature, jitter=jitter))
        print(f"temperature {options.temperature}, jitter {jitter}: Spearman {rho:.3f}, answers turned {turned:.3f}")


if __name__ == "__main__":
    main()
