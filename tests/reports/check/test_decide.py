"""Decisions of the gate against the statistics that it rests on, worked out here a second time."""

import dataclasses
import json
import re

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.stats import (
    difference_mde,
    gate_family,
    generation_variance,
    images_needed,
    paired_difference,
    prompts_needed,
)
from reports.check.baseline import read_sides, write_baseline
from reports.check.decide import check
from reports.check.images import difference_variance
from reports.check.margins import parse_margins
from reports.check.sides import IncompleteError, RefusedError
from reports.check.tables import cells, explanation
from reports.significance.compare import compare_value
from tests.reports.check.made import draw_pair, write_run


def sides(*paths, benchmarks=None):
    return [side for p in paths for side in read_sides(p, benchmarks)]


def pair(tmp_path, loss, seed=0, n=400, k=4, **changes):
    verdicts = draw_pair(n, k, loss, seed)
    base = write_run(tmp_path / "base", verdicts[0])
    return base, write_run(tmp_path / "new", verdicts[1], **changes), verdicts


def test_the_difference_is_the_paired_stratified_t_of_prompt_means(tmp_path):
    base, new, (x, y) = pair(tmp_path, 0.05)
    row = check(sides(new), sides(base), margin=0.02).rows[0]
    d, cat = y.mean(1) - x.mean(1), np.arange(400) * 6 // 400
    groups = [d[cat == g] for g in range(6)]
    se = np.sqrt(sum(g.var(ddof=1) / len(g) for g in groups)) / 6
    assert row.decision.est == pytest.approx(np.mean([g.mean() for g in groups]), abs=1e-12)
    # A t quantile near 1.65 (some 390 degrees of freedom) stands between the estimate and each limit.
    assert (row.decision.high - row.decision.est) / se == pytest.approx(1.6488, abs=2e-3)
    assert (row.n_better, row.n_worse) == (int((d > 0).sum()), int((d < 0).sum()))


def test_labels_follow_the_interval_and_the_margin(tmp_path):
    base, new, _ = pair(tmp_path, 0.05)
    found = {m: check(sides(new), sides(base), margin=m).rows[0].verdict for m in (0.01, 0.2)}
    assert found == {0.01: "regression", 0.2: "equivalent"}
    assert check(sides(base), sides(new), margin=0.01).rows[0].verdict == "improvement"


def test_where_less_is_better_a_rise_is_the_regression(tmp_path):
    rates, errors = pair(tmp_path / "rates", 0.05)[:2], pair(tmp_path / "errors", 0.05)[:2]
    for run in errors:
        content = json.loads((run / "terms.json").read_bytes())
        content["geneval"]["metrics"]["overall"]["higher_is_better"] = False
        (run / "terms.json").write_text(json.dumps(content))
    base, new = errors
    assert check(sides(new), sides(base), margin=0.01).rows[0].verdict == "improvement"
    write_baseline(tmp_path / "baseline.json", sides(new), 0.01)
    found = check(sides(base), sides(tmp_path / "baseline.json"), margin=0.01).rows[0]
    other = check(sides(rates[1]), sides(rates[0]), margin=0.01).rows[0]
    assert found.verdict == other.verdict == "regression" and found.metric == "-overall"
    assert (found.candidate, found.baseline) == (-other.baseline, -other.candidate)
    assert found.advice == other.advice and found.scale == (-1.0, 0.0)
    assert found.decision.est == pytest.approx(other.decision.est)
    with pytest.raises(RefusedError, match="'-overall'"):
        check(sides(base), sides(rates[0]), margin=0.01)


def test_strict_asks_for_a_loss_larger_than_the_margin(tmp_path):
    base, new, _ = pair(tmp_path, 0.05)
    row = check(sides(new), sides(base), margin=0.02).rows[0]
    assert row.decision.high < 0 and row.decision.high > row.decision.est
    wide = -row.decision.high * 1.1
    strict = check(sides(new), sides(base), margin=wide, strict=True)
    assert strict.rows[0].verdict == "inconclusive" and strict.exit_code == 3


