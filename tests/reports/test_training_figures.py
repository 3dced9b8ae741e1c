"""Figures of a sweep's training directories, from logs written by hand."""

import json

import pytest

from reports.training import draw_training


def directory(folder, rewards, held_out=True):
    folder.mkdir(parents=True)
    lines = [{"step": s, "reward/mean": 0.5 + s / 100} for s in range(1, 21)]
    if held_out:
        lines += [
            {"step": s, "held_out/geneval/overall": 0.5 + s / 50, "held_out/geneval/task/a": 0.1} for s in (0, 20)
        ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (folder / "training.json").write_text(json.dumps({"rewards": rewards}))
    return folder


@pytest.mark.parametrize(("other", "said"), [("dv", False), ("hps", True)])
def test_the_reward_is_drawn_against_every_held_out_headline(tmp_path, other, said):
    arms = {
        "dvreward": [directory(tmp_path / f"a{i}", {"r": "dv"}) for i in range(2)],
        "other": [directory(tmp_path / "b", {"r": other})],
    }
    names = [p.name for p in draw_training(arms, tmp_path / "out")]
    assert names == ["learning.svg", "learning.png", "reward-geneval-overall.svg", "reward-geneval-overall.png"]
    # Rewards of different kinds have no common unit: each runs from its start to its highest mean.
    assert ("0: start, 1: highest" in (tmp_path / "out/reward-geneval-overall.svg").read_text()) is said


def test_training_that_held_nothing_out_has_learning_curves_only(tmp_path):
    arms = {"dvreward": [directory(tmp_path / "a", {"r": "dv"}, held_out=False)]}
    assert [p.name for p in draw_training(arms, tmp_path / "out")] == ["learning.svg", "learning.png"]
