"""Category bars, the reliability diagram, and training reward against held-out score."""

import json
import math

import numpy as np
import pytest

from harness.stats import calibration_error
from reports.plots import RewardPoint, category_bars, reliability_diagram, reward_against_held_out, training_points
from reports.plots.categories import _draw as draw_bars
from reports.plots.hacking import _draw as draw_points
from reports.plots.hacking import _scaled
from reports.plots.reliability import _draw as draw_reliability
from reports.plots.style import styled
from tests.reports.plots.reading import artists, assert_inside, is_blank

BARS = {
    "base": {"counting": (0.4, 0.3, 0.5), "position": (0.2, 0.1, 0.3), "colour": (None, None, None)},
    "trained": {"counting": (0.6, 0.5, 0.7), "colour": (math.nan, None, None)},
}


def drawn(function, *arguments):
    with styled():
        figure = function(*arguments)
        figure.canvas.draw()
    return figure


def clean(values):
    from reports.plots.categories import _checked

    return {c: {k: _checked(k, v) for k, v in row.items()} for c, row in values.items()}


def test_bars_have_intervals_and_missing_ones_are_words():
    names = ["counting", "position", "colour"]
    figure = drawn(draw_bars, clean(BARS), names, "Title", "share", None)
    assert sorted(p.get_width() for p in artists(figure, "bar")) == [0.2, 0.4, 0.6]
    assert len(artists(figure, "interval")) == 3 and len(artists(figure, "no value")) == 3
    low, high = figure.axes[0].get_xlim()
    assert low == 0 and high > 0.7
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == names
    assert_inside(figure)


def test_bars_below_zero_long_names_and_many_conditions_fit():
    values = {f"condition {j}": {f"category {i} " + "with a long name " * 4: (-0.1 * j, -1.0, 0.2) for i in range(12)}
              for j in range(8)}  # fmt: skip
    names = list(values["condition 0"])
    figure = drawn(draw_bars, clean(values), names, "", "", (-0.5, 0.5))
    low, high = figure.axes[0].get_xlim()
    assert low < -1.0 and high >= 0.5
    assert_inside(figure)


