"""Every check and measurement that needs a GPU, in one command, within nine minutes, as one JSON.

    python bench/gpu.py [-o FILE] [--only NAME,...] [--list]

Each part runs in a process of its own with a time budget, so that one that fails, hangs or runs out of memory leaves
the others alone; it reports `ok` with its figures, or `failed`, `timed out` or `not run` with the reason. Without a GPU
every part says `not run: no GPU` and the command ends with 0.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

TOTAL_S = 540.0
"""All parts together; a part gets its budget or what is left."""
ARCHITECTURE = "stabilityai/stable-diffusion-3.5-medium"


@dataclass(frozen=True)
class Part:
    name: str
    budget_s: float
    what: str


PARTS = (
    Part("tests", 90, "pytest -m gpu"),
    Part("bf16_ratio", 45, "micro-rt2i step in bf16: first ratio with recomputed log-probabilities"),
    Part("micro_training", 60, "micro-rt2i steps as shipped: images/s per stage"),
    Part("micro_generation", 30, "micro policy: images/s by batch size"),
    Part("sd35_lora_step", 180, "SD3.5-medium architecture, random weights, LoRA, 512x512, group 14"),
    Part("judge", 120, "transformers judge, random Qwen3-VL of about 2 billion parameters: questions/s"),
)


def tests() -> dict[str, Any]:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 5:
        return {"tests": 0, "note": "no test is marked gpu"}
    if done.returncode:
        raise RuntimeError(done.stdout[-1500:])
    return {"summary": done.stdout.strip().splitlines()[-1]}


def _micro_steps(steps: int, *settings: str) -> list[dict[str, Any]]:
    from harness.cli.train_command import _prepare
    from harness.models.load import load_policy
    from trainers.grpo.loop import Trainer
    from trainers.grpo.parallel import Parallel
    from trainers.grpo.prompts import make_source
    from trainers.grpo.rewarding import RewardPool
    from trainers.grpo.signals import StopRequest

    _, config, _ = _prepare("micro-rt2i", None, ("device=cuda", *settings))
    policy, pool = load_policy("micro", device="cuda"), RewardPool(config.reward)
    try:
        trainer = Trainer(policy, config, pool, make_source("micro", 0, {}), Parallel(device="cuda"))
        return [trainer.advance(StopRequest()) for _ in range(steps)]
    finally:
        pool.close()


def bf16_ratio() -> dict[str, Any]:
    full = _micro_steps(1)[0]
    low = _micro_steps(1, "precision=bf16", "loss.recompute_log_prob=true")[0]
    keys = ("health/image_log_ratio_abs", "health/text_log_ratio_abs")
    return {"fp32": {k: full.get(k) for k in keys}, "bf16": {k: low.get(k) for k in keys}}


def micro_training() -> dict[str, Any]:
    import statistics

    lines = _micro_steps(8)[2:]
    medians = {k: statistics.median(m[k] for m in lines) for k in lines[0] if k.startswith("time/")}
    images = 96
    return {
        **{k.removeprefix("time/"): round(v, 3) for k, v in medians.items()},
        "images_per_s": {k: round(images / medians[f"time/{k}_s"], 1) for k in ("rollout", "update", "step")},
        "other_share": round(medians["time/other_s"] / medians["time/step_s"], 4),
    }


def micro_generation() -> dict[str, Any]:
    import torch

    from harness.models.base import GenerationParams, Request
    from harness.models.load import load_policy

    policy, found = load_policy("micro", device="cuda"), {}
    for size in (64, 256, 1024):
        params = GenerationParams(think=True)
        requests = [Request(items=("a red circle",), params=params, seed=i) for i in range(size)]
        policy.generate(requests[:8])
        torch.cuda.synchronize()
        started = time.perf_counter()
        policy.generate(requests)
        torch.cuda.synchronize()
        found[f"batch_{size}"] = round(size / (time.perf_counter() - started), 1)
    return {"images_per_s": found}


class _Embedded:
    """Random embeddings in place of the text encoders, which are no part of the figures."""

    def __init__(self, device: str) -> None:
        import torch

        from harness.models.sd3.context import Embedded

        self._one = Embedded(
            torch.randn(1, 77 + 256, 4096, device=device, dtype=torch.bfloat16),
            torch.randn(1, 2048, device=device, dtype=torch.bfloat16),
        )

    def __call__(self, prompts: Any) -> Any:
        return type(self._one)(*(t.expand(len(prompts), *t.shape[1:]) for t in self._one))


def _random_sd35() -> Any:
    """The policy on random weights of the released shapes, without text encoders."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )

    from harness.models.sd3.loading import Loaded
    from harness.models.sd3.policy import SD3Policy
    from harness.models.sd3.source import Source
    from trainers.grpo.architecture import RELEASED

    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        transformer = SD3Transformer2DModel(**RELEASED[ARCHITECTURE])
    torch.set_default_dtype(torch.float32)
    with torch.device("cuda"):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=16,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.0609,
            scaling_factor=1.5305,
            sample_size=1024,
        )
    for part in (transformer, vae):
        part.requires_grad_(False).eval()
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    policy = SD3Policy(
        Loaded(
            pipeline=pipeline,
            source=Source.__new__(Source),  # there is no folder, and nothing here asks for one
            weights="random",
            dtype=torch.bfloat16,
            max_sequence_length=256,
            with_t5=False,
        )
    )
    policy._encode_prompts = _Embedded("cuda")  # type: ignore[assignment]
    return policy


