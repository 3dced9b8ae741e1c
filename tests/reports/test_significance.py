"""Comparisons of conditions: families, refusals, invariances, missing data, wording."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from harness.errors import DataError
from harness.stats import permutation_test
from reports.groups import Condition, Design, design_of
from reports.runs import load_run
from reports.significance import analyse, compare_conditions, compare_value, stack
from reports.significance.arrangements import permutation_beside, sign_flip_beside
from tests.reports.significance_data import make_terms, write_run

CAT, W = np.arange(60) % 3, np.full(3, 1 / 3)
NUMBERS = ("est", "low", "high", "se", "p", "p_adjusted", "simultaneous_low", "simultaneous_high", "mde", "seed_sd")


def scores(seed, shift=0.0, n=60):
    return np.clip(np.random.default_rng(seed).random(n) * 0.6 + 0.2 + shift, 0, 1)


def arm(first, shift=0.0, *, n=3, keys=("a", "b", "c"), **options):
    return [
        {k: make_terms(scores(100 * s + first + i, shift), CAT, W, **options) for i, k in enumerate(keys)}
        for s in range(n)
    ]


def test_planned_differences_carry_holm_and_simultaneous_limits():
    shifts = {"a": 0.2, "b": 0.1, "c": 0.05, "d": 0.0}
    x = [{k: make_terms(scores(i, s), CAT, W) for i, (k, s) in enumerate(shifts.items())}]
    y = [{k: make_terms(scores(50 + i), CAT, W) for i, k in enumerate("abcd")}]
    found = compare_conditions(x, y)
    p = [d.p for d in found]
    np.testing.assert_allclose([d.p_adjusted for d in found], multipletests(p, method="holm")[1], rtol=0, atol=1e-12)
    assert all(d.correction == "Holm over 4 tests" for d in found)
    assert all(d.simultaneous_low < d.low < d.est < d.high < d.simultaneous_high for d in found)
    assert all(d.mde_family > d.mde for d in found)


def test_a_planned_test_that_cannot_be_computed_counts_as_one():
    x, y = arm(0, 0.05, n=1), arm(9, n=1)
    odd = make_terms(scores(0, n=30), CAT[:30], W)
    alone = compare_conditions(x, y)
    found = compare_conditions([{**x[0], "d": odd}], [{**y[0], "d": make_terms(scores(1), CAT, W)}])
    assert found[3].p is None and found[3].p_adjusted is None
    assert "The prompts differ: p30 is in y, seed 0 only" in found[3].reason
    ps = [d.p for d in alone] + [1.0]
    np.testing.assert_allclose([d.p_adjusted for d in found[:3]], multipletests(ps, method="holm")[1][:3], atol=1e-12)


def test_swapping_the_sides_negates():
    x, y = arm(0, 0.05), arm(7, n=4)
    for d, e in zip(compare_conditions(x, y), compare_conditions(y, x), strict=True):
        np.testing.assert_allclose([d.est, d.low, d.high], [-e.est, -e.high, -e.low], rtol=1e-12)
        np.testing.assert_allclose([d.p, d.se, d.exact.p, d.win_rate], [e.p, e.se, e.exact.p, 1 - e.win_rate])


def test_order_of_seeds_prompts_and_categories_does_not_matter():
    x, y = arm(0, 0.05), arm(7, n=4)
    turned = []
    for run in y[::-1]:
        order = np.random.default_rng(3).permutation(60)
        turned.append(
            {
                k: dataclasses.replace(
                    t,
                    prompts=tuple(t.prompts[i] for i in order),
                    num=t.num[order],
                    den=t.den[order],
                    planned=t.planned[order],
                    cat=2 - t.cat[order],
                    categories=t.categories[::-1],
                )
                for k, t in run.items()
            }
        )
    for d, e in zip(compare_conditions(x, y), compare_conditions(x[::-1], turned), strict=True):
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(d, name), getattr(e, name), rtol=1e-9, err_msg=name)


def test_scaling_scores_scales_differences():
    x, y = arm(0, 0.05), arm(7)
    tenfold = [
        [{k: dataclasses.replace(t, num=10 * t.num, hi=10.0, step=10.0) for k, t in r.items()} for r in s]
        for s in (x, y)
    ]
    for d, e in zip(compare_conditions(x, y), compare_conditions(*tenfold), strict=True):
        np.testing.assert_allclose([10 * d.est, 10 * d.low, d.p, 10 * d.mde], [e.est, e.low, e.p, e.mde], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": tuple(f"q{i}" for i in range(60))}, "The prompts differ: p0 is in arm 1, seed 1 only"),
        ({"cat": CAT[::-1].copy()}, "p0 is of category 'c0' in arm 1, seed 1 and 'c2' in arm 2, seed 1"),
        ({"weights": np.array([0.5, 0.25, 0.25])}, "Category 'c0' weighs 0.3333 in arm 1, seed 1 and 0.5"),
        ({"higher_is_better": False}, r"from 0 to 1 \(lower is better\) in arm 2"),
        ({"hi": 10.0}, "Scores range from 0 to 1 in arm 1, seed 1, from 0 to 10 in arm 2"),
    ],
)
def test_values_that_are_not_of_one_kind_are_refused(change, message):
    terms = make_terms(scores(0), CAT, W)
    with pytest.raises(DataError, match=message):
        stack([[terms], [dataclasses.replace(terms, **change)]])


@pytest.mark.parametrize("seeds", [1, 3])
def test_where_less_is_better_only_the_words_turn_round(seeds):
    x, y = arm(0, 0.2, n=seeds), arm(9, n=seeds)
    errors = [[{k: dataclasses.replace(t, higher_is_better=False) for k, t in r.items()} for r in s] for s in (x, y)]
    for d, e in zip(compare_conditions(x, y), compare_conditions(*errors), strict=True):
        assert (d.est, d.low, d.p, d.n_equal) == (e.est, e.low, e.p, e.n_equal)
        assert (d.n_better, d.n_worse) == (e.n_worse, e.n_better) and d.n_better > d.n_worse
        assert d.win_rate + e.win_rate == pytest.approx(1)
        assert e.verdict == d.verdict.replace("higher", "higher (lower is better)")


def test_estimate_is_the_difference_of_the_official_numbers():
    x, y = make_terms(scores(0, 0.05), CAT, W), make_terms(scores(1), CAT, W)
    plain = compare_value([x], [y]).found
    a, b = (float(stack([[t]])[0].num.mean()) for t in (x, y))
    rounded = compare_value([x], [y], official=([a + 4e-5], [b - 4e-5])).found
    assert rounded.est == pytest.approx(plain.est + 8e-5, abs=1e-12)
    assert rounded.high - rounded.low == pytest.approx(plain.high - plain.low)
    with pytest.raises(DataError, match="the summary says"):
        compare_value([x], [y], official=([a + 0.01], [b]))


def test_missing_data_is_counted_bounded_and_distrusted():
    row = scores(0, 0.1)
    row[:10] = np.nan
    d = compare_conditions([{"a": make_terms(row, CAT, W)}], [{"a": make_terms(scores(1), CAT, W)}])[0]
    assert (d.n_missing_x, d.n_missing_y, d.n_prompts, d.n_planned_x) == (10, 0, 50, 60)
    assert d.bound_low < d.est < d.bound_high and d.bound_high - d.bound_low == pytest.approx(10 / 60)
    assert "do not rely on it: 20.0 % of a category's scores are missing" in d.verdict


@pytest.mark.parametrize(("n_x", "n_y"), [(2, 2), (3, 4), (5, 5), (6, 4)])
def test_listed_permutations_equal_the_plain_test(n_x, n_y):
    rng = np.random.default_rng(n_x)
    for _ in range(5):
        x, y = np.round(rng.normal(0.3, 1, n_x), 1), np.round(rng.normal(0, 1, n_y), 1)
        assert permutation_beside(x, y, 1).p == permutation_test(x, y).p


def test_exact_tests_that_cannot_reach_the_level_say_so():
    assert sign_flip_beside([1, 2, 3, 4, 5], 1).text == "cannot reach 0.05"
    assert sign_flip_beside([1, 2, 3, 4, 5, 6], 1).text == "0.0312"
    assert sign_flip_beside([1, 2, 3, 4, 5, 6], 5).text == "0.0312 (cannot reach 0.05 after Holm over 5)"
    assert permutation_beside([1, 2, 3], [4, 5, 6], 1).text == "cannot reach 0.05"
    assert permutation_beside([1, 2, 3, 4], [5, 6, 7, 8], 1).text == "0.0286"


def test_verdicts_say_what_was_shown_and_what_would_have_been_seen():
    clear = compare_conditions(arm(0, 0.3), arm(7))[0]
    assert clear.verdict == "higher, significant after Holm over 3 tests"
    equal = compare_conditions(arm(0), arm(7))[0]
    assert equal.verdict.startswith("not significant; an effect of at least 0.")
    assert equal.verdict.endswith("would have been seen with 80 % power")
    single = compare_conditions(arm(0, n=1), arm(7, n=1))[0]
    assert single.verdict.endswith("; these checkpoints only")


def test_one_checkpoint_per_side_makes_no_claim_about_training(tmp_path):
    for i, name in enumerate(("a", "b")):
        values = {"overall": make_terms(scores(i), CAT, W), "task/t": make_terms(scores(i + 5), CAT, W)}
        write_run(tmp_path / name, {"geneval": values})
    from reports.overview import tables_of
    from reports.tables import render

    tables = tables_of(analyse(design_of([tmp_path / "a", tmp_path / "b"])))
    text = "".join(render(t, "md") for t in tables).lower()
    assert "these checkpoints" in text and "method" not in text and "reward" not in text


def test_fixed_prompts_ask_about_new_seeds_on_these_prompts():
    d = compare_conditions(arm(0, 0.05), arm(7), prompts="fixed")[0]
    assert (d.test, d.level) == ("Welch t", "new seeds, these prompts")
    assert compare_conditions(arm(0, n=1), arm(7, n=1), prompts="fixed")[0].reason == "one seed in each arm"


def runs_of(tmp_path, name, rows, **options):
    metrics = options.pop("metric", "overall")
    return [
        load_run(write_run(tmp_path / f"{name}{i}", {"geneval": {metrics: make_terms(r, CAT, W)}}, **options))
        for i, r in enumerate(rows)
    ]


def design(*conditions, **options):
    made = tuple(Condition(name=n, runs=tuple(r), seeds=tuple(range(len(r)))) for n, r in conditions)
    return Design(title="t", conditions=made, reference=made[0].name, **options)


def test_other_judges_get_tables_of_their_own_and_no_difference(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(0)]), runs_of(tmp_path, "y", [scores(1)], judge="judge-2")
    a = analyse(design(("x", x), ("y", y)))
    assert [(i["table"], i["conditions"]) for i in a.identities] == [("geneval", ["x"]), ("geneval-2", ["y"])]
    assert a.differences[0].est is None and a.differences[0].p_adjusted is None
    assert a.refused == ("geneval: y and x differ in judge: 'judge-2' and 'judge-1'",)
    with pytest.raises(DataError, match="Nothing can be compared with x: geneval: y and x differ in judge"):
        analyse(design(("x", x), ("y", y), is_against_explicit=True))


def test_runs_of_one_condition_must_belong_together(tmp_path):
    mixed = [*runs_of(tmp_path, "x", [scores(0)]), *runs_of(tmp_path, "y", [scores(1)], protocol="corrected")]
    with pytest.raises(DataError, match="not two training seeds of one condition; geneval differs in protocol"):
        analyse(design(("x", mixed)))


def test_declared_family_counts_conditions_without_the_benchmark(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(0)]), runs_of(tmp_path, "y", [scores(1)])
    other = [load_run(write_run(tmp_path / "z", {"wise": {"overall/official": make_terms(scores(2), CAT, W)}}))]
    a = analyse(design(("x", x), ("y", y), ("z", other), family=("geneval", "wise", "tiif")))
    assert a.family.size == 6 and len(a.differences) == 6
    assert sum(d.p is None for d in a.differences) == 5
    assert a.differences[0].p_adjusted == pytest.approx(min(1, 6 * a.differences[0].p))
    assert "tiif of the planned family is held by no condition here; its tests count with p = 1." in a.notes
    assert a.family.members[-1] == "tiif: z against x"


def test_only_one_headline_of_a_benchmark_is_planned(tmp_path):
    for i, name in enumerate("ab"):
        values = {
            m: make_terms(scores(i + k), CAT, W) for k, m in enumerate(("overall/short", "overall/long", "type/x"))
        }
        write_run(tmp_path / name, {"tiif": values}, headline=["overall/short", "overall/long"])
    a = analyse(design_of([tmp_path / "a", tmp_path / "b"]))
    assert [d.metric for d in a.differences] == ["overall/long"]
    assert [d.metric for d in a.exploratory] == ["overall/short"]
    assert "false discovery rate" in a.exploratory[0].correction and a.exploratory[0].simultaneous_low is None


def test_pairs_use_the_seeds_that_both_conditions_have(tmp_path):
    rows = [scores(i) for i in range(4)]
    x = Condition(name="x", runs=tuple(runs_of(tmp_path, "x", rows)), seeds=(0, 1, 2, 3))
    y = Condition(name="y", runs=tuple(runs_of(tmp_path, "y", rows[1:])), seeds=(1, 2, 3))
    d = analyse(Design(title="", conditions=(x, y), reference="x", seeds_paired=True)).differences[0]
    assert (d.seeds_x, d.seeds_y, d.est, d.seeds_paired) == (3, 3, 0, True)


def test_a_single_seed_can_borrow_the_sweeps_seed_variance(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(i, 0.1 * i) for i in range(3)]), runs_of(tmp_path, "y", [scores(9)])
    plain = analyse(design(("x", x), ("y", y))).differences[0]
    d = analyse(design(("x", x), ("y", y)), borrow_seed_sd=True).differences[0]
    assert d.borrowed.startswith("seed variance pooled over 1 conditions") and d.se > plain.se


def test_borrowing_keeps_all_seeds_of_the_other_condition(tmp_path):
    """Declared pairs would leave the reference its one common seed, as if that checkpoint were all there is."""
    rng = np.random.default_rng(2)
    rows = [scores(3, s) for s in rng.normal(0, 0.05, 5)]
    x = Condition(name="x", runs=tuple(runs_of(tmp_path, "x", [scores(3, 0.1)])), seeds=(2,))
    y = Condition(name="y", runs=tuple(runs_of(tmp_path, "y", rows)), seeds=tuple(range(5)))
    made = Design(title="", conditions=(x, y), reference="y", seeds_paired=True)
    d = analyse(made, borrow_seed_sd=True).differences[0]
    assert (d.seeds_x, d.seeds_y, d.seeds_paired, d.test) == (1, 5, False, "Satterthwaite t")
    s2 = np.var(d.per_seed_y, ddof=1)
    assert d.variances["seeds"] == pytest.approx(s2 + s2 / 5)
    # Neither side is a fixed value, so that five against one is the test, not the signs of five differences.
    assert (d.exact.test, d.exact.smallest_p) == ("permutation", 1 / 6)


def test_only_comparable_conditions_lend_their_seed_variance(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(0)]), runs_of(tmp_path, "y", [scores(i, 0.02 * i) for i in range(3)])
    other = runs_of(tmp_path, "z", [scores(i, 0.2 * i) for i in range(3)], judge="judge-2")
    bare = runs_of(tmp_path, "w", [scores(i) for i in range(2)], metric="task/t")
    without = analyse(design(("y", y), ("x", x)), borrow_seed_sd=True).differences[0]
    d = analyse(design(("y", y), ("x", x), ("z", other), ("w", bare)), borrow_seed_sd=True).differences[0]
    assert (d.x, d.borrowed, d.se) == ("x", without.borrowed, without.se)


@pytest.mark.parametrize(("n_y", "is_base"), [(3, False), (1, True)])
def test_seeds_that_are_all_alike_show_no_power(tmp_path, n_y, is_base):
    """Three equal values need not average to the fourth: the difference is 0, and nothing is claimed of other seeds."""
    row = np.round(scores(0), 1)
    x, y = runs_of(tmp_path, "x", [row] * 3), runs_of(tmp_path, "y", [row] * n_y)
    base = Condition(name="y", runs=tuple(y), seeds=tuple(range(n_y)), is_base=is_base)
    made = Design(title="", conditions=(base, Condition(name="x", runs=tuple(x), seeds=(0, 1, 2))), reference="y")
    d = analyse(made).differences[0]
    assert (d.est, d.p, d.low, d.high, d.mde, d.mde_family) == (0, 1, 0, 0, None, None)
    assert d.no_variation == "no variation over seeds and prompts" and d.reason == ""
    assert d.verdict.startswith("not significant; no variation over seeds and prompts")
    assert "would have been seen" not in d.verdict


@pytest.mark.parametrize(("n", "what"), [(1, "prompts"), (3, "seeds and prompts")])
def test_an_interval_without_width_is_not_to_be_relied_on(tmp_path, n, what):
    value = analyse(design(("x", runs_of(tmp_path, "x", [np.full(60, 0.5)] * n)))).values[0]
    assert value.low == value.high == 0.5 and value.distrust == f"no variation over {what}"


def test_equal_variances_of_seeds_and_cells_leave_a_seed_sd_of_zero(tmp_path):
    """V_S - V_E is then a rounding error, and the difference is not a billion times its root."""
    rows = np.ones((10, 90))
    for seed, prompt in ((1, 26), (1, 31), (2, 56), (2, 71), (3, 1), (8, 38), (9, 38)):
        rows[seed, prompt] = 0
    x = [{"a": make_terms(r, np.zeros(90, int), [1.0])} for r in rows]
    d = compare_conditions(x, [{"a": make_terms(np.ones(90), np.zeros(90, int), [1.0])}])[0]
    assert d.variances["seeds"] == pytest.approx(d.variances["cells"], rel=1e-12)
    assert (d.seed_sd, d.effect) == (0, None)


def test_errors_of_a_verdict_count_for_the_other_side():
    i = np.arange(60)
    x, y = ([make_terms((i % k == 0).astype(float), np.zeros(60), [1.0])] for k in (2, 5))
    errors = [[dataclasses.replace(t, higher_is_better=False) for t in side] for side in (x, y)]
    plain, turned = (compare_conditions([{"a": s[0][0]}], [{"a": s[1][0]}])[0].mcnemar for s in ((x, y), errors))
    assert (plain.only_x, plain.only_y) == (24, 6) == (turned.only_y, turned.only_x) and plain.p == turned.p


def test_conditions_without_a_common_benchmark_are_told_so(tmp_path):
    x = runs_of(tmp_path, "x", [scores(0)])
    y = [load_run(write_run(tmp_path / "y", {"wise": {"overall/official": make_terms(scores(2), CAT, W)}}))]
    a = analyse(design(("x", x), ("y", y)))
    assert a.family is None and a.refused == ("x holds no headline that any other condition holds too.",)


def test_runs_of_the_same_weights_are_called_no_training_seeds(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(i) for i in range(3)]), runs_of(tmp_path, "y", [scores(9)])
    for policies, told in (("abc", False), ("aba", True)):
        for run, policy in zip(x, policies, strict=True):
            run.manifest["identity"] = {"policy": policy}
        notes = analyse(design(("x", x), ("y", y))).notes
        assert any(n.startswith("x: runs of it have the same weights") for n in notes) == told


def test_a_power_without_correction_is_called_so(tmp_path):
    for i, name in enumerate("ab"):
        values = {m: make_terms(scores(i + k), CAT, W) for k, m in enumerate(("overall", "task/t", "task/u"))}
        write_run(tmp_path / name, {"geneval": values}, model=name)
    a = analyse(design_of([tmp_path / "a", tmp_path / "b"]))
    assert all("would have been seen with 80 % power, without the correction" in d.verdict for d in a.exploratory)


def test_a_side_with_one_seed_is_called_a_single_checkpoint(tmp_path):
    from reports.overview import tables_of

    x, y = runs_of(tmp_path, "x", [scores(i) for i in range(3)]), runs_of(tmp_path, "y", [scores(9)])
    for conditions, told in (((("x", x), ("y", y)), True), ((("x", x[:2]), ("y", [*y, x[2]])), False)):
        notes = tables_of(analyse(design(*conditions)))[0].notes
        assert any("A single checkpoint, not trained anew: y." in n for n in notes) == told


def test_values_that_do_not_fit_their_parts_are_not_compared(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(0)]), runs_of(tmp_path, "y", [scores(1)])
    file = tmp_path / "y0" / "summary.json"
    file.write_text(file.read_text().replace('"value": 0.', '"value": 0.9'))
    y = [load_run(tmp_path / "y0")]
    assert "Repeat the `eval` command" in analyse(design(("x", x), ("y", y))).differences[0].reason


def test_an_analysis_is_plain_json(tmp_path):
    x, y = runs_of(tmp_path, "x", [scores(i) for i in range(3)]), runs_of(tmp_path, "y", [scores(9)])
    value = json.loads(json.dumps(msgspec.to_builtins(analyse(design(("y", y), ("x", x)))), allow_nan=False))
    assert value["differences"][0]["test"] == "integrated t" and value["family"]["size"] == 1
    assert value["values"][1]["n_seeds"] == 3 and value["values"][1]["test"] == "integrated t"