@pytest.mark.parametrize(("choice", "code"), [("report", 3), ("pass", 0), ("fail", 1)])
def test_an_inconclusive_answer_has_the_exit_code_that_was_asked_for(tmp_path, choice, code):
    base, new, _ = pair(tmp_path, 0.0, n=60, seed=6)
    found = check(sides(new), sides(base), margin=0.01, inconclusive=choice)
    assert found.answer == "inconclusive" and found.exit_code == code


def test_an_inconclusive_row_says_how_many_prompts_and_images_would_decide(tmp_path):
    base, new, (x, y) = pair(tmp_path, 0.0, n=120, seed=10)
    margin = 0.04
    row = check(sides(new), sides(base), margin=margin).rows[0]
    assert row.verdict == "inconclusive"
    cat, w = np.arange(120) * 6 // 120, np.full(6, 1 / 6)
    se = paired_difference(y.mean(1), x.mean(1), cat, w).se
    assert f": {prompts_needed(se, 120, margin):,} if both are equally good" in row.advice[0]
    v_gen = generation_variance(y - x, cat, w)  # the same samples on both sides: image i against image i
    images = images_needed(se**2, v_gen, 4, margin)
    assert f"now 4, that would decide on these prompts in 80 % of cases: {images.n_images:,} if both" in row.advice[1]


def test_where_no_number_of_images_decides_the_smallest_margin_is_named(tmp_path):
    rng = np.random.default_rng(0)
    x = np.repeat(rng.integers(0, 2, 60), 4).reshape(60, 4).astype(float)
    y = np.repeat(rng.integers(0, 2, 60), 4).reshape(60, 4).astype(float)  # prompts differ, images of one never do
    base, new = write_run(tmp_path / "base", x), write_run(tmp_path / "new", y)
    row = check(sides(new), sides(base), margin=0.02).rows[0]
    if row.verdict == "regression":
        row = check(sides(base), sides(new), margin=0.02).rows[0]
    assert "no number of images decides" in row.advice[1] and "--margin" in row.advice[1]


def test_image_variance_of_other_samples_is_the_sum_of_both_sides(tmp_path):
    base, new, (x, y) = pair(tmp_path, 0.0, n=120)
    a, b = (s.values["geneval"] for s in sides(new, base))
    from dataclasses import replace

    other = replace(b.images, samples=tuple(f"7/{i}" for i in range(4)))
    cat, w = np.arange(120) * 6 // 120, np.full(6, 1 / 6)
    both = generation_variance(y, cat, w) + generation_variance(x, cat, w)
    assert difference_variance(a.images, other, a.terms) == (pytest.approx(both, rel=1e-12), 4)


def test_several_benchmarks_are_corrected_with_holm_as_the_gate_family_does(tmp_path):
    names = ("geneval", "gedit", "tiif")
    verdicts = draw_pair(400, 4, 0.03, 5)
    base = write_run(tmp_path / "base", verdicts[0], benchmarks=names)
    new = write_run(tmp_path / "new", verdicts[1], benchmarks=names)
    found = check(sides(new), sides(base), margin=0.02)
    family = gate_family([r.decision for r in found.rows])
    assert [r.p_adjusted for r in found.rows] == pytest.approx(family.p_adjusted)
    assert {i for i, r in enumerate(found.rows) if r.verdict == "regression"} == set(family.regressions)


def test_a_loss_that_does_not_survive_the_correction_is_inconclusive_and_says_so(tmp_path):
    for seed in range(40):
        verdicts = draw_pair(150, 4, 0.03, seed)
        folder = tmp_path / str(seed)
        base = write_run(folder / "base", verdicts[0], benchmarks=("geneval", "gedit"))
        noise = draw_pair(150, 4, 0.0, seed)[1]
        new = write_run(folder / "new", verdicts[1], benchmarks=("geneval",))
        other = write_run(folder / "other", noise, benchmarks=("gedit",))
        a, b = sides(new)[0], sides(other)[0]
        a.values.update(b.values)
        found = check([a], sides(base), margin=0.02)
        row = found.rows[0]
        if row.decision.label == "regression" and row.p_adjusted > 0.05:
            assert row.verdict == "inconclusive" and "Holm" in row.reason and found.answer != "regression"
            return
    pytest.fail("no such pair among the seeds")