def sd35_lora_step() -> dict[str, Any]:
    import numpy as np
    import torch

    from harness.cli.train_command import _prepare
    from harness.types import Prompt
    from trainers.grpo import plan
    from trainers.grpo.architecture import released
    from trainers.grpo.health import Clock
    from trainers.grpo.parallel import Parallel
    from trainers.grpo.rollout import draw
    from trainers.grpo.tasks import t2i_samples
    from trainers.grpo.update import Updater, Weights, parts_of
    from trainers.grpo.windows import sde_window

    group = 14
    settings = ("prompts_per_step=1", f"group_size={group}", "micro_batch=7", f"rollout_batch={group}", "steps=1")
    _, config, _ = _prepare("sd35-medium-lora", None, settings)
    policy = _random_sd35()
    policy.prepare_training(config.policy)
    parallel = Parallel(device="cuda")
    parallel.wrap(policy.trainable_module)
    updater, clock = Updater(policy, config, parallel), Clock()
    advantages = np.linspace(-1.5, 1.5, group)
    trained = [p for p in policy.param_groups()["generation"] if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    samples = t2i_samples(policy, [Prompt(id="p/0", text="a red cube")], config, 0)
    low, high = config.sampling.window_range
    window = sde_window("random", size=config.sampling.window_size, low=low, high=high, seed=0, step=0)
    for _ in range(2):  # the first one warms up
        clock.restart()
        torch.cuda.reset_peak_memory_stats()
        with clock.stage("rollout"):
            drawn = [draw(policy, samples, config.sampling, window)]
            torch.cuda.synchronize()
        parts = parts_of(
            drawn, advantages, np.ones(group, dtype=bool), size=config.micro_batch, clip_to=5.0, device=policy.device
        )
        with clock.stage("recompute"):
            updater.recompute(parts)
            torch.cuda.synchronize()
        with clock.stage("update"):
            optimiser.zero_grad(set_to_none=True)
            health = updater.accumulate(parts, Weights(n_samples=group, n_tokens=0)).means()
            optimiser.step()
            torch.cuda.synchronize()
    a = released(ARCHITECTURE, 2, with_t5=True)
    assert a is not None
    flops = plan.step_flops(config, plan.count(config), a, text_tokens=256)
    step_s = sum(clock.seconds.values())
    peak = _peak_tflops(torch.cuda.get_device_name())
    return {
        "seconds": {k: round(v, 2) for k, v in clock.seconds.items()},
        "images_per_s": {k: round(group / v, 2) for k, v in [*clock.seconds.items(), ("step", step_s)]},
        "tflops_per_s": round(flops / step_s / 1e12, 1),
        "mfu": None if peak is None else round(flops / step_s / 1e12 / peak, 3),
        "mfu_peak_tflops": peak,
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "image_log_ratio_abs": health.get("image_log_ratio_abs"),
        "note": "decoding is part of the rollout; text encoders are left out",
    }


def _peak_tflops(gpu: str) -> float | None:
    """Dense bfloat16 peak, from the makers' data sheets; None for a GPU that is not listed."""
    peaks = {"H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.2}
    return next((v for k, v in peaks.items() if k in gpu), None)


def judge() -> dict[str, Any]:
    import torch
    from PIL import Image

    from harness.images import ref_of_image
    from harness.judges.base import JudgeRequest
    from harness.judges.transformers import TransformersJudge, TransformersSettings
    from harness.types import Question
    from tests.harness.judges.tiny_vlm import build_tiny_vlm

    with tempfile.TemporaryDirectory() as folder:
        # The builder's shapes are tiny in all but width and depth of the language model.
        build_tiny_vlm(Path(folder), "qwen3_vl", hidden=2048, layers=28)
        judge = TransformersJudge(folder, TransformersSettings(dtype="bfloat16", device="cuda"))
        questions = tuple(Question(id=f"q{i}", text=f"Is object number {i} in the picture?") for i in range(32))
        colours = [(i * 9 % 256, i * 31 % 256, i * 77 % 256) for i in range(17)]
        requests = [
            JudgeRequest(
                kind="yesno", form="bench", questions=questions, images=(ref_of_image(Image.new("RGB", (512, 512), c)),)
            )
            for c in colours
        ]
        judge.ask(requests[:1])
        torch.cuda.synchronize()
        started = time.perf_counter()
        replies = judge.ask(requests[1:])
        seconds = time.perf_counter() - started
        failed = sum(a.status != "ok" for r in replies for a in r.answers)
        judge.close()
    n = len(questions) * (len(requests) - 1)
    return {
        "questions_per_s": round(n / seconds, 1),
        "images_per_s": round((len(requests) - 1) / seconds, 2),
        "failed": failed,
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def _in_process(name: str, queue: Any) -> None:
    """Runs a part; puts its figures, or why there are none."""
    try:
        queue.put({"status": "ok", "figures": globals()[name]()})
    except BaseException as error:
        queue.put({"status": "failed", "reason": f"{type(error).__name__}: {str(error)[-1500:]}"})


def run_part(part: Part, limit_s: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_in_process, args=(part.name, queue))
    started = time.perf_counter()
    process.start()
    result: dict[str, Any] = {"status": "timed out", "reason": f"longer than {limit_s:.0f} s"}
    while time.perf_counter() - started < limit_s:
        if not queue.empty():
            result = queue.get()
            break
        if not process.is_alive() and queue.empty():
            result = {"status": "failed", "reason": f"the process ended with code {process.exitcode}"}
            break
        time.sleep(0.1)
    process.join(timeout=5)
    if process.is_alive():
        process.kill()
        process.join()
    return {**result, "seconds": round(time.perf_counter() - started, 1)}


def run_all(parts: tuple[Part, ...], report: Any = print) -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results: dict[str, Any] = {"gpu": gpu, "torch": torch.__version__, "cuda": torch.version.cuda, "parts": {}}
    started = time.perf_counter()
    for part in parts:
        left = TOTAL_S - (time.perf_counter() - started)
        if gpu is None:
            result = {"status": "not run", "reason": "no GPU"}
        elif left < 10:
            result = {"status": "not run", "reason": f"the {TOTAL_S:.0f} s are spent"}
        else:
            result = run_part(part, min(part.budget_s, left))
        results["parts"][part.name] = result
        report(f"{part.name}: {result['status']}" + (f": {result['reason']}" if "reason" in result else ""))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, help="JSON file to write")
    parser.add_argument("--only", help="names of parts, separated by commas")
    parser.add_argument("--list", action="store_true", help="show the parts and their budgets, run nothing")
    arguments = parser.parse_args()
    chosen = set((arguments.only or ",".join(p.name for p in PARTS)).split(","))
    unknown = sorted(chosen - {p.name for p in PARTS})
    if unknown:
        parser.error(f"--only: unknown part {unknown[0]!r}; known: {', '.join(p.name for p in PARTS)}")
    parts = tuple(p for p in PARTS if p.name in chosen)
    if arguments.list:
        for part in parts:
            print(f"{part.name:18} {part.budget_s:4.0f} s  {part.what}")
        return
    results = run_all(parts)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")
        print(f"Written: {arguments.out}")


if __name__ == "__main__":
    main()
