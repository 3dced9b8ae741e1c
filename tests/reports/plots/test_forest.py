"""Forest plots: every row is drawn, nothing is cut off, a missing number is never a point."""

import math

import pytest

from reports.plots import ForestRow, forest
from reports.plots.forest import draw
from reports.plots.style import shown, styled
from tests.reports.plots.reading import artists, assert_inside, is_blank

ROWS = [
    ForestRow("plain", 1.0, -0.5, 2.5, "first", "paired t, n = 553", -1.0, 3.0),
    ForestRow("clear", 2.0, 1.0, 3.0, "first", "", 0.5, 3.5, mde=0.8),
    ForestRow("pointwise only", 1.5, 0.2, 2.8, "second", "", -0.3, 3.3),
    ForestRow("worse", -4.0, -7.0, -1.0, "second"),
    ForestRow("without interval", 0.7, None, None, "second"),
    ForestRow("without value", None, None, None, "second", "the judge failed on every prompt"),
    ForestRow("not a number", math.nan, math.nan, math.nan, "second"),
    ForestRow("unbounded", 1.0, -math.inf, math.inf, "second"),
]
LONG = "reward.weights.dvreward=1.0, recipe=official_code, " * 4


def figure_of(rows, **options):
    with styled():
        figure = draw(rows, **options)
        figure.canvas.draw()
    return figure


def test_writes_a_vector_and_a_pixel_file_that_are_not_blank(tmp_path):
    paths = forest(ROWS, tmp_path / "table1.5", title="Differences", reference="base")
    assert [p.name for p in paths] == ["table1.5.svg", "table1.5.png"]
    assert not is_blank(paths[1]) and paths[0].read_text().count("<path") > 20


def test_equal_data_gives_equal_bytes_and_a_suffix_chooses_one_file(tmp_path):
    first = [p.read_bytes() for p in forest(ROWS, tmp_path / "a")]
    assert first == [p.read_bytes() for p in forest(list(ROWS), tmp_path / "b")]
    assert [p.name for p in forest(ROWS, tmp_path / "c.pdf")] == ["c.pdf"]
    assert (tmp_path / "c.pdf").read_bytes() == forest(ROWS, tmp_path / "d.pdf")[0].read_bytes()


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [ForestRow(f"row {i} {LONG}", i, i - 1, i + 2) for i in range(60)]])
def test_one_marker_per_value_and_every_text_is_inside_the_figure(rows):
    figure = figure_of(rows, title="Title", reference="base")
    with_value = [r for r in rows if r.est is not None and not math.isnan(r.est)]
    assert len(artists(figure, "estimate")) == len(with_value)
    labels = artists(figure, "label")
    assert [" ".join(t.get_text().split()) for t in labels] == [" ".join(r.label.split()) for r in rows]
    assert_inside(figure)


def test_axis_holds_all_finite_limits_zero_and_the_detectable_effect():
    axes = figure_of([*ROWS, ForestRow("mde", 0.0, -0.1, 0.1, mde=9.0)]).axes[0]
    low, high = axes.get_xlim()
    assert low < -9.0 and high > 9.0
    low, high = figure_of([ForestRow("far", 5.0, 4.0, 6.0, wide_low=3.0, wide_high=8.0)]).axes[0].get_xlim()
    assert low < 0 and high > 8.0


def test_an_interval_that_would_squeeze_all_others_is_cut_with_arrows():
    rows = [ForestRow(f"row {i}", 0.5 * i, 0.5 * i - 1, 0.5 * i + 1) for i in range(4)]
    rows.append(ForestRow("three seeds", -1.0, -30.0, 28.0, "", "", -290.0, 288.0, mde=300.0))
    figure = figure_of(rows)
    low, high = figure.axes[0].get_xlim()
    assert -20 < low < -5 and 5 < high < 20
    assert sorted(m.get_marker() for m in artists(figure, "unbounded")) == ["<", "<", ">", ">"]
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts[-1] == "arrow: goes on beyond the edge"
    assert "−30" in artists(figure, "number")[-1].get_text()  # the number stays
    assert_inside(figure)
    assert "arrow" not in str([t.get_text() for t in figure_of(rows[:4]).legends[0].get_texts()])


def test_significance_shows_in_shape_and_filling():
    markers = artists(figure_of(ROWS), "estimate")
    shapes = [(m.get_marker(), m.get_markerfacecolor() == m.get_color()) for m in markers]
    assert shapes == [
        ("o", False),  # contains zero
        ("D", True),  # both exclude it
        ("o", True),  # the pointwise interval only
        ("D", True),
        ("x", True),  # no interval
        ("o", False),  # unbounded
    ]


def test_missing_numbers_are_words_not_zeros():
    figure = figure_of(ROWS)
    assert [t.get_text() for t in artists(figure, "number")][4:] == [
        "+0.7  no interval",
        "no value",
        "no value",
        "+1.0  [−∞, +∞]",
    ]
    assert 0.0 not in [m.get_xdata()[0] for m in artists(figure, "estimate")]
    assert len(artists(figure, "unbounded")) == 2


def test_equal_values_and_only_missing_ones_can_be_drawn():
    assert figure_of([ForestRow(n, 0.0, 0.0, 0.0) for n in "ab"]).axes[0].get_xlim()[0] < 0
    assert artists(figure_of([ForestRow("a", None, None, None)]), "estimate") == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([ForestRow("a", math.inf, None, None)], "a: estimate: inf cannot be drawn"),
        ([ForestRow("a", 1.0, 0.0, None)], "expected both limits or none"),
        ([ForestRow("a", 1.0, 2.0, 3.0)], "a: the estimate 1.0 lies outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused(rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        forest(rows, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_numbers_as_text():
    assert [shown(v, 1, sign=True) for v in (1.25, -0.01, -2.0, None)] == ["+1.2", "0.0", "−2.0", "–"]