def test_margins_are_shares_of_the_range(tmp_path):
    verdicts = draw_pair(60, 4, 0.0, 0)
    paths = [write_run(tmp_path / n, v, benchmarks=("gedit",), scale=10.0) for n, v in zip("ab", verdicts, strict=True)]
    row = check(sides(paths[1]), sides(paths[0]), margin=0.02).rows[0]
    assert row.margin.value == pytest.approx(0.2) and row.margin.share == 0.02
    row = check(sides(paths[1]), sides(paths[0]), margin=0.02, margin_for={"gedit": 0.05}).rows[0]
    assert row.margin.value == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["geneval", "geneval=x", "geneval=-1", "=0.1", "geneval=0", "geneval=inf"])
def test_a_margin_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match="BENCHMARK=SHARE"):
        parse_margins([text])


@pytest.mark.parametrize(("margin", "own"), [(2.0, {}), (0.0, {}), (0.02, {"genevl": 0.1})])
def test_a_wrong_margin_is_refused(tmp_path, margin, own):
    base, new, _ = pair(tmp_path, 0.0, n=60)
    with pytest.raises(ConfigError, match=r"between 0 and 1|Did you mean 'geneval'"):
        check(sides(new), sides(base), margin=margin, margin_for=own)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"judge": "micro-2"}, "judge 'micro-1'"),
        ({"data": "world-2"}, "world-2"),
        ({"protocol": "corrected"}, "protocol 'official'"),
    ],
)
def test_another_judge_world_or_protocol_is_refused_by_name(tmp_path, changes, word):
    base, new, _ = pair(tmp_path, 0.5, n=60, **changes)
    with pytest.raises(RefusedError, match="nothing is said about the candidate") as caught:
        check(sides(new), sides(base), margin=0.02)
    assert word in str(caught.value)


def test_other_prompts_are_refused_with_examples(tmp_path):
    verdicts = draw_pair(60, 4, 0.0, 0)
    base = write_run(tmp_path / "base", verdicts[0])
    new = write_run(tmp_path / "new", verdicts[1][:48])
    with pytest.raises(RefusedError, match=r"48 in .*only there: none.* 60 in .*only there: geneval/00048"):
        check(sides(new), sides(base), margin=0.02)


def test_a_benchmark_that_the_candidate_lacks_is_refused_rather_than_skipped(tmp_path):
    verdicts = draw_pair(60, 4, 0.0, 0)
    base = write_run(tmp_path / "base", verdicts[0], benchmarks=("geneval", "tiif"))
    new = write_run(tmp_path / "new", verdicts[1])
    with pytest.raises(RefusedError, match="holds no 'tiif'"):
        check(sides(new), sides(base), margin=0.02)
    assert len(check(sides(new), sides(base), benchmarks=["geneval"], margin=0.02).rows) == 1


def test_missing_answers_above_the_limit_decide_nothing(tmp_path):
    lost = np.zeros((400, 4), bool)
    lost[:20] = True
    base, new, _ = pair(tmp_path, 0.3, lost=lost, complete=False)
    found = check(sides(new), sides(base), margin=0.02)
    assert found.answer == "incomplete" and found.exit_code == 3
    assert "80 of 1,600" in found.rows[0].reason and found.rows[0].bounds is not None
    low, high = found.rows[0].bounds
    assert low < found.rows[0].decision.est < high
    assert any("do not trust" in n for n in found.notes)
    assert check(sides(new), sides(base), margin=0.02, max_missing=0.1).exit_code == 1


def test_a_regression_elsewhere_counts_also_beside_an_incomplete_benchmark(tmp_path):
    lost = np.zeros((400, 4), bool)
    lost[:20] = True
    verdicts = draw_pair(400, 4, 0.3, 0)
    base = write_run(tmp_path / "base", verdicts[0], benchmarks=("geneval", "tiif"))
    new = sides(write_run(tmp_path / "new", verdicts[1], benchmarks=("geneval",)))[0]
    new.values.update(sides(write_run(tmp_path / "n2", verdicts[1], benchmarks=("tiif",), lost=lost))[0].values)
    found = check([new], sides(base), margin=0.02)
    assert [r.verdict for r in found.rows] == ["regression", "incomplete"] and found.exit_code == 1


