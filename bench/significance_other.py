"""Called by bench/significance.py in another interpreter: times rliable and lm-eval on the same scores.

Arguments: an .npz with `base` and `trained` (runs x tasks), the same by prompt (`base_prompts`, runs x all prompts) and
one `checkpoint` (prompts), then the tools to try. Prints one JSON object with the tools that import here.
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DISABLE_MULTIPROC"] = "1"  # lm-eval would start a process per core; CPU seconds are compared

import numpy as np


def timed(run):
    started = time.process_time()
    result = run()
    return result, time.process_time() - started


def with_rliable(data) -> dict:
    from importlib.metadata import version

    from rliable import library

    reps, prompt_reps = 50_000, 500  # the default of get_interval_estimates; what a matrix of all prompts is given
    base, trained = data["base"], data["trained"]
    by_condition = {"base": base, "trained": trained}
    pair = {"difference": (trained, base)}
    _, cpu = timed(lambda: library.get_interval_estimates(by_condition, lambda x: np.mean(x, axis=0), reps=reps))
    (_, intervals), cpu_pair = timed(lambda: library.get_interval_estimates(pair, _difference, reps=reps))
    prompts = {"difference": (data["trained_prompts"], data["base_prompts"])}
    (_, by_prompt), cpu_prompts = timed(
        lambda: library.get_interval_estimates(
            prompts, lambda x, y: _difference(x, y).reshape(base.shape[1], -1).mean(axis=1), reps=prompt_reps
        )
    )
    return {
        "version": version("rliable"),
        "reps": reps,
        "cpu_s": cpu + cpu_pair,
        "cpu_means_s": cpu,
        "width_difference": _widths(intervals["difference"]),
        "prompts_reps": prompt_reps,
        "prompts_cpu_s": cpu_prompts * reps / prompt_reps,
        "prompts_width": _widths(by_prompt["difference"]),
    }


def _difference(x, y):
    return x.mean(axis=0) - y.mean(axis=0)


def _widths(limits) -> list[float]:
    return (limits[1] - limits[0]).ravel().tolist()


def with_lm_eval(checkpoint) -> dict:
    from importlib.metadata import version

    from lm_eval.api.metrics import bootstrap_stderr, mean, mean_stderr

    iters = 100_000  # the default of simple_evaluate
    xs = checkpoint.tolist()
    stderr, cpu = timed(lambda: bootstrap_stderr(mean, xs, iters=iters))
    return {
        "version": version("lm_eval"),
        "iters": iters,
        "cpu_s": cpu,
        "stderr": stderr,
        "closed_form": mean_stderr(xs),
    }


def main() -> None:
    data = np.load(sys.argv[1])
    found = {}
    for name, run in (
        ("rliable", lambda: with_rliable(data)),
        ("lm-eval", lambda: with_lm_eval(data["checkpoint"])),
    ):
        if name in sys.argv[2:]:
            try:
                found[name] = run()
            except ImportError as error:
                print(f"{name}: {error}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
