"""Time and interval widths of the two-level analysis, beside rliable's bootstrap and lm-eval's bootstrapped error.

    python -m bench.significance [--prompts 1000] [--seeds 10] [--other-python PATH]... [--json]

Simulates two conditions on five benchmarks (verdicts over four images, training seeds, shared prompts) and times what a
report needs: a score interval per checkpoint, then `reports.significance.compare_conditions`, which gives differences
over seeds and prompts, exact tests, Holm and smallest detectable effects. rliable and lm-eval run in the interpreters
given, and in this one, where they import; without them the comparison is left out and that is said. They answer other
questions: the last lines say which.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from bench.simulations.benchmarks import GENEVAL, Benchmark
from harness.stats import condition_difference, influence_values
from harness.terms import Terms
from reports.significance import compare_conditions

OTHER = Path(__file__).with_name("significance_other.py")
TOOLS = ("rliable", "lm-eval")
NAMES = ("one", "two", "three", "four", "five")
QUESTIONS = {
    "this project": "would one condition beat the other with new training seeds and new prompts?",
    "rliable": "how do aggregates vary over runs? (one number per run and task; tasks and prompts are fixed)",
    "lm-eval": "how would one checkpoint's score move with other prompts? (no seeds, no pairing, one stratum)",
}

Condition = list[dict[str, Terms]]
"""Per training seed, the terms of each benchmark's headline."""


def conditions(n_prompts: int, n_seeds: int, rng) -> tuple[Condition, Condition]:
    """A base and a condition that is about three points better; seed sd of the headlines .02."""
    sizes = tuple(len(part) for part in np.array_split(np.arange(n_prompts), len(GENEVAL.sizes)))
    shape = GENEVAL.but(sizes=sizes)
    scale = shape.seed_scale(0.02)
    base: Condition = [{} for _ in range(n_seeds)]
    trained: Condition = [{} for _ in range(n_seeds)]
    for name in NAMES:
        prompts = shape.prompts(rng)
        for arm, gain in ((base, 0.0), (trained, 0.1)):
            scores, _ = shape.draw(rng, prompts, gain + scale * rng.normal(size=n_seeds))
            for run, row in zip(arm, scores, strict=True):
                run[name] = _terms(shape, row)
    return base, trained


def _terms(shape: Benchmark, scores) -> Terms:
    n = len(scores)
    return Terms(
        prompts=tuple(f"p{i}" for i in range(n)), num=scores * shape.k, den=np.full(n, float(shape.k)),
        planned=np.full(n, float(shape.k)), cat=shape.cat, categories=tuple(f"c{g}" for g in range(len(shape.sizes))),
        weights=shape.w, step=1 / shape.k,
    )  # fmt: skip


def analyse(base: Condition, trained: Condition):
    """Every checkpoint's intervals by condition and seed, and the planned family of differences."""
    intervals = [[{name: t.interval() for name, t in run.items()} for run in arm] for arm in (base, trained)]
    return intervals, compare_conditions(trained, base, names=("trained", "base"))


