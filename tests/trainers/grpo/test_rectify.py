"""False-Positive Rectification: its properties hold for any rewards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.grpo.advantages import group_advantages
from trainers.grpo.rectify import rectify

rewards_of_a_group = st.lists(st.floats(0, 1), min_size=2, max_size=14)


def _run(rewards: list[float], initial: float, floor: str, margin: float = 0.0):
    r = np.array(rewards)
    n = len(r)
    return rectify(
        r,
        np.ones(n, bool),
        np.zeros(n, int),
        np.full(n, initial),
        floor=floor,
        margin=margin,  # type: ignore[arg-type]
    )


def test_floors_follow_the_published_example() -> None:
    assert _run([0.2, 0.5, 0.9], 0.5, "init").rewards.tolist() == [0.5, 0.5, 0.9]
    assert _run([0.2, 0.5, 0.9], 0.5, "group_min").rewards.tolist() == [0.2, 0.2, 0.9]
    assert _run([0.2, 0.5, 0.9], 0.5, "off").rewards.tolist() == [0.2, 0.5, 0.9]
    assert _run([0.2, 0.5, 0.9], 0.5, "off").bad.tolist() == [True, True, False]


@given(rewards_of_a_group, st.floats(0, 1), st.sampled_from(["group_min", "init"]), st.floats(0, 0.3))
@settings(deadline=None)
def test_a_sample_that_did_not_improve_never_has_a_positive_advantage(
    rewards: list[float], initial: float, floor: str, margin: float
) -> None:
    fixed = _run(rewards, initial, floor, margin)
    n = len(rewards)
    a = group_advantages(fixed.rewards, np.ones(n, bool), np.zeros(n, int))
    assert (a[fixed.bad] <= 1e-9).all()


@given(rewards_of_a_group, st.floats(0, 1))
@settings(deadline=None)
def test_the_initial_floor_is_the_larger_of_both_rewards(rewards: list[float], initial: float) -> None:
    np.testing.assert_array_equal(_run(rewards, initial, "init").rewards, np.maximum(rewards, initial))


@given(rewards_of_a_group, st.sampled_from(["group_min", "init"]))
@settings(deadline=None)
def test_an_all_bad_group_has_no_advantage_and_a_good_one_stays(rewards: list[float], floor: str) -> None:
    n = len(rewards)
    bad = _run(rewards, 1.0, floor)
    assert (group_advantages(bad.rewards, np.ones(n, bool), np.zeros(n, int)) == 0).all()
    good = _run([r + 0.1 for r in rewards], 0.05, floor)
    assert not good.bad.any() and good.rewards.tolist() == [r + 0.1 for r in rewards]


def test_missing_rewards_are_left_alone_and_do_not_set_the_floor() -> None:
    r, valid = np.array([0.1, 0.4, 0.8]), np.array([False, True, True])
    fixed = rectify(r, valid, np.zeros(3, int), np.full(3, 0.5), floor="group_min")
    assert fixed.rewards.tolist() == [0.1, 0.4, 0.8] and fixed.bad.tolist() == [False, True, False]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        _run([0.1, 0.2], 0.5, "init", -0.1)
    with pytest.raises(ValueError, match="group_min"):
        _run([0.1, 0.2], 0.5, "minimum")
