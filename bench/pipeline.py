"""How much judging hides behind generation, and what a warm rerun costs.

    python bench/pipeline.py [--prompts N] [--json]

Prints seconds and ratios of one run: the streaming pipeline (`harness.runner`) against making all images first and
judging them afterwards, with the same model, judge, batch sizes and writes; then the same command again on the
finished directory.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from harness.evalconfig import EvalConfig
from harness.evaluate import evaluate, make_judge, plan_stages
from harness.images import png_bytes, ref_of_image
from harness.models.load import load_policy
from harness.progress import Silent
from harness.types import Generation


def sequential(config: EvalConfig, folder: Path) -> float:
    """Seconds of the plain way: all images, then all answers."""
    policy, judge = load_policy("micro"), make_judge("micro")
    torch.set_num_threads(1)
    (stage,) = plan_stages(config, policy)
    started = time.perf_counter()
    images = []
    for i in range(0, len(stage.jobs), policy.batch_size):
        jobs = stage.jobs[i : i + policy.batch_size]
        for job, output in zip(jobs, policy.generate([j.request([]) for j in jobs]), strict=True):
            (folder / f"{job.generation_id}.png").write_bytes(png_bytes(output.image))
            images.append((job, output.image))
    requests = []
    for job, image in images:
        generation = Generation(id=job.generation_id, key=job.key, seed=job.seed, policy="", params={})
        requests += stage.benchmark.requests(job.prompt, generation, [ref_of_image(image)])
    replies = []
    for i in range(0, len(requests), judge.batch_size):
        replies += judge.ask(requests[i : i + judge.batch_size])
    with (folder / "answers.jsonl").open("w") as file:
        file.writelines(json.dumps([a.payload for a in r.answers]) + "\n" for r in replies)
    return time.perf_counter() - started


def timed(config: EvalConfig) -> float:
    """Seconds of one `evaluate`."""
    started = time.perf_counter()
    evaluate(config, "micro", Silent())
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=300, help="TIIF prompts, one image each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = EvalConfig(benchmarks=["tiif"], limit=arguments.prompts, out=str(folder / "run"), threads=1)
        timed(EvalConfig(benchmarks=["tiif"], limit=8, out=str(folder / "warm-up"), threads=1))
        plain = sequential(config, folder)
        streaming, again = timed(config), timed(config)
    result = {
        "images": arguments.prompts,
        "sequential_s": round(plain, 2),
        "streaming_s": round(streaming, 2),
        "sequential_over_streaming": round(plain / streaming, 2),
        "warm_rerun_s": round(again, 2),
        "streaming_over_warm": round(streaming / again, 1),
    }
    print(json.dumps(result) if arguments.json else "\n".join(f"{k:28} {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
