"""Windows derive from the seed; recipes give way to what the user says; impossible settings are refused by name."""

import pytest

from harness.config import build
from harness.errors import ConfigError
from trainers.grpo.config import GrpoConfig
from trainers.grpo.recipes import RECIPES, apply_recipe
from trainers.grpo.update import learning_rate_factor
from trainers.grpo.windows import sde_window


def _config(**data: object) -> GrpoConfig:
    return build(GrpoConfig, apply_recipe({"kind": "grpo", **data}))


@pytest.mark.parametrize("rule", ["contiguous", "random", "first", "shifted"])
def test_windows_lie_in_their_range_and_depend_on_seed_and_step_alone(rule: str) -> None:
    for step in range(40):
        window = sde_window(rule, size=5, low=0, high=15, seed=3, step=step)  # type: ignore[arg-type]
        assert window == sde_window(rule, size=5, low=0, high=15, seed=3, step=step)  # type: ignore[arg-type]
        assert len(set(window)) == 5 and list(window) == sorted(window) and window[0] >= 0 and window[-1] < 15
        if rule != "random":
            assert window[-1] - window[0] == 4


def test_contiguous_windows_reach_every_start_and_first_stays() -> None:
    starts = {sde_window("contiguous", size=10, low=0, high=11, seed=0, step=s)[0] for s in range(50)}
    assert starts == {0, 1}
    assert {sde_window("first", size=10, low=0, high=11, seed=0, step=s)[0] for s in range(9)} == {0}
    assert [sde_window("shifted", size=5, low=0, high=7, seed=0, step=s)[0] for s in range(4)] == [0, 1, 2, 0]


def test_a_window_larger_than_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        sde_window("random", size=6, low=0, high=5, seed=0, step=0)


def test_recipes_differ_where_paper_and_code_do_and_the_user_wins() -> None:
    paper, code = _config(recipe="paper"), _config(recipe="official_code")
    assert (paper.loss.text_weight, code.loss.text_weight) == (0.2, 1.0)
    assert (paper.loss.text_importance, code.loss.text_importance) == ("token", "sequence")
    assert (paper.loss.std_over, code.loss.std_over) == ("group", "batch")
    assert (paper.refine.floor, code.refine.floor) == ("group_min", "init")
    assert (paper.reward.format_weight, code.reward.format_weight) == (0.0, 1.0)
    assert code.defects.text_outer_product and not paper.defects.text_outer_product
    assert _config(recipe="official_code", task="srr").loss.text_weight == 0.2
    mine = _config(recipe="official_code", loss={"text_weight": 0.7}, defects={"text_outer_product": False})
    assert mine.loss.text_weight == 0.7 and not mine.defects.text_outer_product and mine.defects.group_by_text


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("task", ["rt2i", "t2i", "srr", "mixed"])
def test_every_recipe_builds_for_every_task(recipe: str, task: str) -> None:
    assert _config(recipe=recipe, task=task).recipe == recipe


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"recipe": "papr"}, "paper"),
        ({"group_size": 1}, "group_size"),
        ({"sampling": {"window_range": [0, 15]}}, "window_range"),
        ({"sampling": {"window_size": 12}}, "window_size"),
        ({"sampling": {"noise_level": 0.0}}, "noise_level"),
        ({"reward": {"weights": {}}}, "weights"),
        ({"loss": {"top_entropy_quantile": 0.0}}, "top_entropy_quantile"),
        ({"refine": {"margin": -0.1}}, "margin"),
        ({"loss": {"image_wieght": 1.0}}, "image_weight"),
    ],
)
def test_impossible_settings_are_refused_by_name(data: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        _config(**data)


def test_the_learning_rate_warms_up_and_decays() -> None:
    config = _config(steps=11, optim={"warmup_steps": 2, "final_lr_fraction": 0.5})
    assert [learning_rate_factor(config, s) for s in (0, 1, 10)] == pytest.approx([0.5, 0.95, 0.5])
