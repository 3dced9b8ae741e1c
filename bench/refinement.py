"""Does refining at inference help, and does FPR change that? Every gate beside its control, over training seeds.

    python -m bench.refinement SWEEP/results/refined [--metric overall] [-o DIR]

Reads the evaluations of a sweep that were made with `reflect` (`run.py sweep fpr`). All checkpoints draw the same
prompts, so differences are paired by training seed; tests are exact sign-flips, about new seeds on these prompts. Where
a difference is not shown, the number of seeds is printed with which one of the observed size and spread would be found
with 80 % power at two-sided 0.05.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from harness.stats import sign_flip, sign_flip_interval
from harness.stats.distributions import t_quantile
from harness.stats.multiplicity import holm

MOST_SEEDS = 10_000


def numbers(run: Path, benchmark: str, metric: str) -> dict[str, float]:
    """`first`, and by gate the value with refinements and with fresh samples in their place (the control)."""
    block = json.loads((run / "summary.json").read_text())["benchmarks"][benchmark]["refinement"]
    found = {"first": block["base"][metric]["value"]}
    for row in block["rows"]:
        name = row["gate"] if row["arm"] == "refine" else f"{row['gate']} control"
        found[name] = row["values"][metric]["value"]
        if row["arm"] == "refine":
            found[f"{row['gate']} refined"] = row["n_accepted"] / block["n_samples"]
    return found


def seeds_to_show(differences: np.ndarray) -> int | None:
    """Paired seeds with which a difference of this mean and deviation is found with 80 % power; None: too many."""
    d, sd = abs(float(differences.mean())), float(differences.std(ddof=1))
    if sd == 0:
        return None
    for n in range(3, MOST_SEEDS):
        if d * n**0.5 / sd >= float(t_quantile(0.975, n - 1) + t_quantile(0.8, n - 1)):
            return n
    return None


def line(name: str, d: np.ndarray, adjusted: float | None = None) -> str:
    """A row of a table: mean difference, its interval, p, and what would decide it."""
    test, interval = sign_flip(d), sign_flip_interval(d)
    p = test.p if adjusted is None else adjusted
    need = "" if p <= 0.05 else (lambda n: f"more than {MOST_SEEDS:,}" if n is None else f"{n:,}")(seeds_to_show(d))
    each = ", ".join(f"{x:+.3f}" for x in d)
    extra = "" if adjusted is None else f" {adjusted:.4f} |"
    limits = f"{interval.low:+.4f} to {interval.high:+.4f}"
    return f"| {name} | {d.mean():+.4f} | {limits} | {test.p:.4f} |{extra} {need} | {each} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--benchmark", default="geneval")
    parser.add_argument("--metric", default="overall")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    index = json.loads((options.folder / "sweep.json").read_text())
    arms = {
        name: [numbers(options.folder / r["run"], options.benchmark, options.metric) for r in runs]
        for name, runs in index["conditions"].items()
        if runs
    }
    base = numbers(options.folder / index["base"], options.benchmark, options.metric)
    gates = [k for k in base if k != "first" and not k.endswith(("control", "refined"))]
    names = ["model", "seeds", "first images", *(f"{g}: refined / sampled again (replaced)" for g in gates)]
    lines = ["## Values", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for name, runs in {"base": [base], **arms}.items():
        mean = {k: float(np.mean([r[k] for r in runs])) for k in base}
        cells = [f"{mean[g]:.3f} / {mean[f'{g} control']:.3f} ({mean[f'{g} refined']:.0%})" for g in gates]
        lines.append("| " + " | ".join([name, str(len(runs)), f"{mean['first']:.3f}", *cells]) + " |")
    columns = "| difference | mean | 95 % interval | p | seeds that would show it | each seed |"
    for name, runs in arms.items():
        lines += ["", f"## {name}: {len(runs)} training seeds", "", columns, "|" + "---|" * 6]
        lines.append(line("first images, trained less base", np.array([r["first"] - base["first"] for r in runs])))
        for gate in gates:
            d = np.array([r[gate] - r[f"{gate} control"] for r in runs])
            lines.append(line(f"gate {gate}: refined less sampled again", d))
            d = np.array([r[gate] - r["first"] for r in runs])
            lines.append(line(f"gate {gate}: refined less first images", d))
    reference = index["reference"]
    adjusted_columns = "| difference | mean | 95 % interval | p | p (Holm) | seeds that would show it | each seed |"
    for key in ("first", *gates):
        others = [n for n in arms if n != reference and len(arms[n]) == len(arms[reference])]
        d = {n: np.array([x[key] - y[key] for x, y in zip(arms[n], arms[reference], strict=True)]) for n in others}
        corrected = holm([sign_flip(x).p for x in d.values()])
        what = "first images" if key == "first" else f"refined, gate {key}"
        lines += ["", f"## Against {reference}: {what}", "", adjusted_columns, "|" + "---|" * 7]
        lines += [line(n, x, float(p)) for (n, x), p in zip(d.items(), corrected, strict=True)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "refinement.md").write_text(text)
        (options.out / "refinement.json").write_text(json.dumps({"base": base, **arms}, indent=1) + "\n")


if __name__ == "__main__":
    main()
