"""Learning curves: mean and range of the seeds, smoothing that skips gaps, held-out points as they are."""

import json

import numpy as np
import pytest

from harness.errors import DataError
from reports.plots import learning_curves
from reports.plots.learning import _draw, _panels
from reports.plots.style import styled
from reports.plots.trainlog import common, read_log, trailing_mean
from tests.reports.plots.reading import artists, assert_inside, is_blank

REWARD, HELD = "reward/mean", "held_out/geneval/overall"


def run(folder, rewards, *, held_every=0, first=1):
    folder.mkdir(parents=True)
    lines = []
    for step, reward in enumerate(rewards, first):
        lines.append({"step": step, REWARD: reward} if reward is not None else {"step": step})
        if held_every and step % held_every == 0:
            lines.append({"step": step, HELD: 0.5 + step / 1000})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return folder


@pytest.fixture
def arms(tmp_path):
    t = np.arange(1, 81)
    return {
        "dvreward": [run(tmp_path / f"a{s}", (0.5 + 0.004 * t + 0.02 * s).tolist(), held_every=20) for s in range(3)],
        "placebo": [run(tmp_path / "b0", (0.5 - 0.002 * t).tolist(), held_every=20)],
    }


def figure_of(arms, keys, smooth=10, title="", scales=None):
    logs = {name: [read_log(p) for p in paths] for name, paths in arms.items()}
    with styled():
        figure = _draw(logs, _panels(list(logs), keys, scales or {}), smooth, title)
        figure.canvas.draw()
    return figure


def test_files_are_written_twice_alike(arms, tmp_path):
    keys = {REWARD: "reward", HELD: "GenEval"}
    first = learning_curves(arms, keys, tmp_path / "one")
    again = learning_curves(arms, keys, tmp_path / "two")
    assert [p.suffix for p in first] == [".svg", ".png"] and not is_blank(first[1])
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_line_is_the_mean_of_smoothed_seeds_and_the_band_their_range(arms):
    figure = figure_of(arms, {REWARD: "reward"})
    line = artists(figure, "mean")[0]
    t = np.arange(10, 81)
    assert line.get_xdata().tolist() == t.tolist()
    assert line.get_ydata() == pytest.approx(0.52 + 0.004 * (t - 4.5))
    (band,) = artists(figure, "range")  # the placebo has one seed
    edges = band.get_paths()[0].vertices
    assert edges[:, 1].min() == pytest.approx(0.5 + 0.004 * 5.5) and edges[:, 1].max() == pytest.approx(0.54 + 0.302)


def test_held_out_points_are_marked_and_not_smoothed_and_the_figure_says_what_is(arms):
    figure = figure_of(arms, {REWARD: "reward", HELD: "GenEval"})
    held = [a for a in artists(figure, "mean") if len(a.get_xdata()) == 4]
    assert held[0].get_ydata().tolist() == pytest.approx([0.52, 0.54, 0.56, 0.58]) and held[0].get_marker() == "o"
    (note,) = [t.get_text() for t in figure.texts if t.get_gid() == "note"]
    assert "smallest to largest seed, not an interval" in note and "mean of the last 10 steps" in note
    (unsmoothed,) = [t.get_text() for t in figure_of(arms, {HELD: "GenEval"}).texts if t.get_gid() == "note"]
    assert "mean of the last" not in unsmoothed


def test_a_seed_that_went_on_longer_is_shown_beyond_the_mean(tmp_path):
    arms = {"a": [run(tmp_path / "short", [0.5] * 50), run(tmp_path / "long", [0.7] * 90)]}
    figure = figure_of(arms, {REWARD: "reward"}, smooth=1)
    assert artists(figure, "mean")[0].get_xdata()[-1] == 50
    (rest,) = artists(figure, "one seed")
    assert rest.get_xdata()[-1] == 90 and set(rest.get_ydata()) == {0.7}


def test_steps_without_a_value_are_left_out_of_the_mean():
    steps, values = trailing_mean((np.array([1, 2, 4, 5]), np.array([1.0, 1.0, 4.0, 4.0])), 3)
    assert steps.tolist() == [4, 5] and values.tolist() == [2.5, 4.0]  # steps 2-4 and 3-5


def test_missing_metrics_never_become_zero(tmp_path):
    folder = run(tmp_path / "a", [0.5, None, 0.7, float("nan")])
    steps, values = read_log(folder).series(REWARD)
    assert steps.tolist() == [1, 3] and values.tolist() == [0.5, 0.7]


def test_only_common_steps_enter_a_mean():
    steps, values = common([(np.array([1, 2, 3]), np.array([1.0, 2, 3])), (np.array([2, 3, 4]), np.array([5.0, 6, 7]))])
    assert steps.tolist() == [2, 3] and values.tolist() == [[2, 3], [5, 6]]


def test_a_repeated_step_counts_once_and_a_half_written_last_line_is_ignored(tmp_path):
    folder = run(tmp_path / "a", [0.1, 0.2])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 2, REWARD: 0.9}) + '\n{"step": 3, "rew')
    steps, values = read_log(folder).series(REWARD)
    assert steps.tolist() == [1, 2] and values.tolist() == [0.1, 0.9]


def test_many_panels_arms_and_long_names_fit(tmp_path):
    arms = {
        f"arm {i} with a name that says all about its settings": [run(tmp_path / f"{i}", [0.1 * i] * 60)]
        for i in range(7)
    }
    keys = {REWARD: "a title that is far too long for one line above a panel", "step2": "x"}
    for folders in arms.values():
        with (folders[0] / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": 61, "step2": 0.5}) + "\n")
    assert_inside(figure_of(arms, keys, title="Title"))


def test_errors_name_file_line_and_near_metric(arms, tmp_path):
    with pytest.raises(DataError, match=r"none of the runs wrote it\. Near: reward/mean"):
        learning_curves(arms, {"reward/means": "x"}, tmp_path / "x")
    with pytest.raises(DataError, match=r"nothing.metrics.jsonl: cannot be read"):
        learning_curves({"a": [tmp_path / "nothing"]}, {REWARD: "x"}, tmp_path / "x")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "metrics.jsonl").write_text("[1]\n{}\n")
    with pytest.raises(DataError, match="line 1: not a metrics record"):
        read_log(bad)
    with pytest.raises(ValueError, match="expected at least one arm"):
        learning_curves({}, {REWARD: "x"}, tmp_path / "x")


def test_arms_of_other_scales_get_panels_of_their_own(arms):
    scales = {REWARD: {"dvreward": "dvreward", "placebo": "constant"}}
    figure = figure_of(arms, {REWARD: "own reward", HELD: "GenEval"}, scales=scales)
    titles = [a.get_title("left") for a in figure.axes]
    assert titles == ["own reward: dvreward", "own reward: constant", "GenEval"]
    lines = [len([x for x in a.lines if x.get_gid() == "mean"]) for a in figure.axes]
    assert lines == [1, 1, 2]
    assert len(figure.legends[0].get_texts()) == 2
    same = figure_of(arms, {REWARD: "own reward"}, scales={REWARD: {"dvreward": "x", "placebo": "x"}})
    assert [a.get_title("left") for a in same.axes] == ["own reward"]
