"""A training step against a plain loop of the published recipe, and where a step's time goes.

    python bench/trainer.py [--rounds N] [--steps N] [--json]

First part: one optimiser step of the tiny random SD3 pipeline (rollout and gradient, judge left out). The plain loop
calls the transformer twice for guidance, embeds the prompts anew for every evaluation, and makes one backward pass per
trained step; the trainer batches both branches and reads a prompt once. Both draw the same trajectories; log-
probabilities, loss and gradients are compared (tolerance 1e-5) before anything is timed. Rounds alternate, the median
counts.

Second part: `micro-rt2i` as shipped, seconds and images per second of each stage, and the share that no stage names.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import flow, seeds
from harness.cli.train_command import _prepare
from harness.config import build
from harness.models.load import load_policy
from harness.models.sd3.parts import quiet
from harness.types import Prompt
from tests.harness.models.sd3.sd3_tiny import build_pipeline
from trainers.grpo.config import GrpoConfig
from trainers.grpo.loop import Trainer
from trainers.grpo.parallel import Parallel
from trainers.grpo.prompts import make_source
from trainers.grpo.recipes import apply_recipe
from trainers.grpo.rewarding import RewardPool
from trainers.grpo.rollout import chunks, draw
from trainers.grpo.signals import StopRequest
from trainers.grpo.tasks import t2i_samples
from trainers.grpo.update import Updater, Weights, parts_of
from trainers.grpo.windows import sde_window

PROMPTS = ("a red cube", "a blue ball on a red cube", "photo of a dog", "a dog beside a blue ball")
SETTINGS = {
    "kind": "grpo",
    "task": "t2i",
    "prompts_per_step": len(PROMPTS),
    "group_size": 6,
    "micro_batch": 6,
    "rollout_batch": 6,
    "policy": {"lora_rank": 4, "lora_alpha": 8},
    "sampling": {
        "grid_points": 11,
        "window": "random",
        "window_range": [0, 8],
        "window_size": 6,
        "guidance_scale": 4.0,
        "guidance_renorm": "none",
    },
    "loss": {"image_clip_range": 1e-5, "text_weight": 0.0},
}


class Ours:
    """The trainer's rollout and gradient."""

    def __init__(self, folder, config, advantages):
        self.policy, self.config, self.advantages = load_policy(f"sd3:{folder}"), config, advantages
        self.policy.prepare_training(config.policy)
        parallel = Parallel()
        parallel.wrap(self.policy.trainable_module)
        self.updater = Updater(self.policy, config, parallel)

    def step(self):
        policy, config = self.policy, self.config
        policy._encode_prompts._kept.clear()  # a new step has new prompts
        prompts = [Prompt(id=f"p/{i}", text=text) for i, text in enumerate(PROMPTS)]
        samples = t2i_samples(policy, prompts, config, 0)
        drawn = [draw(policy, c, config.sampling, window_of(config)) for c in chunks(samples, config.rollout_batch)]
        parameters = trained(policy)
        for p in parameters:
            p.grad = None
        counted = np.ones(len(samples), dtype=bool)
        parts = parts_of(
            drawn, self.advantages, counted, size=config.micro_batch, clip_to=5.0, device=torch.device("cpu")
        )
        health = self.updater.accumulate(parts, Weights(n_samples=len(samples), n_tokens=0))
        total, _ = health.sums["image_loss"]
        return torch.cat([d.log_probs for d in drawn], 1), total, [p.grad for p in parameters]


class Plain:
    """The recipe written down: no batching of branches, no reuse of embeddings."""

    def __init__(self, folder, config, advantages):
        self.policy, self.config, self.advantages = load_policy(f"sd3:{folder}"), config, advantages
        self.policy.prepare_training(config.policy)
        self.pipeline = self.policy.pipeline

    def embed(self, prompts):
        with torch.no_grad():
            tokens, _, pooled, _ = self.pipeline.encode_prompt(
                prompt=prompts, prompt_2=None, prompt_3=None, do_classifier_free_guidance=False, max_sequence_length=256
            )
        return tokens, pooled

    def velocity(self, x, sigma, prompts):
        branches = []
        for texts in (prompts, [""] * len(prompts)):
            tokens, pooled = self.embed(texts)
            out = self.pipeline.transformer(
                hidden_states=x,
                encoder_hidden_states=tokens,
                pooled_projections=pooled,
                timestep=torch.full((len(x),), sigma * 1000),
                return_dict=False,
            )
            branches.append(out[0])
        conditional, without = branches
        return without + self.config.sampling.guidance_scale * (conditional - without)

    def mean_and_std(self, x, v, grid, i):
        sigma, d = grid[i], grid[i + 1] - grid[i]
        s = self.config.sampling.noise_level * (sigma / (1 - (grid[1] if sigma == 1 else sigma))) ** 0.5
        return x * (1 + s * s * d / (2 * sigma)) + v * (1 + s * s * (1 - sigma) / (2 * sigma)) * d, s * (-d) ** 0.5

    @staticmethod
    def log_prob(x, mean, std):
        density = -((x - mean) ** 2) / (2 * std**2) - np.log(std) - 0.5 * np.log(2 * np.pi)
        return density.flatten(1).mean(1)

    def step(self):
        config, policy = self.config, self.policy
        grid, window = flow.time_grid(config.sampling.grid_points, config.sampling.shift), window_of(config)
        samples = t2i_samples(policy, [Prompt(id=f"p/{i}", text=t) for i, t in enumerate(PROMPTS)], config, 0)
        groups = [samples[i : i + config.group_size] for i in range(0, len(samples), config.group_size)]
        parameters, total, log_probs = trained(policy), 0.0, []
        for p in parameters:
            p.grad = None
        recorded = []
        for group in groups:
            prompts, shape = [s.prompt.text for s in group], policy.latent_shape(None)
            x = torch.stack(
                [torch.randn(shape, generator=seeds.generator(s.noise_seed, "initial_noise")) for s in group]
            )
            path, old = [], []
            with torch.no_grad():
                for i in range(len(grid) - 1):
                    v = self.velocity(x, grid[i], prompts)
                    if i not in window:
                        x = x + v * (grid[i + 1] - grid[i])
                        continue
                    mean, std = self.mean_and_std(x, v, grid, i)
                    noise = torch.stack(
                        [torch.randn(shape, generator=seeds.generator(s.seed, "sde", i)) for s in group]
                    )
                    after = mean + std * noise
                    path.append((i, x, after))
                    old.append(self.log_prob(after, mean, std))
                    x = after
                policy.decode(x)
            recorded.append((group, prompts, path, old))
            log_probs.append(torch.stack(old))
        for group, prompts, path, old in recorded:
            a = torch.tensor(self.advantages[[s.index for s in group]], dtype=torch.float32).clamp(-5, 5)
            for (i, x, after), before in zip(path, old, strict=True):
                mean, std = self.mean_and_std(x, self.velocity(x, grid[i], prompts), grid, i)
                ratio = (self.log_prob(after, mean, std) - before).exp()
                limited = ratio.clamp(1 - config.loss.image_clip_range, 1 + config.loss.image_clip_range)
                loss = torch.maximum(-a * ratio, -a * limited).sum() / (len(samples) * len(window))
                loss.backward()
                total += loss.item()
        return torch.cat(log_probs, 1), total, [p.grad for p in parameters]