def timed(run):
    """Result, CPU seconds and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def ask_others(pythons: list[str], base: Condition, trained: Condition) -> dict[str, dict]:
    """What rliable and lm-eval measured, by name, from the first interpreter that imports them."""
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "scores.npz"
        sides = {"base": base, "trained": trained}
        heads = {
            k: np.array([[float(_influence(t).theta) for t in run.values()] for run in v]) for k, v in sides.items()
        }
        every = {
            k: np.array([np.concatenate([_scores(t) for t in run.values()]) for run in v]) for k, v in sides.items()
        }
        np.savez(data, **heads, **{f"{k}_prompts": v for k, v in every.items()}, checkpoint=_scores(base[0][NAMES[0]]))
        for python in pythons:
            missing = [name for name in TOOLS if name not in found]
            if missing:
                found |= _ask(python, data, missing)
    return found


def _ask(python: str, data: Path, tools: list[str]) -> dict[str, dict]:
    # -P keeps this folder off the path: its coverage.py is not the package that numba looks for.
    command = [python, "-P", str(OTHER), str(data), *tools]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        print(f"{python}: {error.strerror}", file=sys.stderr)
        return {}
    if done.returncode != 0:
        print(f"{python}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def _influence(terms: Terms):
    return influence_values(terms.num, terms.cat, terms.weights, terms.den)


def _scores(terms: Terms):
    return terms.num / terms.den


def measure(n_prompts: int, n_seeds: int, pythons: list[str]) -> dict:
    """All figures of the report."""
    base, trained = conditions(n_prompts, n_seeds, np.random.default_rng(1))
    _, cpu_first, wall_first = timed(lambda: analyse(base, trained))  # imports scipy, lists the splits of the seeds
    again = [timed(lambda: analyse(base, trained)) for _ in range(5)]
    (intervals, differences), cpu, wall = again[0][0], min(r[1] for r in again), min(r[2] for r in again)
    rows = []
    for d in differences:
        arms = [np.stack([run[d.benchmark].num for run in arm]) for arm in (trained, base)]
        first = base[0][d.benchmark]
        fixed = condition_difference(*arms, first.cat, first.weights, den_x=first.den, den_y=first.den, prompts="fixed")
        own = [i[d.benchmark] for arm in intervals for i in arm]
        rows.append({
            "benchmark": d.benchmark, "est": d.est, "low": d.low, "high": d.high, "p_holm": d.p_adjusted,
            "exact_p": d.exact.p, "mde": d.mde, "width": d.high - d.low, "width_these_prompts": fixed.high - fixed.low,
            "width_checkpoint": float(np.mean([i["ci_high"] - i["ci_low"] for i in own])),
        })  # fmt: skip
    first = intervals[0][0][NAMES[0]]
    return {
        "benchmarks": len(NAMES), "seeds": n_seeds, "prompts": n_prompts, "cpu_s": cpu, "wall_s": wall,
        "first_cpu_s": cpu_first, "first_wall_s": wall_first, "rows": rows,
        "checkpoint_width": first["ci_high"] - first["ci_low"], "others": ask_others(pythons, base, trained),
    }  # fmt: skip


def text(report: dict) -> str:
    """The report for people."""
    n = 2 * report["benchmarks"] * report["seeds"]
    lines = [
        f"{report['benchmarks']} benchmarks x 2 conditions x {report['seeds']} seeds x {report['prompts']} prompts",
        f"this project: {report['cpu_s']:.2f} s CPU, {report['wall_s']:.2f} s wall (best of 5; first call "
        f"{report['first_cpu_s']:.2f} s CPU, {report['first_wall_s']:.2f} s wall): {n} score intervals,",
        f"  {report['benchmarks']} differences over seeds and prompts, exact tests, Holm, MDE",
        "",
        "benchmark  difference [95 % interval]     Holm p  exact p  MDE",
    ]
    lines += [
        f"{r['benchmark']:9s}  {r['est']:+.4f} [{r['low']:+.4f}, {r['high']:+.4f}]  {r['p_holm']:7.4f}  "
        f"{r['exact_p']:.5f}  {r['mde']:.4f}"
        for r in report["rows"]
    ]
    lines += ["", *_with_rliable(report), *_with_lm_eval(report, n), "", "They answer different questions:"]
    return "\n".join(lines + [f"  {name}: {question}" for name, question in QUESTIONS.items()])


def _mean(report: dict, key: str) -> float:
    return float(np.mean([r[key] for r in report["rows"]]))


def _with_rliable(report: dict) -> list[str]:
    r = report["others"].get("rliable")
    if r is None:
        return ["rliable: left out, no interpreter given imports it (--other-python PATH)"]
    ratio, by_prompt = r["cpu_s"] / report["cpu_s"], r["prompts_cpu_s"] / report["cpu_s"]
    here = {k: _mean(report, k) for k in ("width", "width_these_prompts")}
    return [
        f"rliable {r['version']}, {r['reps']:,} repetitions, one headline per run and benchmark:",
        f"  {r['cpu_s']:.2f} s CPU = {ratio:.0f} x this project ({r['cpu_means_s']:.2f} s for the conditions' means, "
        "the rest for their difference)",
        f"  the same with prompts as tasks: {r['prompts_cpu_s']:.0f} s CPU = {by_prompt:.0f} x "
        f"({r['prompts_reps']:,} repetitions measured, scaled to {r['reps']:,})",
        "  mean width of a benchmark's difference:",
        f"    rliable, new seeds, these prompts                {np.mean(r['width_difference']):.4f}",
        f"    this project, new seeds, these prompts (Welch t) {here['width_these_prompts']:.4f}",
        f"    this project, new seeds, new prompts (default)   {here['width']:.4f}",
        f"    rliable with prompts as tasks                    {np.mean(r['prompts_width']):.4f}",
        "      (too short: it draws runs anew for each prompt, which loses what a seed does to all of them)",
    ]


def _with_lm_eval(report: dict, n: int) -> list[str]:
    r = report["others"].get("lm-eval")
    if r is None:
        return ["lm-eval: left out, no interpreter given imports it (--other-python PATH)"]
    total = r["cpu_s"] * n
    return [
        f"lm-eval {r['version']}, bootstrap_stderr of a mean, {r['iters']:,} iterations, one checkpoint:",
        f"  {r['cpu_s']:.1f} s CPU; all {n} would take {total / 60:.0f} min = {total / report['cpu_s']:,.0f} x",
        f"  width of that checkpoint's 95 % interval: bootstrap {3.92 * r['stderr']:.4f}, lm-eval's closed form "
        f"{3.92 * r['closed_form']:.4f},",
        f"  score interval within categories {report['checkpoint_width']:.4f} (for a mean lm-eval itself takes its "
        "closed form)",
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.significance", description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=1000, help="per benchmark")
    parser.add_argument("--seeds", type=int, default=10, help="training seeds per condition")
    parser.add_argument("--other-python", action="append", default=[], help="interpreter with rliable or lm-eval")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    if options.seeds < 2 or options.prompts < 12:
        parser.error(f"{options.seeds} seeds and {options.prompts} prompts; expected at least 2 and 12")
    report = measure(options.prompts, options.seeds, [*options.other_python, sys.executable])
    print(json.dumps(report) if options.json else text(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
