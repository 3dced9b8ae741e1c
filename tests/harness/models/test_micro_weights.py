"""The shipped weights: they load, draw objects in their planned cells, and leave room for a trainer."""

from __future__ import annotations

import pytest

from harness.models.base import GenerationParams, Request
from harness.models.micro import SHIPPED
from harness.models.micro import load as load_micro
from harness.models.micro.policy import MicroPolicy
from harness.world.version import world_version
from trainers.pretrain.evaluate import binding, text_to_image

BINDING_LEAST = 0.95


@pytest.fixture(scope="module")
def policy() -> MicroPolicy:
    return load_micro()


def test_manifest_fits_weights_and_world(policy: MicroPolicy) -> None:
    assert policy.manifest["fingerprint"] == policy.fingerprint
    assert policy.manifest["world"] == world_version()
    assert policy.manifest["training"]["command"] == "train micro-pretrain"
    assert policy.fingerprint in (SHIPPED / "CARD.md").read_text()
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 8 * 2**20


def test_objects_stand_in_their_planned_cells(policy: MicroPolicy) -> None:
    scores = binding(policy, 256)
    assert scores["found"] >= BINDING_LEAST
    assert scores["background"] >= BINDING_LEAST


@pytest.mark.slow
def test_binding_and_room_for_improvement_on_a_large_sample(policy: MicroPolicy) -> None:
    scores = binding(policy, 1024, seed=1)
    assert scores["found"] >= BINDING_LEAST
    assert 0.75 <= scores["right_given_plan"] <= 0.95
    made = text_to_image(policy, 1024, seed=1)
    assert 0.3 <= made["all_right"] <= 0.75


def test_the_same_request_gives_the_same_words_every_time(policy: MicroPolicy) -> None:
    request = Request(items=("a large red circle above a blue square",), seed=7, params=GenerationParams())
    first, second = policy.generate([request]), policy.generate([request])
    assert first[0].text == second[0].text
    assert "background" in first[0].text