def test_training_seeds_are_a_random_factor(tmp_path):
    seeds = [write_run(tmp_path / f"s{i}", draw_pair(120, 4, 0.2, i)[1]) for i in range(3)]
    base = write_run(tmp_path / "base", draw_pair(120, 4, 0.2, 0)[0])
    row = check(sides(*seeds), sides(base), margin=0.02).rows[0]
    assert row.method == "integrated t" and row.claim == "new seeds, new prompts"
    one = check(sides(seeds[0]), sides(base), margin=0.02).rows[0]
    assert one.claim == "these checkpoints"


def test_a_baseline_file_decides_as_its_run_does(tmp_path):
    base, new, _ = pair(tmp_path, 0.03)
    file = tmp_path / "baselines" / "b.json"
    write_baseline(file, sides(base), 0.01)
    a, b = (check(sides(new), sides(x), margin=0.02).rows[0] for x in (base, file))
    assert a.decision == b.decision and a.advice == b.advice and a.p_adjusted == b.p_adjusted
    assert file.stat().st_size < 30_000


def test_an_incomplete_run_makes_no_baseline(tmp_path):
    lost = np.zeros((400, 4), bool)
    lost[:20] = True
    _, new, _ = pair(tmp_path, 0.0, lost=lost)
    with pytest.raises(IncompleteError, match="80 of 1,600"):
        write_baseline(tmp_path / "b.json", sides(new), 0.01)
    assert not (tmp_path / "b.json").exists()


def test_terms_of_another_time_than_the_summary_are_refused(tmp_path):
    base, new, _ = pair(tmp_path, 0.1, n=60)
    (new / "terms.json").write_bytes((base / "terms.json").read_bytes())
    with pytest.raises(RefusedError, match="different times"):
        sides(new)


def test_the_prompts_that_lost_most_come_first(tmp_path):
    x = np.ones((60, 4))
    y = x.copy()
    y[7], y[11, :2], y[50, 0] = 0, 0, 0
    base, new = write_run(tmp_path / "base", x), write_run(tmp_path / "new", y)
    losses = check(sides(new), sides(base), margin=0.02).rows[0].losses
    assert [(x.id, x.candidate) for x in losses] == [
        ("geneval/00007", 0),
        ("geneval/00011", 0.5),
        ("geneval/00050", 0.75),
    ]


def test_the_prompts_that_would_decide_are_counted_as_the_present_ones_are(tmp_path):
    """Categories of unequal size: their Kish size is far below the number of prompts that stands beside the answer."""
    sizes = np.array([4, 4, 4, 4, 4, 280])
    runs = [write_run(tmp_path / n, v) for n, v in zip("ab", draw_pair(300, 4, 0.0, 3), strict=True)]
    base, new = sides(*runs)
    for side in (base, new):
        value = side.values["geneval"]
        terms = dataclasses.replace(value.terms, cat=np.repeat(np.arange(6), sizes))
        rates = [terms.num[terms.cat == g].sum() / terms.den[terms.cat == g].sum() for g in range(6)]
        side.values["geneval"] = dataclasses.replace(value, terms=terms, official=float(np.mean(rates)))
    row = check([new], [base], margin=0.04).rows[0]
    x, y = (s.values["geneval"].terms for s in (new, base))
    difference = paired_difference(x.num, y.num, x.cat, x.weights, den_x=x.den, den_y=y.den)
    assert difference.n0 < 40
    needed = prompts_needed(difference.se, 300, 0.04)
    assert row.verdict == "inconclusive" and f"300 that would decide in 80 % of cases: {needed:,} if" in row.advice[0]


def seeds(tmp_path, name, draws, loss=0.0, n=120):
    return sides(*(write_run(tmp_path / f"{name}{i}", draw_pair(n, 4, loss, i)[bool(loss)]) for i in draws))