def trained(policy):
    return policy.param_groups()["generation"]


def window_of(config):
    low, high = config.sampling.window_range
    return sde_window(
        config.sampling.window, size=config.sampling.window_size, low=low, high=high, seed=config.seed, step=0
    )


def check(ours, plain):
    """The largest difference of the gradients, as a share of the largest gradient.

    Raises AssertionError unless log-probabilities, loss and gradients agree.
    """
    torch.testing.assert_close(ours[0], plain[0], atol=1e-5, rtol=1e-5)
    assert abs(ours[1] - plain[1]) < 1e-5, (ours[1], plain[1])
    assert all((a is None) == (b is None) for a, b in zip(ours[2], plain[2], strict=True))
    a, b = (torch.cat([g.flatten() for g in found[2] if g is not None]) for found in (ours, plain))
    scale = b.abs().max()
    assert scale > 0, "no gradient to compare"
    difference = float((a - b).abs().max() / scale)
    assert difference < 1e-4 and float((a - b).abs().max()) < 1e-5, difference
    return difference


def compare(rounds):
    """Median seconds of a step, both ways."""
    config = build(GrpoConfig, apply_recipe(SETTINGS))
    rng = np.random.default_rng(0)
    advantages = rng.standard_normal(config.prompts_per_step * config.group_size)
    with tempfile.TemporaryDirectory() as scratch, quiet():
        build_pipeline().save_pretrained(scratch)
        ours, plain = Ours(Path(scratch), config, advantages), Plain(Path(scratch), config, advantages)
        generator = torch.Generator().manual_seed(0)
        for p, q in zip(trained(ours.policy), trained(plain.policy), strict=True):
            with torch.no_grad():  # an adapter that does something
                p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
                q.copy_(p)
        difference = check(ours.step(), plain.step())
        seconds = {"ours": [], "plain": []}
        for _ in range(rounds):
            for name, way in (("plain", plain), ("ours", ours)):
                started = time.process_time()
                way.step()
                seconds[name].append(time.process_time() - started)
    ours_s, plain_s = (statistics.median(seconds[k]) for k in ("ours", "plain"))
    return {
        "trajectories": config.prompts_per_step * config.group_size,
        "gradient_difference": difference,
        "plain_cpu_s": round(plain_s, 3),
        "ours_cpu_s": round(ours_s, 3),
        "plain_over_ours": round(plain_s / ours_s, 2),
    }


def stages(steps):
    """Medians of a micro-rt2i step by stage."""
    _, config, _ = _prepare("micro-rt2i", None, ())
    policy, pool = load_policy("micro"), RewardPool(config.reward)
    try:
        trainer = Trainer(policy, config, pool, make_source("micro", config.seed, {}), Parallel())
        lines = [trainer.advance(StopRequest()) for _ in range(steps + 1)][1:]
    finally:
        pool.close()
    names = [k for k in lines[0] if k.startswith("time/")]
    medians = {k.removeprefix("time/"): statistics.median(m[k] for m in lines) for k in names}
    n = config.prompts_per_step * config.group_size
    return {
        "images": n,
        **{k: round(v, 3) for k, v in medians.items()},
        "rollout_images_per_s": round(n / medians["rollout_s"], 1),
        "update_images_per_s": round(n / medians["update_s"], 1),
        "step_images_per_s": round(n / medians["step_s"], 1),
        "judge_s": round(statistics.median(m["judge_s"] for m in lines), 3),
        "judge_hidden": round(statistics.median(m["judge_hidden"] for m in lines), 3),
        "other_share": round(medians["other_s"] / medians["step_s"], 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each way")
    parser.add_argument("--steps", type=int, default=6, help="steps of micro-rt2i")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = {"tiny_sd3_step": compare(arguments.rounds), "micro_rt2i_step": stages(arguments.steps)}
    if arguments.json:
        print(json.dumps(result))
        return
    for part, values in result.items():
        print(part, *(f"  {k:24} {v}" for k, v in values.items()), sep="\n")


if __name__ == "__main__":
    main()
