"""`train --dry-run`: what a run will take, without writing anything.

Counts are exact: they come from the code that draws windows, guidance and questions. Hours are measured where the
policy loads at once (`micro`), else they follow from the arithmetic of the network and a stated utilisation. Memory is
the sum of what is kept, with a stated rule for activations.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness import flow
from harness.errors import DataError, HarnessError
from trainers.grpo.architecture import Architecture, find
from trainers.grpo.config import GrpoConfig
from trainers.grpo.prompts import make_source
from trainers.grpo.rollout import guidance_at, initial_sampling
from trainers.grpo.tasks import task_of
from trainers.grpo.windows import sde_window

PEAK_TFLOPS = {"A100": 312.0, "H100": 989.0}
"""Dense bfloat16 peaks of the SXM versions. Source: NVIDIA's data sheets."""
MFU = 0.35
"""Assumed share of the peak that is reached; the assumption is printed with the hours."""
_SAMPLED_PROMPTS = 32
_GIB = float(2**30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Work of an optimiser step, averaged over the run, and over all processes."""

    trajectories: float
    """Trained samples."""
    initial_images: float
    """Candidates that are drawn for refinement."""
    rollout_evaluations: float
    """Sequences through the network while drawing; guidance makes two or three of one evaluation."""
    recompute_evaluations: float
    """Old log-probabilities by the training pass, and the reference policy."""
    update_evaluations: float
    """Sequences forward and backward."""
    trained_steps: int
    """Transitions per trajectory."""


def count(config: GrpoConfig) -> Counts:
    """The work of a step; the mean over the run's tasks and windows."""
    steps = range(min(config.steps, 2000))
    rows = [_step_counts(config, step) for step in steps]
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return Counts(
        trajectories=config.prompts_per_step * config.group_size,
        initial_images=means[0],
        rollout_evaluations=means[1],
        recompute_evaluations=means[2],
        update_evaluations=means[3],
        trained_steps=config.sampling.window_size,
    )


def _step_counts(config: GrpoConfig, step: int) -> tuple[float, float, float, float]:
    """Initial images, and evaluations of rollout, recomputation and update."""
    sampling, loss = config.sampling, config.loss
    refining = task_of(config, step) == "srr"
    n = config.prompts_per_step * config.group_size
    grid = flow.time_grid(sampling.grid_points, sampling.shift)
    window = sde_window(
        sampling.window,
        size=sampling.window_size,
        low=sampling.window_range[0],
        high=sampling.window_range[1],
        seed=config.seed,
        step=step,
    )
    drawn = n * sum(_branches(config, sigma, refining) for sigma in grid[:-1])
    trained = n * sum(_branches(config, grid[i], refining) for i in window)
    initial = config.prompts_per_step * config.refine.candidates if refining else 0
    if refining:
        first = initial_sampling(sampling, config.refine.grid_points)
        points = flow.time_grid(first.grid_points, first.shift)
        drawn += initial * sum(_branches(config, sigma, False) for sigma in points[:-1])
    recomputes = loss.recompute_log_prob or config.precision == "bf16" or loss.top_entropy_quantile < 1
    again = trained * (int(recomputes) + config.inner_epochs * int(loss.image_kl > 0))
    updated = trained * config.inner_epochs if loss.image_weight > 0 else 0.0
    return initial, drawn, again, updated


def _branches(config: GrpoConfig, sigma: float, refining: bool) -> int:
    """Sequences of one guided evaluation."""
    guidance = guidance_at(config.sampling, sigma, refining=refining)
    text = (guidance.guidance_scale or 1.0) > 1
    return 1 + int(text) + int(text and (guidance.image_guidance_scale or 1.0) > 1)


def questions_per_image(config: GrpoConfig) -> float:
    """Judge questions about one image, over all rewards: the mean over the run's first prompts.

    Raises:
        HarnessError: prompts that cannot be read, or rewards that cannot be asked about them.
    """
    from PIL import Image

    from harness.images import ref_of_image
    from harness.rewards import RewardItem, make_reward

    source = make_source(config.prompts, config.seed, config.prompt_options)
    picture = ref_of_image(Image.new("RGB", (8, 8)))
    n_prompts = min(_SAMPLED_PROMPTS, config.steps * config.prompts_per_step)
    n = 0
    for name in config.reward.weights:
        reward = make_reward(name, config.reward.options.get(name))
        for i in range(n_prompts):
            item = RewardItem(prompt=source.at(i), image=picture, sources=(picture,) if reward.needs_source else ())
            n += sum(len(request.questions) for request in reward.requests(item))
    return n / n_prompts


def memory(config: GrpoConfig, a: Architecture, *, dtype_bytes: int, text_tokens: int) -> dict[str, float]:
    """GiB on one device, by what holds it, under replicated weights (`ddp`)."""
    size_px = config.sampling.size_px or a.default_px
    n_trained = _n_trained(config, a)
    means = "guard" in config.loss.image
    own = config.prompts_per_step * config.group_size
    stored = own * config.sampling.window_size * a.latent_scalars(size_px) * 4 * (3 if means else 2)
    sequences = config.micro_batch * max(_branches(config, sigma, False) for sigma in (1.0, 0.5))
    kept = a.activation_bytes(size_px, text_tokens, checkpointing=bool(config.policy.get("gradient_checkpointing")))
    master = 0 if _rank(config) else a.n_params * (4 - dtype_bytes)
    parts = {
        "weights": a.n_params * dtype_bytes + master + (n_trained * 4 if _rank(config) else 0),
        "text_encoders_and_vae": a.other_bytes,
        "gradients": n_trained * 4,
        "optimiser": n_trained * 8,
        "averaged_weights": n_trained * 4 if config.optim.ema_decay is not None else 0,
        "trajectories_of_one_process": stored,
        "activations": kept * sequences * (2 if dtype_bytes == 4 else 1),
    }
    return {name: value / _GIB for name, value in parts.items()}


def _rank(config: GrpoConfig) -> int:
    return int(config.policy.get("lora_rank", 32) or 0)


def _n_trained(config: GrpoConfig, a: Architecture) -> int:
    return a.n_lora * _rank(config) or a.n_params


def step_flops(config: GrpoConfig, counts: Counts, a: Architecture, *, text_tokens: int) -> float:
    """FLOPs of an optimiser step through the transformer.

    A backward pass costs one forward pass for an adapter (frozen weights need no gradient), two for all weights;
    checkpointing adds one forward pass.
    """
    forward = a.forward_flops(config.sampling.size_px or a.default_px, text_tokens)
    update = (2 if _rank(config) else 3) + int(bool(config.policy.get("gradient_checkpointing")))
    passes = counts.rollout_evaluations + counts.recompute_evaluations + update * counts.update_evaluations
    return forward * passes


def measure(config: GrpoConfig) -> dict[str, float]:
    """Seconds of one optimiser step on this machine and peak memory, from a step of two prompts after a warm-up.

    Raises:
        HarnessError: policy, prompts or judge cannot be used.
    """
    import torch

    from harness.errors import ConfigError
    from harness.models.base import TrainablePolicy
    from harness.models.load import load_policy
    from trainers.grpo.loop import Trainer
    from trainers.grpo.parallel import Parallel
    from trainers.grpo.rewarding import RewardPool
    from trainers.grpo.signals import StopRequest
    from trainers.grpo.training import _device

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    n = min(2, config.prompts_per_step)
    small = replace(config, prompts_per_step=n)
    device = _device(config.device)
    policy = load_policy(config.model, device=device)
    if not isinstance(policy, TrainablePolicy):
        raise ConfigError(f"model: {config.model!r} can be evaluated but not trained.")
    pool = RewardPool(config.reward)
    try:
        source = make_source(config.prompts, config.seed, config.prompt_options)
        trainer = Trainer(policy, small, pool, source, Parallel(device=device))
        seconds = []
        for _ in range(3 if config.task == "mixed" else 2):  # the first one warms up; `mixed` takes turns
            started = time.perf_counter()
            trainer.advance(StopRequest())
            seconds.append(time.perf_counter() - started)
    finally:
        pool.close()
        policy.close()
    timed = seconds[1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)
    return {
        "step_s": sum(timed) / len(timed) * config.prompts_per_step / n,
        "peak_memory_gib": peak / _GIB,
    }


def make(config: GrpoConfig, *, processes: int = 1) -> dict[str, Any]:
    """The plan of a run: counts, questions, hours, memory, with the rules behind them. Writes nothing.

    Args:
        processes: devices that train (torchrun's processes).
    """
    counts = count(config)
    images = counts.trajectories + counts.initial_images
    per_step = {**asdict(counts), "images": images}
    plan: dict[str, Any] = {"steps": config.steps, "processes": processes, "per_step": per_step, "notes": []}
    try:
        asked = questions_per_image(config)
        per_step |= {"questions_per_image": asked, "questions": asked * images}
    except (DataError, HarnessError) as error:
        per_step |= {"questions_per_image": None, "questions": None}
        plan["notes"].append(f"Judge questions are unknown: {error}")
    plan["total"] = {k: None if v is None else v * config.steps for k, v in per_step.items() if k in _SUMMED}
    plan["network_evaluations"] = config.steps * sum(
        (counts.rollout_evaluations, counts.recompute_evaluations, counts.update_evaluations)
    )
    if _is_quick(config):
        _add_measured(plan, config, processes)
    elif config.model.startswith("sd3:"):
        _add_estimate(plan, config, counts, processes)
    else:
        plan["notes"].append(f"Hours and memory of {config.model!r} are not estimated: its sizes are not known here.")
    return plan


_SUMMED = (
    "trajectories",
    "images",
    "rollout_evaluations",
    "recompute_evaluations",
    "update_evaluations",
    "questions",
)


def _is_quick(config: GrpoConfig) -> bool:
    """Whether a step can be tried: the embedded policy, and judges that ask nobody outside."""
    judge = config.reward.judge or ("micro" if config.reward.profile == "micro" else "")
    return config.model == "micro" and judge.partition(":")[0].startswith("micro")


def _add_measured(plan: dict[str, Any], config: GrpoConfig, processes: int) -> None:
    found = measure(config)
    plan["hours"] = {"this machine": found["step_s"] * config.steps / 3600.0 / processes}
    plan["memory_gib"] = {"process, measured peak": found["peak_memory_gib"]}
    plan["step_s"] = found["step_s"] / processes
    plan["rules"] = [
        "Hours: one step of two prompts was timed on this machine and scaled to the step's prompts; "
        "held-out evaluation, pictures and checkpoints are not in them."
    ]


def _add_estimate(plan: dict[str, Any], config: GrpoConfig, counts: Counts, processes: int) -> None:
    a, dtype_bytes, text_tokens = find(config.model)
    if a is None:
        plan["notes"].append(
            f"Hours and memory are not estimated: {config.model!r} is neither a pipeline folder nor a released model "
            "whose sizes are known."
        )
        return
    flops = step_flops(config, counts, a, text_tokens=text_tokens)
    seconds = {gpu: flops / (peak * 1e12 * MFU * processes) for gpu, peak in PEAK_TFLOPS.items()}
    kept = memory(config, a, dtype_bytes=dtype_bytes, text_tokens=text_tokens)
    kept["trajectories_of_one_process"] /= processes
    plan |= {
        "step_tflops": flops / 1e12,
        "step_s": seconds,
        "hours": {gpu: s * config.steps / 3600.0 for gpu, s in seconds.items()},
        "memory_gib": {**kept, "sum": sum(kept.values())},
        "parameters": {"transformer": a.n_params, "trained": _n_trained(config, a)},
        "rules": [
            "FLOPs: 2 per parameter and token that it meets, plus attention; a backward pass costs "
            f"{1 if _rank(config) else 2} forward pass(es). Text encoders, VAE and judge are not in them.",
            f"Hours: bfloat16 peaks of {', '.join(f'{k} {v:g} TFLOP/s' for k, v in PEAK_TFLOPS.items())}, of which "
            f"{MFU:.0%} is assumed to be reached. The judge is assumed to keep pace.",
            "Memory of one device: float32 trained weights, gradients and two moments; activations at most 34 bytes "
            "per token, layer and unit of width in 16 bit, times the sequences of a micro-batch (guidance doubles it).",
        ],
    }


def lines(plan: dict[str, Any]) -> Sequence[str]:
    """The plan as text, a line per fact."""
    step, total = plan["per_step"], plan["total"]
    text = [
        f"steps: {plan['steps']:,} on {plan['processes']} process(es)",
        f"trajectories: {step['trajectories']:,.0f} per step, {total['trajectories']:,.0f} in all",
        f"images: {step['images']:,.0f} per step, {total['images']:,.0f} in all",
        "network evaluations (sequences): "
        f"{step['rollout_evaluations']:,.0f} drawn, {step['recompute_evaluations']:,.0f} recomputed, "
        f"{step['update_evaluations']:,.0f} trained per step; {plan['network_evaluations']:,.0f} in all",
    ]
    if step["questions"] is not None:
        text.append(
            f"judge questions: {step['questions_per_image']:.1f} per image, {step['questions']:,.0f} per step, "
            f"{total['questions']:,.0f} in all"
        )
    if "parameters" in plan:
        p = plan["parameters"]
        text.append(f"parameters: {p['transformer']:,} in the transformer, {p['trained']:,} trained")
    text += [f"hours on {name}: {hours:,.2f}" for name, hours in plan.get("hours", {}).items()]
    text += [f"memory, {k.replace('_', ' ')}: {v:,.2f} GiB" for k, v in plan.get("memory_gib", {}).items()]
    text += [f"rule: {rule}" for rule in plan.get("rules", [])]
    return [*text, *(f"note: {note}" for note in plan["notes"])]
