"""Advantages against their definitions: invalid samples leave the statistics, order and devices do not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.grpo import advantages as adv

ALL = np.ones(6, dtype=bool)
GROUPS = np.array([0, 0, 0, 1, 1, 1])


def test_group_advantages_are_standard_scores_of_each_group() -> None:
    r = np.array([1.0, 2.0, 3.0, 10.0, 10.0, 40.0])
    a = adv.group_advantages(r, ALL, GROUPS, eps=0.0)
    np.testing.assert_allclose(a[:3], (r[:3] - 2.0) / np.std(r[:3]))
    np.testing.assert_allclose(a[3:], (r[3:] - 20.0) / np.std(r[3:]))


def test_batch_deviation_is_of_all_rewards_uncentred_by_group() -> None:
    r = np.array([1.0, 2.0, 3.0, 10.0, 10.0, 40.0])
    a = adv.group_advantages(r, ALL, GROUPS, std_over="batch", eps=1e-4)
    np.testing.assert_allclose(a, (r - np.repeat([2.0, 20.0], 3)) / (np.std(r) + 1e-4))


def test_invalid_samples_take_no_part() -> None:
    r = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 9e9])
    valid = np.array([True, True, True, True, True, False])
    a = adv.group_advantages(r, valid, GROUPS, eps=0.0)
    np.testing.assert_allclose(a[3:], [-1.0, 1.0, 0.0])


def test_a_group_without_spread_or_without_rewards_has_advantage_zero() -> None:
    a = adv.group_advantages(np.array([0.3] * 3 + [1.0, 2.0, 3.0]), np.array([True] * 3 + [False] * 3), GROUPS)
    assert (a == 0).all()
    assert adv.dead_groups(np.array([0.3] * 3 + [1.0, 2.0, 3.0]), np.array([True] * 3 + [False] * 3), GROUPS) == 1.0


@given(st.permutations(range(6)), st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(deadline=None)
def test_advantages_follow_their_samples_through_any_order(order: list[int], rewards: list[float]) -> None:
    r = np.array(rewards)
    valid = np.array([True, True, False, True, True, True])
    straight = adv.group_advantages(r, valid, GROUPS)
    shuffled = adv.group_advantages(r[order], valid[order], GROUPS[order])
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-9)


def test_estimators_pick_best_and_worst_of_each_group() -> None:
    r = np.array([1.0, 3.0, 2.0, 5.0, 5.0, 4.0])
    np.testing.assert_array_equal(adv.estimate("sft", r, ALL, GROUPS), [0, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(adv.estimate("dpo", r, ALL, GROUPS), [-1, 1, 0, 1, 0, -1])
    np.testing.assert_array_equal(adv.estimate("rwr", r, ALL, GROUPS), r)
    with pytest.raises(ValueError, match="rwr"):
        adv.estimate("best", r, ALL, GROUPS)  # type: ignore[arg-type]


def test_per_reward_mixing_ignores_the_scales_of_rewards() -> None:
    a, b = np.array([0.0, 1.0, 2.0, 3.0, 1.0, 0.5]), np.array([5.0, 3.0, 4.0, 1.0, 2.0, 2.0])
    plain, valid = adv.mix_per_reward({"a": (a, ALL), "b": (b, ALL)}, {"a": 1.0, "b": 0.5}, GROUPS)
    scaled, _ = adv.mix_per_reward({"a": (a * 1000 + 7, ALL), "b": (b, ALL)}, {"a": 1.0, "b": 0.5}, GROUPS)
    np.testing.assert_allclose(plain, scaled, atol=1e-6)
    first = a[:3]
    expected = (first - first.mean()) / (first.std(ddof=1) + 1e-8)
    expected += 0.5 * (b[:3] - b[:3].mean()) / (b[:3].std(ddof=1) + 1e-8)
    np.testing.assert_allclose(plain[:3], expected)
    assert valid.all()


def test_sum_mixing_is_missing_where_one_reward_is() -> None:
    total, valid = adv.mix_sum(
        [(np.array([1.0, 2.0]), np.array([True, False])), (np.array([3.0, 4.0]), ALL[:2])], [1, 2]
    )
    assert total[0] == 7.0 and not valid[1]
