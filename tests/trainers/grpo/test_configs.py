"""Every shipped GRPO configuration builds, and says what its comments promise."""

from dataclasses import replace

import pytest

from harness.cli.list_command import shipped_configs
from harness.cli.train_command import _prepare
from harness.registry import TRAINERS
from trainers.grpo import GrpoConfig, run

GRPO = [name for name in shipped_configs() if _prepare(name, None, ())[0] is run]


def test_the_shipped_configurations_are_found_and_their_trainers_known() -> None:
    assert {"micro-rt2i", "micro-srr", "sd35-medium-lora", "sd35-medium-8gpu"} <= set(GRPO)
    assert all(_prepare(name, None, ())[0] in [TRAINERS.get(t) for t in TRAINERS.names()] for name in shipped_configs())


@pytest.mark.parametrize("name", GRPO)
def test_every_shipped_grpo_configuration_builds(name: str) -> None:
    _, config, _ = _prepare(name, None, ())
    assert isinstance(config, GrpoConfig) and config.steps >= 1


def test_the_recipe_for_one_node_is_the_single_gpu_recipe_dealt_out() -> None:
    (_, one, _), (_, node, _) = _prepare("sd35-medium-lora", None, ()), _prepare("sd35-medium-8gpu", None, ())
    assert replace(node, rollout_batch=one.rollout_batch, threads=one.threads) == one
    assert 7 % node.group_size and node.group_size % 7
    assert (one.sampling.window_range, one.sampling.window_size, one.sampling.guidance_renorm) == ((0, 10), 6, "none")
    assert (one.loss.image_clip_range, one.optim.lr, one.policy["lora_rank"]) == (1e-5, 1e-4, 32)
