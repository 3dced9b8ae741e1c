"""Tasks: which trajectories an optimiser step draws.

`rt2i` reasoning text, then an image; `t2i` the image alone; `srr` initial images without gradient, the poorest of each
prompt is refined by a group; `mixed` rt2i in even steps, srr in odd ones. Source: AlphaGRPO, arXiv 2605.12495.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from harness import seeds
from harness.errors import PolicyError
from harness.models.base import Capability, TrainablePolicy
from harness.types import Prompt
from trainers.grpo.config import GrpoConfig, Task
from trainers.grpo.prompts import PromptSource
from trainers.grpo.rewarding import Scored, total
from trainers.grpo.rollout import Sample
from trainers.grpo.steps import Step, refine_steps, t2i_steps


def task_of(config: GrpoConfig, step: int) -> Task:
    """The task of one optimiser step."""
    if config.task != "mixed":
        return config.task
    return "srr" if step % 2 else "rt2i"


def check_capabilities(policy: TrainablePolicy, config: GrpoConfig) -> None:
    """Raises PolicyError if the policy cannot do the task or has nothing to train in it."""
    needs: set[Capability] = set()
    if config.task in ("rt2i", "mixed"):
        needs.add("think")
    if config.task in ("srr", "mixed"):
        needs.add("reflect")
    lacking = sorted(needs - policy.capabilities)
    if lacking:
        raise PolicyError(
            f"task {config.task!r} needs a policy that can {', '.join(lacking)}; {policy.name!r} can "
            f"{', '.join(sorted(policy.capabilities)) or 'nothing of it'}. Use task 't2i' for models without text."
        )
    trains_text = config.loss.text_weight > 0 and config.task != "t2i" and "train_text" in policy.capabilities
    trains_image = config.loss.image_weight > 0 and "train_image" in policy.capabilities
    if not trains_text and not trains_image:
        raise PolicyError(
            f"Nothing to train: loss.text_weight is {config.loss.text_weight}, loss.image_weight "
            f"{config.loss.image_weight}, and {policy.name!r} trains "
            f"{', '.join(sorted(c for c in policy.capabilities if c.startswith('train_'))) or 'nothing'}."
        )


def prompts_of(source: PromptSource, config: GrpoConfig, step: int) -> list[Prompt]:
    """The prompts of one optimiser step."""
    return [source.at(step * config.prompts_per_step + k) for k in range(config.prompts_per_step)]


def group_ids(prompts: Sequence[Prompt], config: GrpoConfig) -> list[int]:
    """A group per draw of a prompt; the official code merges draws of equal text."""
    if not config.defects.group_by_text:
        return list(range(len(prompts)))
    first: dict[str, int] = {}
    return [first.setdefault(p.text, i) for i, p in enumerate(prompts)]


def t2i_samples(policy: TrainablePolicy, prompts: Sequence[Prompt], config: GrpoConfig, step: int) -> list[Sample]:
    """The groups of a text-to-image step."""
    think = task_of(config, step) == "rt2i"
    beginnings = [t2i_steps(policy, p.text, think=think) for p in prompts]
    return _groups(prompts, beginnings, config, step)


def initial_samples(policy: TrainablePolicy, prompts: Sequence[Prompt], config: GrpoConfig, step: int) -> list[Sample]:
    """The candidates for the image that is refined: `refine.candidates` per prompt, another seed purpose."""
    samples: list[Sample] = []
    for group, prompt in enumerate(prompts):
        steps = t2i_steps(policy, prompt.text, think=config.refine.think)
        for member in range(config.refine.candidates):
            seed = seeds.derive("initial", _seed(config, prompt, step, group, member))
            samples.append(
                Sample(index=len(samples), group=group, prompt=prompt, steps=steps, seed=seed, noise_seed=seed)
            )
    return samples


def choose_initial(scored: Sequence[Scored], config: GrpoConfig, step: int) -> list[int | None]:
    """Per prompt, which of its candidates is refined; None when none of them has a reward.

    Args:
        scored: rewards of the candidates, prompt by prompt.
    """
    n = config.refine.candidates
    chosen: list[int | None] = []
    for group in range(len(scored) // n):
        rewards = [total(s, config.reward.weights) for s in scored[group * n : (group + 1) * n]]
        known = [(r, i) for i, r in enumerate(rewards) if r is not None]
        if not known:
            chosen.append(None)
        elif config.refine.select == "lowest":
            chosen.append(min(known)[1])
        else:
            p = np.exp([1.0 - r for r, _ in known])
            rng = seeds.numpy_generator(seeds.derive("choose-initial", config.seed, step), "group", group)
            chosen.append(known[int(rng.choice(len(known), p=p / p.sum()))][1])
    return chosen


def refine_samples(
    policy: TrainablePolicy,
    prompts: Sequence[Prompt],
    images: Sequence[Image | None],
    rewards: Sequence[Scored | None],
    config: GrpoConfig,
    step: int,
) -> list[Sample]:
    """The groups of a refinement step; prompts without an initial image are left out."""
    kept = [i for i, image in enumerate(images) if image is not None]
    beginnings = [refine_steps(policy, prompts[i].text, images[i]) for i in kept]  # type: ignore[arg-type]
    samples = _groups([prompts[i] for i in kept], beginnings, config, step, places=kept)
    found = []
    for sample in samples:
        i = kept[sample.index // config.group_size]
        found.append(
            Sample(
                index=sample.index,
                group=sample.group,
                prompt=sample.prompt,
                steps=sample.steps,
                seed=sample.seed,
                noise_seed=sample.noise_seed,
                source=images[i],
                initial=rewards[i],
            )
        )
    return found


def _groups(
    prompts: Sequence[Prompt],
    beginnings: Sequence[tuple[Step, ...]],
    config: GrpoConfig,
    step: int,
    *,
    places: Sequence[int] | None = None,
) -> list[Sample]:
    """`group_size` samples of every prompt; `places` are the prompts' places in the step, which seeds derive from."""
    groups = group_ids(prompts, config)
    samples: list[Sample] = []
    for k, (prompt, steps) in enumerate(zip(prompts, beginnings, strict=True)):
        place = k if places is None else places[k]
        shared = seeds.derive("group-noise", _seed(config, prompt, step, place, 0))
        for member in range(config.group_size):
            seed = _seed(config, prompt, step, place, member)
            samples.append(
                Sample(
                    index=len(samples),
                    group=groups[k],
                    prompt=prompt,
                    steps=steps,
                    seed=seed,
                    noise_seed=shared if config.sampling.same_initial_noise else seed,
                )
            )
    return samples


def _seed(config: GrpoConfig, prompt: Prompt, step: int, place: int, member: int) -> int:
    """From (run seed, prompt and its draw, member): independent of devices, batches and order."""
    return seeds.for_sample(config.seed, f"{prompt.id}@{step}.{place}", member)