def test_few_seeds_ask_for_the_prompts_that_their_own_quantiles_need(tmp_path):
    """Two seeds and normal quantiles asked for fewer prompts than had just been inconclusive."""
    new, base = seeds(tmp_path, "new", range(2), 0.02), seeds(tmp_path, "base", range(3, 13))
    row = check(new, base, margin=0.1).rows[0]
    assert row.verdict == "inconclusive" and row.method == "Satterthwaite t"
    asked = re.search(r"about ([\d,]+) prompts like these 120", row.advice[0])
    assert asked is None or int(asked[1].replace(",", "")) > 120


def test_three_seeds_raise_the_smallest_effect_as_in_the_report(tmp_path):
    new, base = seeds(tmp_path, "new", range(3), 0.02), seeds(tmp_path, "base", range(3, 6))
    row = check(new, base, margin=0.1).rows[0]
    stacked = [[s.values["geneval"].terms for s in arm] for arm in (new, base)]
    found = compare_value(*stacked).found
    assert row.mde == pytest.approx(1.1 * difference_mde(found))


def test_equal_seeds_do_not_lose_by_rounding(tmp_path):
    """The mean of three equal values can be the next number: no loss is proven by that."""
    verdicts = draw_pair(120, 4, 0.0, 1)[1]
    three, one = (sides(*(write_run(tmp_path / f"{n}{i}", verdicts) for i in range(n))) for n in (3, 1))
    for side in (*three, *one):
        terms = side.values["geneval"].terms
        side.values["geneval"] = dataclasses.replace(side.values["geneval"], terms=terms, official=0.7)
    assert float(np.mean([0.7] * 3)) < 0.7
    row = check(three, one, margin=0.02).rows[0]
    assert (row.decision.est, row.decision.label, row.decision.is_small_loss, row.mde) == (0, "equivalent", False, None)
    lines = explanation(row)
    assert any("Nothing varies" in line for line in lines) and not any(
        "would have been found" in line for line in lines
    )


def test_categories_of_one_prompt_are_not_called_missing_answers(tmp_path):
    base, new = (write_run(tmp_path / n, v) for n, v in zip("ab", draw_pair(6, 4, 0.0, 3), strict=True))
    row = check(sides(new), sides(base), margin=0.02).rows[0]
    assert row.verdict == "incomplete" and explanation(row)[0] == (
        "geneval: nothing is decided (one prompt per category)."
    )


def test_values_without_a_range_are_printed_with_all_their_digits(tmp_path):
    base, new = (sides(write_run(tmp_path / n, v)) for n, v in zip("ab", draw_pair(60, 4, 0.0, 3), strict=True))
    for side in (*base, *new):
        value = side.values["geneval"]
        terms = dataclasses.replace(value.terms, lo=-np.inf, hi=np.inf)
        side.values["geneval"] = dataclasses.replace(value, terms=terms)
    row = check(new, base, margin=0.02, margin_for={"geneval": 0.005}).rows[0]
    assert cells(row)[5] == "0.0050" and len(cells(row)[1]) == 6


def test_the_coarser_step_guards_two_equal_runs(tmp_path):
    """Where no prompt differs the smallest difference that both sides could show is the one of fewer images."""
    ones = np.ones((60, 4))
    four, one = write_run(tmp_path / "four", ones), write_run(tmp_path / "one", ones[:, :1])
    row = check(sides(four), sides(one), margin=0.02).rows[0]
    terms = [s.values["geneval"].terms for s in sides(four, one)]
    assert (terms[0].step, terms[1].step) == (0.25, 1.0)
    found = compare_value(*([t] for t in terms)).found
    assert row.decision.high == pytest.approx(found.error.quantile(0.95))


def test_runs_of_the_same_weights_are_called_no_training_seeds(tmp_path):
    made = [write_run(tmp_path / f"n{i}", draw_pair(60, 4, 0.0, i)[1], policy=p) for i, p in enumerate("aab")]
    base = sides(write_run(tmp_path / "base", draw_pair(60, 4, 0.0, 9)[0], policy="c"))
    told = [n for n in check(sides(*made[:2]), base, margin=0.1).notes if "no training seeds" in n]
    assert told == [
        "Runs of the candidate have the same weights: they are no training seeds, and what is said about new seeds "
        "does not hold."
    ]
    assert not any("weights" in n for n in check(sides(*made[1:]), base, margin=0.1).notes)