def test_bars_files_are_equal_for_equal_data_and_bad_data_is_refused(tmp_path):
    one, two = (category_bars(BARS, tmp_path / n, title="Title") for n in ("a", "b"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two] and not is_blank(one[1])
    for values, message in (
        ({}, "without any category"),
        ({"a": {"x": (0.5, 0.6, 0.7)}}, "a, x: the value 0.5 lies outside"),
        ({"a": {"x": (math.inf, None, None)}}, "a, x: inf cannot be drawn"),
        ({"a": {"x": (0.5, 0.4, None)}}, "expected both limits or none"),
    ):
        with pytest.raises(ValueError, match=message):
            category_bars(values, tmp_path / "x")


def bins(n=400, seed=0, extreme=False):
    random = np.random.default_rng(seed)
    p = random.uniform(size=n)
    p = np.where(p > 0.5, 1 - p / 1e4, p / 1e4) if extreme else p
    return calibration_error(p, (random.uniform(size=n) < p).astype(float)).bins


def test_reliability_points_are_the_bins_and_counts_add_up():
    found = bins()
    figure = drawn(draw_reliability, {"": found}, "Title", "RMS 0.03 [0.00, 0.05]", "share right")
    (line,) = artists(figure, "bins")
    assert line.get_xydata().tolist() == [[b.confidence, b.accuracy] for b in found]
    spans = [tuple(a.get_ydata()) for a in artists(figure, "interval")]
    assert spans == [(b.low, b.high) for b in found]
    assert sum(int(t.get_text().split()[0]) for t in artists(figure, "count")) == 400
    assert_inside(figure)


def test_counts_of_bins_at_the_same_place_are_summed_and_stay_readable():
    figure = drawn(draw_reliability, {"a": bins(extreme=True), "b": bins(100, 1)}, "", "", "share right")
    counts = [t.get_text() for t in artists(figure, "count")]
    assert any("bins" in c for c in counts) and sum(int(c.split()[0]) for c in counts) == 500
    assert_inside(figure)


def test_reliability_files_and_empty_input(tmp_path):
    first, second = (reliability_diagram(bins(), tmp_path / n) for n in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second] and not is_blank(first[1])
    with pytest.raises(ValueError, match="without bins"):
        reliability_diagram([], tmp_path / "x")


POINTS = {
    "exploited": [RewardPoint(step=s, reward=s / 100, held_out=0.5 - (s / 150) ** 2, low=0.2, high=0.6)
                  for s in (0, 50, 100)],
    "two seeds": [RewardPoint(step=s, reward=s / 200 + seed / 50, held_out=0.5 + s / 500, seed=seed)
                  for seed in (0, 1) for s in (0, 50, 100)],
    "gap": [RewardPoint(step=0, reward=None, held_out=0.4), RewardPoint(step=50, reward=0.3, held_out=math.nan),
            RewardPoint(step=100, reward=0.4, held_out=0.45)],
}  # fmt: skip


def test_reward_and_score_are_means_over_seeds_and_gaps_stay_gaps():
    figure = drawn(draw_points, POINTS, "Title", "reward", "score")
    means = [a for a in artists(figure, "mean") if a.axes is figure.axes[2]]
    assert means[1].get_xdata() == pytest.approx([0.01, 0.26, 0.51])
    reward, score = means[2].get_xdata(), means[2].get_ydata()
    assert np.isnan(reward).tolist() == [True, False, False] and np.isnan(score).tolist() == [False, True, False]
    starts = [a.get_xydata()[0].tolist() for a in artists(figure, "start")]
    assert starts[0] == [0.0, 0.5] and starts[2] == [0.4, 0.45]  # the first point that has both
    assert len(artists(figure, "interval")) == 3
    assert_inside(figure)


def test_rewards_of_different_units_share_an_axis_from_start_to_highest():
    rows = [RewardPoint(step=s, reward=r, held_out=0.5) for s, r in ((0, -3.0), (10, -1.0), (20, -2.0))]
    assert [p.reward for p in _scaled(rows)] == [0.0, 1.0, 0.5]
    falling = [RewardPoint(step=s, reward=-float(s), held_out=0.5) for s in (0, 1)]
    assert [p.reward for p in _scaled(falling)] == [0.0, -1.0]


def test_points_are_read_from_training_directories(tmp_path):
    rows = [{"step": 0, "held_out/geneval/overall": 0.5}]
    rows += [{"step": s, "reward/mean": s / 100} for s in range(1, 21)]
    rows += [{"step": 20, "held_out/geneval/overall": 0.7}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    stored = tmp_path / "held_out" / "step-000020"
    stored.mkdir(parents=True)
    cell = {"value": 0.7, "ci_low": 0.6, "ci_high": 0.8}
    (stored / "summary.json").write_text(json.dumps({"benchmarks": {"geneval": {"values": {"overall": cell}}}}))
    first, last = training_points([tmp_path], "held_out/geneval/overall", window=10)
    assert (first.step, first.held_out, first.low) == (0, 0.5, None) and first.reward == pytest.approx(0.03)
    assert (last.step, last.low, last.high) == (20, 0.6, 0.8) and last.reward == pytest.approx(0.18)


def test_reward_files_and_refusals(tmp_path):
    first, second = (reward_against_held_out(POINTS, tmp_path / n, scale="arm") for n in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second] and not is_blank(first[1])
    with pytest.raises(ValueError, match="without points"):
        reward_against_held_out({"a": []}, tmp_path / "x")
    with pytest.raises(ValueError, match="same seed and step"):
        reward_against_held_out({"a": [POINTS["gap"][0]] * 2}, tmp_path / "x")


def test_style_leaves_matplotlib_as_it_was(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"font.size": 31, "axes.grid": True, "text.usetex": False}):
        before = dict(matplotlib.rcParams)
        first = category_bars(BARS, tmp_path / "a")
        assert dict(matplotlib.rcParams) == before
    assert first[1].read_bytes() == category_bars(BARS, tmp_path / "b")[1].read_bytes()


def test_importing_the_plots_loads_no_matplotlib():
    import subprocess
    import sys

    code = "import reports.plots, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
