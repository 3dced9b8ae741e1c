"""What reinforcement learning did to the micro model: base against trained seeds on held-out prompts.

    python bench/learning.py --base micro --arm rt2i=RUNS/s0,RUNS/s1,... [--arm placebo=...] -o DIR [--work DIR]

Every checkpoint draws the same prompts with the same generation seeds as the base. Measured: "all right" on 1,024
held-out prompts (every fact of the prompt holds, nothing surplus is there; read by the scene parser), and the headline
of the five micro benchmarks (one image per prompt), judged by the exact verifier and again, on the same pictures, by
`micro-cnn`, which trained nothing.
The test over training seeds is the exact sign-flip of the per-seed differences; Holm corrects over the five benchmarks.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate
from harness.models.load import load_policy
from harness.progress import Silent
from harness.stats.exact import sign_flip, sign_flip_interval
from harness.stats.multiplicity import holm
from reports.plots import learning_curves

BENCHMARKS = {
    "geneval": "overall",
    "tiif": "overall/long",
    "dpg": "overall",
    "wise": "overall/official",
    "gedit": "overall/O",
}
JUDGES = ("micro", "micro-cnn")
N_PROMPTS, EVAL_SEED = 1024, 5


def measure(spec: str, work: Path) -> dict[str, float]:
    """All numbers of one checkpoint; kept in `work`, so that a repeated call costs nothing."""
    store = work / "numbers.json"
    if store.is_file():
        return json.loads(store.read_text())
    import torch

    from trainers.pretrain.evaluate import text_to_image

    torch.set_num_threads(1)
    found: dict[str, float] = {}
    shares = text_to_image(load_policy(spec), N_PROMPTS, seed=EVAL_SEED)
    for key in ("all_right", "plan_right", "plan_well_formed"):
        found[key] = shares[key]
    for judge in JUDGES:
        config = EvalConfig(
            models=[spec],
            benchmarks=list(BENCHMARKS),
            judge=judge,
            threads=1,
            samples_per_prompt=1,
            out=str(work / judge),
        )
        if judge != JUDGES[0]:  # the same pictures
            config = EvalConfig(
                models=[f"stored:{work / JUDGES[0]}"], benchmarks=list(BENCHMARKS), judge=judge, threads=1,
                samples_per_prompt=1, out=str(work / judge),
            )  # fmt: skip
        summary = evaluate(config, config.models[0], Silent()).summary
        for name, key in BENCHMARKS.items():
            found[f"{judge}/{name}"] = summary["benchmarks"][name]["values"][key]["value"]
    work.mkdir(parents=True, exist_ok=True)
    store.write_text(json.dumps(found, indent=2) + "\n")
    return found


def table(base: dict[str, float], seeds: list[dict[str, float]]) -> list[str]:
    """Markdown rows: base, mean over seeds, difference with the exact interval, p, and Holm's p within a family."""
    families = [["all_right", "plan_right"], *[[f"{j}/{b}" for b in BENCHMARKS] for j in JUDGES]]
    rows = [
        "| measure | base | trained, mean of seeds | difference | 95 % interval | p | p (Holm) | each seed |",
        "|" + "---|" * 8,
    ]
    for family in families:
        tests = {k: sign_flip([s[k] - base[k] for s in seeds]) for k in family}
        adjusted = dict(zip(family, holm([t.p for t in tests.values()]), strict=True)) if len(family) == 5 else {}
        for key in family:
            d = [s[key] - base[key] for s in seeds]
            interval = sign_flip_interval(d)
            each = ", ".join(f"{x:+.3f}" for x in d)
            corrected = f"{adjusted[key]:.4f}" if key in adjusted else ""
            mean = float(np.mean([s[key] for s in seeds]))
            rows.append(
                f"| {key} | {base[key]:.3f} | {mean:.3f} | {np.mean(d):+.3f} | {interval.low:+.3f} to "
                f"{interval.high:+.3f} | {tests[key].p:.4f} | {corrected} | {each} |"
            )
    return rows


PANELS = {
    "reward/mean": "DVReward of the step's samples",
    "reward_part/dvreward/all_yes": "all questions answered yes",
    "health/text_entropy": "entropy of the plan's words, nats",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="micro")
    parser.add_argument("--arm", action="append", required=True, metavar="NAME=CHECKPOINT,...")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/learning"))
    options = parser.parse_args()
    base = measure(options.base, options.work / "base")
    lines: list[str] = []
    arms: dict[str, list[str]] = {}
    numbers: dict[str, object] = {"base": base}
    for arm in options.arm:
        name, _, specs = arm.partition("=")
        arms[name] = specs.split(",")
        seeds = [measure(spec, options.work / f"{name}-{i}") for i, spec in enumerate(arms[name])]
        numbers[name] = seeds
        lines += [f"## {name}: {len(seeds)} training seeds", "", *table(base, seeds), ""]
        print("\n".join(lines), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    learning_curves(
        {name: [Path(f) for f in folders] for name, folders in arms.items()}, PANELS, options.out / "curves"
    )
    (options.out / "numbers.json").write_text(json.dumps(numbers, indent=2) + "\n")
    (options.out / "tables.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
